"""Reads the agent's own cgroups, as a container sees itself, and those of the models' processes."""

from __future__ import annotations

from collections.abc import Iterator

from obsagent.collect.cgroup import instruments, version1, version2
from obsagent.collect.cgroup.hierarchy import Cgroups, Hierarchy, cgroups_of, mounted
from obsagent.collect.instruments import HOST
from obsagent.collect.pressure import RESOURCES, stalls
from obsagent.collect.processes.find import Owners
from obsagent.collect.processes.procfs import Processes
from obsagent.collect.settings import CgroupSettings
from obsagent.collect.surroundings import Surroundings
from obsagent.collect.tally import Tally, Used
from obsagent.readings import Reading

RATES = {
    instruments.CPU_SECONDS: (instruments.CPU_UTILIZATION, ()),
    instruments.PRESSURE_SECONDS: (instruments.PRESSURE, ("resource", "extent")),
}


class CgroupCollector:
    """Implements `obsagent.collect.collector.Collector`.

    The agent's own cgroups belong to the service `host`. A model's belong to its service, and to the first of its
    workers that is in them, so that what workers share counts once.
    """

    name = CgroupSettings.NAME

    def __init__(self, settings: CgroupSettings, surroundings: Surroundings) -> None:
        """Nothing is read before the first round."""
        self.interval_s = settings.interval_ms / 1000
        self._surroundings = surroundings
        self._owners = Owners(Processes(surroundings.proc), surroundings)
        self._tally = Tally(RATES)

    def collect(self) -> Iterator[Reading]:
        """What the kernel tells of each cgroup; a machine without them tells nothing."""
        self._tally.begin()
        hierarchies = self._hierarchies()
        own = cgroups_of(self._memberships("self"), hierarchies, own=True)
        self._tally.add(HOST, own.key, read(own))
        for labels, cgroups in self._of_models(hierarchies):
            self._tally.add(labels, cgroups.key, read(cgroups))
        yield from self._tally.readings()

    def close(self) -> None:
        """Nothing is held."""

    def _hierarchies(self) -> dict[str, Hierarchy]:
        mountinfo = (self._surroundings.proc / "self" / "mountinfo").read_text(errors="replace")
        return mounted(mountinfo, self._surroundings.root)

    def _memberships(self, process: str) -> str:
        return (self._surroundings.proc / process / "cgroup").read_text(errors="replace")

    def _of_models(self, hierarchies: dict[str, Hierarchy]) -> Iterator[tuple[dict[str, str], Cgroups]]:
        told: set[tuple[str, tuple[str, ...]]] = set()
        for session, who in self._owners.find(self._surroundings.sessions()):
            try:
                cgroups = cgroups_of(self._memberships(str(who.pid)), hierarchies, own=False)
            except OSError:  # the process has ended
                continue
            if not cgroups.is_root and (session.service, cgroups.key) not in told:
                told.add((session.service, cgroups.key))
                yield session.labels(), cgroups


def read(cgroups: Cgroups) -> Iterator[Used]:
    """Everything about a process's cgroups."""
    values = list(version1.read(cgroups))
    if cgroups.unified is not None:
        values += version2.read(cgroups.unified, set(cgroups.by_controller))
        for resource in RESOURCES:
            for extent, stalled_s in stalls(cgroups.unified.path / f"{resource}.pressure").items():
                values.append(Used(instruments.PRESSURE_SECONDS, {"resource": resource, "extent": extent}, stalled_s))
    yield from values
    found = {each.instrument: each.value for each in values}
    limit = found.get(instruments.MEMORY_LIMIT)
    if limit and instruments.WORKING_SET in found:
        yield Used(instruments.MEMORY_UTILIZATION, {}, found[instruments.WORKING_SET] / limit)

"""Reads the processes of models: those that have sessions, and those that a matcher names."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from obsagent.collect.collector import Unreadable
from obsagent.collect.instruments import CPU_SECONDS, CPU_UTILIZATION
from obsagent.collect.processes.find import Owners, Slots, matching
from obsagent.collect.processes.pages import Pages
from obsagent.collect.processes.procfs import Identity, Processes
from obsagent.collect.processes.usage import usage
from obsagent.collect.settings import Matcher, ProcessesSettings
from obsagent.collect.surroundings import Surroundings
from obsagent.collect.tally import Tally, Used
from obsagent.limits import COLLECT_PROCESSES_MAX
from obsagent.readings import Reading

logger = logging.getLogger(__name__)

Found = tuple[dict[str, str], Identity]
"""The labels of a process, and who it is."""


class ProcessesCollector:
    """Implements `obsagent.collect.collector.Collector`."""

    name = ProcessesSettings.NAME

    def __init__(self, settings: ProcessesSettings, surroundings: Surroundings) -> None:
        """Of processes that begin from now on everything is counted."""
        self.interval_s = settings.interval_ms / 1000
        self._matchers = settings.match
        self._sessions = surroundings.sessions
        self._processes = Processes(surroundings.proc)
        self._owners = Owners(self._processes, surroundings)
        self._slots = Slots()
        self._pages = Pages()
        self._tally = Tally({CPU_SECONDS: (CPU_UTILIZATION, ())})
        self._began_s = surroundings.uptime_s()
        self._denied: set[str] = set()

    def collect(self) -> Iterator[Reading]:
        """Every process that is found; raises `Unreadable` for matchers that cannot be followed."""
        self._tally.begin()
        self._pages.begin()
        troubles: list[str] = []
        found = self._find(troubles)
        if len(found) > COLLECT_PROCESSES_MAX:
            troubles.append(f"{len(found)} processes, of which the first {COLLECT_PROCESSES_MAX} are read")
        for labels, who in found[:COLLECT_PROCESSES_MAX]:
            self._read(labels, who)
        yield from self._tally.readings()
        if troubles:
            raise Unreadable("; ".join(troubles))

    def close(self) -> None:
        """Nothing is held."""

    def _find(self, troubles: list[str]) -> list[Found]:
        found = [(session.labels(), who) for session, who in self._owners.find(self._sessions())]
        owned = {who for _, who in found}
        by_service: dict[str, list[Identity]] = {}
        for matcher in self._matchers:
            mine = by_service.setdefault(matcher.service, [])
            mine += [who for who in self._matching(matcher, troubles) if who not in owned and who not in mine]
        for service, mine in by_service.items():
            numbered = self._slots.number(service, mine)
            found += [({"service": service, "worker": str(slot)}, who) for slot, who in numbered]
        return found

    def _matching(self, matcher: Matcher, troubles: list[str]) -> list[Identity]:
        try:
            return matching(matcher, self._processes)
        except OSError as error:
            troubles.append(f"{matcher.pid_file}: {error.strerror}, so nothing is known of {matcher.service}")
        except ValueError as error:
            troubles.append(str(error))
        return []

    def _read(self, labels: dict[str, str], who: Identity) -> None:
        used: list[Used] = []
        denied: set[str] = set()
        try:
            used += usage(self._processes, who, denied, self._pages)
        except (OSError, ValueError):  # it has ended, and nobody takes its place
            return
        self._tally.add(labels, who, used, is_new=who.start_s >= self._began_s)
        for file in denied - self._denied:
            logger.info(
                "/proc/%d/%s is not for the agent's user: what it tells is left out, of this process and of others",
                who.pid,
                file,
            )
        self._denied |= denied

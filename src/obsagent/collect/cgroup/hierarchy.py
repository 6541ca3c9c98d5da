"""Where the files of a process's cgroups lie.

A process has a path in each hierarchy (`/proc/PID/cgroup`), and a hierarchy is mounted somewhere, whole or a part of it
(the root field in `/proc/self/mountinfo`). In a cgroup namespace paths begin at the container's own; without one a
container sees a part mounted that its path begins with. Version 1 has a hierarchy a controller, version 2 one for all,
and hybrid machines both: a controller is where it is mounted.

Sources: cgroups(7), cgroup_namespaces(7), the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from obsagent.collect.mounts import unescaped

V2 = ""
"""The name of version 2's hierarchy, which has no controller's."""


class Hierarchy(NamedTuple):
    """A mounted hierarchy; `root` is the cgroup that is seen at `mount`."""

    root: PurePosixPath
    mount: Path


class Directory(NamedTuple):
    """A cgroup's files, and where those of its ancestors end."""

    path: Path
    top: Path

    def lineage(self) -> Iterable[Path]:
        """The cgroup and all above it that can be seen: a limit of any of them holds."""
        yield self.path
        yield from (parent for parent in self.path.parents if parent.is_relative_to(self.top))


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The directories of a process by controller; `unified` is that of version 2."""

    by_controller: dict[str, Directory] = field(default_factory=dict)
    unified: Directory | None = None

    def all(self) -> list[Directory]:
        """Of both versions."""
        return [*self.by_controller.values(), *([self.unified] if self.unified else [])]

    @property
    def key(self) -> tuple[str, ...]:
        """The same for processes in the same cgroups."""
        return tuple(sorted({str(each.path) for each in self.all()}))

    @property
    def is_root(self) -> bool:
        """True at the top of everything that can be seen: the machine, or the agent's own container."""
        return all(each.path == each.top for each in self.all())

    def of(self, controller: str) -> Directory | None:
        """Version 1's directory of a controller; None if that is not mounted."""
        return self.by_controller.get(controller)


def mounted(mountinfo: str, at: Path = Path("/")) -> dict[str, Hierarchy]:
    """The hierarchies by controller. `at` is where the root directory lies: elsewhere for recorded trees."""
    found: dict[str, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind[0] not in ("cgroup", "cgroup2"):
            continue
        hierarchy = Hierarchy(PurePosixPath(unescaped(fields[3])), at / unescaped(fields[4]).lstrip("/"))
        names = [V2] if kind[0] == "cgroup2" else kind[2].split(",")
        for name in names:
            found.setdefault(name, hierarchy)
    return found


def cgroups_of(memberships: str, hierarchies: dict[str, Hierarchy], *, own: bool) -> Cgroups:
    """The cgroups of a process, as its `/proc/PID/cgroup` has them; what cannot be seen is left out.

    The agent's `own` can always be seen: where its path leads nowhere, what is mounted is its own container's.
    """
    by_controller: dict[str, Directory] = {}
    unified = None
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            hierarchy = hierarchies.get(name)
            place = _place(hierarchy, PurePosixPath(path)) if hierarchy else None
            if hierarchy is None or (place is None and not own):
                continue
            directory = Directory(place or hierarchy.mount, hierarchy.mount)
            if name == V2:
                unified = directory
            else:
                by_controller[name] = directory
    return Cgroups(by_controller, unified)


def _place(hierarchy: Hierarchy, path: PurePosixPath) -> Path | None:
    """Where a cgroup's files are; None if that is outside of what is mounted."""
    if ".." in path.parts or ".." in hierarchy.root.parts:
        return None  # of a namespace that is not the agent's
    if not path.is_relative_to(hierarchy.root):
        return None
    place = hierarchy.mount / path.relative_to(hierarchy.root)
    return place if place.is_dir() else None

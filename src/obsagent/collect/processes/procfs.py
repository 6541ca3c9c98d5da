"""One process as `/proc/PID` tells of it (proc(5)).

psutil tells most of this too, but no faults and no pid in other namespaces, and it reads `stat` and `status` twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from obsagent.limits import COLLECT_FILE_BYTES_MAX

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENDED_STATES = "ZXx"
"""A zombie has nothing left but its exit code."""


class Identity(NamedTuple):
    """A process for all time: a pid is given again, but not with the same start (ticks after the machine's)."""

    pid: int
    start_ticks: int

    @property
    def start_s(self) -> float:
        """When it began, in seconds after the machine (CLOCK_BOOTTIME), rounded down to a tick."""
        return self.start_ticks / TICKS_A_SECOND


@dataclass(frozen=True, slots=True)
class Stat:
    """`/proc/PID/stat`, which anybody may read."""

    name: str
    state: str
    minor_faults: int
    major_faults: int
    cpu_seconds: float
    threads: int
    start_ticks: int
    resident_bytes: int

    @property
    def has_ended(self) -> bool:
        """True if only its parent still knows of it."""
        return self.state in ENDED_STATES


class Processes:
    """The processes below a `/proc`."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def pids(self) -> Iterator[int]:
        """All that are visible."""
        for entry in self._proc.iterdir():
            if entry.name.isdigit():
                yield int(entry.name)

    def stat(self, pid: int) -> Stat:
        """Raises `OSError` if there is no such process."""
        return parse_stat(self.text(pid, "stat"))

    def identity(self, pid: int) -> Identity | None:
        """None if there is no such process, or if it has ended."""
        try:
            stat = self.stat(pid)
        except OSError:
            return None
        return None if stat.has_ended else Identity(pid, stat.start_ticks)

    def pid_namespace(self, pid: int) -> int:
        """The number of its pid namespace; 0 if that is not for our eyes."""
        try:
            return (self._proc / str(pid) / "ns" / "pid").stat().st_ino
        except OSError:
            return 0

    def inner_pid(self, pid: int) -> int:
        """Its pid in its own pid namespace."""
        found = self.fields(pid, "status").get("NSpid", "").split()
        return int(found[-1]) if found else pid

    def command(self, pid: int) -> list[str]:
        """What it was called with; empty for a thread of the kernel."""
        return self.text(pid, "cmdline").rstrip("\0").split("\0")

    def cgroups(self, pid: int) -> list[str]:
        """The paths of its cgroups, of all hierarchies."""
        return [line.split(":", 2)[2] for line in self.text(pid, "cgroup").splitlines()]

    def threads(self, pid: int) -> Iterator[int]:
        """The ids of its threads."""
        return (int(entry.name) for entry in (self._proc / str(pid) / "task").iterdir())

    def descriptor_count(self, pid: int) -> int:
        """Raises `PermissionError` for processes of others."""
        return sum(1 for _ in (self._proc / str(pid) / "fd").iterdir())

    def fields(self, pid: int, file: str) -> dict[str, str]:
        """A file of lines such as `VmSwap:     0 kB`."""
        lines = (line.partition(":") for line in self.text(pid, file).splitlines())
        return {name: value.strip() for name, _, value in lines}

    def text(self, pid: int, file: str) -> str:
        """A file's text; raises `OSError`."""
        with (self._proc / str(pid) / file).open("rb") as opened:
            return opened.read(COLLECT_FILE_BYTES_MAX).decode(errors="replace")


def parse_stat(text: str) -> Stat:
    """The name is in parentheses, and may have blanks and parentheses itself; fields are numbered in proc(5)."""
    before, _, after = text.rpartition(")")
    fields = ["", "", *after.split()]  # from the third on
    return Stat(
        name=before.partition("(")[2],
        state=fields[2],
        minor_faults=int(fields[9]),
        major_faults=int(fields[11]),
        cpu_seconds=(int(fields[13]) + int(fields[14])) / TICKS_A_SECOND,
        threads=int(fields[19]),
        start_ticks=int(fields[21]),
        resident_bytes=int(fields[23]) * PAGE_BYTES,
    )


def kilobytes(value: str) -> int:
    """`12 kB` as bytes."""
    return int(value.split()[0]) * 1024

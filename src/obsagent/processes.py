"""Which process this is, beyond its pid: a pid means something only within its pid namespace."""

from __future__ import annotations

import os

PROC = "/proc"
PID_NAMESPACE = f"{PROC}/self/ns/pid"


def pid_namespace() -> int:
    """The kernel's number of this process's pid namespace, the same for all processes in it; 0 where unknown.

    Every container has a process 1; the pair of namespace and pid is what tells them apart on a host.
    """
    try:
        return os.stat(PID_NAMESPACE).st_ino  # noqa: PTH116  (pathlib is slow to import)
    except OSError:
        return 0


def parent_pid(pid: int) -> int:
    """The pid of a process' parent; 0 if it has ended or has none that is seen from here."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may have blanks and parentheses; [] if it has ended."""
    try:
        with open(f"{PROC}/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []

"""Which process this is, beyond its pid: a pid means something only within its pid namespace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

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


def outer_pids(namespaces: Container[int]) -> dict[tuple[int, int], int]:
    """(pid namespace, pid in it) → pid as it is seen from here, of all processes in these namespaces.

    Those that this process may not look at are left out: it takes their user or root.
    """
    found = {}
    for name in os.listdir(PROC):  # noqa: PTH208
        if name.isdigit():
            try:
                namespace = os.stat(f"{PROC}/{name}/ns/pid").st_ino  # noqa: PTH116
                if namespace in namespaces:
                    found[namespace, _innermost_pid(name)] = int(name)
            except (OSError, ValueError):
                continue  # it has ended, or is another user's
    return found


def _innermost_pid(pid: str) -> int:
    """The pid that a process has for itself: the last of its status' NSpid, which kernels before 4.1 lack."""
    with open(f"{PROC}/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        return int(next((line for line in file if line.startswith("NSpid:")), pid).split()[-1])


def parent_pid(pid: int) -> int:
    """The pid of a process' parent; 0 if it has ended or has none that is seen from here."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def began_ms(pid: int) -> int | None:
    """When a process began, since the epoch on the wall clock as it is set now, to the second; None if it has ended."""
    fields = _stat(pid)
    if not fields:
        return None
    with open(f"{PROC}/stat", encoding="ascii") as file:  # noqa: PTH123
        boot_s = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return boot_s * 1000 + int(fields[19]) * 1000 // os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may have blanks and parentheses; [] if it has ended."""
    try:
        with open(f"{PROC}/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []

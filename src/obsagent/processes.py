"""Which process this is, beyond its pid: a pid means something only within its pid namespace."""

from __future__ import annotations

import os

PID_NAMESPACE = "/proc/self/ns/pid"


def pid_namespace() -> int:
    """The kernel's number of this process's pid namespace, the same for all processes in it; 0 where unknown.

    Every container has a process 1; the pair of namespace and pid is what tells them apart on a host.
    """
    try:
        return os.stat(PID_NAMESPACE).st_ino  # noqa: PTH116  (pathlib is slow to import)
    except OSError:
        return 0

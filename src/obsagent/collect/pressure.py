"""Pressure as the kernel tells it: time in which work stood still for want of processors, memory or a disk.

Source: the kernel's Documentation/accounting/psi.rst. `some` is when any task waited, `full` when all did that had
something to do. The kernel's own averages are over 10 s and more; its totals (µs) give the share of any time.
"""

from __future__ import annotations

import errno
from pathlib import Path

RESOURCES = ("cpu", "memory", "io")
SWITCHED_OFF = (errno.ENOENT, errno.EOPNOTSUPP)
"""A kernel without pressure (before 4.20, or psi=0) has no such file, or one that cannot be read."""


def stalls(path: Path) -> dict[str, float]:
    """Some and full → seconds, of lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`.

    Empty if the kernel does not tell; raises `OSError`.
    """
    try:
        text = path.read_text()
    except OSError as error:
        if error.errno in SWITCHED_OFF:
            return {}
        raise
    found = {}
    for line in text.splitlines():
        extent, *averages = line.split()
        found[extent] = next(int(each[6:]) for each in averages if each.startswith("total=")) / 1e6
    return found

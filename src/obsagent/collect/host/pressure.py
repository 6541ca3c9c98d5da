"""Pressure: the share of the time in which work stood still for want of processors, memory or a disk.

Source: the kernel's Documentation/accounting/psi.rst. `some` is when any task waited, `full` when all did that had
something to do. The kernel's own averages are over 10 s and more; the totals (µs) give the share since the last round.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path

from obsagent.collect.differences import Differences
from obsagent.collect.instruments import HOST, counter, gauge
from obsagent.readings import Reading
from obsagent.samples import Instrument

PRESSURE = gauge("pressure", "ratio", "max", "Share of the time in which tasks stood still for want of a resource")
PRESSURE_SECONDS = counter("pressure_seconds", "seconds", "Time in which tasks stood still for want of a resource")
RESOURCES = ("cpu", "memory", "io")
SWITCHED_OFF = (errno.ENOENT, errno.EOPNOTSUPP)
"""A kernel without pressure (before 4.20, or psi=0) has no such file, or one that cannot be read."""


class Pressure:
    """`/proc/pressure`."""

    def __init__(self, proc: Path) -> None:
        self._reader = PressureReader(PRESSURE, PRESSURE_SECONDS)
        self._files = {resource: proc / "pressure" / resource for resource in RESOURCES}

    def read(self) -> Iterator[Reading]:
        """Some and full of each resource."""
        return self._reader.read(self._files, HOST)


class PressureReader:
    """Reads files of one form: `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`."""

    def __init__(self, share: Instrument, seconds: Instrument) -> None:
        self._share, self._seconds = share, seconds
        self._differences = Differences()

    def read(self, files: Mapping[str, Path], labels: Mapping[str, str]) -> Iterator[Reading]:
        """One round over the files by resource; those that the kernel does not have are left out."""
        self._differences.begin()
        for resource, path in files.items():
            for extent, stalled_s in stalls(path).items():
                named = {**labels, "resource": resource, "extent": extent}
                yield Reading(self._seconds, stalled_s, named)
                grown = self._differences.of((path, extent), stalled_s)
                if grown is not None:
                    yield Reading(self._share, min(grown.per_second, 1.0), named)


def stalls(path: Path) -> dict[str, float]:
    """Some and full → seconds; empty if the kernel does not tell."""
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

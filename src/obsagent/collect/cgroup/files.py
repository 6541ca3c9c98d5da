"""The forms that the files of cgroups have. What a kernel does not have, or does not tell, is None or empty."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsagent.collect.cgroup.hierarchy import Directory

UNLIMITED = 1 << 60
"""Version 1 writes no limit as the largest number of whole pages."""


def text(directory: Directory | Path, name: str) -> str:
    """A file's text; empty if there is none, or if the controller is off."""
    path = directory.path if isinstance(directory, Directory) else directory
    try:
        return (path / name).read_text()
    except OSError:
        return ""


def number(directory: Directory | Path, name: str) -> int | None:
    """A file with one number."""
    found = text(directory, name).strip()
    return int(found) if found.lstrip("-").isdigit() else None


def numbers(directory: Directory, name: str) -> dict[str, int]:
    """A file of lines such as `nr_periods 12`."""
    rows = (line.split() for line in text(directory, name).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def limit(directory: Directory, name: str) -> int | None:
    """The lowest of the limits that hold: the cgroup's own and those of its ancestors."""
    return lowest(number(each, name) for each in directory.lineage())


def lowest(limits: Iterable[int | None]) -> int | None:
    """None if there is no limit at all."""
    return min((each for each in limits if each is not None and 0 <= each < UNLIMITED), default=None)


def io_totals(directory: Directory) -> dict[str, int]:
    """Version 2's `io.stat` (`8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`) over all devices."""
    totals: dict[str, int] = {}
    for line in text(directory, "io.stat").splitlines():
        for field in line.split()[1:]:
            name, _, value = field.partition("=")
            if value.isdigit():
                totals[name] = totals.get(name, 0) + int(value)
    return totals


def blkio_totals(directory: Directory, name: str) -> dict[str, int]:
    """Version 1's `blkio.throttle.io_service_bytes` (`8:0 Read 1`) over all devices."""
    totals: dict[str, int] = {}
    for line in text(directory, name).splitlines():
        row = line.split()
        if len(row) == 3 and row[2].isdigit():
            totals[row[1]] = totals.get(row[1], 0) + int(row[2])
    return totals

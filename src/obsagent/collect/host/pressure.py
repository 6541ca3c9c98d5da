"""Pressure on the whole machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from obsagent.collect.differences import Differences
from obsagent.collect.instruments import HOST, counter, gauge
from obsagent.collect.pressure import RESOURCES, stalls
from obsagent.readings import Reading

PRESSURE = gauge("pressure", "ratio", "max", "Share of the time in which tasks stood still for want of a resource")
PRESSURE_SECONDS = counter("pressure_seconds", "seconds", "Time in which tasks stood still for want of a resource")


class Pressure:
    """`/proc/pressure`."""

    def __init__(self, proc: Path) -> None:
        self._directory = proc / "pressure"
        self._differences = Differences()

    def read(self) -> Iterator[Reading]:
        """Some and full of each resource, as far as the kernel tells."""
        self._differences.begin()
        for resource in RESOURCES:
            for extent, stalled_s in stalls(self._directory / resource).items():
                labels = {**HOST, "resource": resource, "extent": extent}
                yield Reading(PRESSURE_SECONDS, stalled_s, labels)
                grown = self._differences.of((resource, extent), stalled_s)
                if grown is not None:
                    yield Reading(PRESSURE, min(grown.per_second, 1.0), labels)

"""What disks do: bytes, operations, how long these take, and the share of the time in which any was under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from obsagent.collect.differences import Differences
from obsagent.collect.instruments import DISK_READ_BYTES, DISK_WRITE_BYTES, HOST, counter, gauge
from obsagent.collect.settings import Names
from obsagent.readings import Reading

READS = counter("disk_reads", "operations", "Read operations that a disk has completed")
WRITES = counter("disk_writes", "operations", "Write operations that a disk has completed")
READ_SECONDS = counter("disk_read_seconds", "seconds", "Time that the read operations took, one by one")
WRITE_SECONDS = counter("disk_write_seconds", "seconds", "Time that the write operations took, one by one")
READ_LATENCY = gauge("disk_read_latency", "seconds", "max", "Mean time of a read operation since the last reading")
WRITE_LATENCY = gauge("disk_write_latency", "seconds", "max", "Mean time of a write operation since the last reading")
UTILIZATION = gauge("disk_utilization", "ratio", "max", "Share of the time in which a disk had anything to do")


class Disks:
    """Whole disks, not their partitions, nor what lies on top of others (dm, md): each byte counts once.

    A device that the settings include by its name is read whatever it lies on.
    """

    def __init__(self, names: Names, sys: Path) -> None:
        self._names = names
        self._block = sys / "block"
        self._differences = Differences()

    def read(self) -> Iterator[Reading]:
        """Those that have done anything since the machine began."""
        self._differences.begin()
        for device, counters in (psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items():
            if self._is_read(device) and any(counters):
                yield from self._of(device, counters)

    def _is_read(self, device: str) -> bool:
        if not self._names.accept(device):
            return False
        if self._names.include:
            return True
        directory = self._block / device.replace("/", "!")
        return directory.exists() and not _lies_on_others(directory)

    def _of(self, device: str, now: Any) -> Iterator[Reading]:
        labels = {**HOST, "device": device}
        yield Reading(DISK_READ_BYTES, now.read_bytes, labels)
        yield Reading(DISK_WRITE_BYTES, now.write_bytes, labels)
        yield Reading(READS, now.read_count, labels)
        yield Reading(WRITES, now.write_count, labels)
        yield Reading(READ_SECONDS, now.read_time / 1000, labels)
        yield Reading(WRITE_SECONDS, now.write_time / 1000, labels)
        busy = self._differences.of((device, "busy"), now.busy_time / 1000)
        if busy is not None:
            yield Reading(UTILIZATION, min(busy.per_second, 1.0), labels)
        for instrument, count, took_ms in (
            (READ_LATENCY, now.read_count, now.read_time),
            (WRITE_LATENCY, now.write_count, now.write_time),
        ):
            operations = self._differences.of((device, instrument.name, "count"), count)
            took = self._differences.of((device, instrument.name, "time"), took_ms / 1000)
            if operations is not None and took is not None and operations.by:
                yield Reading(instrument, took.by / operations.by, labels)


def _lies_on_others(directory: Path) -> bool:
    slaves = directory / "slaves"
    return slaves.is_dir() and any(slaves.iterdir())

"""Instruments that tell the same of the host and of a process, and short ways to make instruments."""

from __future__ import annotations

from obsagent.samples import MACHINE, Instrument, Kind

HOST = {"service": MACHINE}
"""The labels of what belongs to the machine itself."""


def gauge(name: str, unit: str, across: str, text: str) -> Instrument:
    """A gauge; `across` says how the values of several workers, or of several devices in one answer, combine."""
    return Instrument(name, Kind.GAUGE, text, unit, across=across)


def counter(name: str, unit: str, text: str) -> Instrument:
    """A counter."""
    return Instrument(name, Kind.COUNTER, text, unit)


CPU_UTILIZATION = gauge(
    "cpu_utilization",
    "ratio",
    "sum",
    "Processor time over time: of the host a share of all its processors, by mode; of a process 1 is one processor",
)
CPU_SECONDS = counter("cpu_seconds", "seconds", "Processor time: of the host by mode, idle ones too; of a process all")
MEMORY_BYTES = gauge(
    "memory_bytes", "bytes", "sum", "Memory in use: of the host what is not available; of a process its resident set"
)
SWAP_BYTES = gauge("swap_bytes", "bytes", "sum", "Swap space in use, by the host or by a process")
DISK_READ_BYTES = counter("disk_read_bytes", "bytes", "Read from disks: by device of the host, or by a process")
DISK_WRITE_BYTES = counter("disk_write_bytes", "bytes", "Written to disks: by device of the host, or by a process")

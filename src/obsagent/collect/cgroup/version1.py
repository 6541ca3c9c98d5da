"""A cgroup of version 1: each controller in a directory of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from obsagent.collect.cgroup import files, instruments
from obsagent.collect.cgroup.hierarchy import Cgroups, Directory
from obsagent.collect.tally import Used

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def read(cgroups: Cgroups) -> Iterator[Used]:
    """What the controllers tell that are mounted so."""
    for controller, part in PARTS.items():
        directory = cgroups.of(controller)
        if directory is not None:
            yield from part(directory)


def _cpuacct(directory: Directory) -> Iterator[Used]:
    stat = files.numbers(directory, "cpuacct.stat")
    for mode in ("user", "system"):
        if mode in stat:
            yield Used(instruments.CPU_SECONDS, {"mode": mode}, stat[mode] / TICKS_A_SECOND)


def _cpu(directory: Directory) -> Iterator[Used]:
    stat = files.numbers(directory, "cpu.stat")
    if "nr_periods" in stat:
        yield Used(instruments.PERIODS, {}, stat["nr_periods"])
        yield Used(instruments.THROTTLED, {}, stat["nr_throttled"])
        yield Used(instruments.THROTTLED_SECONDS, {}, stat["throttled_time"] / 1e9)
    quotas = [quota for each in directory.lineage() if (quota := _quota(each)) is not None]
    if quotas:
        yield Used(instruments.CPU_LIMIT, {}, min(quotas))


def _quota(path: Path) -> float | None:
    """A quota of -1 is no limit."""
    quota, period = files.number(path, "cpu.cfs_quota_us"), files.number(path, "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None


def _memory(directory: Directory) -> Iterator[Used]:
    current, stat = files.number(directory, "memory.usage_in_bytes"), files.numbers(directory, "memory.stat")
    if current is not None:
        yield Used(instruments.MEMORY, {}, current)
        yield Used(instruments.WORKING_SET, {}, max(current - stat.get("total_inactive_file", 0), 0))
    peak, hits = files.number(directory, "memory.max_usage_in_bytes"), files.number(directory, "memory.failcnt")
    if peak is not None:
        yield Used(instruments.MEMORY_PEAK, {}, peak)
    hierarchical = stat.get("hierarchical_memory_limit")
    limit = files.lowest([hierarchical, files.limit(directory, "memory.limit_in_bytes")])
    if limit is not None:
        yield Used(instruments.MEMORY_LIMIT, {}, limit)
    if "total_swap" in stat:
        yield Used(instruments.SWAP, {}, stat["total_swap"])
    if hits is not None:
        yield Used(instruments.LIMIT_HITS, {}, hits)
    control = files.numbers(directory, "memory.oom_control")
    if "oom_kill" in control:  # since Linux 4.13
        yield Used(instruments.OOM_KILLS, {}, control["oom_kill"])


def _blkio(directory: Directory) -> Iterator[Used]:
    for name, read_by, written_by in (
        ("io_service_bytes", instruments.READ_BYTES, instruments.WRITE_BYTES),
        ("io_serviced", instruments.READS, instruments.WRITES),
    ):
        totals = files.blkio_totals(directory, f"blkio.throttle.{name}_recursive") or files.blkio_totals(
            directory, f"blkio.throttle.{name}"
        )
        for word, instrument in (("Read", read_by), ("Write", written_by)):
            if word in totals:
                yield Used(instrument, {}, totals[word])


def _pids(directory: Directory) -> Iterator[Used]:
    current, limit = files.number(directory, "pids.current"), files.limit(directory, "pids.max")
    if current is not None:
        yield Used(instruments.TASKS, {}, current)
    if limit is not None:
        yield Used(instruments.TASKS_LIMIT, {}, limit)


PARTS = {"cpuacct": _cpuacct, "cpu": _cpu, "memory": _memory, "blkio": _blkio, "pids": _pids}

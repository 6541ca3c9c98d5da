"""A cgroup of version 2: all controllers in one directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from obsagent.collect.cgroup import files, instruments
from obsagent.collect.cgroup.hierarchy import Directory
from obsagent.collect.tally import Used


def read(directory: Directory, without: set[str]) -> Iterator[Used]:
    """Everything but what the controllers `without` would tell: those are version 1's here."""
    for controllers, part in ((CPU, _cpu), ({"memory"}, _memory), ({"blkio"}, _io), ({"pids"}, _pids)):
        if without.isdisjoint(controllers):
            yield from part(directory)


CPU = {"cpu", "cpuacct"}


def _cpu(directory: Directory) -> Iterator[Used]:
    stat = files.numbers(directory, "cpu.stat")
    for mode in ("user", "system"):
        if f"{mode}_usec" in stat:
            yield Used(instruments.CPU_SECONDS, {"mode": mode}, stat[f"{mode}_usec"] / 1e6)
    if "nr_periods" in stat:
        yield Used(instruments.PERIODS, {}, stat["nr_periods"])
        yield Used(instruments.THROTTLED, {}, stat["nr_throttled"])
        yield Used(instruments.THROTTLED_SECONDS, {}, stat["throttled_usec"] / 1e6)
    quotas = [quota for each in directory.lineage() if (quota := _quota(each)) is not None]
    if quotas:
        yield Used(instruments.CPU_LIMIT, {}, min(quotas))


def _quota(path: Path) -> float | None:
    """`cpu.max`: `150000 100000` are 1.5 processors, `max 100000` is no limit."""
    found = files.text(path, "cpu.max").split()
    return int(found[0]) / int(found[1]) if len(found) == 2 and found[0].isdigit() else None


def _memory(directory: Directory) -> Iterator[Used]:
    current = files.number(directory, "memory.current")
    if current is not None:
        yield Used(instruments.MEMORY, {}, current)
        inactive = files.numbers(directory, "memory.stat").get("inactive_file", 0)
        yield Used(instruments.WORKING_SET, {}, max(current - inactive, 0))
    for instrument, name in ((instruments.MEMORY_PEAK, "memory.peak"), (instruments.SWAP, "memory.swap.current")):
        found = files.number(directory, name)
        if found is not None:
            yield Used(instrument, {}, found)
    for instrument, name in ((instruments.MEMORY_LIMIT, "memory.max"), (instruments.SWAP_LIMIT, "memory.swap.max")):
        found = files.limit(directory, name)
        if found is not None:
            yield Used(instrument, {}, found)
    events = files.numbers(directory, "memory.events")
    if events:
        yield Used(instruments.LIMIT_HITS, {}, events.get("max", 0))
        yield Used(instruments.OOM_KILLS, {}, events.get("oom_kill", 0))


def _io(directory: Directory) -> Iterator[Used]:
    totals = files.io_totals(directory)
    for name, instrument in (
        ("rbytes", instruments.READ_BYTES),
        ("wbytes", instruments.WRITE_BYTES),
        ("rios", instruments.READS),
        ("wios", instruments.WRITES),
    ):
        if name in totals:
            yield Used(instrument, {}, totals[name])


def _pids(directory: Directory) -> Iterator[Used]:
    current = files.number(directory, "pids.current")
    if current is not None:
        yield Used(instruments.TASKS, {}, current)
    limit = files.limit(directory, "pids.max")
    if limit is not None:
        yield Used(instruments.TASKS_LIMIT, {}, limit)

"""Processor time by mode and by core, and how many wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil

from obsagent.collect.instruments import CPU_SECONDS, CPU_UTILIZATION, HOST, gauge
from obsagent.readings import Reading

CORE_UTILIZATION = gauge("cpu_core_utilization", "ratio", "mean", "Share of the time in which a processor was busy")
CPU_COUNT = gauge("cpu_count", "processors", "sum", "Processors that are online")
LOAD = gauge("load_average", "tasks", "max", "Tasks that run or wait for a processor or a disk, mean of 1, 5, 15 min")

COUNTED_ELSEWHERE = ("guest", "guest_nice")
"""The kernel adds these to user and nice too."""
IDLE = ("idle", "iowait")
LOAD_PERIODS = ("1m", "5m", "15m")

SHARE_DIGITS = 6
"""Finer than a tick is of an hour: so that all shares add up to the whole, and not to 99.99999999999999 % of it."""

Times = dict[str, float]


class Processors:
    """Shares are of the time between two rounds: the first has none."""

    def __init__(self) -> None:
        self._before: Times = {}
        self._cores_before: list[Times] = []

    def read(self) -> Iterator[Reading]:
        """Seconds by mode, shares by mode and by core, the load."""
        cores = [_times(each) for each in psutil.cpu_times(percpu=True)]
        total = {mode: sum(core[mode] for core in cores) for mode in cores[0]}
        for mode, seconds in total.items():
            yield Reading(CPU_SECONDS, seconds, {**HOST, "mode": mode})
        for mode, share in _shares(self._before, total).items():
            if mode not in IDLE:
                yield Reading(CPU_UTILIZATION, share, {**HOST, "mode": mode})
        yield from self._cores(cores)
        self._before, self._cores_before = total, cores
        yield Reading(CPU_COUNT, len(cores), HOST)
        for period, load in zip(LOAD_PERIODS, psutil.getloadavg(), strict=True):
            yield Reading(LOAD, load, {**HOST, "period": period})

    def _cores(self, cores: list[Times]) -> Iterator[Reading]:
        if len(self._cores_before) != len(cores):  # one went off line: their numbers are not told
            return
        for number, (before, now) in enumerate(zip(self._cores_before, cores, strict=True)):
            shares = _shares(before, now)
            if shares:
                busy = sum(share for mode, share in shares.items() if mode not in IDLE)
                yield Reading(CORE_UTILIZATION, min(busy, 1.0), {**HOST, "core": str(number)})


def _times(times: Any) -> Times:
    return {mode: seconds for mode, seconds in times._asdict().items() if mode not in COUNTED_ELSEWHERE}


def _shares(before: Times, now: Times) -> Times:
    """What part of the time each mode had. The kernel's iowait and steal may go back a little: that is none."""
    grown = {mode: max(seconds - before.get(mode, 0.0), 0.0) for mode, seconds in now.items()}
    total = sum(grown.values())
    return {mode: round(each / total, SHARE_DIGITS) for mode, each in grown.items()} if before and total else {}

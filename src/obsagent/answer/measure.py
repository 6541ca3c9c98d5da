"""From merged accumulators to the numbers of one row: by kind of instrument, each with its error bound."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from obsagent._native.codec import Groups
from obsagent._native.sketch import LogHist
from obsagent.answer.stats import Stat
from obsagent.limits import HEARTBEAT_INTERVAL_MS, MISSED_HEARTBEATS_UNTIL_SUSPENDED

EXACT = 0
STALE_MS = HEARTBEAT_INTERVAL_MS * MISSED_HEARTBEATS_UNTIL_SUSPENDED
"""A gauge that has been silent for this long, compared with the latest of its group, no longer counts."""

Number = int | float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of one row. `count` is the number of samples behind them (finite ones, for sketches)."""

    count: int
    values: dict[str, Number]
    error_bound: dict[str, Any]
    not_finite: dict[str, int]


def measure_histogram(groups: Groups, group: int, stats: Iterable[Stat], seconds: float) -> Measured | None:
    """A histogram's row, or None if the group has no sample. `seconds` is the covered time."""
    encoded = groups.histogram(group)
    if encoded is None:
        return None
    hist = LogHist._from_compact(encoded)
    return _measured(hist, {stat.name: _of_histogram(hist, stat, seconds) for stat in stats}, stats)


def measure_counter(groups: Groups, group: int, stats: Iterable[Stat], seconds: float) -> Measured | None:
    """A counter's row, or None if it was never incremented."""
    increments, total = groups.counter(group)
    if not increments:
        return None
    values: dict[str, Number] = {}
    for stat in stats:
        values[stat.name] = _ratio(total, seconds) if stat.name == "rate" else _whole(total)
    return Measured(increments, values, dict.fromkeys(values, EXACT), {})


def measure_gauge(groups: Groups, members: Iterable[int], stats: Iterable[Stat], across: str) -> Measured | None:
    """A gauge's row, or None without samples. Each series is a group of its own in `members`."""
    hist: LogHist | None = None
    lasts: list[tuple[float, int]] = []
    for member in members:
        encoded = groups.histogram(member)
        if encoded is None:
            continue
        part = LogHist._from_compact(encoded)
        if hist is None:
            hist = part
        else:
            hist.merge(part)
        last = groups.gauge(member)
        if last is not None:
            lasts.append(last)
    if hist is None:
        return None
    values = {
        stat.name: _finite(combine(lasts, across)) if stat.name == "last" else _of_histogram(hist, stat, 0.0)
        for stat in stats
    }
    return _measured(hist, values, stats)


def combine(lasts: list[tuple[float, int]], across: str) -> float:
    """The latest values `(value, time_ms)` of several series as one; NaN counts as none, stale ones neither."""
    numbers = [last for last in lasts if not math.isnan(last[0])]
    if not numbers:
        return math.nan
    latest_value, latest_ms = max(numbers, key=lambda last: last[1])
    values = [value for value, at_ms in numbers if latest_ms - at_ms <= STALE_MS]
    if across == "last":
        return latest_value
    if across == "max":
        return max(values)
    if across == "min":
        return min(values)
    total = math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    return total / len(values) if across == "mean" else total


def _of_histogram(hist: LogHist, stat: Stat, seconds: float) -> Number:
    if stat.q is not None:
        return _finite(hist.quantile(stat.q))
    if stat.name == "count":
        return hist.count
    if stat.name == "mean":
        return _ratio(hist.sum, hist.count)
    if stat.name == "rate":
        return _ratio(hist.count, seconds)
    value: float = getattr(hist, stat.name)
    return _finite(value)


def _measured(hist: LogHist, values: dict[str, Number], stats: Iterable[Stat]) -> Measured:
    error_bound: dict[str, Any] = {}
    for stat in stats:
        sketched = stat.q is not None and 0.0 < stat.q < 1.0
        error_bound[stat.name] = {"relative": hist.relative_error} if sketched else EXACT
    apart = {
        "nan": hist.nan_count,
        "positive_infinity": hist.positive_infinity_count,
        "negative_infinity": hist.negative_infinity_count,
    }
    return Measured(hist.count, values, error_bound, {name: count for name, count in apart.items() if count})


def _finite(value: float) -> Number:
    """JSON has no NaN and no infinity: they are null."""
    return value if math.isfinite(value) else None


def _ratio(value: float, by: float) -> Number:
    return _finite(value / by) if by else None


def _whole(value: float) -> Number:
    """An integer where the double is one and says so exactly."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else _finite(value)

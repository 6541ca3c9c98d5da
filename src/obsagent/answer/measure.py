"""From merged accumulators to numbers: by kind of instrument, each with its error bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from obsagent._native.codec import Groups
from obsagent._native.sketch import LogHist, TDigest
from obsagent.answer.classic import Bounds, ClassicHistogram, Part, histogram_of
from obsagent.answer.stats import UNDER, Stat
from obsagent.limits import HEARTBEAT_INTERVAL_MS, MISSED_HEARTBEATS_UNTIL_SUSPENDED

STALE_MS = HEARTBEAT_INTERVAL_MS * MISSED_HEARTBEATS_UNTIL_SUSPENDED
"""A gauge that has been silent for this long, compared with the latest of its group, no longer counts."""

SketchT = TypeVar("SketchT", LogHist, TDigest)
Number = int | float | None
Steps = Sequence[int]


class Estimate(NamedTuple):
    """A number, its error bound as it is shown (0 is exact), and between which numbers the truth lies."""

    value: Number
    error_bound: Any = 0
    low: float = math.nan
    high: float = math.nan


@dataclass(slots=True)
class Measured:
    """The numbers of one row by stat. `count` is the number of samples behind them (finite ones, for sketches)."""

    count: int
    estimates: dict[str, Estimate]
    not_finite: dict[str, int] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)
    """What else the answer says of it, by key."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What stands beside its numbers wherever they do: of a row, of a step, of what it is compared with."""


def exact(value: float | int | None) -> Estimate:
    """A number without an error; JSON has no NaN and no infinity: they are null."""
    if value is None or not math.isfinite(value):
        return Estimate(None)
    return Estimate(value, 0, value, value)


def within(value: float, absolute: float) -> Estimate:
    """A number that may be off by so much."""
    if not math.isfinite(value):
        return Estimate(None)
    return Estimate(value, {"absolute": absolute} if absolute else 0, value - absolute, value + absolute)


def measure_histogram(
    groups: Groups,
    members: Sequence[int],
    steps: Steps,
    stats: Iterable[Stat],
    unit: str,
    seconds: float,
    *,
    digest: bool = False,
) -> Measured | None:
    """A histogram's row, or None if its groups have no sample. `seconds` is the covered time.

    With `digest` quantiles are answered from the t-digest, with their error in rank; null where none is kept.
    """
    hist = merged_histogram(groups, members, steps)
    if hist is None:
        return None
    tdigest = _merged_digest(groups, members[0], steps) if digest else None
    estimates = {}
    for stat in stats:
        if digest and stat.q is not None:
            estimates[stat.name] = _of_digest(tdigest, hist, stat.q)
        else:
            estimates[stat.name] = _of_histogram(hist, stat, unit, seconds)
    return Measured(hist.count, estimates, _not_finite(hist))


def measure_counter(groups: Groups, group: int, steps: Steps, stats: Iterable[Stat], seconds: float) -> Measured | None:
    """A counter's row, or None if it was never incremented."""
    parts = [groups.counter(group, step) for step in steps]
    increments = sum(part[0] for part in parts)
    if not increments:
        return None
    total = math.fsum(part[1] for part in parts)
    estimates = {}
    for stat in stats:
        estimates[stat.name] = exact(ratio(total, seconds) if stat.name == "rate" else whole(total))
    return Measured(increments, estimates)


def measure_classic(
    groups: Groups,
    members: Sequence[int],
    parts: Sequence[Part],
    steps: Steps,
    stats: Iterable[Stat],
    unit: str,
    seconds: float,
) -> Measured | None:
    """A classic histogram's row, or None without an observation. Each part is a group of its own in `members`."""

    def total(index: int) -> float | None:
        found = [groups.counter(members[index], step) for step in steps]
        return math.fsum(part[1] for part in found) if any(part[0] for part in found) else None

    hist = histogram_of(parts, total)
    if hist is None:
        return None
    estimates = {stat.name: _of_classic(hist, stat, unit, seconds) for stat in stats}
    return Measured(round(hist.count), estimates)


def _of_classic(hist: ClassicHistogram, stat: Stat, unit: str, seconds: float) -> Estimate:
    if stat.value is not None:
        return _share_of_classic(hist, stat.value.in_unit(unit), is_under=stat.word == UNDER)
    q = {"min": 0.0, "max": 1.0}.get(stat.name, stat.q)
    if q is not None:
        return bounded(hist.quantile(q))
    if stat.name == "mean":
        return exact(None if hist.sum is None else ratio(hist.sum, hist.count))
    if stat.name == "sum":
        return exact(hist.sum)
    if stat.name == "stddev":
        return bounded(hist.stddev())
    return exact(ratio(hist.count, seconds) if stat.name == "rate" else whole(hist.count))


def _share_of_classic(hist: ClassicHistogram, limit: float, *, is_under: bool) -> Estimate:
    share = hist.share(limit)
    if share is None or is_under:
        return bounded(share)
    return bounded(Bounds(1 - share.value, 1 - share.high, 1 - share.low))


def bounded(bounds: Bounds | None) -> Estimate:
    """A number with the bound that reaches to both ends, or, if there is no upper or lower one, what is certain."""
    if bounds is None:
        return Estimate(None)
    value, low, high = bounds
    if math.isinf(high):
        return Estimate(value, {"above": low}, low, high) if math.isfinite(low) else Estimate(None)
    if math.isinf(low):
        return Estimate(value, {"below": high}, low, high)
    absolute = max(value - low, high - value)
    return Estimate(value, {"absolute": absolute} if absolute else 0, low, high)


def measure_gauge(
    groups: Groups, members: Sequence[int], steps: Steps, stats: Iterable[Stat], unit: str, across: str
) -> Measured | None:
    """A gauge's row, or None without samples. Each series is a group of its own in `members`."""
    hist = merged_histogram(groups, members, steps)
    if hist is None:
        return None
    lasts = [last for member in members if (last := _last(groups, member, steps)) is not None]
    estimates = {}
    for stat in stats:
        if stat.name == "last":
            estimates[stat.name] = exact(combine(lasts, across))
        else:
            estimates[stat.name] = _of_histogram(hist, stat, unit, 0.0)
    return Measured(hist.count, estimates, _not_finite(hist))


def merged_histogram(groups: Groups, members: Sequence[int], steps: Steps) -> LogHist | None:
    """The histogram of all samples of these groups and steps; None if there are none."""
    encoded = (groups.histogram(member, step) for member in members for step in steps)
    return _merged(LogHist._from_compact(part) for part in encoded if part is not None)


def _merged_digest(groups: Groups, group: int, steps: Steps) -> TDigest | None:
    """The t-digest of all samples; None if it would not be of all: a part without one."""
    encoded = [groups.tdigest(group, step) for step in steps if groups.samples(group, step)]
    digests = [TDigest._from_compact(part) for part in encoded if part is not None]
    return _merged(digests) if len(digests) == len(encoded) else None


def _merged(parts: Iterable[SketchT]) -> SketchT | None:
    """All sketches in the first of them; None if there are none."""
    remaining = iter(parts)
    merged = next(remaining, None)
    for part in remaining:
        assert merged is not None
        merged.merge(part)
    return merged


def _of_digest(digest: TDigest | None, hist: LogHist, q: float) -> Estimate:
    """The digest's answer; the histogram beside it bounds its error in rank, and says where the truth lies."""
    if digest is None or not digest.count:
        return Estimate(None)
    value = digest.quantile(q)
    if q in (0.0, 1.0) or not digest.rank_error(q):  # the ends, and digests of few values, are exact
        return exact(value)
    truth = _quantile(hist, q)
    return Estimate(value, {"rank": hist.rank_error(q, value)}, truth.low, truth.high)


def _last(groups: Groups, member: int, steps: Steps) -> tuple[float, int] | None:
    found = [last for step in steps if (last := groups.gauge(member, step)) is not None]
    return max(found, key=lambda last: last[1], default=None)


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


def _of_histogram(hist: LogHist, stat: Stat, unit: str, seconds: float) -> Estimate:
    if stat.q is not None:
        return _quantile(hist, stat.q)
    if stat.value is not None:
        return _share(hist, stat.value.in_unit(unit), is_under=stat.word == UNDER)
    if stat.name == "count":
        return exact(hist.count)
    if stat.name == "mean":
        return exact(ratio(hist.sum, hist.count))
    if stat.name == "rate":
        return exact(ratio(hist.count, seconds))
    if stat.name == "stddev":
        return _stddev(hist)
    value: float = getattr(hist, stat.name)
    return exact(value)


def _quantile(hist: LogHist, q: float) -> Estimate:
    value = hist.quantile(q)
    if q in (0.0, 1.0) or not math.isfinite(value):
        return exact(value)
    relative = hist.relative_error
    edges = value / (1 + relative), value / (1 - relative)  # of the bucket whose harmonic middle the value is
    return Estimate(value, {"relative": relative}, min(edges), max(edges))


def _share(hist: LogHist, limit: float, *, is_under: bool) -> Estimate:
    """The share at most (or above) a limit. Only the bucket that holds the limit is in doubt."""
    if not hist.count:
        return Estimate(None)
    below, within_bucket = _ranks_around(hist, limit)
    under = hist.cdf(limit)
    low, high = below / hist.count, (below + within_bucket) / hist.count
    if not is_under:
        under, low, high = 1 - under, 1 - high, 1 - low
    absolute = max(under - low, high - under, 0.0)
    return Estimate(under, {"absolute": absolute} if absolute else 0, low, high)


def _ranks_around(hist: LogHist, limit: float) -> tuple[int, int]:
    """How many values are certainly at most `limit`, and how many share its bucket."""
    if limit < hist.min:
        return 0, 0
    if limit >= hist.max:
        return hist.count, 0
    probe = LogHist(hist.scale)
    probe.add(limit)
    is_negative = limit < 0
    negative, positive = hist.buckets(negative=True), hist.buckets()
    if limit == 0:
        return sum(negative[1]) + hist.zero_count, 0
    (own,), _ = probe.buckets(negative=is_negative)
    indices, counts = negative if is_negative else positive
    shared = sum(count for index, count in zip(indices, counts, strict=True) if index == own)
    if is_negative:
        return sum(count for index, count in zip(indices, counts, strict=True) if index > own), shared
    before = sum(count for index, count in zip(indices, counts, strict=True) if index < own)
    return sum(negative[1]) + hist.zero_count + before, shared


def _stddev(hist: LogHist) -> Estimate:
    """Of the buckets' middles. Each value is off by at most a share r of itself, and the deviation is a seminorm:
    so it is off by at most r times the root mean square of the values.
    """
    if not hist.count:
        return Estimate(None)
    if hist.min == hist.max:
        return exact(0.0)
    squares, total = 0.0, 0.0
    for is_negative in (False, True):
        for index, count in zip(*hist.buckets(negative=is_negative), strict=True):
            middle = _middle(index, hist.scale)
            squares += count * middle * middle
            total += count * (-middle if is_negative else middle)
    mean, mean_square = total / hist.count, squares / hist.count
    deviation = math.sqrt(max(0.0, mean_square - mean * mean))
    relative = hist.relative_error / (1 - hist.relative_error)
    return within(deviation, relative * math.sqrt(mean_square))


def _middle(index: int, scale: int) -> float:
    """The harmonic middle of bucket (base**index, base**(index + 1)], base = 2**(2**-scale)."""
    low, base = math.exp2(index / 2**scale), math.exp2(1 / 2**scale)
    return low * (2 * base / (1 + base))


def _not_finite(hist: LogHist) -> dict[str, int]:
    apart = {
        "nan": hist.nan_count,
        "positive_infinity": hist.positive_infinity_count,
        "negative_infinity": hist.negative_infinity_count,
    }
    return {name: count for name, count in apart.items() if count}


def divide(top: Estimate | None, bottom: Estimate | None) -> Estimate:
    """One estimate by another: null where there is nothing to divide by, or nothing that can be told from 0."""
    if top is None or bottom is None or top.value is None or not bottom.value:
        return Estimate(None)
    value = top.value / bottom.value
    if not math.isfinite(value):
        return Estimate(None)
    if top.error_bound == 0 and bottom.error_bound == 0:
        return exact(value)
    if bottom.low <= 0 <= bottom.high:  # it may be anything
        return Estimate(None)
    ends = [a / b for a in (top.low, top.high) for b in (bottom.low, bottom.high)]
    if any(map(math.isnan, ends)):  # infinite by infinite
        return Estimate(None)
    return bounded(Bounds(value, min(ends), max(ends)))


def ratio(value: float, by: float) -> float | None:
    """Their quotient; None if there is nothing to divide by."""
    return value / by if by else None


def whole(value: float) -> float | int:
    """An integer where the double is one and says so exactly."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value

"""Classic histograms: counts up to fixed edges, as other servers' pages have them, kept as they are.

    x_bucket{le="0.1"}    observations that were at most 0.1
    x_bucket{le="+Inf"}   all of them
    x_sum, x_count

These are counters in the store; asked for `x` they are one metric. Series with different edges are not added edge by
edge, which would count wrongly: of each the count below a value is known at its own edges, and between them lies
between those of two edges. So the sum over all series has a lower and an upper bound everywhere, equal where all have
an edge. The r-th value then lies above the last edge with an upper bound below r, and not above the first one with a
lower bound of r or more. It is answered by linear interpolation between the two, as `histogram_quantile` does, and
the error bound reaches to both. Beyond the last edge nothing is known but that.

Observations are taken not to be below zero where the lowest edge is above it, as Prometheus does.

The variance lies between those of the observations as near to the mean as their buckets let them be, and as far from
it; it is answered for such as lie evenly in each bucket, in keeping with the quantiles. Where no sum is kept the mean
is not known: then the nearest are near to whatever one number they are nearest to, the farthest far from the middle.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from obsagent.samples import Kind, Series

BUCKET, SUM, COUNT = "_bucket", "_sum", "_count"
SUFFIXES = (BUCKET, SUM, COUNT)
EDGE = "le"
SEARCH_ROUNDS = 100
"""Each takes a third of where the centre may be: as fine as doubles are."""

Edges = tuple[float, ...]
Identity = tuple[tuple[str, str], ...]


class Part(NamedTuple):
    """What a series of a classic histogram holds: the count up to an edge of those with these edges, or a total."""

    suffix: str
    edges: Edges = ()
    edge: float = math.nan


class Bounds(NamedTuple):
    """A number, and between which numbers the truth lies."""

    value: float
    low: float
    high: float


def names(every_series: Iterable[Series]) -> frozenset[str]:
    """The names of the classic histograms among series."""
    return frozenset(each.metric.removesuffix(BUCKET) for each in every_series if _is_bucket(each))


def series_of(name: str, every_series: Iterable[Series]) -> list[Series]:
    """The series of one classic histogram; none if there is no such."""
    wanted = {name + suffix for suffix in SUFFIXES}
    found = [each for each in every_series if each.metric in wanted and each.kind is Kind.COUNTER]
    services = {each.labels.get("service") for each in found if _is_bucket(each)}
    return [
        each
        for each in found
        if each.labels.get("service") in services and (_is_bucket(each) or not each.metric.endswith(BUCKET))
    ]


def parts_of(series: Sequence[Series]) -> list[Part]:
    """What each of the series of a classic histogram holds."""
    edges: dict[Identity, set[float]] = {}
    for each in series:
        if each.metric.endswith(BUCKET):
            edges.setdefault(_identity(each), set()).add(float(each.labels[EDGE]))
    by_identity = {identity: tuple(sorted(found)) for identity, found in edges.items()}
    return [_part(each, by_identity) for each in series]


def _part(series: Series, edges: Mapping[Identity, Edges]) -> Part:
    if series.metric.endswith(BUCKET):
        return Part(BUCKET, edges[_identity(series)], float(series.labels[EDGE]))
    return Part(SUM if series.metric.endswith(SUM) else COUNT)


def _identity(series: Series) -> Identity:
    return tuple(sorted((name, value) for name, value in series.labels.items() if name != EDGE))


def _is_bucket(series: Series) -> bool:
    if series.kind is not Kind.COUNTER or not series.metric.endswith(BUCKET) or EDGE not in series.labels:
        return False
    try:
        return not math.isnan(float(series.labels[EDGE]))
    except ValueError:
        return False


class Bucket(NamedTuple):
    """So many observations, above `low` and at most `high`."""

    low: float
    high: float
    counted: float

    @property
    def middle(self) -> float:
        """Half way between its edges."""
        return (self.low + self.high) / 2

    def nearest(self, value: float) -> float:
        """The distance to what in it is nearest to a value."""
        return max(self.low - value, value - self.high, 0.0)

    def farthest(self, value: float) -> float:
        """The distance to what in it is farthest."""
        return max(abs(self.low - value), abs(self.high - value))


@dataclass(slots=True)
class Layout:
    """Cumulative counts at edges, of all series that have these; `at[i]` belongs to `edges[i]`."""

    edges: Edges
    at: list[float]
    _is_whole: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        """Counts that fall from an edge to the next were not all kept: then only that so many lie below is known."""
        highest = list(accumulate(self.at, max))
        self._is_whole = highest == self.at
        self.at = highest

    def buckets(self, floor: float) -> Iterator[Bucket]:
        """The buckets with observations. Where not all counts were kept, some may have lain in any."""
        if not self._is_whole:
            yield Bucket(floor, math.inf, self.at[-1])
            return
        lows = (floor, *self.edges)
        for low, high, before, at in zip(lows, self.edges, (0.0, *self.at), self.at, strict=False):
            if at > before:
                yield Bucket(low, high, at - before)

    def below(self, value: float) -> float:
        """How many are certainly at most `value`."""
        index = bisect_right(self.edges, value)
        return self.at[index - 1] if index else 0.0

    def above(self, value: float) -> float:
        """How many are certainly above it."""
        index = bisect_left(self.edges, value)
        return self.at[-1] - self.at[index] if self._is_whole and index < len(self.at) else 0.0


@dataclass(slots=True)
class ClassicHistogram:
    """One row: `count` observations, their `sum` if it was kept, and the counts at the edges of each layout."""

    count: float
    sum: float | None
    layouts: list[Layout] = field(default_factory=list)

    @property
    def edges(self) -> list[float]:
        """The finite edges of any layout, ascending."""
        return sorted({edge for layout in self.layouts for edge in layout.edges if math.isfinite(edge)})

    def quantile(self, q: float) -> Bounds | None:
        """The value of rank ceil(q·count); `high` is infinite beyond the last edge. None without buckets."""
        edges = self.edges
        if not edges or not self.count:
            return None
        rank = max(min(float(math.ceil(q * self.count)), self.count), 1.0)
        lower = bisect_left(edges, rank, key=self._at_most)
        upper = bisect_left(edges, rank, key=self._at_least)
        low = edges[lower - 1] if lower else self._floor(edges)
        if upper == len(edges):
            return Bounds(low, low, math.inf)
        high = edges[upper]
        if not math.isfinite(low):
            return Bounds(high, low, high)
        before = self._at_most(low) if lower else 0.0
        inside = self._at_least(high) - before
        share = min(max((q * self.count - before) / inside, 0.0), 1.0) if inside > 0 else 1.0
        return Bounds(min(max(low + (high - low) * share, low), high), low, high)

    def share(self, limit: float) -> Bounds | None:
        """The share of the observations that are at most `limit`: exact at an edge. None without any."""
        if not self.count:
            return None
        edges = self.edges
        if not edges:
            return Bounds(0.0, 0.0, 1.0)
        low, high = self._at_least(limit) / self.count, self._at_most(limit) / self.count
        if limit < self._floor(edges):
            return Bounds(0.0, 0.0, 0.0)
        index = bisect_left(edges, limit)
        left = edges[index - 1] if index else self._floor(edges)
        if index == len(edges) or not math.isfinite(left) or low == high:
            return Bounds(low, low, high)
        inside = (limit - left) / (edges[index] - left)
        return Bounds(low + (high - low) * inside, low, high)

    def stddev(self) -> Bounds | None:
        """The standard deviation; `high` is infinite with observations beyond the last edge. None without buckets."""
        edges = self.edges
        if not edges or not self.count:
            return None
        buckets = [each for layout in self.layouts for each in layout.buckets(self._floor(edges))]
        unseen = self.count - math.fsum(each.counted for each in buckets)
        if unseen > 0:
            buckets.append(Bucket(self._floor(edges), math.inf, unseen))
        mean = None if self.sum is None else self.sum / self.count
        low = self._deviation(buckets, lambda each, centre: each.nearest(centre) ** 2, self._centre(buckets, mean))
        if any(not math.isfinite(each.middle) for each in buckets):
            return Bounds(low, low, math.inf)
        middle = math.fsum(each.middle * each.counted for each in buckets) / self.count if mean is None else mean
        value = self._deviation(buckets, _even_square, middle)
        high = self._deviation(buckets, lambda each, centre: each.farthest(centre) ** 2, middle)
        return Bounds(min(max(value, low), high), low, high)

    def _deviation(self, buckets: list[Bucket], square: Callable[[Bucket, float], float], centre: float) -> float:
        """The root of the mean of squared distances to a centre."""
        return math.sqrt(math.fsum(square(each, centre) * each.counted for each in buckets) / self.count)

    def _centre(self, buckets: list[Bucket], mean: float | None) -> float:
        """The mean if it is known, else what all buckets together are nearest to: the squares' sum is convex."""
        if mean is not None:
            return mean
        ends = [end for each in buckets for end in (each.low, each.high) if math.isfinite(end)]
        low, high = min(ends), max(ends)
        for _ in range(SEARCH_ROUNDS):
            third = (high - low) / 3
            left, right = low + third, high - third
            squares = [math.fsum(each.nearest(at) ** 2 * each.counted for each in buckets) for at in (left, right)]
            low, high = (low, right) if squares[0] <= squares[1] else (left, high)
        return (low + high) / 2

    def _floor(self, edges: list[float]) -> float:
        return 0.0 if edges[0] > 0 else -math.inf

    def _at_least(self, value: float) -> float:
        """A lower bound of how many are at most `value`."""
        return math.fsum(layout.below(value) for layout in self.layouts)

    def _at_most(self, value: float) -> float:
        """An upper bound of it."""
        return self.count - math.fsum(layout.above(value) for layout in self.layouts)


def _even_square(bucket: Bucket, centre: float) -> float:
    """The mean squared distance to a centre of what lies evenly in a bucket."""
    return (bucket.middle - centre) ** 2 + (bucket.high - bucket.low) ** 2 / 12


def histogram_of(parts: Sequence[Part], total: Callable[[int], float | None]) -> ClassicHistogram | None:
    """The histogram of a row's parts; `total` says what each has grown by, None if not at all. None if none has."""
    grown = [total(index) for index in range(len(parts))]
    if all(each is None for each in grown):
        return None
    at: dict[Edges, dict[float, float]] = {}
    sums: list[float] = []
    counts: list[float] = []
    for part, growth in zip(parts, grown, strict=True):
        if part.suffix == BUCKET:
            at.setdefault(part.edges, dict.fromkeys(part.edges, 0.0))[part.edge] += growth or 0.0
        elif growth is not None:
            (sums if part.suffix == SUM else counts).append(growth)
    layouts = [Layout(edges, [counted[edge] for edge in edges]) for edges, counted in at.items()]
    in_buckets = math.fsum(layout.at[-1] for layout in layouts)
    return ClassicHistogram(max(math.fsum(counts), in_buckets), math.fsum(sums) if sums else None, layouts)

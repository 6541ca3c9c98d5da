"""From a loghist to Prometheus' two kinds of buckets.

Native buckets are those of the loghist: the same bounds, its scale is their schema, and index i is native index
i + 1, since Prometheus counts a bucket by its upper bound. The classic ones are cumulative counts at fixed bounds.
These are powers of two, as each of them is a bound of a bucket at every scale: so a classic count is exact, and counts
of series with different scales may be added. What came as a classic histogram keeps its own bounds, and has no native
buckets: nobody knows where within its buckets the observations lie.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from obsagent.export.family import ClassicBuckets
from obsagent.limits import EXPORT_BUCKETS_MAX
from obsagent.sketches import LogHist

ZERO_THRESHOLD = 5e-324
"""The least number above zero: the zero bucket counts zeros, and nothing that has a bucket of its own."""

EXPONENTS = {
    "seconds": range(-14, 7),
    "bytes": range(6, 33, 2),
    "ratio": range(-10, 1),
}
"""Unit in names → the classic bounds, as exponents of two: 61 µs … 64 s, 64 B … 4 GiB, 0.001 … 1."""

OTHER_EXPONENTS = range(-10, 21, 2)
"""The bounds of all other units: 0.00098 … 1,048,576."""


class Side(NamedTuple):
    """The native buckets of one sign: (gap to the end of the span before, length) of each span, and the differences
    from count to count as zigzag varints."""

    spans: list[tuple[int, int]]
    deltas: bytes

    @property
    def occupied(self) -> int:
        """How many buckets have a count."""
        return sum(length for _, length in self.spans)


class Native(NamedTuple):
    """A native histogram."""

    schema: int
    zero_count: int
    positive: Side
    negative: Side


def native(hist: LogHist, buckets_max: int = EXPORT_BUCKETS_MAX) -> Native:
    """The native buckets of a histogram: two of them become one as often as they would be more than `buckets_max`."""
    positive, negative = _sides(hist)
    while hist.scale > 0 and positive.occupied + negative.occupied > buckets_max:
        hist = hist.copy()
        hist.downscale(hist.scale - 1)
        positive, negative = _sides(hist)
    return Native(hist.scale, hist.zero_count, positive, negative)


def _sides(hist: LogHist) -> tuple[Side, Side]:
    return Side(*hist._native_buckets()), Side(*hist._native_buckets(negative=True))


def exponents_of(unit: str) -> range:
    """The classic bounds of a family, as exponents of two; `unit` is the suffix of its name."""
    return EXPONENTS.get(unit, OTHER_EXPONENTS)


def classic_of(value: LogHist | ClassicBuckets, unit: str) -> ClassicBuckets:
    """The classic buckets of a histogram; `unit` is the suffix of its family's name."""
    if isinstance(value, ClassicBuckets):
        return value
    exponents = exponents_of(unit)
    bounds = (*(math.ldexp(1.0, exponent) for exponent in exponents), math.inf)
    return ClassicBuckets(bounds, (*cumulative(value, exponents), value.count), value.sum)


def cumulative(hist: LogHist, exponents: Iterable[int]) -> list[int]:
    """How many observations are at most 2**e, exactly, for each exponent."""
    indices, counts = hist.buckets()
    sums = [0, *accumulate(counts)]
    not_above_zero = hist.count - sums[-1]
    scale = hist.scale
    return [not_above_zero + sums[bisect_right(indices, (exponent << scale) - 1)] for exponent in exponents]

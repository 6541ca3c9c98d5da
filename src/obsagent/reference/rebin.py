"""Counts over other bins than those in which they were counted: what no bin of both settles is spread evenly."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from obsagent.reference.feature import FeatureReference

POINT = 1e-9
"""A bin whose mean is this near its lower edge, in widths of the bin, holds that one value."""


class Rebinned(NamedTuple):
    """Counts and sums below the edges, in each bin, and above; and the share of the values whose bin is a guess."""

    counts: list[float]
    sums: list[float]
    guessed: float


def rebinned(feature: FeatureReference, edges: Sequence[float]) -> Rebinned:
    """A column of numbers over other edges. A bin that lies across several is spread over them evenly."""
    counts, sums, guessed = [0.0] * (len(edges) + 1), [0.0] * (len(edges) + 1), 0
    for low, high, count, total in _bins(feature):
        first = _place(edges, low) if high == low else bisect_right(edges, low)
        last = max(first, bisect_left(edges, high))
        if high == low or first == last:
            counts[first] += count
            sums[first] += total
            continue
        guessed += count
        for at in range(first, last + 1):
            begin = max(low, edges[at - 1]) if at else low
            end = min(high, edges[at]) if at < len(edges) else high
            part = count * (end - begin) / (high - low)
            counts[at] += part
            sums[at] += part * (begin + end) / 2
    return Rebinned(counts, sums, guessed / feature.count if feature.count else 0.0)


def _bins(feature: FeatureReference) -> list[tuple[float, float, int, float]]:
    """Lower and upper end, count and sum of what is not empty; both ends are the same for a single value."""
    if feature.spread is None:
        return []
    ends = (feature.spread.min, *feature.edges, feature.spread.max)
    found = []
    for (low, high), count, total in zip(pairwise(ends), feature.counts, feature.sums, strict=True):
        if count:
            is_point = not total / count - low > POINT * (high - low)
            found.append((low, low if is_point else high, count, total))
    return found


def _place(edges: Sequence[float], value: float) -> int:
    """The bin of a value: 0 is below, `len(edges)` above."""
    if value == edges[-1]:
        return len(edges) - 1
    return bisect_right(edges, value)


def even_edges(low: float, high: float, bins: int) -> list[float]:
    """Edges of bins of one width; just one bin where there is no room for more."""
    step = (high - low) / bins
    edges = sorted({low + step * at for at in range(bins)} | {high})
    return edges if len(edges) > 1 and step > 0 else [low, max(high, low + 1.0)]


def share_below(feature: FeatureReference, share: float) -> float:
    """The lower edge of the bin in which that share of the finite numbers is reached."""
    below, wanted = 0, share * feature.count
    ends = (feature.spread.min if feature.spread else 0.0, *feature.edges)
    for low, count in zip(ends, feature.counts, strict=True):
        below += count
        if below >= wanted:
            return low
    return ends[-1]

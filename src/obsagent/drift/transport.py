"""Wasserstein's distance of counts over common edges, with the sums of what the bins hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from obsagent.drift.counts import pair
from obsagent.errors import DriftError

Bin: TypeAlias = tuple[float, float]

_ROUNDING = 1e-12  # of a difference of shares


def wasserstein(
    reference: Iterable[float],
    current: Iterable[float],
    edges: Iterable[float],
    *,
    reference_sums: Iterable[float] | None = None,
    current_sums: Iterable[float] | None = None,
    mass: str = "mean",
    stddev: float | None = None,
    stddev_floor: float = 0.0,
) -> float:
    """Wasserstein's distance of order 1, ∫ |F − G|, in the unit of the edges; over `stddev` if that is given.

    k + 1 `edges` go with k bins, or with k + 2: below the first edge, the bins, above the last. The sums are of the
    values in each bin. Where F − G does not change its sign within a bin, its part follows exactly from counts and sums
    (integration by parts), open bins at the ends included; where it does, each side's observations are taken to lie at
    their mean. `mass="midpoint"` and `mass="lower"` need no sums: the observations then lie at the bins' midpoints, or
    at their lower edges, which is nannyml's estimate with `histogram`'s equal bins; those beyond the ends lie there.

    `stddev`, the reference's, makes it a pure number; it counts as `stddev_floor` at least (evidently: 0.001). With a
    `stddev` of 0 any distance is infinite. Vallender, Theory Probab. Appl. 18 (1974). Raises `DriftError`.
    """
    before, after = pair(reference, current)
    bins = _bins(edges, len(before))
    sums = (reference_sums, current_sums)
    here, there = (_means(n, s, bins, mass, of) for n, s, of in zip((before, after), sums, _SIDES, strict=True))
    distance = _distance(_side(before, here), _side(after, there), bins)
    return distance if stddev is None else _over(distance, stddev, stddev_floor)


_SIDES = ("reference_sums", "current_sums")


def _bins(edges: Iterable[float], count: int) -> list[Bin]:
    """The interval of each bin. Raises `DriftError`."""
    cuts: list[float] = edges.tolist() if hasattr(edges, "tolist") else list(edges)
    if len(cuts) < 2 or not all(a < b for a, b in pairwise(cuts)) or not all(map(math.isfinite, cuts)):
        raise DriftError("edges are two or more finite numbers, each above the one before")
    inner = list(pairwise(cuts))
    if count == len(inner):
        return inner
    if count == len(inner) + 2:
        return [(-math.inf, cuts[0]), *inner, (cuts[-1], math.inf)]
    raise DriftError(
        f"{len(cuts)} edges go with {len(inner)} bins, or {len(inner) + 2} with both ends, not with {count}"
    )


def _means(counts: list[float], sums: Iterable[float] | None, bins: list[Bin], mass: str, of: str) -> list[float]:
    """Where the observations of each bin lie, in the mean."""
    if mass != "mean":
        return [_place(each, mass) for each in bins]
    if sums is None:
        raise DriftError(f'{of} is not given; mass="midpoint" does without')
    totals: list[float] = sums.tolist() if hasattr(sums, "tolist") else list(sums)
    if len(totals) != len(counts):
        raise DriftError(f"{of} has {len(totals)} values for {len(counts)} bins")
    means = [
        total / count if count else _place(each, "midpoint")
        for total, count, each in zip(totals, counts, bins, strict=True)
    ]
    if not all(map(math.isfinite, means)):
        raise DriftError(f"{of}: sums are finite numbers")
    return [min(max(mean, low), high) for mean, (low, high) in zip(means, bins, strict=True)]  # sums are rounded


def _place(each: Bin, mass: str) -> float:
    low, high = each
    if math.isinf(low) or math.isinf(high):
        return high if math.isinf(low) else low
    if mass == "midpoint":
        return low + (high - low) / 2
    if mass == "lower":
        return low
    raise DriftError(f'mass is "mean", "midpoint" or "lower", not {mass!r}')


def _side(counts: list[float], means: list[float]) -> list[tuple[float, float]]:
    """Each bin's share, and where it lies."""
    total = sum(counts)
    return [(count / total, mean) for count, mean in zip(counts, means, strict=True)]


def _distance(here: Sequence[Bin], there: Sequence[Bin], bins: list[Bin]) -> float:
    """Sums up the bins' parts of ∫ |F − G|; F − G at a bin's begin is what the bins before it have left."""
    difference, parts = 0.0, []
    for (p, at_p), (q, at_q), (low, high) in zip(here, there, bins, strict=True):
        x, y, rise = (at_p, at_q, p) if at_p <= at_q else (at_q, at_p, -q)
        after = difference + p - q
        inside = (
            0.0 if math.isinf(low) else difference * (x - low),
            (difference + rise) * (y - x),
            0.0 if math.isinf(high) else after * (high - y),
        )
        changes = min(difference, after) < -_ROUNDING and max(difference, after) > _ROUNDING
        parts.append(sum(map(abs, inside)) if changes else abs(sum(inside)))
        difference = after
    return math.fsum(parts)


def _over(distance: float, stddev: float, floor: float) -> float:
    if not stddev >= 0 or not floor >= 0:
        raise DriftError("a standard deviation is not negative, nor is its floor")
    divisor = max(stddev, floor)
    if divisor == 0:
        return math.inf if distance > 0 else 0.0
    return distance / divisor

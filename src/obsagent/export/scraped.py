"""Classic histograms of other servers' pages: kept as counters, exported as the histograms that they are.

x_bucket{le="0.1"}, x_bucket{le="+Inf"}, x_sum, x_count    of the same other labels    ──►    one histogram x
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import NamedTuple

from obsagent.answer.classic import BUCKET, COUNT, EDGE, SUFFIXES, SUM, names, series_of
from obsagent.export.family import ClassicBuckets, Labels
from obsagent.samples import Kind, Series


class Assembled(NamedTuple):
    """Histograms, each as the one series that it is exported as, and the ids of the counters that they are made of."""

    histograms: list[tuple[Series, ClassicBuckets]]
    parts: frozenset[int]


def assembled(every: Iterable[Series], present: Collection[int], total: Callable[[Series], float]) -> Assembled:
    """The histograms of which any part is `present`. `total` is what a counter has come to, 0 if it never grew."""
    by_metric: dict[str, list[Series]] = {}
    for series in every:
        if series.kind is Kind.COUNTER and series.metric.endswith(SUFFIXES):
            by_metric.setdefault(series.metric, []).append(series)
    found: list[tuple[Series, ClassicBuckets]] = []
    taken: set[int] = set()
    for name in sorted(names(chain.from_iterable(by_metric.values()))):
        parts = series_of(name, chain.from_iterable(by_metric.get(f"{name}{suffix}", ()) for suffix in SUFFIXES))
        taken.update(each.id for each in parts)
        for labels, members in _by_labels(parts).items():
            if any(each.id in present for each in members):
                found.append((_as_one(name, labels, members), _buckets(members, total)))
    return Assembled(found, frozenset(taken))


def _by_labels(parts: Iterable[Series]) -> dict[Labels, list[Series]]:
    found: dict[Labels, list[Series]] = {}
    for each in parts:
        labels = tuple(sorted(pair for pair in each.labels.items() if pair[0] != EDGE))
        found.setdefault(labels, []).append(each)
    return found


def _as_one(name: str, labels: Labels, members: Sequence[Series]) -> Series:
    unit = next((each.unit for each in members if each.metric.endswith(SUM)), "")
    text = next((each.help for each in members if each.help), "")
    created_ms = min(each.created_ms for each in members)
    return replace(
        members[0],
        metric=name,
        kind=Kind.HISTOGRAM,
        labels=dict(labels),
        unit=unit,
        help=text,
        created_ms=created_ms,
    )


def _buckets(members: Sequence[Series], total: Callable[[Series], float]) -> ClassicBuckets:
    """An edge that a server came to write differently (`1`, `1.0`) is one. Counts never fall from edge to edge: where
    not all of them were kept, at least so many lie below. In no format are they fractions.
    """
    at: dict[float, float] = {math.inf: 0.0}
    sums: list[float] = []
    for each in members:
        if each.metric.endswith(BUCKET):
            edge = float(each.labels[EDGE])
            at[edge] = at.get(edge, 0.0) + total(each)
        elif each.metric.endswith(SUM):
            sums.append(total(each))
    at[math.inf] = max(at[math.inf], math.fsum(total(each) for each in members if each.metric.endswith(COUNT)))
    bounds = tuple(sorted(at))
    counts = tuple(accumulate((round(at[bound]) for bound in bounds), max))
    return ClassicBuckets(bounds, counts, math.fsum(sums) if sums else None)

"""Rows that come more than once, as far as sketches can tell: pure.

Nobody counts rows by their content; each feature counts about how many different values it has (HyperLogLog). Rows that
repeat, repeat the values of all their features. So where features had nearly nothing but different values, and all of
these have fewer now, beyond the error of the counts, rows repeat. There are at least as many different rows as the
feature with most of them has different values: that bounds the share of copies from above, and it is what is told.

A model without a feature of that kind, such as an amount or an id, has no such finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from obsagent.answer.feature_counts import Counted
from obsagent.evaluate.asked import FeatureRow, Step
from obsagent.evaluate.changes import Change
from obsagent.evaluate.findings import Finding, graded, percent

ERRORS = 4.0
"""Standard errors of both counts that are allowed for."""
SHARE_MIN = 0.02
UNIQUE = 0.95
SAMPLES_MIN = 100
LARGER = 1.25
"""A step may be that much larger than what is known to have different values: of more values fewer are different."""
STEPS_MIN = 2


def duplicates(features: Mapping[str, FeatureRow]) -> Iterator[Change]:
    """Of one version of a model, by its features."""
    sizes = {name: _unique_size(row) for name, row in features.items()}
    watched = [row.steps for name, row in features.items() if sizes[name]]
    limits = [LARGER * size for size in sizes.values() if size]
    if not watched:
        return
    repeating = [
        (steps, share)
        for steps in zip(*watched, strict=True)
        if (share := _share(steps, limits)) is not None and share > 0
    ]
    if len(repeating) < STEPS_MIN:
        return
    weights = [max(step.row.every.samples for step in steps if step.row) for steps, _ in repeating]
    share = sum(weight * each for weight, (_, each) in zip(weights, repeating, strict=True)) / sum(weights)
    names = f"{len(watched)} feature{'' if len(watched) == 1 else 's'}"
    says = f"up to {percent(share)} of {sum(weights):,} rows are copies of others: values repeat of all {names} that"
    finding = Finding("duplicates", graded(share), share, 0.0, f"{says} had nearly only different ones", "distinct")
    yield Change(finding, repeating[0][0][0].span.from_ms)


def _unique_size(row: FeatureRow) -> int:
    """How many values of a feature are known to be nearly all different: of the reference, or of most steps."""
    steps = [step.row.every for step in row.steps if step.row and step.row.every.samples >= SAMPLES_MIN]
    unique = [every.samples for every in steps if _is_unique(every)]
    known = max(unique) if len(unique) > len(steps) / 2 else 0
    expected = row.row.expected
    if expected is not None and expected.distinct >= UNIQUE * expected.samples:
        known = max(known, int(expected.samples))
    return known


def _is_unique(every: Counted) -> bool:
    return every.distinct is not None and every.distinct >= (UNIQUE - every.distinct_error) * every.samples


def _share(steps: Sequence[Step], limits: Sequence[float]) -> float | None:
    """The share of rows that may be copies: 0 unless all features say so; None where they cannot."""
    shares = []
    for step, limit in zip(steps, limits, strict=True):
        every = step.row.every if step.row else None
        if every is None or every.distinct is None or not SAMPLES_MIN <= every.samples <= limit:
            return None
        allowed = 1 + ERRORS * every.distinct_error
        is_fewer = every.distinct * allowed < (UNIQUE - SHARE_MIN) * every.samples
        shares.append(1 - every.distinct / every.samples if is_fewer else 0.0)
    return min(shares)

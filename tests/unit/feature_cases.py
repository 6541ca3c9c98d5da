"""Features and references of every shape, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from obsagent.answer.expected import Expected
from obsagent.answer.feature_counts import Counted

LABEL = "1a2b3c4d"
NUMBERS = Expected(
    LABEL,
    "amount",
    True,
    counts=(0, 250, 250, 250, 250, 0),
    sums=(0.0, 125.0, 375.0, 625.0, 875.0, 0.0),
    edges=(0.0, 1.0, 2.0, 3.0, 4.0),
    stddev=1.2,
)
CATEGORIES = Expected(LABEL, "land", False, counts=(600, 300, 100, 0), categories=("DE", "FR", "IT"))


def numbers(*counts: int, **others: Any) -> Counted:
    """Numbers in six bins: below 0, four of width 1, above 4; each in the middle of its bin."""
    middles = (-0.5, 0.5, 1.5, 2.5, 3.5, 4.5)
    total = sum(counts)
    there = [middle for middle, count in zip(middles, counts, strict=True) if count]
    base = Counted(
        total,
        finite=total,
        counts=counts,
        sums=tuple(count * middle for count, middle in zip(counts, middles, strict=True)),
        low=min(there, default=0.0),
        high=max(there, default=0.0),
    )
    return with_others(base, **others)


def categories(*counts: int, **others: Any) -> Counted:
    """Those of `CATEGORIES`, and others."""
    total = sum(counts)
    base = Counted(total, categories=total, counts=counts, distinct=float(sum(map(bool, counts))))
    return with_others(base, **others)


def with_others(base: Counted, **others: Any) -> Counted:
    """With nulls, NaN, infinities and wrong types, which are samples too."""
    besides = ("nulls", "nans", "positive_infinities", "negative_infinities", "wrong_types")
    more = sum(others.get(name, 0) for name in besides)
    return replace(base, **{"samples": base.samples + more, **others})

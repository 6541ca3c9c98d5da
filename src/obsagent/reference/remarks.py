"""What somebody who fits a reference should be told: columns that will not say much, or not what is meant."""

from __future__ import annotations

from collections.abc import Iterator

from obsagent.errors import printable
from obsagent.reference.columns import Source
from obsagent.reference.feature import CATEGORY, FeatureReference
from obsagent.reference.reference import Reference

EXACT_INTEGER_MAX = 2**53
UNIQUE_SHARE = 0.5
UNIQUE_MIN = 1_000
UNLIKE = 100.0
"""Below this concentration, windows of the same data differ more than most drift does."""


def on(reference: Reference, source: Source) -> list[str]:
    """Remarks, a line each."""
    lines = [f"`{printable(name)}` is left out: {reason}" for name, reason in source.left_out.items()]
    for name, feature in reference.columns.items():
        lines += [f"`{printable(name)}` {says}" for says in _on_feature(feature, reference.rows)]
    if not reference.windows:
        lines.append(
            f"{source.name} has too few rows ({reference.rows:,}) to see how much its windows differ by nature"
        )
    return lines


def _on_feature(feature: FeatureReference, rows: int) -> Iterator[str]:
    if feature.samples == feature.null_count:
        yield "has no value: whatever comes will be new"
        return
    if feature.wrong_type_count:
        yield f"is a column of numbers in which {feature.wrong_type_count:,} values are none"
    if feature.is_constant and rows > 1:
        yield "is constant"
    if feature.kind == CATEGORY and feature.distinct > max(UNIQUE_MIN, UNIQUE_SHARE * feature.count):
        yield f"has about {feature.distinct:,.0f} different values in {feature.count:,}: an id? --drop leaves it out"
    if feature.type == "int" and feature.spread and max(-feature.spread.min, feature.spread.max) > EXACT_INTEGER_MAX:
        yield "has whole numbers beyond 2^53, which are rounded: an id? --drop leaves it out, --categories keeps them"
    if 0 < feature.kappa0 < min(UNLIKE, rows):
        yield (
            f"differs much from one part of the data to the next (kappa0 = {feature.kappa0:.3g}): "
            "only large changes will be told from that; is the data sorted by it?"
        )

"""What the models of a test were given, column by column, as an agent keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from obsagent._native.sketch import Column

if TYPE_CHECKING:
    from obsagent._native.codec import Groups


class Feature(NamedTuple):
    """One column of rows: how many values of each kind, and what the numbers and categories are."""

    samples: int
    """All values, those that are missing included."""
    numbers: int
    """NaN and the infinities included."""
    nulls: int
    wrong_types: int
    categories: dict[str, int]
    """The 128 most frequent ones; those that have no name of their own are not among them."""
    other_categories: int
    mean: float | None
    """Of the finite numbers, as `min` and `max` are; None without one."""
    min: float | None
    max: float | None
    distinct: float
    """How many different values, within 3 %."""


def feature_of(groups: Groups) -> Feature:
    """The column that a group of series holds."""
    encoded = groups.column(0)
    column = Column._from_compact(encoded) if encoded is not None else None
    if column is None:
        return Feature(0, 0, 0, 0, {}, 0, None, None, None, 0.0)
    moments, top = column.moments, column.topk
    named = dict(top.items()) if top is not None else {}
    is_finite = moments.count > 0
    return Feature(
        samples=column.samples,
        numbers=column.samples - column.null_count - column.wrong_type_count - column.category_count,
        nulls=column.null_count,
        wrong_types=column.wrong_type_count,
        categories=named,
        other_categories=column.category_count - sum(named.values()),
        mean=moments.mean if is_finite else None,
        min=moments.min if is_finite else None,
        max=moments.max if is_finite else None,
        distinct=column.hll.count() if column.hll is not None else 0.0,
    )

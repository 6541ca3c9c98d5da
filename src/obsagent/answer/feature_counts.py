"""What was counted of a feature, next to what a reference expects of it.

bins       below the first edge, the bins, above the last edge; or each category, then all others
besides    nulls and NaN together, -infinity, +infinity, values of the wrong type: bins of their own, so that a
           feature which is suddenly null has changed
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from obsagent.answer.columns import Column
from obsagent.answer.expected import Expected


@dataclass(frozen=True, slots=True)
class Counted:
    """One column, in numbers. `counts` is None where there is nothing to compare: no edges and no categories."""

    samples: int
    finite: int = 0
    nulls: int = 0
    nans: int = 0
    positive_infinities: int = 0
    negative_infinities: int = 0
    wrong_types: int = 0
    categories: int = 0
    counts: tuple[int, ...] | None = None
    sums: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    """The smallest and the largest finite number."""
    distinct: float | None = None
    """How many different values, about; None if nobody counts."""
    distinct_error: float = 0.0
    """The standard error of that, as a share of it."""

    @property
    def infinities(self) -> int:
        """Of both signs."""
        return self.positive_infinities + self.negative_infinities

    @property
    def numbers(self) -> int:
        """Finite ones and infinities."""
        return self.finite + self.infinities


def counted(column: Column) -> Counted:
    """A column in numbers."""
    moments, hll = column.moments, column.hll
    edges = column.edge_counts
    return Counted(
        samples=column.samples,
        finite=moments.count,
        nulls=column.null_count,
        nans=moments.nan_count,
        positive_infinities=moments.positive_infinity_count,
        negative_infinities=moments.negative_infinity_count,
        wrong_types=column.wrong_type_count,
        categories=column.category_count,
        counts=tuple(edges) if edges is not None else None,
        sums=tuple(column.edge_sums or ()),
        low=moments.min if moments.count else 0.0,
        high=moments.max if moments.count else 0.0,
        distinct=hll.count() if hll is not None else None,
        distinct_error=hll.relative_error if hll is not None else 0.0,
    )


def in_bins(expected: Expected, found: Counted) -> Counted:
    """What counts over a reference's bins and has no value yet: its column has made no bins, and nothing is in them.

    So a feature that comes as null alone, or as another type, is compared like any other.
    """
    if found.counts is not None or found.finite or found.categories:
        return found
    return replace(found, counts=(0,) * len(expected.counts), sums=(0.0,) * len(expected.sums))


def are_comparable(expected: Expected, found: Counted) -> bool:
    """True if the two have the same bins, and there is anything in them."""
    return found.counts is not None and len(found.counts) == len(expected.counts) and found.samples > 0


def all_bins(expected: Expected, found: Counted) -> tuple[list[float], list[float]]:
    """Every bin of both: the partition is the same whatever was found, as a test of it must have it."""
    assert found.counts is not None
    others = (found.nulls + found.nans, found.negative_infinities, found.positive_infinities, found.wrong_types)
    return [*map(float, expected.counts), *expected.besides], [*map(float, found.counts), *map(float, others)]


def filled_bins(expected: Expected, found: Counted) -> tuple[list[float], list[float]]:
    """The bins in which either has anything: what is empty on both sides takes no part in a divergence."""
    pairs = [(one, other) for one, other in zip(*all_bins(expected, found), strict=True) if one or other]
    return [one for one, _ in pairs], [other for _, other in pairs]


def are_numbers(expected: Expected, found: Counted) -> bool:
    """True if both are finite numbers in ordered bins."""
    return expected.is_number and are_comparable(expected, found) and found.finite > 0 and any(expected.counts)

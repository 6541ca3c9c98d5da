"""Columns as they come out of the store: the sketches of one feature, merged over whatever was read."""

from __future__ import annotations

from typing import Protocol, Self

from obsagent._native import sketch


class Moments(Protocol):
    """How many numbers, and the finite ones' extremes."""

    @property
    def count(self) -> int:
        """Finite ones."""
        ...

    @property
    def nan_count(self) -> int:
        """NaN."""
        ...

    @property
    def positive_infinity_count(self) -> int:
        """+infinity."""
        ...

    @property
    def negative_infinity_count(self) -> int:
        """-infinity."""
        ...

    @property
    def min(self) -> float:
        """The smallest."""
        ...

    @property
    def max(self) -> float:
        """The largest."""
        ...


class Distinct(Protocol):
    """How many different values."""

    @property
    def relative_error(self) -> float:
        """The standard error of the count."""
        ...

    def count(self) -> float:
        """About so many."""
        ...


class Column(Protocol):
    """`obsagent._native.sketch.Column`, as far as it is read here."""

    @property
    def samples(self) -> int:
        """All values, nulls included."""
        ...

    @property
    def null_count(self) -> int:
        """Nulls."""
        ...

    @property
    def wrong_type_count(self) -> int:
        """Values of another type than the reference's."""
        ...

    @property
    def category_count(self) -> int:
        """Categories."""
        ...

    @property
    def moments(self) -> Moments:
        """Of the numbers."""
        ...

    @property
    def edge_counts(self) -> tuple[int, ...] | None:
        """Over the bins of the reference; None if it has none, or they were given up."""
        ...

    @property
    def edge_sums(self) -> tuple[float, ...] | None:
        """The sums of the numbers in them."""
        ...

    @property
    def hll(self) -> Distinct | None:
        """None if nobody counts."""
        ...

    def merge(self, other: Self, /) -> None:
        """Adds another."""
        ...

    def _to_compact(self) -> bytes: ...


def decoded(encoded: bytes) -> Column:
    """The column in the bytes that `Groups.column` gives; raises `CorruptData`."""
    column: Column = sketch.Column._from_compact(encoded)  # type: ignore[attr-defined]
    return column


def merged(first: Column, *others: Column) -> Column:
    """One column of several, none of which is another afterwards."""
    if not others:
        return first
    whole = decoded(first._to_compact())
    for each in others:
        whole.merge(each)
    return whole

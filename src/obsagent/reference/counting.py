"""The second pass over a column: exact counts and sums over its bins, and how its windows differ."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from obsagent.reference.columns import Column
from obsagent.reference.feature import CATEGORY, NUMBER, FeatureReference, Spread
from obsagent.reference.learning import CategoryLearner, NumberLearner
from obsagent.sketches import Edges, Moments


class Windows:
    """The counts of consecutive windows over the same bins."""

    def __init__(self) -> None:
        self._before: Sequence[int] = ()
        self._found: list[array[int]] = []

    def end(self, counts: Sequence[int]) -> None:
        """A window ends; `counts` are those of all rows so far."""
        before = self._before or [0] * len(counts)
        self._found.append(array("Q", (now - then for now, then in zip(counts, before, strict=True))))
        self._before = counts

    def kappa0(self, counts: Sequence[int], rows: int) -> float:
        """The concentration of the windows' counts, whose totals are `counts`; 0 without any."""
        total = sum(counts)
        if not total:
            return 0.0
        windows = [window for window in self._found if sum(window)]
        if len(windows) < 2:
            return float(rows)
        from obsagent.drift.dispersion import fit_kappa0

        return float(fit_kappa0(windows, reference=counts, limit=float(rows)))


class NumberCounter:
    """A column of numbers."""

    def __init__(self, learned: NumberLearner) -> None:
        self._learned = learned
        self.edges = learned.edges()
        self._bins = Edges(self.edges) if self.edges else None
        self.windows = Windows()

    def add(self, column: Column) -> None:
        """The next rows."""
        if self._bins is not None:
            self._bins.add_many(column.numbers().values)

    @property
    def counts(self) -> tuple[int, ...]:
        """Below the edges, in each bin, above."""
        return tuple(self._bins.counts) if self._bins is not None else ()

    def end_window(self) -> None:
        """What comes belongs to the next window."""
        if self._bins is not None:
            self.windows.end(self.counts)

    def names(self) -> tuple[str, ...]:
        """Of its bins, as a joint distribution names them."""
        return ("below", *map(repr, self.edges[:-1]), "above") if self.edges else ()

    def places(self, column: Column) -> list[int]:
        """The bin of each row; −1 where there is no finite number."""
        from bisect import bisect_right

        edges, last = self.edges, len(self.edges)
        top = edges[-1] if edges else 0.0
        return [
            -1
            if value is None or value - value != 0.0
            else last - (value == top)
            if value >= top
            else bisect_right(edges, value)
            for value in column.floats()
        ]

    def result(self, rows: int, importance: float | None) -> FeatureReference:
        """What the reference says of the column; `rows` are those of all data."""
        moments, learned = self._learned.moments, self._learned
        distinct, is_exact = learned.distinct
        return FeatureReference(
            kind=NUMBER,
            type=learned.type,
            count=moments.count,
            null_count=learned.nulls,
            nan_count=moments.nan_count,
            positive_infinity_count=moments.positive_infinity_count,
            negative_infinity_count=moments.negative_infinity_count,
            wrong_type_count=learned.others,
            edges=self.edges,
            counts=self.counts,
            sums=tuple(self._bins.sums) if self._bins is not None else (),
            distinct=distinct,
            distinct_is_exact=is_exact,
            spread=_spread(moments),
            tdigest=learned.kept_digest(),
            kappa0=self.windows.kappa0(self.counts, rows),
            importance=importance,
        )


def _spread(moments: Moments) -> Spread | None:
    if not moments.count:
        return None
    return Spread(moments.mean, moments.m2, moments.m3, moments.m4, moments.min, moments.max)


class CategoryCounter:
    """A column of categories."""

    def __init__(self, learned: CategoryLearner) -> None:
        self._learned = learned
        self.categories = learned.categories()
        self._known = dict.fromkeys(self.categories, 0)
        self._others = 0
        self.windows = Windows()

    def add(self, column: Column) -> None:
        """The next rows."""
        known, others = self._known, 0
        for text, count in Counter(column.texts()).items():
            if text in known:
                known[text] += count
            elif text is not None:
                others += count
        self._others += others

    @property
    def counts(self) -> tuple[int, ...]:
        """Of each category, and of all others."""
        return (*self._known.values(), self._others)

    def end_window(self) -> None:
        """What comes belongs to the next window."""
        self.windows.end(self.counts)

    def names(self) -> tuple[str, ...]:
        """Of its bins but the last."""
        return self.categories

    def places(self, column: Column) -> list[int]:
        """The bin of each row; −1 where the value is missing."""
        places: Mapping[str | None, int] = {text: at for at, text in enumerate(self.categories)}
        last = len(self.categories)
        return [-1 if text is None else places.get(text, last) for text in column.texts()]

    def result(self, rows: int, importance: float | None) -> FeatureReference:
        """What the reference says of the column; `rows` are those of all data."""
        distinct, is_exact = self._learned.distinct
        return FeatureReference(
            kind=CATEGORY,
            type="text",
            count=self._learned.count,
            null_count=self._learned.nulls,
            categories=self.categories,
            category_counts=self.counts,
            distinct=distinct,
            distinct_is_exact=is_exact,
            kappa0=self.windows.kappa0(self.counts, rows),
            importance=importance,
        )

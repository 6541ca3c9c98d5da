"""Where the rows and predictions of one model and slice go: its bound columns and counters, as its rules say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.errors import FeatureError
from obsagent.record.models.columns import DROPPED, ColumnLike, Hashed, prepare
from obsagent.record.models.series import FEATURE, PREDICTIONS, ROWS
from obsagent.wire.rules import OUTPUTS, SCORE, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsagent._native.ring import Counter, Recorder
    from obsagent.record.models.categories import Categories
    from obsagent.record.models.series import ModelSeries
    from obsagent.wire.rules import Rules

REFERENCE_DIGITS = 8
OF_MODEL = frozenset({"model", "version", "variant"})
"""Labels that no slice has."""


class Counting(Protocol):
    """A counter of rows or predictions."""

    def inc(self, amount: int = 1, /) -> None:
        """That many more."""
        ...


class Taking(Protocol):
    """What takes rows and predictions: a `Feed` those of now, a `Gathered` those of another time."""

    @property
    def rows(self) -> Counting:
        """Of the rows given."""
        ...

    @property
    def predicted(self) -> Counting:
        """Of the predictions made."""
        ...

    @property
    def columns(self) -> BoundColumns:
        """By name, bound when they first occur."""
        ...

    @property
    def value(self) -> ColumnLike:
        """The column of what is predicted."""
        ...

    @property
    def score(self) -> ColumnLike:
        """The column of scores."""
        ...

    def plan(self, names: tuple[str, ...]) -> tuple[ColumnLike, ...]:
        """The columns of a row that has these names, in their order."""
        ...


class BoundColumns(dict[Any, ColumnLike]):
    """Columns by name, bound when they first occur; a name that is no text is found by what it was given as."""

    def __init__(self, bind: Callable[[str], ColumnLike]) -> None:
        """`bind` makes the column of a name."""
        super().__init__()
        self._bind = bind

    def __missing__(self, name: object) -> ColumnLike:
        column = self[name] = self._bind(str(name))
        return column


class Feed:
    """Thread-safe: what is bound twice at once is the same series."""

    __slots__ = (
        "_categories",
        "_labels",
        "_predicted",
        "_recorder",
        "_rows",
        "_score",
        "_series",
        "_value",
        "columns",
        "identity",
        "is_strict",
        "plans",
        "rules",
        "slice",
    )

    def __init__(
        self,
        recorder: Recorder,
        series: ModelSeries,
        categories: Categories,
        labels: dict[str, str],
        rules: Rules,
        *,
        is_strict: bool = False,
    ) -> None:
        """`labels` are those of the model and the slice; `categories` judge those of new columns.

        `is_strict` says that whoever records is to check the names of features first.
        """
        self.is_strict = is_strict
        self._recorder = recorder
        self._categories = categories
        self._series = series
        self._labels = labels
        self.rules = rules
        self.identity = labels["model"], labels.get("version", ""), labels["variant"]
        """Model, version and variant."""
        self.slice = tuple(sorted((name, value) for name, value in labels.items() if name not in OF_MODEL))
        self.columns = BoundColumns(self._bind)
        self.plans: dict[tuple[str, ...], tuple[ColumnLike, ...]] = {}
        """The columns of rows, by their names, of those that came before."""
        self._rows: Counter | None = None
        self._predicted: Counter | None = None
        self._value: ColumnLike | None = None
        self._score: ColumnLike | None = None

    def plan(self, names: tuple[str, ...]) -> tuple[ColumnLike, ...]:
        """The columns of a row that has these names, in their order."""
        plan = self.plans.get(names)
        if plan is None:
            if len(self.plans) >= PLANS_CACHED:
                self.plans.clear()
            plan = self.plans[names] = tuple(self.columns[name] for name in names)
        return plan

    @property
    def rows(self) -> Counter:
        """Of the rows given."""
        if self._rows is None:
            self._rows = self._series.bind(ROWS, self._labels)
        return self._rows

    @property
    def predicted(self) -> Counter:
        """Of the predictions made."""
        if self._predicted is None:
            self._predicted = self._series.bind(PREDICTIONS, self._labels)
        return self._predicted

    @property
    def value(self) -> ColumnLike:
        """The column of what is predicted."""
        if self._value is None:
            self._value = self._column(VALUE)
        return self._value

    @property
    def score(self) -> ColumnLike:
        """The column of scores."""
        if self._score is None:
            self._score = self._column(SCORE)
        return self._score

    def _bind(self, name: str) -> ColumnLike:
        if name in OUTPUTS:
            raise reserved(name)
        return self._column(name)

    def _column(self, name: str) -> ColumnLike:
        rules = self.rules
        if name in rules.drop:
            return DROPPED
        labels = {**self._labels, "feature": name}
        if rules.reference:
            labels["reference"] = rules.reference[:REFERENCE_DIGITS]
        column: ColumnLike = self._series.bind(FEATURE, labels, partial(self._prepare, name))
        return Hashed(column, rules.hash_key) if name in rules.hash else column

    def _prepare(self, name: str, number: int) -> None:
        prepare(self._recorder, name, self.rules, number)
        self._categories.watch(self._recorder, name, number)


PLANS_CACHED = 256


def reserved(name: str) -> FeatureError:
    """What is said of a feature that is called as a prediction's column is."""
    return FeatureError(f"a feature cannot be called {name!r}: that is where predictions go; choose another name")

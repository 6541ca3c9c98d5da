"""What is of one window of another time than now: kept value by value until it becomes the body of a batch.

It takes rows and predictions as a `Feed` does. So every form that these come in is counted by the same code, whether it
is of now or not.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from obsagent._native.codec import BodyWriter
from obsagent.limits import CATEGORY_BYTES_MAX
from obsagent.record.models.columns import Dropped, Hashed, category_text, hashed
from obsagent.record.models.feed import BoundColumns
from obsagent.wire.rules import SCORE, VALUE, ColumnRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from obsagent.record.models.columns import ColumnLike
    from obsagent.record.models.feed import Feed


class Tally:
    """A counter that waits."""

    def __init__(self) -> None:
        self.count = 0

    def inc(self, amount: int = 1) -> None:
        """That many more."""
        self.count += amount


class KeptColumn:
    """The values of one column: those of buffers, which are numbers, and all others as they were given."""

    def __init__(self, column: Any) -> None:
        """`column` is the bound one, whose series they go to."""
        self.column = column
        self.numbers = array("d")
        self.values: list[Any] = []
        self.nulls = 0
        self.observe = self.values.append

    def __len__(self) -> int:
        return len(self.numbers) + len(self.values) + self.nulls

    def observe_many(self, values: Any, /) -> None:
        """The numbers of a buffer."""
        self.numbers.extend(values.tolist())

    def observe_categories(self, values: Iterable[object], /) -> None:
        """A sequence of categories, None for null."""
        self.values.extend(values)

    def add_nulls(self, count: int, /) -> None:
        """Values that are missing."""
        self.nulls += count


class Gathered:
    """The rows and predictions of one feed and window. Its owner has a lock."""

    def __init__(self, feed: Feed, start_ms: int, reach_ms: int) -> None:
        """`start_ms` is where a backfill begins, `reach_ms` how far back it may lie; 0 of any other batch."""
        self._feed = feed
        self.first_ms = self.last_ms = start_ms
        self.reach_ms = reach_ms
        self.rows = Tally()
        self.predicted = Tally()
        self.columns = BoundColumns(self._keep)
        self._outputs: dict[str, ColumnLike] = {}

    def _keep(self, name: str) -> ColumnLike:
        return _kept(self._feed.columns[name])

    def plan(self, names: tuple[str, ...]) -> tuple[ColumnLike, ...]:
        """The columns of a row that has these names, in their order."""
        return tuple(self.columns[name] for name in names)

    @property
    def value(self) -> ColumnLike:
        """The column of what is predicted."""
        if VALUE not in self._outputs:
            self._outputs[VALUE] = _kept(self._feed.value)
        return self._outputs[VALUE]

    @property
    def score(self) -> ColumnLike:
        """The column of scores."""
        if SCORE not in self._outputs:
            self._outputs[SCORE] = _kept(self._feed.score)
        return self._outputs[SCORE]

    def note_times(self, first_ms: int, last_ms: int) -> None:
        """Between which times (ms since the epoch) lies what came in."""
        if not self.reach_ms:
            self.first_ms = min(self.first_ms, first_ms)
        self.last_ms = max(self.last_ms, last_ms)

    @property
    def samples(self) -> int:
        """Of the columns, and one for each row and prediction."""
        columns = sum(len(kept) for _, kept in self._filled())
        return columns + self.rows.count + self.predicted.count

    def _filled(self) -> list[tuple[str, KeptColumn]]:
        named = [*self.columns.items(), *self._outputs.items()]
        return [(str(name), kept) for name, kept in named if isinstance(kept, KeptColumn) and len(kept)]

    def body(self) -> bytes:
        """As a batch's body."""
        writer = BodyWriter()
        if self.rows.count:
            writer.put_counter(self._feed.rows.series, self.rows.count, float(self.rows.count))
        if self.predicted.count:
            writer.put_counter(self._feed.predicted.series, self.predicted.count, float(self.predicted.count))
        for name, kept in self._filled():
            self._put(writer, name, kept)
        return writer.take()

    def _put(self, writer: BodyWriter, name: str, kept: KeptColumn) -> None:
        rules = self._feed.rules
        rule = rules.features.get(name) or rules.outputs.get(name) or ColumnRule("")
        key = rules.hash_key if isinstance(kept.column, Hashed) else b""
        told = _Told(kept, rule.kind, key)
        writer.put_column(
            kept.column.series,
            told.numbers,
            told.categories,
            edges=rule.edges if rule.edges and not key else None,
            names=[hashed(each, key) if key else each for each in rule.categories] or None,
            nulls=told.nulls,
            wrong_types=told.wrong_types,
        )


def _kept(column: ColumnLike) -> ColumnLike:
    return column if isinstance(column, Dropped) else KeptColumn(column)


class _Told:
    """The values of a column, told apart as `obsagent._native.ring.Column` does it."""

    def __init__(self, kept: KeptColumn, expected: str, key: bytes) -> None:
        """`expected` is the kind that the reference says, `key` that of hashes; both may be empty."""
        self.numbers, self.nulls = array("d"), kept.nulls
        self.categories: list[str] = []
        self.wrong_types = 0
        self._expected = expected
        self._key = key
        self._texts: dict[Any, str | None] = {}
        """What values are called as categories; None if they are of a wrong type. Most come again."""
        if key or expected == "category":
            for number in kept.numbers:
                self._tell(number)
        else:
            self.numbers.extend(kept.numbers)
        for value in kept.values:
            if type(value) is str:
                self._tell_text(value)
            else:
                self._tell(value)

    def _tell(self, value: Any) -> None:
        if type(value) is float and not self._key and self._expected != "category":
            self.numbers.append(value)
        elif value is None or type(value).__name__ in {"NAType", "NaTType"} or (self._key and value != value):
            self.nulls += 1
        elif isinstance(value, str):
            self._tell_text(value)
        elif self._key:
            self.categories.append(hashed(value, self._key))
        else:
            self._tell_number(value)

    def _tell_text(self, value: str) -> None:
        if value not in self._texts:
            self._texts[value] = self._text_of(value)
        text = self._texts[value]
        if text is None:
            self.wrong_types += 1
        else:
            self.categories.append(text)

    def _text_of(self, value: str) -> str | None:
        if self._key:
            return hashed(value, self._key)
        text = value.encode("utf-8", "replace")
        return None if self._expected == "number" or len(text) > CATEGORY_BYTES_MAX else text.decode()

    def _tell_number(self, value: Any) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            self.wrong_types += 1
            return
        if self._expected != "category":
            self.numbers.append(number)
        elif number != number:
            self.nulls += 1
        else:
            self.categories.append(self._called(value))

    def _called(self, value: Any) -> str:
        known = self._texts.get((type(value), value))
        if known is None:
            known = self._texts[type(value), value] = category_text(value)
        return known

"""One column on its way into a sketch: as it is, hashed, or not at all, as the model's rules say."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.limits import HASHES_CACHED

if TYPE_CHECKING:
    from obsagent.wire.rules import Rules

HASH_HEX_DIGITS = 16
"""Of the 64 that HMAC-SHA256 has: two of a million values are the same with a probability of one in 37 million."""


class ColumnLike(Protocol):
    """What takes the values of one column; nothing of it raises."""

    def observe(self, value: object, /) -> None:
        """One value."""
        ...

    def observe_many(self, values: Any, /) -> None:
        """The numbers of a buffer of one dimension."""
        ...

    def observe_categories(self, values: Any, /) -> None:
        """A sequence of categories, None for null."""
        ...

    def add_nulls(self, count: int, /) -> None:
        """Values that are missing."""
        ...


class Dropped:
    """A column of which nothing is to leave the process."""

    def observe(self, _value: object, /) -> None:
        """Nothing."""

    observe_many = observe_categories = add_nulls = observe


DROPPED = Dropped()


class Hashed:
    """A column whose values are categories named by a keyed hash: equal ones can be told, the values cannot."""

    def __init__(self, column: Any, key: bytes) -> None:
        """`key` is the agent's; the same value has the same hash in every process that it tells the key."""
        self._column = column
        self._key = key
        self._known: dict[Any, str] = {}

    @property
    def series(self) -> int:
        """The number of the column that gets the hashes."""
        number: int = self._column.series
        return number

    def observe(self, value: object, /) -> None:
        """The hash of one value; None is a null, and NaN stays NaN."""
        if value is None or value != value:
            self._column.observe(value)
        else:
            self._column.observe(self._hashed(value))

    def _hashed(self, value: object) -> str:
        try:
            found = self._known.get((type(value), value))
        except TypeError:  # not hashable: a list, which is no category
            found = ""
        if found is None:
            if len(self._known) >= HASHES_CACHED:
                self._known.clear()
            found = self._known[type(value), value] = hashed(value, self._key)
        return found or hashed(value, self._key)

    def observe_many(self, values: Any, /) -> None:
        """The hashes of a buffer's numbers."""
        for value in values.tolist():
            self.observe(value)

    def observe_categories(self, values: Iterable[object], /) -> None:
        """The hashes of a sequence."""
        for value in values:
            self.observe(value)

    def add_nulls(self, count: int, /) -> None:
        """Nulls stay nulls."""
        self._column.add_nulls(count)


def hashed(value: object, key: bytes) -> str:
    """The first 16 hexadecimal digits of HMAC-SHA256 over what the value is called as a category."""
    return hmac.digest(key, category_text(value).encode("utf-8", "replace"), "sha256").hex()[:HASH_HEX_DIGITS]


def category_text(value: object) -> str:
    """What a value is called as a category: numbers as Python writes them, whole ones without `.0`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return str(value)
    return str(int(number)) if number.is_integer() and not isinstance(value, bool) else str(value)


def prepare(recorder: Any, name: str, rules: Rules, number: int) -> None:
    """Tells the recorder the bins of a new column, if the reference has any."""
    rule = rules.features.get(name) or rules.outputs.get(name)
    if rule is None:
        return
    if rule.kind == "category" and rule.categories:
        is_hashed = name in rules.hash
        names = [hashed(each, rules.hash_key) for each in rule.categories] if is_hashed else rule.categories
        recorder.set_categories(number, names)
    elif rule.kind == "number" and rule.edges and name not in rules.hash:
        recorder.set_edges(number, rule.edges)

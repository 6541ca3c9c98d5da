"""Predicted values and truths as a column of records: numbers, or classes by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from obsagent.by_id import columns
from obsagent.by_id.batches import Values
from obsagent.limits import CATEGORY_BYTES_MAX
from obsagent.record.models.columns import category_text, hashed

CLASS_TYPES = (str, bytes, bool)
NUMPY_BOOLS = frozenset({"bool", "bool_"})


class Column(NamedTuple):
    """Values; `is_known` says of which of the given ones, None of all: what is null or no value is left out."""

    values: Values
    is_known: Sequence[bool] | None


def column_of(values: list[Any], hash_key: bytes = b"") -> Column:
    """A column of values as they were given. With a text or a bool among them, or with a key, they are classes."""
    kinds = set(map(type, values))
    if kinds <= {float, int} and not hash_key:
        found = _quickly(values)
        if found is not None:
            return found
    is_class = bool(hash_key) or any(issubclass(kind, CLASS_TYPES) or kind.__name__ in NUMPY_BOOLS for kind in kinds)
    named = [_class_of(value, hash_key) for value in values] if is_class else [_number_of(value) for value in values]
    is_known = [value is not None for value in named]
    known: list[Any] = [value for value in named if value is not None]
    found = Column(_classes(known) if is_class else _numbers(known), is_known)
    return found._replace(is_known=None) if all(is_known) else found


def _quickly(values: list[Any]) -> Column | None:
    try:
        column = _numbers(values)
    except OverflowError:
        return None
    return None if any(value != value for value in values) else Column(column, None)


def _numbers(values: list[float]) -> Values:
    return Values(columns.pack(columns.NUMBER, values))


def _classes(values: list[str]) -> Values:
    names = tuple(dict.fromkeys(values))
    numbers = {name: number for number, name in enumerate(names)}
    return Values(columns.pack(columns.CLASS, [numbers[value] for value in values]), names or None)


def _is_null(value: Any) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value


def _class_of(value: Any, hash_key: bytes) -> str | None:
    if _is_null(value):
        return None
    if hash_key:
        return hashed(value, hash_key)
    encoded = category_text(value).encode("utf-8", "replace")
    return encoded.decode() if len(encoded) <= CATEGORY_BYTES_MAX else None


def _number_of(value: Any) -> float | None:
    if _is_null(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None

"""What `features()` was given, whatever form it has: a row, rows, a matrix, or columns.

Nothing of NumPy, pandas, polars or Arrow is imported: a program that passes their objects has loaded them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from obsagent._native.ring import observe_array, observe_matrix, observe_row
from obsagent.errors import FeatureError
from obsagent.limits import FEATURES_PER_ROW
from obsagent.record.models import frames
from obsagent.record.models.feed import Feed, Taking, reserved
from obsagent.wire.rules import OUTPUTS, SCORE, VALUE

ROW_BYTES = 100  # of a value in a dict, about
BUFFER_BYTES = 8
NAMES_CACHED = 256
_names: dict[tuple[Any, ...], tuple[str, ...]] = {}


class Given(Protocol):
    """Rows of features."""

    @property
    def names(self) -> Iterable[object]:
        """Of the features."""
        ...

    @property
    def rows(self) -> int:
        """How many."""
        ...

    @property
    def values(self) -> int:
        """How many, in all rows."""
        ...

    @property
    def byte_size(self) -> int:
        """What it takes in memory, about."""
        ...

    def copied(self) -> Given:
        """The same, which whoever gave it cannot change any more."""
        ...

    def chosen(self, indices: Sequence[int]) -> Given:
        """These of its rows."""
        ...

    def record(self, feed: Taking) -> None:
        """Observes every value."""
        ...


class Row:
    """One row, by name."""

    __slots__ = ("mapping",)
    rows = 1

    def __init__(self, mapping: Mapping[Any, object]) -> None:
        """Raises `FeatureError` for a reserved name."""
        self.mapping = mapping
        check_reserved(mapping)

    @property
    def names(self) -> Iterable[object]:
        """Of the features."""
        return self.mapping

    @property
    def values(self) -> int:
        """As many as names."""
        return len(self.mapping)

    @property
    def byte_size(self) -> int:
        """About."""
        return ROW_BYTES * len(self.mapping)

    def copied(self) -> Row:
        """A row with a mapping of its own."""
        return Row(dict(self.mapping))

    def chosen(self, indices: Sequence[int]) -> Row:
        """The only row that there is."""
        return self

    def record(self, feed: Taking) -> None:
        """Observes each value."""
        feed.rows.inc()
        mapping = self.mapping
        observe_row(feed.columns, mapping if type(mapping) is dict else dict(mapping))


class Rows:
    """Rows that each have names of their own."""

    __slots__ = ("mappings",)

    def __init__(self, mappings: Sequence[Mapping[Any, object]]) -> None:
        """Raises `FeatureError` for what is no mapping, or has a reserved name."""
        for row, mapping in enumerate(mappings):
            if not isinstance(mapping, Mapping):
                raise FeatureError(f"row {row} of the features is a {_type(mapping)}, and not a mapping as others are")
            check_reserved(mapping)
        self.mappings = mappings

    @property
    def names(self) -> Iterable[object]:
        """Those that every row has; what some rows have is in `all_names`."""
        return dict.fromkeys(name for mapping in self.mappings for name in mapping)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.mappings)

    @property
    def values(self) -> int:
        """In all rows."""
        return sum(map(len, self.mappings))

    @property
    def byte_size(self) -> int:
        """About."""
        return ROW_BYTES * self.values

    def copied(self) -> Rows:
        """Rows with mappings of their own."""
        return Rows([dict(mapping) for mapping in self.mappings])

    def chosen(self, indices: Sequence[int]) -> Rows:
        """These rows."""
        return self if len(indices) == self.rows else Rows([self.mappings[index] for index in indices])

    def record(self, feed: Taking) -> None:
        """Observes each value."""
        for mapping in self.mappings:
            Row(mapping).record(feed)


class Matrix:
    """Numbers in a buffer of two dimensions, a row a row; or of one, which is one row."""

    __slots__ = ("buffer", "names", "rows", "values")

    def __init__(self, buffer: Any, shape: tuple[int, ...], names: tuple[str, ...]) -> None:
        """Raises `FeatureError` unless there is a name for each column."""
        if len(shape) not in (1, 2):
            raise FeatureError(f"features in {len(shape)} dimensions; a row has one, a matrix two")
        width = shape[-1]
        if width != len(names):
            raise FeatureError(f"{len(names)} names for rows of {width} features")
        self.buffer = buffer
        self.names = names
        self.rows = shape[0] if len(shape) == 2 else 1
        self.values = self.rows * width

    @property
    def byte_size(self) -> int:
        """About."""
        return BUFFER_BYTES * self.values

    def copied(self) -> Matrix:
        """A matrix with a buffer of its own."""
        shape = (self.rows, len(self.names)) if memoryview(self.buffer).ndim == 2 else (len(self.names),)
        return Matrix(_copied(self.buffer), shape, self.names)

    def chosen(self, indices: Sequence[int]) -> Given:
        """These rows; of a buffer that cannot be cut, as columns."""
        if isinstance(self.buffer, memoryview) and self.buffer.ndim == 2:
            rows = self.buffer.tolist()
            return Columns(self.names, list(zip(*(rows[index] for index in indices), strict=True)))
        if len(indices) == self.rows:
            return self
        return Matrix(self.buffer[list(indices)], (len(indices), len(self.names)), self.names)

    def record(self, feed: Taking) -> None:
        """Observes each column where it lies."""
        feed.rows.inc(self.rows)
        observe_matrix(feed.plan(self.names), self.buffer)


class Columns:
    """A column each: of a frame, or of a mapping from names to sequences."""

    __slots__ = ("_byte_size", "_frame", "names", "rows", "sources")

    def __init__(self, names: tuple[str, ...], sources: Sequence[Any], frame: Any = None) -> None:
        """`sources` are as `frames.observe` takes them; raises `FeatureError` unless they are of one length."""
        lengths = {len(source) for source in sources}
        if len(lengths) > 1:
            told = ", ".join(f"{name} {len(source)}" for name, source in zip(names, sources, strict=True))
            raise FeatureError(f"columns of different lengths: {told[:200]}")
        self.names = names
        self.sources = sources
        self.rows = lengths.pop() if lengths else 0
        self._frame = frame

    @property
    def values(self) -> int:
        """In all columns."""
        return self.rows * len(self.names)

    @property
    def byte_size(self) -> int:
        """About."""
        return BUFFER_BYTES * self.values

    def copied(self) -> Columns:
        """Columns of their own, where they can be changed."""
        return Columns(self.names, [frames.copied(source) for source in self.sources])

    def chosen(self, indices: Sequence[int]) -> Columns:
        """These rows."""
        if len(indices) == self.rows:
            return self
        return Columns(self.names, [frames.chosen(source, indices) for source in self.sources])

    def record(self, feed: Taking) -> None:
        """Observes each column."""
        feed.rows.inc(self.rows)
        for column, source in zip(feed.plan(self.names), self.sources, strict=True):
            frames.observe(column, source)


def recorded_at_once(feed: Feed, features: Any, names: Any) -> bool:
    """Records what needs no closer look: a mapping of single values, a matrix of numbers whose names are known.

    False if nothing was recorded; a feed that is strict wants to look at everything.
    """
    if feed.is_strict:
        return False
    if names is None:
        if type(features) is not dict or VALUE in features or SCORE in features:
            return False
        for first in features.values():
            if type(first) in frames.SCALARS:
                feed.rows.inc()
                observe_row(feed.columns, features)
                return True
            break
        return False
    return observe_array(feed.plans, names, features, feed.rows)


def given(features: Any, names: Any = None) -> Given:
    """What was given, checked; raises `FeatureError` for what is no row, no rows and no frame."""
    if names is not None:
        names = checked_names(names)
        shape = frames.shape_of_numbers(features)
        if shape is not None:
            return Matrix(features, shape, names)
    if type(features) is dict or isinstance(features, Mapping):
        return _selected(_of_mapping(features), names)
    frame = frames.columns_of(features)
    if frame is not None:
        return _selected(Columns(checked_names(frame[0]), frame[1]), names)
    if frames.is_series(features):
        return _of_series(features, names)
    if isinstance(features, (str, bytes, bytearray)):
        raise _unknown(features)
    found = _of_array(features, names)
    return _of_items(features, names) if found is None else found


def _selected(found: Given, names: tuple[str, ...] | None) -> Given:
    """Of what brings its names along, those that were asked for."""
    if names is None:
        return found
    missing = set(names).difference(map(str, found.names))
    if missing:
        raise FeatureError(f"no column is called {sorted(missing)[0]!r}; there are {_listed(found.names)}")
    if isinstance(found, Columns):
        by_name = dict(zip(found.names, found.sources, strict=True))
        return Columns(names, [by_name[name] for name in names])
    if isinstance(found, Row):
        texts = {str(name): value for name, value in found.mapping.items()}
        return Row({name: texts[name] for name in names})
    return found


def _of_mapping(mapping: Mapping[Any, object]) -> Given:
    first = next(iter(mapping.values()), None)
    if type(first) in frames.SCALARS or not frames.is_column(first):
        return Row(mapping)
    names = checked_names(mapping)
    for name, column in mapping.items():
        if not frames.is_column(column):
            raise FeatureError(f"{name!r} is a {_type(column)}, where other features are columns")
    return Columns(names, [frames.as_column(column) for column in mapping.values()])


def _of_series(series: Any, names: tuple[str, ...] | None) -> Given:
    """A row of a frame of pandas: what its index says are the names."""
    if names is None:
        index = frames.index_of(series)
        if index is None:
            raise FeatureError("a series without names: give names=[…], or a frame")
        names = checked_names(index)
    values = frames.items_of(series)
    if len(values) != len(names):
        raise FeatureError(f"{len(names)} names for {len(values)} features")
    return Row(dict(zip(names, values, strict=True)))


def _of_array(features: Any, names: tuple[str, ...] | None) -> Given | None:
    """What lies in a buffer, or would; None if nothing does."""
    array = frames.as_array(features)
    if array is None:
        return None
    named = frames.fields_of(array)
    if named is not None:
        return _selected(Columns(checked_names(named[0]), named[1]), names)
    if names is None:
        raise FeatureError("an array does not know what its columns are called: give names=[…]")
    view = frames.numbers_of(array)
    if view is not None:
        return Matrix(array, view.shape or (), names)
    return _of_items(array.tolist(), names)


def _of_items(features: Any, names: tuple[str, ...] | None) -> Given:
    """A sequence of values, which is a row; or of rows."""
    try:
        items = features if isinstance(features, (list, tuple)) else list(features)
    except TypeError:
        raise _unknown(features) from None
    first = items[0] if items else None
    if isinstance(first, Mapping):
        return Rows(items)
    if names is None:
        raise FeatureError("a sequence does not know what its values are called: give names=[…], or a mapping")
    if not isinstance(first, (list, tuple)) and frames.as_array(first) is None:
        if len(items) != len(names):
            raise FeatureError(f"{len(names)} names for {len(items)} features")
        return Row(dict(zip(names, items, strict=True)))
    rows = [list(row) for row in items]
    wrong = next((len(row) for row in rows if len(row) != len(names)), None)
    if wrong is not None:
        raise FeatureError(f"{len(names)} names for a row of {wrong} features")
    return Columns(names, list(zip(*rows, strict=True)))


def checked_names(names: Iterable[object]) -> tuple[str, ...]:
    """Names of features, as text; raises `FeatureError` if two are alike or one is reserved."""
    if type(names) is str:
        raise FeatureError(f"names must be a sequence of names, not the text {names!r}")
    try:
        key = tuple(names)
        known = _names.get(key)
    except TypeError:
        raise FeatureError(f"names must be a sequence of texts, not a {_type(names)}") from None
    if known is not None:
        return known
    texts = tuple(map(str, key))
    if len(texts) > FEATURES_PER_ROW:
        raise FeatureError(f"a row of {len(texts):,} features; at most {FEATURES_PER_ROW:,} are allowed")
    if len(set(texts)) != len(texts):
        raise FeatureError(f"{next(name for name in texts if texts.count(name) > 1)!r} stands twice in the names")
    check_reserved(texts)
    if len(_names) >= NAMES_CACHED:
        _names.clear()
    return _names.setdefault(key, texts)


def check_reserved(names: Any) -> None:
    """Raises `FeatureError` if a feature is called as a prediction's column is."""
    for name in OUTPUTS:
        if name in names:
            raise reserved(name)


def _copied(buffer: Any) -> Any:
    """A buffer of its own with the same numbers."""
    if not isinstance(buffer, memoryview):
        return copy.copy(buffer)
    return memoryview(buffer.tobytes()).cast("B").cast(buffer.format, buffer.shape)  # type: ignore[call-overload]


def _listed(names: Iterable[object]) -> str:
    texts = list(map(str, names))
    return ", ".join(texts[:10]) + (", …" if len(texts) > 10 else "")


def _type(value: object) -> str:
    return type(value).__name__


def _unknown(features: object) -> FeatureError:
    return FeatureError(
        f"features must be a mapping, a sequence or array with names=[…], or a frame, not a {_type(features)}"
    )

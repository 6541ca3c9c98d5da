"""Batches as bytes, on the wire and in the journal alike. FORMAT.md beside this file has the grammar.

Whoever sent the bytes is not trusted: each length is compared with what is left, and nothing is believed before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import msgpack

from obsagent.by_id import columns, format
from obsagent.by_id.batches import Batch, Forgotten, Ids, Kind, Predictions, Rows, Truths, Values
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.limits import (
    CATEGORY_BYTES_MAX,
    FEATURES_PER_ROW,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    RECORD_CLASSES_MAX,
    RECORD_NAMES_BYTES_MAX,
    RECORD_ROW_BYTES_MAX,
    RECORDS_PER_BATCH_MAX,
    REQUEST_ID_BYTES_MAX,
    SLICES_MAX,
)

Buffer = bytes | bytearray | memoryview
Slice = tuple[tuple[str, str], ...]


def kind_of(batch: Batch) -> Kind:
    """What a batch is."""
    return _KINDS[type(batch)]


def encode(batch: Batch) -> bytes:
    """A batch as bytes; what it holds is not checked."""
    names, parts = _ENCODERS[type(batch)](batch)
    packed: bytes = msgpack.packb(names)
    fixed = format.FIXED.pack(format.VERSION, kind_of(batch), len(batch.ids), len(packed))
    return b"".join((fixed, packed, batch.ids.lengths, batch.ids.text, *parts))


def encoded_size(batch: Batch) -> int:
    """How many bytes `encode` makes of a batch."""
    names, parts = _ENCODERS[type(batch)](batch)
    ids = batch.ids
    return format.FIXED.size + len(msgpack.packb(names)) + len(ids.lengths) + len(ids.text) + sum(map(len, parts))


def decode(data: Buffer) -> Batch:
    """The batch that bytes hold, all of them.

    Raises `UnsupportedVersion` for a version or a kind that is not known, `CorruptData` for bytes that are no batch or
    more than one, and for one that is longer than `limits.py` lets it be.
    """
    view = memoryview(data)
    if len(view) < format.FIXED.size:
        raise CorruptData("a batch of records is cut short")
    version, kind, rows, names_bytes = format.FIXED.unpack_from(view)
    if version != format.VERSION:
        raise UnsupportedVersion(f"a batch of records of version {version}; this build reads {format.VERSION}")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise UnsupportedVersion(f"a batch of records of the unknown kind {kind}")
    if rows > RECORDS_PER_BATCH_MAX:
        raise CorruptData(f"a batch of {rows} records; at most {RECORDS_PER_BATCH_MAX} are allowed")
    if names_bytes > RECORD_NAMES_BYTES_MAX:
        raise CorruptData(f"{names_bytes} bytes of names; at most {RECORD_NAMES_BYTES_MAX} are allowed")
    parts = _Parts(view[format.FIXED.size :])
    names = _unpacked(parts.take(names_bytes), list)
    batch = decoder(names, _take_ids(parts, rows), parts, rows)
    parts.require_end()
    return batch


class _Parts:
    """What is left of the bytes."""

    def __init__(self, view: memoryview) -> None:
        self._left = view

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self._left):
            raise CorruptData(f"a batch of records is cut short: {size} bytes are missing of {len(self._left)}")
        part, self._left = self._left[:size], self._left[size:]
        return bytes(part)

    def column(self, code: str, rows: int) -> bytes:
        """The next column of numbers."""
        return self.take(rows * columns.ITEM_BYTES[code])

    def require_end(self) -> None:
        """Raises `CorruptData` if something follows."""
        if self._left:
            raise CorruptData(f"{len(self._left)} bytes behind a batch of records")


def _unpacked(packed: bytes, expected: type) -> Any:
    try:
        found = msgpack.unpackb(packed, raw=False, strict_map_key=True, max_ext_len=0)
    except Exception as error:  # msgpack raises half a dozen types for hostile bytes, RecursionError included
        message = str(error) or type(error).__name__
        raise CorruptData(f"what a batch of records names is no msgpack: {message}") from None
    if type(found) is not expected:
        raise CorruptData(f"what a batch of records names is a {type(found).__name__}")
    return found


# Ids


def _take_ids(parts: _Parts, rows: int) -> Ids:
    lengths = parts.take(rows)
    if rows and (min(lengths) < 1 or max(lengths) > REQUEST_ID_BYTES_MAX):
        raise CorruptData(f"an id must have 1 to {REQUEST_ID_BYTES_MAX} bytes")
    ids = Ids(lengths, parts.take(sum(lengths)))
    if not ids.text.isascii():
        texts_of(ids)
    return ids


def texts_of(ids: Ids) -> list[str]:
    """Each id; raises `CorruptData` for one that is no UTF-8."""
    ends = accumulate(ids.lengths, initial=0)
    try:
        return [ids.text[begin:end].decode() for begin, end in pairwise(ends)]
    except UnicodeDecodeError:
        raise CorruptData("an id is no UTF-8") from None


def ids_of(texts: Sequence[str]) -> Ids:
    """Ids of 1 to 128 bytes each."""
    joined = "".join(texts)
    if joined.isascii():
        return Ids(bytes(map(len, texts)), joined.encode())
    encoded = [text.encode("utf-8", "replace") for text in texts]
    return Ids(bytes(map(len, encoded)), b"".join(encoded))


# What is named


def _text(value: Any, what: str, bytes_max: int = LABEL_VALUE_BYTES_MAX, *, empty: bool = True) -> str:
    if not isinstance(value, str) or len(value.encode("utf-8", "surrogatepass")) > bytes_max or not (value or empty):
        raise CorruptData(f"the {what} of a batch of records must be text of at most {bytes_max} bytes")
    return value


def _fields(names: list[Any], count: int) -> list[Any]:
    if len(names) != count:
        raise CorruptData(f"a batch of records names {len(names)} things, not {count}")
    return names


def _model(fields: Sequence[Any]) -> tuple[str, str, str, Slice]:
    """Model, version, variant and slice."""
    model, version, variant, labels = fields
    return (
        _text(model, "model", empty=False),
        _text(version, "version"),
        _text(variant, "variant", empty=False),
        _slice(labels),
    )


def _slice(labels: Any) -> Slice:
    if not isinstance(labels, list) or len(labels) > SLICES_MAX:
        raise CorruptData(f"the slice of a batch of records must be at most {SLICES_MAX} labels")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in labels):
        raise CorruptData("a label of a slice is a name and a value")
    found = tuple(
        (_text(name, "slice's label", LABEL_NAME_BYTES_MAX, empty=False), _text(value, "slice's value"))
        for name, value in labels
    )
    if any(one[0] >= following[0] for one, following in pairwise(found)):
        raise CorruptData("the labels of a slice must be different, and sorted")
    return found


# Values


def _values_parts(values: Values) -> tuple[list[str] | None, bytes]:
    return None if values.names is None else list(values.names), values.data


def _take_values(names: Any, parts: _Parts, rows: int) -> Values:
    if names is None:
        return Values(parts.column(columns.NUMBER, rows))
    if not isinstance(names, list) or not 1 <= len(names) <= RECORD_CLASSES_MAX:
        raise CorruptData(f"the classes of a batch of records must be a list of 1 to {RECORD_CLASSES_MAX}")
    classes = tuple(_text(name, "class", CATEGORY_BYTES_MAX) for name in names)
    if len(set(classes)) != len(classes):
        raise CorruptData("a class stands twice in a batch of records")
    data = parts.column(columns.CLASS, rows)
    if max(columns.unpack(columns.CLASS, data), default=0) >= len(classes):
        raise CorruptData("a value of a batch of records is none of its classes")
    return Values(data, classes)


# Each kind


def _encode_predictions(batch: Predictions) -> tuple[list[Any], list[bytes]]:
    classes, values = _values_parts(batch.values)
    names = [batch.model, batch.version, batch.variant, batch.slice, classes, bool(batch.scores)]
    return names, [batch.at_ms, values, batch.scores]


def _decode_predictions(names: list[Any], ids: Ids, parts: _Parts, rows: int) -> Predictions:
    *model, classes, is_scored = _fields(names, 6)
    if type(is_scored) is not bool:
        raise CorruptData("whether there are scores must be true or false")
    of = _model(model)
    at_ms = parts.column(columns.TIME, rows)
    values = _take_values(classes, parts, rows)
    return Predictions(*of, ids, at_ms, values, parts.column(columns.NUMBER, rows) if is_scored else b"")


def _encode_truths(batch: Truths) -> tuple[list[Any], list[bytes]]:
    classes, values = _values_parts(batch.values)
    return [batch.model, classes], [batch.at_ms, values]


def _decode_truths(names: list[Any], ids: Ids, parts: _Parts, rows: int) -> Truths:
    model, classes = _fields(names, 2)
    at_ms = parts.column(columns.TIME, rows)
    return Truths(_text(model, "model", empty=False), ids, at_ms, _take_values(classes, parts, rows))


def _encode_rows(batch: Rows) -> tuple[list[Any], list[bytes]]:
    names = [batch.model, batch.version, batch.variant, batch.slice]
    return names, [batch.at_ms, columns.pack(columns.SIZE, map(len, batch.rows)), *batch.rows]


def _decode_rows(names: list[Any], ids: Ids, parts: _Parts, rows: int) -> Rows:
    of = _model(_fields(names, 4))
    at_ms = parts.column(columns.TIME, rows)
    sizes = columns.unpack(columns.SIZE, parts.column(columns.SIZE, rows))
    return Rows(*of, ids, at_ms, tuple(_checked_row(parts.take(int(size))) for size in sizes))


def _checked_row(packed: bytes) -> bytes:
    if len(packed) > RECORD_ROW_BYTES_MAX:
        raise CorruptData(f"a row of {len(packed)} bytes; at most {RECORD_ROW_BYTES_MAX} are allowed")
    row = _unpacked(packed, dict)
    if len(row) > FEATURES_PER_ROW or not all(isinstance(name, str) for name in row):
        raise CorruptData(f"a row must be a map of at most {FEATURES_PER_ROW} features")
    if not all(value is None or type(value) in (int, float, str) for value in row.values()):
        raise CorruptData("the values of a row must be numbers, texts, or nil")
    return packed


def _encode_forgotten(batch: Forgotten) -> tuple[list[Any], list[bytes]]:
    return [batch.model], []


def _decode_forgotten(names: list[Any], ids: Ids, _parts: _Parts, _rows: int) -> Forgotten:
    (model,) = _fields(names, 1)
    return Forgotten(_text(model, "model"), ids)


_KINDS: dict[type[Any], Kind] = {
    Predictions: Kind.PREDICTIONS,
    Truths: Kind.TRUTHS,
    Rows: Kind.ROWS,
    Forgotten: Kind.FORGOTTEN,
}
_ENCODERS: dict[type[Any], Callable[[Any], tuple[list[Any], list[bytes]]]] = {
    Predictions: _encode_predictions,
    Truths: _encode_truths,
    Rows: _encode_rows,
    Forgotten: _encode_forgotten,
}
_DECODERS: dict[int, Callable[[list[Any], Ids, _Parts, int], Batch]] = {
    Kind.PREDICTIONS: _decode_predictions,
    Kind.TRUTHS: _decode_truths,
    Kind.ROWS: _decode_rows,
    Kind.FORGOTTEN: _decode_forgotten,
}

"""Rows that are kept whole (`keep_rows` of a model): which ones, and what of them leaves the process.

By a share, the id of a request decides, so that every version and process keeps the same ones; without an id, chance
does. Columns that the rules drop are left out, of those that they hash the keyed hash is kept: before anything is
encoded.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgpack

from obsagent.limits import LABEL_VALUE_BYTES_MAX, RECORD_ROW_BYTES_MAX
from obsagent.record.models import frames
from obsagent.record.models.columns import hashed
from obsagent.record.models.given import Columns, Given, Matrix, Row, Rows

if TYPE_CHECKING:
    from obsagent.wire.rules import Rules as ModelRules

ERRORS = "errors"
DIGEST_BYTES = 8
RANDOM_ID_BYTES = 8


def chosen(share: float | str, rows: int, ids: Sequence[str] | None, *, has_failed: bool) -> Iterator[int]:
    """Which of some rows are kept: of those of requests that failed all, or a share."""
    if isinstance(share, str):
        yield from range(rows) if has_failed else ()
    elif ids is not None:
        yield from (row for row in range(rows) if is_chosen(ids[row], share))
    elif share > 0:
        row = _skip(share)
        while row < rows:
            yield row
            row += 1 + _skip(share)


def is_chosen(text: str, share: float) -> bool:
    """True for this share of all ids, the same ones everywhere."""
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest()
    return int.from_bytes(digest, "little") < share * (1 << 8 * DIGEST_BYTES)


def _skip(share: float) -> int:
    """How many rows chance passes over before the next that it keeps."""
    if share >= 1:
        return 0
    return int(math.log(1.0 - random.random()) / math.log1p(-share))


def random_id() -> str:
    """The id of a row whose request has none."""
    return os.urandom(RANDOM_ID_BYTES).hex()


def row_of(given: Given, row: int) -> Mapping[Any, object]:
    """One of the rows that were given, by the names of its features."""
    if isinstance(given, Row):
        return given.mapping
    if isinstance(given, Rows):
        return given.mappings[row]
    if isinstance(given, Matrix):
        return dict(zip(given.names, _numbers(given, row), strict=True))
    if isinstance(given, Columns):
        return {name: _item(source, row) for name, source in zip(given.names, given.sources, strict=True)}
    raise TypeError(f"rows in a {type(given).__name__}")


def _numbers(matrix: Matrix, row: int) -> list[Any]:
    buffer = matrix.buffer
    if hasattr(buffer, "tolist") and not isinstance(buffer, memoryview):
        found: list[Any] = (buffer if buffer.ndim == 1 else buffer[row]).tolist()
        return found
    view = memoryview(buffer)
    return view.tolist() if view.ndim == 1 else [view[row, column] for column in range(len(matrix.names))]


def _item(source: Any, row: int) -> Any:
    if isinstance(source, (list, tuple)):
        return source[row]
    if frames.is_series(source):
        (found,) = frames.items_of(source[row : row + 1])
        return found
    found = source[row]
    return found.tolist() if hasattr(found, "tolist") else found


def packed(row: Mapping[Any, object], rules: ModelRules) -> bytes | None:
    """What is kept of a row, as `by_id/FORMAT.md` has it; None if that is too much."""
    kept: dict[str, float | str | None] = {}
    for name, value in row.items():
        text = str(name)
        if text not in rules.drop:
            kept[text] = _plain(value, rules.hash_key if text in rules.hash else b"")
    data: bytes = msgpack.packb(kept, unicode_errors="replace")
    return data if len(data) <= RECORD_ROW_BYTES_MAX else None


def _plain(value: Any, hash_key: bytes) -> float | str | None:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if hash_key:
        return None if value != value else hashed(value, hash_key)
    if isinstance(value, (str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return text.encode("utf-8", "replace")[:LABEL_VALUE_BYTES_MAX].decode("utf-8", "ignore")
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value).encode("utf-8", "replace")[:LABEL_VALUE_BYTES_MAX].decode("utf-8", "ignore")

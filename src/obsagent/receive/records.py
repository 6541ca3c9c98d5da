"""Which records of a message are taken, which are refused for their time, and which the client has given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from obsagent.by_id import columns
from obsagent.by_id.batches import Forgotten, Predictions, Rows, Truths, Values
from obsagent.by_id.codec import decode, ids_of, kind_of, texts_of
from obsagent.errors import CorruptData, StoreError
from obsagent.limits import HORIZON_MS, SAMPLE_FUTURE_LIMIT_MS
from obsagent.receive.sink import LiveSession, TakenRecords
from obsagent.wire.header import MessageKind
from obsagent.wire.records import RecordsHeader

HorizonOf = Callable[[str], int]
"""Of a model: how far back (ms) the times of its records may lie."""


Sent = Predictions | Truths | Rows
"""What a client sends."""


def default_horizon(_model: str) -> int:
    """Of an agent that knows nothing of any model."""
    return HORIZON_MS


def read_batch(kind: MessageKind, header: RecordsHeader, body: Any) -> Sent:
    """The body of a message; raises `CorruptData` unless it is what its header says."""
    batch = decode(body)
    if kind_of(batch) != int(kind) or isinstance(batch, Forgotten) or len(batch.ids) != header.rows:
        raise CorruptData("the body does not hold the records that its header says")
    return batch


def is_new(session: LiveSession, header: RecordsHeader) -> bool:
    """False if all of a message is known.

    Raises `StoreError` if a record before it was not taken, and `CorruptData` if a part of it was.
    """
    last = session.last_record
    if header.last_sequence <= last:
        return False
    if header.sequence <= last:
        raise CorruptData("records come in other parts than before")
    if header.sequence not in (last + 1, header.first_kept):
        raise StoreError("a record before these was not taken")
    return True


def take(session: LiveSession, header: RecordsHeader, batch: Sent, now_ms: int, horizon_ms: int) -> TakenRecords:
    """What is to be written of a batch that is new; records of another time than the horizon's are left out."""
    dropped = header.sequence - session.last_record - 1
    if session.counts is None:  # a damaged store has forgotten what it took, and cannot say what is missing
        dropped = 0
    low, high = now_ms - horizon_ms, now_ms + SAMPLE_FUTURE_LIMIT_MS
    times = columns.unpack(columns.TIME, batch.at_ms)
    if min(times) < low or max(times) > high:
        batch = chosen(batch, [low <= at_ms <= high for at_ms in times])
    return TakenRecords(header.last_sequence, dropped, header.rows, batch)


def latest_ms(batch: Sent) -> int:
    """The latest time of a batch's records."""
    return int(max(columns.unpack(columns.TIME, batch.at_ms)))


def chosen(batch: Sent, keep: Sequence[bool]) -> Sent:
    """The batch with some of its records."""
    changes: dict[str, Any] = {
        "ids": ids_of(list(compress(texts_of(batch.ids), keep))),
        "at_ms": _chosen(columns.TIME, batch.at_ms, keep),
    }
    if isinstance(batch, Rows):
        return replace(batch, rows=tuple(compress(batch.rows, keep)), **changes)
    code = columns.NUMBER if batch.values.names is None else columns.CLASS
    changes["values"] = Values(_chosen(code, batch.values.data, keep), batch.values.names)
    if isinstance(batch, Predictions) and batch.scores:
        changes["scores"] = _chosen(columns.NUMBER, batch.scores, keep)
    return replace(batch, **changes)


def _chosen(code: str, column: bytes, keep: Sequence[bool]) -> bytes:
    return columns.pack(code, compress(columns.unpack(code, column), keep))

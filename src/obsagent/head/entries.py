"""The entries of the journal: everything that happens to a store, in an order.

Applying the entries in their order is what changes the state, live as well as in replay. An entry
therefore carries every decision that it stands for (which series a definition was given, which worker
slot a session has): applying never decides anything, asks no clock and looks at no budget.

Every payload begins with a marker, by which a reader finds the next entry behind damaged bytes. Frames
and refusals are fixed structures, the rest, which is rare, is msgpack. FORMAT.md has the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import msgpack

from obsagent.by_id.batches import Batch
from obsagent.by_id.codec import decode as decode_batch
from obsagent.by_id.codec import encode as encode_batch
from obsagent.clock import window_start
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.fs import Buffer
from obsagent.head import journal_format as layout
from obsagent.head.accounts import SessionAccounts
from obsagent.limits import BOOKED_MS_END
from obsagent.samples import Event, Exemplar, Series
from obsagent.segment.tables import (
    NOT_ROWS,
    SESSION_COUNTERS,
    SessionRow,
    counters,
    event_from_row,
    event_to_row,
    exemplar_from_row,
    exemplar_to_row,
    integer,
    integers,
    series_from_row,
    series_to_row,
    session_from_row,
    session_id,
    session_to_row,
    text,
    unpack,
)

REFUSED_SERIES = 0xFFFFFFFF
NO_SESSION = bytes(16)
"""Whose entries are nobody's: what somebody wants forgotten."""
REASONS = ("frame", "time")


@dataclass(frozen=True, slots=True)
class SessionOpen:
    """A model process said hello for the first time."""

    session: bytes
    service: str
    host: str
    pid: int
    started_ms: int
    worker: int
    version: str = ""
    pid_namespace: int = 0


@dataclass(frozen=True, slots=True)
class DefinedSeries:
    """A session's series `number` is the store's series `store`, or refused.

    `series` says what the store's series is, and may be None once an earlier entry has said it.
    `metric` names what was asked for; it matters where `store` is the overflow series or refused.
    """

    number: int
    store: int
    series: Series | None = None
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Define:
    """A session says which series its numbers mean."""

    session: bytes
    series: list[DefinedSeries] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frame:
    """A batch of samples of one window; `body` and `exemplars` have been checked before they get here.

    A backfill is of an hour that may be long past, has no exemplars, and does not say when it was taken.
    """

    session: bytes
    sequence: int
    first_kept: int
    start_ms: int
    end_ms: int
    accounts: SessionAccounts
    body: Buffer
    exemplars: tuple[Exemplar, ...] = ()
    is_backfill: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A batch that was not taken: its sequence is used up, its samples are counted `rejected{reason}`.

    They are booked into the window that holds `window_ms`, which is the agent's time and not the batch's.
    """

    session: bytes
    sequence: int
    first_kept: int
    start_ms: int
    end_ms: int
    accounts: SessionAccounts
    reason: str
    samples: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Events:
    """Events of a session up to `sequence`, with all their labels.

    Of those behind the session's last one `dropped` were given up by the client and `rejected` refused.
    """

    session: bytes
    sequence: int
    dropped: int
    rejected: int
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Records:
    """Predictions, truths or rows of a session up to `sequence`; or what somebody wants forgotten, of no session.

    The message had `rows`, of which the batch lacks those that were refused; before it the client gave up `dropped`.
    """

    session: bytes
    sequence: int
    dropped: int
    rows: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class SessionClose:
    """A model process said goodbye; its counters have their last values."""

    session: bytes
    accounts: SessionAccounts
    at_ms: int


@dataclass(frozen=True, slots=True)
class KnownSession:
    """At the head of a journal file: a session, and what its series numbers mean, as of the file's base."""

    row: SessionRow
    numbers: list[int]
    """Pairs, one after another: a series number of the session, the store's series."""


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """At the head of a journal file: series that the store knows as of the file's base.

    They are rows still (`segment/tables.py`): most of them are known, and need not be made again.
    """

    rows: list[Any]


@dataclass(frozen=True, slots=True)
class KnownReach:
    """At the head of a journal file: how far back the backfills in it, and in those before, may lie."""

    reach_ms: int


Entry: TypeAlias = (
    SessionOpen | Define | Frame | Refused | Events | Records | SessionClose | KnownSession | KnownSeries | KnownReach
)


def without_known(entry: Define, says: Callable[[Series], bool]) -> Define:
    """The definitions, with a series spelled out only where no entry before `says` so."""
    series = [
        DefinedSeries(each.number, each.store, None, each.metric) if each.series and says(each.series) else each
        for each in entry.series
    ]
    return Define(entry.session, series)


class Encoded(NamedTuple):
    """An entry as type and payload; the payload is `head` followed by `body`, which is not copied."""

    type: int
    head: bytes
    body: Buffer = b""


def encode(entry: Entry) -> Encoded:
    """An entry as the journal writes it."""
    return _ENCODERS[type(entry)](entry)


def decode(entry_type: int, payload: Buffer) -> Entry:
    """The opposite of `encode`; a frame's body is a view into the payload.

    Raises UnsupportedVersion for a type that this build does not know, CorruptData for a payload that is
    not what its type says.
    """
    decoder = _DECODERS.get(entry_type)
    if decoder is None:
        raise UnsupportedVersion(f"journal entry of unknown type {entry_type}")
    view = memoryview(payload)
    if view[: len(layout.MARKER)] != layout.MARKER:
        raise CorruptData("journal entry without its marker")
    try:
        return decoder(view)
    except NOT_ROWS as error:
        raise CorruptData(f"journal entry of type {entry_type}: {error}") from error


def _packed(entry_type: int, fields: list[Any]) -> Encoded:
    return Encoded(entry_type, layout.MARKER + msgpack.packb(fields))


def _unpacked(payload: memoryview) -> Any:
    return unpack(payload[len(layout.MARKER) :])


def _booked_at(at_ms: int) -> int:
    """The time that says to which window an entry belongs; ValueError if 64 bits do not hold the window's ends."""
    if not -BOOKED_MS_END <= at_ms < BOOKED_MS_END:
        raise ValueError("a time beyond all windows")
    return at_ms


def _encode_open(entry: SessionOpen) -> Encoded:
    fields: list[Any] = [entry.session, entry.service, entry.host, entry.pid, entry.started_ms]
    return _packed(layout.SESSION_OPEN, [*fields, entry.worker, entry.version, entry.pid_namespace])


def _decode_open(payload: memoryview) -> SessionOpen:
    fields = _unpacked(payload)
    session, service, host, pid, started_ms, worker, version = fields[:7]
    return SessionOpen(
        session_id(session),
        text(service),
        text(host),
        integer(pid),
        integer(started_ms),
        integer(worker),
        text(version),
        integer(fields[7]) if len(fields) > 7 else 0,
    )


def _encode_define(entry: Define) -> Encoded:
    rows = [
        [one.number, one.store, series_to_row(one.series) if one.series else None, one.metric] for one in entry.series
    ]
    return _packed(layout.DEFINE, [entry.session, rows])


def _decode_define(payload: memoryview) -> Define:
    session, rows = _unpacked(payload)[:2]
    return Define(session_id(session), [_decode_defined(row) for row in rows])


def _decode_defined(row: Any) -> DefinedSeries:
    number, store, series, metric = row[:4]
    known = None if series is None else series_from_row(series)
    return DefinedSeries(integer(number), integer(store), known, text(metric))


def _encode_frame(entry: Frame) -> Encoded:
    head = layout.FRAME.pack(
        layout.MARKER,
        entry.session,
        entry.sequence,
        entry.first_kept,
        entry.start_ms,
        entry.end_ms,
        *entry.accounts,
    )
    if not entry.exemplars:
        return Encoded(layout.BACKFILL_TYPE if entry.is_backfill else layout.FRAME_TYPE, head, entry.body)
    rows: bytes = msgpack.packb([exemplar_to_row(each) for each in entry.exemplars])
    return Encoded(layout.FRAME_WITH_EXEMPLARS, head + layout.EXEMPLARS_SIZE.pack(len(rows)) + rows, entry.body)


def _decode_frame(payload: memoryview) -> Frame:
    if len(payload) < layout.FRAME.size:
        raise ValueError("too short")
    _, session, sequence, first_kept, start_ms, end_ms, *accounts = layout.FRAME.unpack_from(payload)
    _booked_at(start_ms)
    body = payload[layout.FRAME.size :]
    return Frame(session, sequence, first_kept, start_ms, end_ms, SessionAccounts(*accounts), body)


def _decode_backfill(payload: memoryview) -> Frame:
    return replace(_decode_frame(payload), is_backfill=True)


def _decode_frame_with_exemplars(payload: memoryview) -> Frame:
    frame = _decode_frame(payload)
    rest = memoryview(frame.body)
    if len(rest) < layout.EXEMPLARS_SIZE.size:
        raise ValueError("too short")
    (size,) = layout.EXEMPLARS_SIZE.unpack_from(rest)
    rest = rest[layout.EXEMPLARS_SIZE.size :]
    if size > len(rest):
        raise ValueError("too short")
    rows, body = rest[:size], rest[size:]
    exemplars = tuple(exemplar_from_row(row) for row in unpack(rows))
    if not exemplars or any(each.window_ms != window_start(frame.start_ms) for each in exemplars):
        raise ValueError("no exemplars, or one of another window")
    return replace(frame, body=body, exemplars=exemplars)


def _encode_refused(entry: Refused) -> Encoded:
    head = layout.REFUSED.pack(
        layout.MARKER,
        entry.session,
        entry.sequence,
        entry.first_kept,
        entry.start_ms,
        entry.end_ms,
        *entry.accounts,
        entry.samples,
        entry.window_ms,
        REASONS.index(entry.reason),
    )
    return Encoded(layout.REFUSED_TYPE, head)


def _decode_refused(payload: memoryview) -> Refused:
    if len(payload) < layout.REFUSED.size:
        raise ValueError("too short")
    _, session, sequence, first_kept, start_ms, end_ms, *rest = layout.REFUSED.unpack_from(payload)
    *accounts, samples, window_ms, reason = rest
    return Refused(
        session,
        sequence,
        first_kept,
        start_ms,
        end_ms,
        SessionAccounts(*accounts),
        REASONS[reason],
        samples,
        _booked_at(window_ms),
    )


def _encode_events(entry: Events) -> Encoded:
    rows = [event_to_row(event) for event in entry.events]
    return _packed(layout.EVENTS_TYPE, [entry.session, entry.sequence, entry.dropped, entry.rejected, rows])


def _decode_events(payload: memoryview) -> Events:
    session, sequence, dropped, rejected, rows = _unpacked(payload)[:5]
    events = [event_from_row(row) for row in rows]
    return Events(session_id(session), integer(sequence), integer(dropped), integer(rejected), events)


def _encode_records(entry: Records) -> Encoded:
    head = layout.RECORDS.pack(layout.MARKER, entry.session, entry.sequence, entry.dropped, entry.rows)
    return Encoded(layout.RECORDS_TYPE, head, encode_batch(entry.batch))


def _decode_records(payload: memoryview) -> Records:
    if len(payload) < layout.RECORDS.size:
        raise ValueError("too short")
    _, session, sequence, dropped, rows = layout.RECORDS.unpack_from(payload)
    return Records(session, sequence, dropped, rows, decode_batch(payload[layout.RECORDS.size :]))


def _encode_close(entry: SessionClose) -> Encoded:
    return _packed(layout.SESSION_CLOSE, [entry.session, list(entry.accounts), entry.at_ms])


def _decode_close(payload: memoryview) -> SessionClose:
    session, accounts, at_ms = _unpacked(payload)[:3]
    known = SessionAccounts(*counters(accounts, SESSION_COUNTERS))
    return SessionClose(session_id(session), known, _booked_at(integer(at_ms)))


def _encode_known_session(entry: KnownSession) -> Encoded:
    return _packed(layout.KNOWN_SESSION, [session_to_row(entry.row), entry.numbers])


def _decode_known_session(payload: memoryview) -> KnownSession:
    row, numbers = _unpacked(payload)[:2]
    return KnownSession(session_from_row(row), integers(numbers))


def _encode_known_series(entry: KnownSeries) -> Encoded:
    return _packed(layout.KNOWN_SERIES, [entry.rows])


def _decode_known_series(payload: memoryview) -> KnownSeries:
    rows = _unpacked(payload)[0]
    for row in rows:
        integer(row[0])
    return KnownSeries(rows)


def _encode_known_reach(entry: KnownReach) -> Encoded:
    return _packed(layout.KNOWN_REACH, [entry.reach_ms])


def _decode_known_reach(payload: memoryview) -> KnownReach:
    return KnownReach(integer(_unpacked(payload)[0]))


_ENCODERS: dict[type[Any], Callable[[Any], Encoded]] = {
    SessionOpen: _encode_open,
    Define: _encode_define,
    Frame: _encode_frame,
    Refused: _encode_refused,
    Events: _encode_events,
    Records: _encode_records,
    SessionClose: _encode_close,
    KnownSession: _encode_known_session,
    KnownSeries: _encode_known_series,
    KnownReach: _encode_known_reach,
}
_DECODERS: dict[int, Callable[[memoryview], Entry]] = {
    layout.SESSION_OPEN: _decode_open,
    layout.DEFINE: _decode_define,
    layout.FRAME_TYPE: _decode_frame,
    layout.FRAME_WITH_EXEMPLARS: _decode_frame_with_exemplars,
    layout.BACKFILL_TYPE: _decode_backfill,
    layout.REFUSED_TYPE: _decode_refused,
    layout.EVENTS_TYPE: _decode_events,
    layout.RECORDS_TYPE: _decode_records,
    layout.SESSION_CLOSE: _decode_close,
    layout.KNOWN_SESSION: _decode_known_session,
    layout.KNOWN_SERIES: _decode_known_series,
    layout.KNOWN_REACH: _decode_known_reach,
}

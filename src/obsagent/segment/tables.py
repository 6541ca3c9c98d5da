"""What a block says besides its windows: series, sessions, accounts.

A head block holds these tables whole, every other block holds what changed since the one before it;
`Checkpoint` (in `catalog.py`) is what they add up to. Stored as msgpack arrays, so that a
field can be added at the end: a reader takes the fields it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from sys import intern
from typing import Any, NamedTuple

import msgpack

from obsagent.errors import CorruptData
from obsagent.fs import Buffer
from obsagent.limits import COUNT_MAX, EXEMPLAR_ID_BYTES_MAX, SERIES_ID_MAX
from obsagent.samples import Event, Exemplar, Kind, Series

SESSION_ID_BYTES = 16
ACCOUNT_COUNTERS = 8
SESSION_COUNTERS = 5
EVENT_COUNTERS = 3
NOT_ROWS = (ValueError, TypeError, AttributeError, LookupError)
"""What reading rows raises when they are none."""
KINDS = {int(kind): kind for kind in Kind}
LATER_FIELDS: tuple[Any, ...] = ([], {}, [], None, [], None, b"", 0)
"""What the fields are that the first blocks did not have: events, event totals, windows, what was before, gaps, what
the blocks before held, exemplars, the reach of backfills."""


class Gap(NamedTuple):
    """A time of which something that was stored is lost: damaged bytes, or a block that is missing.

    What is stored of `[from_ms, to_ms)` may be less than what was acknowledged.
    """

    from_ms: int
    to_ms: int
    reason: str


class Previous(NamedTuple):
    """The windows (start, ms) of the checkpoints from `first_sequence` to the one before a block or, of a head block,
    before its file; `first_ms` is above `last_ms` if they have none."""

    first_sequence: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as of a checkpoint. `accounts` is None where they are not known (see head/FORMAT.md)."""

    session: bytes
    service: str
    host: str
    pid: int
    started_ms: int
    worker: int
    version: str
    last_applied: int
    accounts: tuple[int, ...] | None
    last_ms: int
    closed: bool
    last_event: int = 0
    pid_namespace: int = 0


@dataclass(slots=True)
class Tables:
    """The tables of one block."""

    series: list[Series] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    forgotten: list[bytes] = field(default_factory=list)
    accounts: list[tuple[int, str, list[int]]] = field(default_factory=list)
    totals: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    last_seen: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    event_totals: dict[str, list[int]] = field(default_factory=dict)
    windows: list[int] = field(default_factory=list)
    before_ms: int | None = None
    """Of a head block: the end of the newest window in any file before; None if there is none, or it is not known."""
    gaps: list[Gap] = field(default_factory=list)
    previous: Previous | None = None
    """None for the first block of a store, and in blocks from before it was kept."""
    exemplars: bytes = b""
    """Packed (`pack_exemplars`), since few of those who read tables want them; empty if there are none."""
    reach_ms: int = 0
    """How far back any backfill may lie that was taken so far; 0 if there was none."""

    def dated_ms(self) -> Iterator[int]:
        """The windows (start, ms) of accounts and exemplars."""
        yield from (window_ms for window_ms, _, _ in self.accounts)
        yield from (each.window_ms for each in unpack_exemplars(self.exemplars))

    def to_bytes(self) -> bytes:
        """As the section `tables` of a block, before compression."""
        rows = [
            [series_to_row(series) for series in self.series],
            [session_to_row(session) for session in self.sessions],
            self.forgotten,
            self.accounts,
            self.totals,
            self.refused,
            self.last_seen,
            [event_to_row(event) for event in self.events],
            self.event_totals,
            self.windows,
            self.before_ms,
            self.gaps,
            self.previous,
            self.exemplars,
            self.reach_ms,
        ]
        packed: bytes = msgpack.packb(rows)
        return packed

    @classmethod
    def from_bytes(cls, data: Buffer, known: Mapping[int, Series] | None = None) -> Tables:
        """The opposite of `to_bytes`, without the series that are `known` as they are. Raises CorruptData."""
        try:
            rows = unpack(data)
            series, sessions, forgotten, accounts, totals, refused, last_seen = rows[:7]
            later: list[Any] = rows[7 : 7 + len(LATER_FIELDS)]
            later += LATER_FIELDS[len(later) :]
            events, event_totals, windows, before, gaps, previous, exemplars, reach = later
            return cls(
                series=[series_from_row(row) for row in series if not _is_known(row, known)],
                sessions=[session_from_row(row) for row in sessions],
                forgotten=[session_id(value) for value in forgotten],
                accounts=[(integer(window), text(service), counters(row)) for window, service, row in accounts],
                totals={text(service): counters(row) for service, row in totals.items()},
                refused={text(metric): integer(count) for metric, count in refused.items()},
                last_seen={text(metric): integer(at_ms) for metric, at_ms in last_seen.items()},
                events=[event_from_row(row) for row in events],
                event_totals={text(name): counters(row, EVENT_COUNTERS) for name, row in event_totals.items()},
                windows=integers(windows),
                before_ms=None if before is None else integer(before),
                gaps=[Gap(integer(from_ms), integer(to_ms), text(reason)) for from_ms, to_ms, reason in gaps],
                previous=None if previous is None else Previous(*integers(previous[: len(Previous._fields)])),
                exemplars=bytes_(exemplars),
                reach_ms=integer(reach),
            )
        except NOT_ROWS as error:
            raise CorruptData(f"tables of a block: {error}") from error


def add_up(tables: Sequence[Tables]) -> Tables:
    """What the tables of consecutive checkpoint blocks say together."""
    sum_ = Tables(previous=tables[0].previous if tables else None)
    sessions: dict[bytes, SessionRow] = {}
    forgotten: set[bytes] = set()
    accounts: dict[tuple[int, str], list[int]] = {}
    for each in tables:
        sum_.series += each.series
        forgotten.update(each.forgotten)
        for session in each.forgotten:
            sessions.pop(session, None)
        sessions.update((row.session, row) for row in each.sessions)
        for window_ms, service, row in each.accounts:
            before = accounts.get((window_ms, service), [0] * len(row))
            accounts[window_ms, service] = [min(a + b, COUNT_MAX) for a, b in zip(before, row, strict=True)]
        sum_.totals.update(each.totals)
        sum_.refused.update(each.refused)
        for metric, at_ms in each.last_seen.items():
            sum_.last_seen[metric] = max(at_ms, sum_.last_seen.get(metric, at_ms))
        sum_.events += each.events
        sum_.event_totals.update(each.event_totals)
        sum_.gaps += each.gaps
        sum_.reach_ms = max(sum_.reach_ms, each.reach_ms)
    sum_.sessions, sum_.forgotten = list(sessions.values()), sorted(forgotten)
    sum_.accounts = [(window_ms, service, row) for (window_ms, service), row in sorted(accounts.items())]
    return sum_


def _is_known(row: Any, known: Mapping[int, Series] | None) -> bool:
    """True for a series of which nothing has changed; only its sketch can."""
    series = known.get(row[0]) if known else None
    return series is not None and series.sketch == sketch_of(row)


def unpack(data: Buffer) -> Any:
    """What msgpack bytes hold. Raises ValueError when they are not whole and well-formed."""
    try:
        return msgpack.unpackb(data, strict_map_key=False)
    except ValueError as error:
        raise ValueError(str(error) or type(error).__name__) from None


def series_to_row(series: Series) -> list[Any]:
    """A series as an array: id, metric, kind, unit, help, scale, across, labels, sketch and, if known, created."""
    kind = int(series.kind)
    row = [
        series.id,
        series.metric,
        kind,
        series.unit,
        series.help,
        series.scale,
        series.across,
        series.labels,
        series.sketch,
    ]
    return [*row, series.created_ms] if series.created_ms else row


def series_from_row(row: Any) -> Series:
    """The opposite of `series_to_row`; equal words share one object. Raises one of NOT_ROWS."""
    identity, metric, kind, unit, help_text, scale, across, labels = row[:8]
    return Series(
        series_id(identity),
        intern(metric),  # which also sees to it that this is a string
        KINDS[kind],
        {intern(name): intern(value) for name, value in labels.items()},
        intern(unit),
        intern(help_text),
        integer(scale),
        intern(across),
        sketch_of(row),
        integer(row[9]) if len(row) > 9 else 0,
    )


def sketch_of(row: Any) -> str:
    """What a series' array says of its sketch; those of before t-digests were kept say nothing."""
    return intern(row[8]) if len(row) > 8 else "loghist"


def session_to_row(row: SessionRow) -> list[Any]:
    """A session as an array, in the order of `SessionRow`'s fields."""
    return [
        row.session,
        row.service,
        row.host,
        row.pid,
        row.started_ms,
        row.worker,
        row.version,
        row.last_applied,
        row.accounts,
        row.last_ms,
        row.closed,
        row.last_event,
        row.pid_namespace,
    ]


def session_from_row(row: Any) -> SessionRow:
    """The opposite of `session_to_row`. Raises one of NOT_ROWS."""
    session, service, host, pid, started_ms, worker, version, last_applied, accounts, last_ms, closed = row[:11]
    return SessionRow(
        session=session_id(session),
        service=intern(service),
        host=intern(host),
        pid=integer(pid),
        started_ms=integer(started_ms),
        worker=integer(worker),
        version=intern(version),
        last_applied=integer(last_applied),
        accounts=None if accounts is None else tuple(counters(accounts, SESSION_COUNTERS)),
        last_ms=integer(last_ms),
        closed=bool(closed),
        last_event=integer(row[11]) if len(row) > 11 else 0,
        pid_namespace=integer(row[12]) if len(row) > 12 else 0,
    )


def event_to_row(event: Event) -> list[Any]:
    """An event as an array: name, time in ms, labels."""
    return [event.name, event.at_ms, event.labels]


def event_from_row(row: Any) -> Event:
    """The opposite of `event_to_row`; equal words share one object. Raises one of NOT_ROWS."""
    name, at_ms, labels = row[:3]
    return Event(intern(name), integer(at_ms), {intern(label): text(value) for label, value in labels.items()})


def pack_exemplars(exemplars: Iterable[Exemplar]) -> bytes:
    """As the table `exemplars`."""
    rows = [exemplar_to_row(each) for each in exemplars]
    packed: bytes = msgpack.packb(rows) if rows else b""
    return packed


def unpack_exemplars(packed: bytes) -> list[Exemplar]:
    """The opposite of `pack_exemplars`. Raises CorruptData."""
    if not packed:
        return []
    try:
        return [exemplar_from_row(row) for row in unpack(packed)]
    except NOT_ROWS as error:
        raise CorruptData(f"exemplars of a block: {error}") from error


def exemplar_to_row(exemplar: Exemplar) -> list[Any]:
    """An exemplar as an array: series, window ms, value, time ms, trace id, request id."""
    return [
        exemplar.series_id,
        exemplar.window_ms,
        exemplar.value,
        exemplar.time_ms,
        exemplar.trace_id,
        exemplar.request_id,
    ]


def exemplar_from_row(row: Any) -> Exemplar:
    """The opposite of `exemplar_to_row`. Raises one of NOT_ROWS."""
    identity, window_ms, value, time_ms, trace_id, request_id = row[:6]
    if type(value) is not float or not isfinite(value):
        raise ValueError("the value of an exemplar is no finite number")
    if max(len(text(trace_id)), len(text(request_id))) > EXEMPLAR_ID_BYTES_MAX:
        raise ValueError("an id of an exemplar is too long")
    return Exemplar(series_id(identity), integer(window_ms), value, integer(time_ms), trace_id, request_id)


def text(value: Any) -> str:
    """The value if it is a string; TypeError otherwise."""
    if type(value) is not str:
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


def integer(value: Any) -> int:
    """The value if it is an integer; TypeError otherwise."""
    if type(value) is not int:
        raise TypeError(f"expected an integer, found {type(value).__name__}")
    return value


def bytes_(value: Any) -> bytes:
    """The value if it is bytes; TypeError otherwise."""
    if type(value) is not bytes:
        raise TypeError(f"expected bytes, found {type(value).__name__}")
    return value


def integers(values: Any) -> list[int]:
    """The values if they are integers; TypeError otherwise."""
    return [integer(value) for value in values]


def counters(values: Any, count: int = ACCOUNT_COUNTERS) -> list[int]:
    """The first `count` of the values, which a later version may have more of; raises ValueError, TypeError."""
    found = integers(values)
    if len(found) < count:
        raise ValueError(f"expected {count} counters, found {len(found)}")
    return found[:count]


def series_id(value: Any) -> int:
    """The value if it can be a series' id; TypeError or ValueError otherwise."""
    if not 0 <= integer(value) <= SERIES_ID_MAX:
        raise ValueError(f"{value} is no id of a series")
    return integer(value)


def session_id(value: Any) -> bytes:
    """The value if it is a session's 16 bytes; ValueError otherwise."""
    if type(value) is not bytes or len(value) != SESSION_ID_BYTES:
        raise ValueError(f"expected {SESSION_ID_BYTES} bytes of a session's id")
    return value

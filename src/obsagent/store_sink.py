"""Joins the receiver to the store: what the receiver asks of a sink, said in the store's own entries.

Used by the ingest thread; `add_pending` also by the query thread, which only reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from obsagent._native.codec import Groups, Window
from obsagent.by_id.report import TruthReport
from obsagent.head.accounts import Accounts, SessionAccounts
from obsagent.head.entries import (
    REFUSED_SERIES,
    Define,
    DefinedSeries,
    Entry,
    Events,
    Frame,
    Records,
    Refused,
    SessionClose,
    SessionOpen,
)
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import Session, SessionTable
from obsagent.head.view import View
from obsagent.limits import GAUGE_INTERVAL_MS, HEARTBEAT_INTERVAL_MS, MISSED_HEARTBEATS_UNTIL_SUSPENDED
from obsagent.receive.refused_labels import RefusedLabelBook
from obsagent.receive.sink import LiveSession, Mapped, Refusal, TakenEvents, TakenRecords
from obsagent.samples import OF_MODELS, Exemplar, Kind, Series
from obsagent.wire.frame import Hello, RefusedLabel, SamplesHeader, SeriesDefinition, SessionCounts

SUSPENDED_AFTER_MS = HEARTBEAT_INTERVAL_MS * MISSED_HEARTBEATS_UNTIL_SUSPENDED
DEAF_AFTER_MS = 3 * GAUGE_INTERVAL_MS
"""Whoever looks once a second and has not looked for so long was stopped itself."""


class RecordedSessions(Protocol):
    """How far the records of sessions have come."""

    def session(self, session: bytes) -> tuple[int, TruthReport]:
        """The sequence of a session's last record, and what became of its truths."""
        ...


class Store(Protocol):
    """What takes entries: `obsagent.head.store.Store`, or one without a disk."""

    @property
    def series(self) -> SeriesTable:
        """The series; `resolve` belongs to the ingest thread."""
        ...

    @property
    def sessions(self) -> SessionTable:
        """The sessions; they change only by `write`."""
        ...

    @property
    def records(self) -> RecordedSessions:
        """What is kept by id."""
        ...

    def write(self, entry: Entry) -> int:
        """Applies an entry; raises `StoreError` if it cannot be taken now."""
        ...

    def heard(self, session: bytes, skew_ms: int | None = None) -> None:
        """A session has said something now; `skew_ms` is how far its clock is ahead, if it said so."""
        ...

    def gauge_last(self, series_id: int) -> tuple[float, int] | None:
        """Last value and time (ms) of a gauge series among the windows in memory."""
        ...

    def accounts(self) -> dict[str, Accounts]:
        """Service → its account since the store began, as it is now."""
        ...

    def view(self) -> View:
        """What a query reads."""
        ...

    def position(self) -> int:
        """The end of the journal as written."""
        ...

    def reach_back(self, reach_ms: int) -> None:
        """Backfills may lie so far back from now on; raises `StoreError` if that cannot be noted now."""
        ...


@dataclass(slots=True, eq=False)
class SinkSession:
    """A session of the store, as the receiver sees it, with what is known from its messages only."""

    stored: Session
    acknowledged: int
    acknowledged_event: int
    acknowledged_records: tuple[int, TruthReport]
    records: tuple[int, TruthReport]
    """The sequence of its last record, and what became of its truths."""
    heard_ms: int = 0
    greeted_ms: int = 0
    told_ms: int = 0
    gauges: list[Series] = field(default_factory=list)
    reported: SessionCounts | None = None

    @property
    def name(self) -> bytes:
        """Its 16 bytes."""
        return self.stored.session

    @property
    def service(self) -> str:
        """The service it belongs to."""
        return self.stored.service

    @property
    def last_applied(self) -> int:
        """The sequence of its last applied batch."""
        return self.stored.last_applied

    @property
    def last_event(self) -> int:
        """The sequence of its last taken event."""
        return self.stored.last_event

    @property
    def last_record(self) -> int:
        """The sequence of its last taken record."""
        return self.records[0]

    @property
    def report(self) -> TruthReport:
        """What became of all its truths."""
        return self.records[1]

    @property
    def worker(self) -> int:
        """Its slot."""
        return self.stored.worker

    @property
    def counts(self) -> SessionCounts | None:
        """What has been booked for it; None if a damaged store has forgotten."""
        accounts = self.stored.accounts
        return None if accounts is None else SessionCounts(*accounts)

    def knows(self, number: int) -> bool:
        """True if the series number is defined."""
        return self.stored.series.get(number) is not None

    def labels(self) -> dict[str, str]:
        """The labels that every series of the session carries."""
        labels = {"service": self.stored.service, "host": self.stored.host, "worker": str(self.stored.worker)}
        if self.stored.version:
            labels["version"] = self.stored.version
        return labels


class StoreSink:
    """Implements `obsagent.receive.sink.Sink`."""

    def __init__(self, store: Store) -> None:
        """Sessions that the store remembers as open are silent until they say hello again."""
        self._store = store
        self._sessions: dict[bytes, SinkSession] = {}
        self._refused_labels = RefusedLabelBook()
        self._looked_ms = 0

    def session(self, name: bytes) -> SinkSession | None:
        """A session that is open."""
        known = self._sessions.get(name)
        if known is None or known.stored is not self._store.sessions.get(name):
            stored = self._store.sessions.get(name)
            if stored is None:
                self._sessions.pop(name, None)
                return None
            known = self._sessions[name] = self._begun(stored)
        return known if known.stored.state != "closed" else None

    def _begun(self, stored: Session) -> SinkSession:
        """What is new here is new to the store, or was recovered by it and is on disk so far."""
        records, gauges = self._store.records.session(stored.session), self._gauges_of(stored)
        return SinkSession(stored, stored.last_applied, stored.last_event, records, records, gauges=gauges)

    def _gauges_of(self, session: Session) -> list[Series]:
        found = (self._store.series.get(store) for _, store in session.series.items())
        return [series for series in found if series is not None and series.kind is Kind.GAUGE]

    def session_count(self) -> int:
        """Sessions that are alive."""
        return self._store.sessions.live_count

    def remembered_count(self) -> int:
        """All sessions that are kept."""
        return len(self._store.sessions)

    def open_session(self, hello: Hello) -> SinkSession:
        """Writes a new session with the lowest free worker slot of its service and host."""
        worker = self._store.sessions.free_worker(hello.service, hello.host)
        self._store.write(
            SessionOpen(
                hello.session,
                hello.service,
                hello.host,
                hello.pid,
                hello.started_ms,
                worker,
                hello.version,
                hello.pid_namespace,
            )
        )
        session = self.session(hello.session)
        assert session is not None
        return session

    def heard(self, name: bytes, monotonic_ms: int, skew_ms: int | None = None) -> None:
        """The session is alive."""
        session = self._sessions[name]
        session.heard_ms = monotonic_ms
        if skew_ms is not None:
            session.greeted_ms = monotonic_ms
        self._store.heard(name, skew_ms)
        if session.stored.state == "suspended":
            self._store.sessions.set_state(name, "live")

    def suspend_silent(self, monotonic_ms: int, *, listening: bool = True) -> None:
        """Suspends the sessions that have missed three heartbeats, unless it was us who did not listen.

        Of those that are over nothing is kept here.
        """
        was_deaf = not listening or monotonic_ms - self._looked_ms > DEAF_AFTER_MS
        self._looked_ms = monotonic_ms
        for stored in self._store.sessions.live():
            session = self.session(stored.session)
            if session is None:
                continue
            if was_deaf:
                session.heard_ms = monotonic_ms
            elif monotonic_ms - session.heard_ms > SUSPENDED_AFTER_MS:
                self._store.sessions.set_state(stored.session, "suspended")
        self._forget_ended()

    def acknowledged(self, name: bytes, sequence: int, event: int, records: tuple[int, TruthReport]) -> None:
        """What a session has sent up to a sequence, and its events and records up to others, is on disk."""
        session = self._sessions.get(name)
        if session is not None:
            session.acknowledged = max(session.acknowledged, sequence)
            session.acknowledged_event = max(session.acknowledged_event, event)
            session.acknowledged_records = max(session.acknowledged_records, records)

    def _forget_ended(self) -> None:
        known = self._store.sessions
        ended = [
            name
            for name, session in self._sessions.items()
            if session.stored.state == "closed" or known.get(name) is not session.stored
        ]
        for name in ended:
            del self._sessions[name]

    def reported(self, name: bytes, counts: SessionCounts) -> None:
        """A heartbeat's counts: what is pending at the client."""
        self._sessions[name].reported = counts

    def refused_labels(self, name: bytes, rows: list[RefusedLabel]) -> None:
        """What a session has refused because of its labels."""
        self._refused_labels.tell(name, self._sessions[name].service, rows)

    def open_sessions(self, service: str, host: str) -> list[LiveSession]:
        """The sessions of a service and host that have not ended."""
        of_host = (each for each in self._store.sessions if (each.service, each.host) == (service, host))
        found = [self.session(each.session) for each in of_host]
        return [session for session in found if session is not None]

    def totals(self) -> dict[str, dict[str, int]]:
        """Service → its account since the store began."""
        return {service: asdict(account) for service, account in self._store.accounts().items()}

    def counted(self, metric: str) -> list[tuple[dict[str, str], float]]:
        """What each series of a counter has been incremented by since the store began, with its labels."""
        ids = list(self._store.series.ids_of(metric))
        groups = Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids))
        self._store.view().collect_totals(groups)
        found = [self._store.series.get(series_id) for series_id in ids]
        return [(series.labels, groups.counter(index)[1]) for index, series in enumerate(found) if series is not None]

    def resolve(self, definition: SeriesDefinition, labels: dict[str, str], *, reserved: bool = False) -> Series | None:
        """The store's series for a definition; None if its kind contradicts, or if there is no room left."""
        return self._store.series.resolve(
            definition.metric,
            definition.kind,
            labels,
            unit=definition.unit,
            help=definition.help,
            scale=definition.scale,
            across=definition.across,
            sketch=definition.sketch,
            reserved=reserved,
        )

    def write_definitions(self, name: bytes, mapped: Iterable[Mapped]) -> None:
        """Writes what a session's series numbers stand for."""
        rows = list(mapped)
        session = self._sessions[name]
        fresh = [row for row in rows if not session.knows(row.number)]
        stores = [row.series.id if row.series else REFUSED_SERIES for row in rows]
        full = self._store.series.is_full
        defined = [
            DefinedSeries(row.number, store, row.series, "" if row.series or not full else row.metric)
            for row, store in zip(rows, stores, strict=True)
        ]
        self._store.write(Define(name, defined))
        gauges = [row.series for row in fresh if row.series is not None and row.series.kind is Kind.GAUGE]
        session.gauges.extend(gauges)

    def histogram_of(self, name: bytes, number: int) -> int | None:
        """The store's id of a session's series; None if it is not defined, refused or no histogram."""
        found = self._sessions[name].stored.series.get(number)
        series = None if found is None else self._store.series.get(found)
        return series.id if series is not None and series.kind is Kind.HISTOGRAM else None

    def write_frame(
        self, header: SamplesHeader, counts: SessionCounts, body: Any, exemplars: Sequence[Exemplar] = ()
    ) -> None:
        """Applies a checked batch, with the exemplars of its series."""
        session, sequence, first_kept, start_ms, end_ms, *_ = header
        accounts = SessionAccounts(*counts)
        self._store.write(Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, tuple(exemplars)))

    def models_in(self, name: bytes, body: Any) -> set[str] | None:
        """The models of which a checked body is; None if anything in it is of no model."""
        samples = Window(digests=False)
        samples.apply(body, self._sessions[name].stored.series, 0)
        found = [self._store.series.get(number) for number in samples.series_ids()]
        if any(series is None or series.metric not in OF_MODELS for series in found):
            return None
        return {series.labels.get("model", "") for series in found if series is not None}

    def write_backfill(self, header: SamplesHeader, counts: SessionCounts, body: Any, reach_ms: int) -> None:
        """Applies a checked batch that may lie so far back."""
        session, sequence, first_kept, start_ms, end_ms, *_ = header
        self._store.reach_back(reach_ms)
        accounts = SessionAccounts(*counts)
        self._store.write(Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, is_backfill=True))

    def write_refusal(self, header: SamplesHeader, counts: SessionCounts, reason: Refusal, window_ms: int) -> None:
        """Consumes a batch's sequence and counts its samples as rejected."""
        self._store.write(
            Refused(
                header.session,
                header.sequence,
                header.first_kept,
                header.start_ms,
                header.end_ms,
                SessionAccounts(*counts),
                reason,
                header.samples,
                window_ms,
            )
        )

    def write_events(self, name: bytes, taken: TakenEvents) -> None:
        """Keeps a session's events."""
        self._store.write(Events(name, *taken))

    def write_records(self, name: bytes, taken: TakenRecords) -> None:
        """Keeps a session's records."""
        self._store.write(Records(name, *taken))
        self._sessions[name].records = self._store.records.session(name)

    def write_close(self, name: bytes, counts: SessionCounts, now_ms: int) -> None:
        """Ends a session."""
        self._store.write(SessionClose(name, SessionAccounts(*counts), now_ms))
        self._refused_labels.forget(name)

    def live_gauges(self) -> list[Series]:
        """The gauge series of the sessions that are not suspended."""
        live = [session for session in self._sessions.values() if session.stored.state == "live"]
        return [series for session in live for series in session.gauges]

    def gauge_last(self, series_id: int) -> tuple[float, int] | None:
        """Last value and time of a gauge series among the windows in memory."""
        return self._store.gauge_last(series_id)

    def position(self) -> int:
        """End of the journal as written, synced or not."""
        return self._store.position()

    def add_refused_labels(self, status: dict[str, Any]) -> None:
        """Adds to a status which labels clients have refused: `{"series": {"refused_labels": [...]}}`."""
        status["series"]["refused_labels"] = self._refused_labels.rows()

    def pending(self) -> dict[str, int]:
        """Service → samples that clients have observed and not delivered yet, as their last heartbeats say.

        A session that is silent has its say too: what it had then is still to come, or is lost with it.
        """
        pending: Counter[str] = Counter()
        for session in list(self._sessions.values()):
            counts, reported = session.counts, session.reported
            if session.stored.state != "closed" and counts is not None and reported is not None:
                pending[session.service] += max(reported.observed - counts.observed, 0)
        return dict(pending)

    def add_pending(self, status: dict[str, Any]) -> None:
        """Adds to a status what clients have observed and not delivered yet, as their last heartbeats say."""
        accounts = status["accounts"]
        for name, pending in self.pending().items():
            service = accounts["services"].setdefault(name, Accounts().as_dict())
            for account in (service, accounts["total"]):
                account["observed"] += pending
                account["pending"] += pending

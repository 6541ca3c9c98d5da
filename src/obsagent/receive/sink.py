"""What the receiver asks of the store behind it; injected, so that the receiver knows no storage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from obsagent.by_id.batches import Batch
from obsagent.by_id.report import TruthReport
from obsagent.samples import Event, Exemplar, Series
from obsagent.wire.frame import Hello, RefusedLabel, SamplesHeader, SeriesDefinition, SessionCounts

Refusal = Literal["frame", "time"]


class LiveSession(Protocol):
    """A session as the store keeps it; the receiver notes in `told_ms` when (monotonic) it last told it anything."""

    told_ms: int

    @property
    def name(self) -> bytes:
        """Its 16 bytes."""
        ...

    @property
    def service(self) -> str:
        """The service it belongs to."""
        ...

    @property
    def last_applied(self) -> int:
        """The sequence of its last applied batch; 0 before the first."""
        ...

    @property
    def last_event(self) -> int:
        """The sequence of its last taken event; 0 before the first."""
        ...

    @property
    def last_record(self) -> int:
        """The sequence of its last taken record; 0 before the first."""
        ...

    @property
    def report(self) -> TruthReport:
        """What became of all its truths."""
        ...

    @property
    def acknowledged(self) -> int:
        """The sequence up to which everything is known to be on disk: never above `last_applied`."""
        ...

    @property
    def acknowledged_event(self) -> int:
        """The same of its events."""
        ...

    @property
    def acknowledged_records(self) -> tuple[int, TruthReport]:
        """The same of its records, and what became of its truths up to there."""
        ...

    @property
    def greeted_ms(self) -> int:
        """When (monotonic, ms) it last said hello and was told the agent's time; 0 if it has not in this run."""
        ...

    @property
    def worker(self) -> int:
        """Its slot."""
        ...

    @property
    def counts(self) -> SessionCounts | None:
        """What has been booked for it; None if it is not known any more."""
        ...

    def knows(self, number: int) -> bool:
        """True if the series number is defined."""
        ...

    def labels(self) -> dict[str, str]:
        """The labels that every series of the session carries."""
        ...


class Mapped(NamedTuple):
    """Where a session's series goes: a series of the store, or None if it is refused; `metric` is what it asked for."""

    number: int
    series: Series | None
    metric: str = ""


class TakenEvents(NamedTuple):
    """What an events message brought up to `sequence`: events to keep, and how many are given up or refused."""

    sequence: int
    dropped: int
    rejected: int
    events: list[Event]


class TakenRecords(NamedTuple):
    """What a message of records brought up to `sequence`: a batch that lacks what was refused of its `rows`.

    `dropped` records before it the client has given up.
    """

    sequence: int
    dropped: int
    rows: int
    batch: Batch


class Sink(Protocol):
    """The store, as the receiver sees it.

    Every `write_…`, and `open_session`, goes through the journal and raises `StoreError` if the store cannot take
    it now; nothing has changed then.
    """

    def session(self, name: bytes) -> LiveSession | None:
        """A session that is open."""
        ...

    def session_count(self) -> int:
        """Open sessions."""
        ...

    def remembered_count(self) -> int:
        """All sessions that are kept, those that are suspended or closed included."""
        ...

    def open_session(self, hello: Hello) -> LiveSession:
        """Writes a new session with the lowest free worker slot of its service and host."""
        ...

    def heard(self, name: bytes, monotonic_ms: int, skew_ms: int | None = None) -> None:
        """The session is alive; with `skew_ms` it has said hello."""
        ...

    def acknowledged(self, name: bytes, sequence: int, event: int, records: tuple[int, TruthReport]) -> None:
        """What a session has sent up to a sequence, and its events and records up to others, is on disk."""
        ...

    def reported(self, name: bytes, counts: SessionCounts) -> None:
        """A heartbeat's counts: what is pending at the client."""
        ...

    def refused_labels(self, name: bytes, rows: list[RefusedLabel]) -> None:
        """What a session has refused so far because of its labels; cumulative, and no more than status shows."""
        ...

    def open_sessions(self, service: str, host: str) -> list[LiveSession]:
        """The sessions of a service and host that have not ended."""
        ...

    def totals(self) -> dict[str, dict[str, int]]:
        """Service → its account since the store began: `observed`, `stored`, `dropped_ring` and so on."""
        ...

    def pending(self) -> dict[str, int]:
        """Service → samples that clients have observed and not delivered yet, as their last heartbeats say."""
        ...

    def counted(self, metric: str) -> list[tuple[dict[str, str], float]]:
        """What each series of a counter has been incremented by since the store began, with its labels."""
        ...

    def resolve(self, definition: SeriesDefinition, labels: dict[str, str], *, reserved: bool = False) -> Series | None:
        """The store's series for a definition: known, new, the overflow series, or None if it is refused.

        It is refused if its kind contradicts, or if there is no room left, not even for an overflow series. What is
        `reserved` finds room when clients have used up the budget of series: the agent's own.
        """
        ...

    def write_definitions(self, name: bytes, mapped: Iterable[Mapped]) -> None:
        """Writes what a session's series numbers stand for."""
        ...

    def histogram_of(self, name: bytes, number: int) -> int | None:
        """The store's id of a session's series; None if it is not defined, refused or no histogram."""
        ...

    def write_frame(
        self, header: SamplesHeader, counts: SessionCounts, body: Any, exemplars: Sequence[Exemplar] = ()
    ) -> None:
        """Applies a checked batch, with the exemplars of its series."""
        ...

    def models_in(self, name: bytes, body: Any) -> set[str] | None:
        """The models of which a checked body is; None if anything in it is of no model."""
        ...

    def write_backfill(self, header: SamplesHeader, counts: SessionCounts, body: Any, reach_ms: int) -> None:
        """Applies a checked batch that may lie so far back."""
        ...

    def write_refusal(self, header: SamplesHeader, counts: SessionCounts, reason: Refusal, window_ms: int) -> None:
        """Consumes a batch's sequence and counts its samples as rejected."""
        ...

    def write_events(self, name: bytes, taken: TakenEvents) -> None:
        """Keeps a session's events."""
        ...

    def write_records(self, name: bytes, taken: TakenRecords) -> None:
        """Keeps a session's records."""
        ...

    def write_close(self, name: bytes, counts: SessionCounts, now_ms: int) -> None:
        """Ends a session."""
        ...

    def suspend_silent(self, monotonic_ms: int, *, listening: bool = True) -> None:
        """Suspends the sessions that have missed three heartbeats; none while the agent is not `listening`."""
        ...

    def live_gauges(self) -> list[Series]:
        """The gauge series of the sessions that are not suspended."""
        ...

    def gauge_last(self, series_id: int) -> tuple[float, int] | None:
        """Last value and time (ms) of a gauge series among the windows in memory."""
        ...

    def position(self) -> int:
        """End of the journal as written, synced or not."""
        ...

"""The state of a store in memory, and the one function that changes it: `apply`, live and in replay alike.

Invariants:
1. The state is a function of the last checkpoint and of the entries behind it, in their order. `apply`
   decides nothing: no clock, no budget, no chance.
2. What a checkpoint with mark (low, high, cutoff) holds is not applied again: of entries before `high` only
   what series numbers mean, and of those in [low, high) the samples of windows that start at `cutoff` or
   later. Everything else they did (accounts, sessions, refusals) the checkpoint holds as of `high`.
3. A window's `first_position` is that of the first entry whose samples are in it and in no checkpoint; the
   lowest one is the next checkpoint's `low`.
4. Cutoffs do not go back while windows remain open: a window that a checkpoint left behind cannot be
   younger than one that it took.
5. A detached window or book that is given back while a newer one has begun is not added to it: a third
   with the sum of both takes their place. So a view that holds both counts nothing twice.

Not thread-safe: the store's lock is held around every method.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeGuard

from obsagent._native.codec import Window
from obsagent.clock import window_start
from obsagent.errors import CorruptData
from obsagent.exemplars import Kept, keep
from obsagent.head.accounts import AccountBook, Accounts, SessionAccounts, highest
from obsagent.head.entries import (
    REFUSED_SERIES,
    Define,
    DefinedSeries,
    Entry,
    Events,
    Frame,
    KnownReach,
    KnownSeries,
    KnownSession,
    Records,
    Refused,
    SessionClose,
    SessionOpen,
)
from obsagent.head.events import EventLog
from obsagent.head.series import SeriesTable, is_own_overflow
from obsagent.head.sessions import Session, SessionTable
from obsagent.limits import EXEMPLAR_BYTES
from obsagent.samples import Event, Exemplar, Series
from obsagent.segment.block import Mark
from obsagent.segment.catalog import Checkpoint
from obsagent.segment.format import CUTOFF_EVERYTHING
from obsagent.segment.tables import SessionRow, series_from_row


@dataclass(slots=True, eq=False)
class HeadWindow:
    """A window in memory: `samples` hold what came in since its last checkpoint."""

    start_ms: int
    first_position: int
    samples: Window = field(default_factory=Window)
    last_sample_ms: int = 0
    exemplars: Kept = field(default_factory=dict)

    @property
    def memory_bytes(self) -> int:
        """What it takes, about."""
        return self.samples.memory_bytes + EXEMPLAR_BYTES * len(self.exemplars)

    def keep(self, exemplars: Iterable[Exemplar]) -> None:
        """Takes in those that are to be kept of the window."""
        for each in exemplars:
            keep(self.exemplars, each)

    def merged(self, other: HeadWindow) -> HeadWindow:
        """A new window with the samples of both."""
        merged = HeadWindow(self.start_ms, min(self.first_position, other.first_position))
        merged.samples.merge(self.samples)
        merged.samples.merge(other.samples)
        merged.last_sample_ms = max(self.last_sample_ms, other.last_sample_ms)
        merged.keep((*self.exemplars.values(), *other.exemplars.values()))
        return merged


@dataclass(slots=True, eq=False)
class Detached:
    """What a checkpoint takes out of the state; complete, so that it can be given back."""

    mark: Mark
    windows: list[HeadWindow]
    book: AccountBook
    forgotten: list[bytes]
    sessions: list[SessionRow]
    totals: dict[str, list[int]]
    refused: dict[str, int]
    events: list[Event]
    event_totals: dict[str, list[int]]
    reach_ms: int
    series_news: int
    previous_cutoff_ms: int


class UnknownSession(CorruptData):
    """An entry of a session that no entry before it has opened."""


class HeadState:
    """Series, sessions, windows, events and accounts of a store. Its records are the ledger's (`ledger_book.py`)."""

    def __init__(self, series: SeriesTable, checkpoint: Checkpoint | None = None) -> None:
        """The state as of a checkpoint; empty without one."""
        checkpoint = checkpoint or Checkpoint()
        self.series = series
        self.sessions = SessionTable()
        self.windows: dict[int, HeadWindow] = {}
        self.book = AccountBook()
        self.events = EventLog(checkpoint.events, checkpoint.event_totals)
        self.totals = {service: Accounts.from_row(row) for service, row in checkpoint.totals.items()}
        self.mark = checkpoint.mark
        self.conflicts = 0
        self.reach_ms = checkpoint.reach_ms
        """How far back any backfill may lie; 0 if there was none. It never shrinks."""
        self._cutoff_ms = _no_cutoff(checkpoint.mark)
        for each in checkpoint.series.values():
            series.adopt(each)
        series.refused.update(checkpoint.refused)
        for row in checkpoint.sessions.values():
            self.sessions.restore(row)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the open windows."""
        return sum(window.memory_bytes for window in self.windows.values())

    def has_before(self, cutoff_ms: int) -> bool:
        """True if a window is open that starts before `cutoff_ms`."""
        return any(start_ms < cutoff_ms for start_ms in self.windows)

    def require_session(self, entry: Entry) -> None:
        """Raise UnknownSession for an entry of a session that was never opened."""
        if isinstance(entry, Frame | Refused | Events | Define | SessionClose) or is_of_session(entry):
            self._session(entry.session)

    def is_duplicate(self, entry: Entry) -> bool:
        """True for a frame or refusal, or for events, whose sequence has been applied already."""
        if not isinstance(entry, Frame | Refused | Events):
            return False
        session = self.sessions.get(entry.session)
        if session is None:
            return False
        return entry.sequence <= (session.last_event if isinstance(entry, Events) else session.last_applied)

    def apply(self, entry: Entry, position: int) -> bool:
        """Apply the entry that begins at `position` of the journal; False if it was there already.

        Raises UnknownSession, and CorruptData for a body that is none; nothing has changed then.
        """
        match entry:
            case Frame():
                return self._apply_frame(entry, position)
            case Refused():
                return self._apply_refused(entry, position)
            case Events():
                return self._apply_events(entry, position)
            case Define():
                self._apply_define(entry, position)
            case Records():
                pass
            case SessionOpen():
                self._apply_open(entry, position)
            case SessionClose():
                self._apply_close(entry, position)
            case KnownSession():
                self._apply_numbers(self.sessions.restore(entry.row), entry.numbers)
            case KnownReach():
                self.reach_ms = max(self.reach_ms, entry.reach_ms)
            case KnownSeries():
                for row in entry.rows:
                    if self.series.get(row[0]) is None:
                        self._adopt(series_from_row(row))
        return True

    def _apply_frame(self, frame: Frame, position: int) -> bool:
        session = self._session(frame.session)
        start_ms = window_start(frame.start_ms)
        if position < self.mark.high:
            if position >= self.mark.low and start_ms >= self.mark.cutoff_ms:
                self._add_samples(frame, session, start_ms, position)
            return False
        if frame.sequence <= session.last_applied:
            return False
        stored, refused = self._add_samples(frame, session, start_ms, position)
        booked = Accounts(stored=stored, rejected_frame=refused)
        self._settle(session, frame.accounts, stored + refused, booked, start_ms)
        session.last_applied = frame.sequence
        self.sessions.touch(session, frame.end_ms)
        return True

    def _add_samples(self, frame: Frame, session: Session, start_ms: int, position: int) -> tuple[int, int]:
        window = self.windows.get(start_ms)
        if window is None:
            window = HeadWindow(start_ms, position)
        added: tuple[int, int] = window.samples.apply(frame.body, session.series, frame.end_ms)
        window.last_sample_ms = max(window.last_sample_ms, frame.end_ms)
        window.keep(frame.exemplars)
        self.windows[start_ms] = window
        return added

    def _apply_refused(self, entry: Refused, position: int) -> bool:
        session = self._session(entry.session)
        if position < self.mark.high or entry.sequence <= session.last_applied:
            return False
        booked = Accounts()
        if entry.reason == "time":
            booked.rejected_time += entry.samples
        else:
            booked.rejected_frame += entry.samples
        self._settle(session, entry.accounts, entry.samples, booked, window_start(entry.window_ms))
        session.last_applied = entry.sequence
        self.sessions.touch(session, entry.window_ms)
        return True

    def _apply_events(self, entry: Events, position: int) -> bool:
        session = self._session(entry.session)
        if position < self.mark.high or entry.sequence <= session.last_event:
            return False
        self.events.take(session.service, entry.events, entry.dropped, entry.rejected)
        session.last_event = entry.sequence
        self.sessions.touch(session, max((event.at_ms for event in entry.events), default=0))
        return True

    def _apply_define(self, entry: Define, position: int) -> None:
        session = self._session(entry.session)
        for defined in entry.series:
            if defined.series is not None:
                self._adopt(defined.series)
        numbers: list[int] = []
        for defined in entry.series:
            numbers += (defined.number, defined.store)
            if position >= self.mark.high:
                self._count_refused(defined)
        self._apply_numbers(session, numbers)

    def _count_refused(self, defined: DefinedSeries) -> None:
        series = self.series.get(defined.store)
        if series is not None and is_own_overflow(series):
            self.series.count_refused(series.metric)
        elif defined.store == REFUSED_SERIES and defined.metric:
            self.series.count_refused(defined.metric)

    def _apply_numbers(self, session: Session, numbers: list[int]) -> None:
        """Set what a session's series numbers mean, from pairs of number and store series.

        A number or scale that cannot be stays undefined, and its samples are refused: applying never fails
        for what an entry says.
        """
        for number, store in zip(numbers[::2], numbers[1::2], strict=True):
            series = self.series.get(store)
            with suppress(ValueError, OverflowError):
                if series is None:
                    session.series.set(number, REFUSED_SERIES)
                else:
                    session.series.set(number, store, series.kind, series.scale, series.keeps_digest)

    def _apply_open(self, entry: SessionOpen, position: int) -> None:
        if position >= self.mark.high or self.sessions.get(entry.session) is None:
            self.sessions.open(entry, position)

    def _apply_close(self, entry: SessionClose, position: int) -> None:
        session = self._session(entry.session)
        if position < self.mark.high:
            return
        self._settle(session, entry.accounts, 0, Accounts(), window_start(entry.at_ms))
        self.sessions.close(session)
        self.sessions.touch(session, entry.at_ms)

    def _settle(self, session: Session, now: SessionAccounts, samples: int, booked: Accounts, window_ms: int) -> None:
        """Book what an entry did, and what the session's own counters grew by, into a window."""
        if session.accounts is None:
            booked.observed += samples
            session.accounts = now
        else:
            booked.book(session.accounts, now)
            session.accounts = highest(session.accounts, now)
        self.book.page(window_ms, session.service).add(booked)
        self.totals.setdefault(session.service, Accounts()).add(booked)

    def _session(self, session_id: bytes) -> Session:
        session = self.sessions.get(session_id)
        if session is None:
            raise UnknownSession(f"entry of the unknown session {session_id.hex()}")
        return session

    def _adopt(self, series: Series) -> None:
        if not self.series.adopt(series):
            self.conflicts += 1

    def detach(self, cutoff_ms: int | None, position: int, idle_before_ms: int) -> Detached:
        """Take out what the checkpoint at journal position `position` is to hold.

        These are the windows that start before `cutoff_ms` (None: all), all accounts booked since the
        last one, and the sessions that changed; sessions idle since `idle_before_ms` are forgotten.
        """
        previous = self._cutoff_ms
        cutoff_ms = CUTOFF_EVERYTHING if cutoff_ms is None else max(cutoff_ms, previous)
        taken = [window for start_ms, window in sorted(self.windows.items()) if start_ms < cutoff_ms]
        for window in taken:
            del self.windows[window.start_ms]
        low = min((window.first_position for window in self.windows.values()), default=position)
        self.sessions.forget_idle(idle_before_ms)
        forgotten, changed = self.sessions.take_changes()
        book, self.book = self.book, AccountBook()
        mark = Mark(low, position, cutoff_ms)
        self._cutoff_ms = _no_cutoff(mark)
        return Detached(
            mark=mark,
            windows=taken,
            book=book,
            forgotten=forgotten,
            sessions=changed,
            totals={service: account.to_row() for service, account in self.totals.items()},
            refused=dict(self.series.refused),
            events=self.events.take_new(),
            event_totals=self.events.rows(),
            reach_ms=self.reach_ms,
            series_news=self.series.news,
            previous_cutoff_ms=previous,
        )

    def give_back(self, detached: Detached) -> None:
        """Undo `detach`, since the checkpoint could not be written."""
        for window in detached.windows:
            newer = self.windows.get(window.start_ms)
            self.windows[window.start_ms] = window.merged(newer) if newer else window
        self.book = detached.book.merged(self.book)
        self.sessions.return_changes(detached.forgotten, detached.sessions)
        self.events.return_new()
        self._cutoff_ms = detached.previous_cutoff_ms


def is_of_session(entry: Entry) -> TypeGuard[Records]:
    """True for records that a session has sent: what is to be forgotten is nobody's."""
    return isinstance(entry, Records) and entry.sequence > 0


def _no_cutoff(mark: Mark) -> int:
    """The cutoff that the next checkpoint may not go behind: none if no window was left open."""
    return mark.cutoff_ms if mark.low < mark.high else -CUTOFF_EVERYTHING

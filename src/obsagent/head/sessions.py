"""Sessions: who sends, how far each was applied, and what its series numbers mean.

A session's identity, its last applied sequence and its counters change only by applied entries. Its
`state` is what the receiver knows from heartbeats and is not stored: a session that was open when the
store was last used counts as live until the receiver says otherwise, so that its worker slot is not given
to a newcomer before it had time to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from sys import intern
from typing import Literal, NamedTuple

from obsagent._native.codec import SeriesMap
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import KnownSession, SessionOpen
from obsagent.segment.tables import SessionRow
from obsagent.selfmetrics import SERVICE

NOTHING_YET = SessionAccounts()
State = Literal["live", "suspended", "closed"]


class Clients(NamedTuple):
    """Sessions that are live, and when (ms) any of those remembered was last heard of."""

    live: int
    last_ms: int | None


@dataclass(slots=True, eq=False)
class Session:
    """One life of one model process. `accounts` is None if its counters so far are not known.

    A pid means something within its `pid_namespace` only (0: unknown): every container has a process 1. Nothing is
    decided by either; what tells sessions apart is their id. `opened_at` is the journal position of the entry that
    opened it; -1 if a checkpoint brought it. When it was heard (`alive_ms` on the monotonic clock) and by how much its
    clock was ahead of the agent's at the hello is known in memory only.
    """

    session: bytes
    service: str
    host: str
    pid: int
    started_ms: int
    worker: int
    version: str
    last_applied: int = 0
    accounts: SessionAccounts | None = NOTHING_YET
    last_ms: int = 0
    state: State = "live"
    opened_at: int = -1
    heard_ms: int = 0
    alive_ms: int = 0
    skew_ms: int | None = None
    last_event: int = 0
    pid_namespace: int = 0
    series: SeriesMap = field(default_factory=SeriesMap)

    def row(self) -> SessionRow:
        """As it goes into a checkpoint."""
        return SessionRow(
            self.session,
            self.service,
            self.host,
            self.pid,
            self.started_ms,
            self.worker,
            self.version,
            self.last_applied,
            self.accounts,
            self.last_ms,
            self.state == "closed",
            self.last_event,
            self.pid_namespace,
        )


def from_row(row: SessionRow) -> Session:
    """A session as a checkpoint or a journal file knows it, without its series."""
    return Session(
        row.session,
        row.service,
        row.host,
        row.pid,
        row.started_ms,
        row.worker,
        row.version,
        row.last_applied,
        None if row.accounts is None else SessionAccounts(*row.accounts),
        row.last_ms,
        "closed" if row.closed else "live",
        last_event=row.last_event,
        pid_namespace=row.pid_namespace,
    )


def clients_of(sessions: Iterable[Session]) -> Clients:
    """What is said of several sessions at once."""
    sessions = list(sessions)
    last_ms = max((max(each.last_ms, each.heard_ms) for each in sessions), default=None)
    return Clients(sum(each.state == "live" for each in sessions), last_ms)


class SessionTable:
    """All sessions that the store remembers; `began_ms` says since when they could be heard (monotonic).

    `live_count` of them are live. Their slots are kept by service and host, since sessions may come by the thousand.
    """

    def __init__(self) -> None:
        self._sessions: dict[bytes, Session] = {}
        self._changed: set[bytes] = set()
        self._forgotten: set[bytes] = set()
        self._slots: dict[tuple[str, str], Counter[int]] = {}
        self.began_ms = 0
        self.live_count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def get(self, session: bytes) -> Session | None:
        """The session with this id, if it is remembered."""
        return self._sessions.get(session)

    def live(self) -> list[Session]:
        """Sessions that are neither suspended nor closed."""
        return [session for session in self if session.state == "live"]

    def heard(self, session: bytes, at_ms: int, monotonic_ms: int, skew_ms: int | None = None) -> None:
        """The session said something at `at_ms`, and, in a hello, what its own clock showed."""
        known = self._sessions.get(session)
        if known is not None:
            known.heard_ms = at_ms
            known.alive_ms = monotonic_ms
            known.skew_ms = known.skew_ms if skew_ms is None else skew_ms

    def clients_by_service(self) -> dict[str, Clients]:
        """The sessions by service."""
        by_service: dict[str, list[Session]] = {}
        for session in self:
            by_service.setdefault(session.service, []).append(session)
        return {service: clients_of(sessions) for service, sessions in by_service.items()}

    def clients(self) -> Clients:
        """All sessions but the agent's own."""
        return clients_of([session for session in self if session.service != SERVICE])

    def free_worker(self, service: str, host: str) -> int:
        """The lowest worker slot that no live session of this service and host has."""
        taken = self._slots.get((service, host), ())
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def set_state(self, session: bytes, state: State) -> None:
        """What the receiver knows of a session; "closed" comes from an entry and stays."""
        known = self._sessions.get(session)
        if known is not None and known.state != "closed" and state != "closed":
            self._set(known, state)

    def close(self, session: Session) -> None:
        """An entry has ended the session."""
        self._set(session, "closed")

    def _set(self, session: Session, state: State) -> None:
        self._leave(session)
        session.state = state
        self._enter(session)

    def _enter(self, session: Session) -> None:
        if session.state == "live":
            self.live_count += 1
            self._slots.setdefault((session.service, session.host), Counter())[session.worker] += 1

    def _leave(self, session: Session) -> None:
        if session.state == "live":
            slots = self._slots[session.service, session.host]
            self.live_count -= 1
            slots[session.worker] -= 1
            if not slots[session.worker]:
                del slots[session.worker]
            if not slots:
                del self._slots[session.service, session.host]

    def open(self, entry: SessionOpen, position: int) -> None:
        """Begin a session; one that is known goes on as it is."""
        known = self._sessions.get(entry.session)
        if known is not None and known.accounts is not None:
            if known.state == "closed":
                self._set(known, "live")
                self.touch(known, entry.started_ms)
            return
        session = Session(
            entry.session,
            intern(entry.service),
            intern(entry.host),
            entry.pid,
            entry.started_ms,
            entry.worker,
            intern(entry.version),
            opened_at=position,
            pid_namespace=entry.pid_namespace,
        )
        if known is not None:
            session.series = known.series
            self._leave(known)
        self._sessions[entry.session] = session
        self._enter(session)
        self.touch(session, entry.started_ms)

    def restore(self, row: SessionRow) -> Session:
        """Take in a session as it was stored, unless it is known already."""
        known = self._sessions.get(row.session)
        if known is None:
            known = self._sessions[row.session] = from_row(row)
            self._enter(known)
        return known

    def touch(self, session: Session, at_ms: int) -> None:
        """The session changed and belongs in the next checkpoint."""
        session.last_ms = max(session.last_ms, at_ms)
        self._changed.add(session.session)

    def forget_idle(self, before_ms: int) -> None:
        """Drop the sessions that are not live and have not been heard since `before_ms` on the monotonic clock.

        Those of an agent before could be heard since this one began. Setting the wall clock makes nobody older: a
        session that is forgotten and comes back would have its batches applied once more.
        """
        for session in self:
            if session.state != "live" and max(session.alive_ms, self.began_ms) < before_ms:
                del self._sessions[session.session]
                self._changed.discard(session.session)
                self._forgotten.add(session.session)

    def take_changes(self) -> tuple[list[bytes], list[SessionRow]]:
        """The sessions forgotten and changed since the last call; they then count as written."""
        forgotten = list(self._forgotten)
        changed = [self._sessions[each].row() for each in self._changed if each in self._sessions]
        self._forgotten, self._changed = set(), set()
        return forgotten, changed

    def return_changes(self, forgotten: Iterable[bytes], changed: Iterable[SessionRow]) -> None:
        """What `take_changes` gave could not be written: it belongs in the next checkpoint again."""
        self._forgotten.update(forgotten)
        self._changed.update(row.session for row in changed)

    def rows(self) -> list[SessionRow]:
        """Every session, as a checkpoint that is to stand alone holds it."""
        return [session.row() for session in self]

    def known(self, base: int, exact: bool) -> list[KnownSession]:
        """Every open session and its series for the head of a journal file that begins at `base`.

        If that is not `exact`ly here, what happened from `base` on is in the file's entries: sessions that
        were opened there are left out, and so is how far the others have come since.
        """
        entries = []
        for session in self:
            if session.state == "closed" or (not exact and session.opened_at >= base):
                continue
            row = session.row() if exact else _without_progress(session.row())
            entries.append(KnownSession(row, list(chain.from_iterable(session.series.items()))))
        return entries


def _without_progress(row: SessionRow) -> SessionRow:
    identity = (row.session, row.service, row.host, row.pid, row.started_ms, row.worker, row.version)
    return SessionRow(
        *identity,
        last_applied=0,
        accounts=None,
        last_ms=row.last_ms,
        closed=row.closed,
        pid_namespace=row.pid_namespace,
    )

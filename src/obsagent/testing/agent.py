"""An agent without sockets, threads and disk: the receiver and the head of a real one, called directly."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from obsagent.head.accounts import Accounts
from obsagent.head.entries import Entry, Records
from obsagent.head.ledger_book import LedgerBook
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import SessionTable
from obsagent.head.state import HeadState
from obsagent.head.view import View
from obsagent.limits import HORIZON_MS, SERIES_PER_METRIC, SERIES_TOTAL
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_session import OwnSession
from obsagent.segment.reader import BlockReader
from obsagent.segment.tiers import Tiers
from obsagent.store_sink import StoreSink
from obsagent.testing.ledger import MemoryLedger
from obsagent.wire.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsagent.testing.clock import ManualClock
    from obsagent.wire.socket import Parts

    Answer = Callable[[bytes, bytes | None], object]

PEER = b"client"


class MemoryStore:
    """A store that keeps its head and nothing else; every entry is durable at once."""

    def __init__(self, clock: ManualClock) -> None:
        """Holds nothing."""
        self._clock = clock
        self._lock = threading.Lock()
        self._state = HeadState(SeriesTable(SERIES_PER_METRIC, SERIES_TOTAL))
        self._position = 0
        self.ledger = MemoryLedger()
        self.records = LedgerBook(lambda: self.ledger, is_there=True)

    @property
    def series(self) -> SeriesTable:
        """The series."""
        return self._state.series

    @property
    def sessions(self) -> SessionTable:
        """The sessions."""
        return self._state.sessions

    def position(self) -> int:
        """How many entries were written."""
        return self._position

    def write(self, entry: Entry) -> int:
        """Applies an entry."""
        with self._lock:
            if isinstance(entry, Records):
                self.records.apply(entry, self._position)
            self._state.apply(entry, self._position)
            self._position += 1
            return self._position

    def heard(self, session: bytes, skew_ms: int | None = None) -> None:
        """A session has said something."""
        with self._lock:
            self._state.sessions.heard(session, self._clock.wall_ms(), self._clock.monotonic_ms(), skew_ms)

    def gauge_last(self, series_id: int) -> tuple[float, int] | None:
        """Value and time (ms) of a gauge's last sample."""
        with self._lock:
            found = (window.samples.gauge_last(series_id) for window in self._state.windows.values())
            return max((last for last in found if last), key=lambda last: last[1], default=None)

    def reach_back(self, reach_ms: int) -> None:
        """Nothing is on disk that could be lost."""

    def accounts(self) -> dict[str, Accounts]:
        """Service → its account."""
        with self._lock:
            return {service: replace(account) for service, account in self._state.totals.items()}

    def view(self) -> View:
        """What a query reads."""
        with self._lock:
            return View(
                lock=self._lock,
                table=self._state.series,
                sessions=self._state.sessions,
                windows=list(self._state.windows.values()),
                books=[self._state.book],
                tiers=Tiers(),
                last_seen={},
                overflowed=dict(self._state.series.refused),
                log=self._state.events,
                now_ms=self._clock.wall_ms(),
                reader=BlockReader(lambda _damage: None),
                open_ledger=self.ledger.asked,
            )


class MemoryAgent:
    """Takes what clients say and answers at once."""

    def __init__(self, clock: ManualClock) -> None:
        """Begins with an empty store."""
        self.clock = clock
        self.store = MemoryStore(clock)
        self._lock = threading.RLock()
        self._answer: Answer = lambda _header, _body: None
        self.rules: dict[tuple[str, str], Rules] = {}
        sink = StoreSink(self.store)
        self._ingest = Ingest(sink, clock, self._reply, {}, rules_for=self._rules_for, horizon_of=self._horizon_of)
        self._own = OwnSession(sink, clock, os.uname().nodename)

    def _reply(self, _identity: bytes, header: bytes, body: bytes | None = None, /) -> None:
        self._answer(header, body)

    def _rules_for(self, model: str, version: str) -> Rules:
        rules = self.rules.get((model, version)) or self.rules.get((model, "")) or Rules()
        return replace(rules, horizon_ms=rules.horizon_ms or HORIZON_MS)

    def _horizon_of(self, model: str) -> int:
        named = [rules.horizon_ms for (name, _), rules in self.rules.items() if name == model and rules.horizon_ms]
        return max(named, default=HORIZON_MS)

    def hear(self, parts: Parts, answer: Answer) -> None:
        """One message of a client; `answer` gets header and body of what is said to it."""
        with self._lock:
            self._answer = answer
            self._ingest.handle(PEER, parts)
            self._ingest.acknowledge(self.store.position())

    def combine_gauges(self) -> None:
        """As an agent does once a second: one value for the gauges of all workers."""
        with self._lock:
            self._own.combine_gauges()
            self._own.write()

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread may have held the lock."""
        self._lock = threading.RLock()

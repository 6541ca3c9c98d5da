"""What is asked of a store that is open for writing: it changes nothing, and any thread may ask."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from obsagent.clock import Clock
from obsagent.head.accounts import Accounts
from obsagent.head.budgets import Budgets
from obsagent.head.cost import CostBook
from obsagent.head.directory import StoreDirectory
from obsagent.head.journal import Journal
from obsagent.head.records import RecordStore
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import SessionTable
from obsagent.head.shelf import Shelf
from obsagent.head.state import Detached, HeadState
from obsagent.head.status import StatusParts, status_of
from obsagent.head.view import View
from obsagent.segment.gaps import GapBook
from obsagent.segment.reader import BlockReader
from obsagent.segment.recover import Damage


class AskedStore:
    """The parts of a `Store`, which makes and changes them."""

    records: RecordStore
    """What is kept by the id of a request."""
    _lock: threading.Lock
    _directory: StoreDirectory
    _clock: Clock
    _budgets: Budgets
    _store_id: bytes
    _state: HeadState
    _detached: Detached | None
    _journal: Journal
    _shelf: Shelf
    _reader: BlockReader
    _gaps: GapBook
    _costs: CostBook
    _damage: set[Damage]
    _corrupt: int
    _broken: str
    _last_seen: dict[str, int]
    _last_checkpoint_ms: int

    @property
    def series(self) -> SeriesTable:
        """The series; `resolve` belongs to the thread that defines."""
        return self._state.series

    @property
    def sessions(self) -> SessionTable:
        """The sessions; they change only by `write`."""
        return self._state.sessions

    def position(self) -> int:
        """The end of the journal as written, synced or not."""
        return self._journal.position

    def unsynced_bytes(self) -> int:
        """How much of the journal only memory holds."""
        return self._journal.unsynced_bytes

    @property
    def broken(self) -> str:
        """Why the store takes nothing any more until it is opened again; empty while it does."""
        return self._broken

    @property
    def identity(self) -> bytes:
        """The store's id."""
        return self._store_id

    def accounts(self) -> dict[str, Accounts]:
        """Service → its account since the store began, as it is now."""
        with self._lock:
            return {service: replace(account) for service, account in self._state.totals.items()}

    def head_bytes(self) -> int:
        """Bytes of the windows in memory, those of a checkpoint under way included."""
        with self._lock:
            return self._head_bytes()

    def _head_bytes(self) -> int:
        detached = self._detached.windows if self._detached else ()
        return self._state.memory_bytes + sum(window.memory_bytes for window in detached)

    def view(self) -> View:
        """What a query reads; see `head/view.py`."""
        with self._lock:
            detached = self._detached
            view = View(
                lock=self._lock,
                table=self._state.series,
                sessions=self._state.sessions,
                windows=[*(detached.windows if detached else ()), *self._state.windows.values()],
                books=[*([detached.book] if detached else ()), self._state.book],
                tiers=self._shelf.tiers,
                last_seen=self._last_seen,
                overflowed=dict(self._state.series.refused),
                log=self._state.events,
                now_ms=self._clock.wall_ms(),
                reader=self._reader,
                known_gaps=self._gaps.known,
                open_ledger=self.records.asked,
            )
            self._shelf.views.add(view)
            return view

    def gauge_last(self, series_id: int) -> tuple[float, int] | None:
        """Value and time (ms) of a gauge's last sample among the windows in memory."""
        with self._lock:
            detached = self._detached.windows if self._detached else []
            windows = [*detached, *self._state.windows.values()]
            found = (window.samples.gauge_last(series_id) for window in windows)
            return max((last for last in found if last), key=lambda last: last[1], default=None)

    def status(self) -> dict[str, Any]:
        """Accounts, sessions, sizes; the keys are listed in `head/status.py`."""
        with self._lock:
            parts = StatusParts(
                store_id=self._store_id,
                directory=self._directory,
                accounts=dict(self._state.totals),
                sessions=list(self._state.sessions),
                windows=len(self._state.windows),
                series=self._state.series,
                costs=self._costs.copy(),
                costs_since_ms=self._costs.since_ms,
                events=self._state.events,
                head_bytes=self._head_bytes(),
                journal_position=self._journal.position,
                journal_durable=self._journal.durable,
                tiers=self._shelf.tiers,
                budgets=self._budgets,
                corrupt=self._corrupt + len(self._damage),
                gaps=self._gaps.known(),
                last_checkpoint_ms=self._last_checkpoint_ms or None,
            )
        return {**status_of(parts), "records": self.records.status()}

"""One sync of the journal at a time: what waits is taken under the store's lock, and written outside of it."""

from __future__ import annotations

import errno
import threading
from typing import NamedTuple

from obsagent.errors import StoreError
from obsagent.fs import Buffer
from obsagent.head.entries import Entry, KnownReach, KnownSeries, KnownSession, encode
from obsagent.head.journal import Journal, to_record
from obsagent.head.state import HeadState
from obsagent.samples import Series
from obsagent.segment.tables import series_to_row


class Known(NamedTuple):
    """The preamble of a journal file, before it is encoded."""

    series: list[Series]
    sessions: list[KnownSession]
    reach_ms: int


class JournalSync:
    """Syncs the journal of a store, and begins its files with what is known at that point."""

    def __init__(self, journal: Journal, state: HeadState, lock: threading.Lock) -> None:
        """`lock` is the store's, of the state and the journal's memory."""
        self._journal = journal
        self._state = state
        self._lock = lock
        self._sync_lock = threading.Lock()
        self.disk_is_full = False

    def sync(self) -> int:
        """Make the entries written so far durable; returns the position up to which they are.

        Raises StoreError if that is not possible now; nothing counts as durable that was not before, all
        of it stays in memory, and the next call tries again with a new file.
        """
        with self._sync_lock:
            with self._lock:
                captured = self._journal.capture()
                has_file = self._journal.has_file
                full = has_file and self._journal.is_full(captured)
                base = captured if full else self._journal.durable
                known = None if has_file and not full else self._known(base)
            try:
                if known is not None and not has_file:
                    self._journal.begin_file(_records(known))
                self._journal.commit(captured)
            except StoreError as error:
                self.disk_is_full = is_disk_full(error)
                raise
            self.disk_is_full = False
            if known is not None and full:
                try:
                    self._journal.begin_file(_records(known))
                except StoreError:
                    pass  # everything is durable; the next sync tries again to begin a file
            return self._journal.durable

    def sync_up_to(self, position: int) -> None:
        """Make the journal durable up to a position, at least. Raises StoreError."""
        while self._journal.durable < position:
            self.sync()

    def _known(self, base: int) -> Known:
        """What the head of a journal file that begins at `base` says."""
        exact = base == self._journal.position
        return Known(self._state.series.known_since(0), self._state.sessions.known(base, exact), self._state.reach_ms)

    def begin_file(self) -> None:
        """Begin a file while nothing waits to be synced. Raises StoreError."""
        with self._sync_lock:
            with self._lock:
                known = self._known(self._journal.durable)
            self._journal.begin_file(_records(known))


def is_disk_full(error: BaseException) -> bool:
    """True for an error that comes of a disk, or a quota, that is full."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _records(known: Known) -> list[Buffer]:
    reach = [KnownReach(known.reach_ms)] if known.reach_ms else []
    entries: list[Entry] = [*reach, KnownSeries([series_to_row(series) for series in known.series]), *known.sessions]
    return [buffer for entry in entries for buffer in to_record(encode(entry))]

"""What a store keeps by the id of a request: into the journal and the ledger, and from its memory to its files.

The ledger's lock is taken before the store's others: entries are applied to it in the order in which the journal has
them, and while it is flushed nothing is applied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from obsagent.by_id.report import TruthReport
from obsagent.head.entries import Records
from obsagent.head.journal_sync import JournalSync
from obsagent.head.ledger_book import EVERYTHING, LedgerBook


class Appended(NamedTuple):
    """Where an entry stands in the journal: the positions of its first byte and behind it."""

    begin: int
    end: int


class Place(NamedTuple):
    """The store around its records. `append` raises StoreError; `flushed` is told that less of the journal is needed.

    `broke` is told why the store must not go on.
    """

    append: Callable[[Records], Appended]
    position: Callable[[], int]
    syncs: JournalSync
    flushed: Callable[[], object]
    broke: Callable[[str], object]


class RecordStore:
    """The records of a store that is open for writing. Thread-safe."""

    def __init__(self, book: LedgerBook, place: Place) -> None:
        """`book` has what was recovered."""
        self._book = book
        self._place = place
        self._lock = threading.Lock()

    @property
    def needed_from(self) -> int:
        """The position from which on the journal may not be removed."""
        return self._book.needed_from

    def session(self, session: bytes) -> tuple[int, TruthReport]:
        """The sequence of a session's last record, and what became of its truths."""
        with self._lock:
            return self._book.session(session)

    def write(self, entry: Records) -> int:
        """As `Store.write`."""
        with self._lock:
            self._book.opened()
            if self._book.is_duplicate(entry):
                return self._place.position()
            begin, end = self._place.append(entry)
            try:
                self._book.apply(entry, begin)
            except BaseException as error:
                self._place.broke(f"records could not be applied ({error!r}); restart to recover")
                raise
            return end

    def maybe_flush(self, now_ms: int) -> bool:
        """Flush if memory holds much, or something old; whether it was time. Raises StoreError."""
        with self._lock:
            ledger = self._book.ledger
            is_time = ledger is not None and ledger.wants_flush(now_ms)
        if is_time:
            self.flush()
        return is_time

    def flush(self) -> None:
        """Everything goes from memory to the ledger's files; the journal need not keep it. Raises StoreError."""
        with self._lock:
            if self._book.needed_from == EVERYTHING:
                return
            position = self._place.position()
            self._place.syncs.sync_up_to(position)
            self._book.flush(position)
        self._place.flushed()

    def upkeep(self, now_ms: int) -> bool:
        """One bounded step of merging and expiring; whether there was something to do. Raises StoreError."""
        with self._lock:
            ledger = self._book.ledger
            return ledger is not None and ledger.upkeep(now_ms)

    def view(self) -> Any:
        """What is known now, as the ledger shows it; None if there are no records."""
        with self._lock:
            ledger = self._book.ledger
            return None if ledger is None else ledger.view()

    def status(self) -> dict[str, Any] | None:
        """What the ledger says of itself; None if there are no records."""
        with self._lock:
            return self._book.status()

    def close(self) -> None:
        """Closes the ledger's files; nothing is written by it."""
        with self._lock:
            self._book.close()

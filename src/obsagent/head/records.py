"""What a store keeps by the id of a request: into the journal and the ledger, and from its memory to its files.

Locks: `_flush_lock` is held by whoever flushes; `_lock` by whoever applies, and by a flush until it is settled what
goes to disk. They are taken in this order, and before the store's others. So the ledger gets entries in the journal's
order, and nobody who applies waits for what a flush writes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from obsagent.by_id.batches import Forgotten
from obsagent.by_id.codec import kind_of, texts_of
from obsagent.by_id.report import TruthReport
from obsagent.errors import StoreError
from obsagent.head.entries import NO_SESSION, Records
from obsagent.head.journal_sync import JournalSync
from obsagent.head.ledger_book import LedgerBook
from obsagent.head.ledger_port import Ledger
from obsagent.head.records_status import records_status

FORGET_S = 20.0
"""How long whoever wants something forgotten waits at most for the files to be written anew."""


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
    wall_ms: Callable[[], int]


class RecordStore:
    """The records of a store that is open for writing. Thread-safe."""

    def __init__(self, book: LedgerBook, place: Place) -> None:
        """`book` has what was recovered."""
        self._book = book
        self._place = place
        self._lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        """Since the store was opened: kind (in lower case) and what became of them (kept, refused, dropped) → records.

        What clients give up is of any kind.
        """

    @property
    def needed_from(self) -> int:
        """The position from which on the journal may not be removed."""
        return self._book.needed_from

    @property
    def memory_bytes(self) -> int:
        """Of records that only memory and the journal hold."""
        return 0 if self._book.ledger is None else self._book.ledger.memory_bytes

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
                self._count(entry)
            except BaseException as error:
                self._place.broke(f"records could not be applied ({error!r}); restart to recover")
                raise
            return end

    def _count(self, entry: Records) -> None:
        kind, kept = kind_of(entry.batch).name.lower(), len(entry.batch.ids)
        self.counts[kind, "kept"] += kept
        self.counts[kind, "refused"] += entry.rows - kept
        self.counts["any", "dropped"] += entry.dropped

    def maybe_flush(self) -> bool:
        """Flush if memory holds much, or something old; whether it was time. Raises StoreError."""
        ledger = self._book.ledger
        if ledger is None or not ledger.wants_flush(self._place.wall_ms()):
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Everything goes from memory to the ledger's files; the journal need not keep it. Raises StoreError."""
        ledger = self._book.ledger
        if ledger is None:
            return
        with self._flush_lock:
            self._place.syncs.sync()  # most of what is to be synced, while others may apply
            self._flush(ledger)
            self._book.written()
        self._place.flushed()

    def _flush(self, ledger: Ledger) -> None:
        with ExitStack() as applying:
            applying.enter_context(self._lock)
            position = self._place.position()
            self._place.syncs.sync_up_to(position)

            def frozen() -> None:
                self._book.frozen()
                applying.close()

            try:
                ledger.flush(position, self._place.wall_ms(), frozen)
            except OSError as error:
                raise StoreError(f"the ledger cannot be written: {error}") from error

    def upkeep(self) -> bool:
        """One bounded step of merging and expiring; whether there is more to do. Raises StoreError."""
        try:
            return self._book.ledger is not None and self._book.ledger.upkeep()
        except OSError as error:
            raise StoreError(f"the ledger cannot be kept up: {error}") from error

    def view(self) -> Any:
        """What is known now, as the ledger shows it; None if there are no records."""
        return None if self._book.ledger is None else self._book.ledger.view()

    def asked(self) -> Any:
        """The same for answers: `obsagent.answer.outcomes.Ledger`."""
        return None if self._book.ledger is None else self._book.ledger.asked()

    def status(self) -> dict[str, Any] | None:
        """As `records_status.py` has it; None if there are no records."""
        return records_status(None if self._book.ledger is None else self._book.ledger.status())

    def forget(self, batch: Forgotten) -> dict[str, int]:
        """Forgets ids: how many predictions, truths and rows of them there were. Raises StoreError.

        When it returns they are in none of the ledger's files, unless it would take long: then upkeep goes on with it.
        """
        view = self.view()
        if view is None:
            return {"predictions": 0, "truths": 0, "rows": 0}
        found = [view.find(batch.model or None, text) for text in texts_of(batch.ids)]
        self.write(Records(NO_SESSION, 0, 0, len(batch.ids), batch))
        self.flush()
        deadline_s = time.monotonic() + FORGET_S
        while self.upkeep() and time.monotonic() < deadline_s:
            pass
        return {
            "predictions": sum(len(each.predictions) for each in found),
            "truths": sum(len(each.truths) for each in found),
            "rows": sum(len(each.rows) for each in found),
        }

    def close(self) -> None:
        """Flushes, and closes the ledger's files. Raises StoreError."""
        self.flush()
        if self._book.ledger is not None:
            self._book.ledger.close(self._place.position(), self._place.wall_ms())

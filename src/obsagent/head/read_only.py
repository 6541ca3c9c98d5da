"""A store read without its lock: segments as they are, the journal replayed in memory.

An agent may be at work in the directory. It may append, begin and remove files between two of our reads,
and then what was read does not belong together: a checkpoint moves samples from the journal into a
segment. So the names and sizes of the segment files are compared before and after, and everything is read
again if they changed.

Compaction and retention give up files that a view of ours names; they stay for a minute (`shelf.KEEP_MS`). So each
view begins with a look at the names, and everything is read again if there is a compacted or rolled-up file that we
do not know, or if one is gone. A view that is asked later than that may find a file gone, which is a StoreError.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from obsagent.clock import Clock
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.directory import StoreDirectory, read_identity
from obsagent.head.ledger_book import LedgerBook
from obsagent.head.ledger_port import Ledger, read_ledger
from obsagent.head.records_status import records_status
from obsagent.head.recovery import Recovered, recover
from obsagent.head.status import StatusParts, status_of
from obsagent.head.view import View
from obsagent.segment.catalog import segment_paths
from obsagent.segment.gaps import gap_of_damage, merged
from obsagent.segment.reader import BlockReader
from obsagent.segment.recover import Damage, is_compacted
from obsagent.segment.tables import Gap

ATTEMPTS = 20
PAUSE_S = 0.05


class ReadOnlyStore:
    """The state of a store at the moment when it was opened, or when it was compacted after that."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        """Read the store. Raises StoreError if there is none, or if a newer version made it."""
        self._directory = StoreDirectory(directory)
        if not self._directory.segments.is_dir():
            raise StoreError(f"there is no store in {directory}")
        self._clock = clock
        self._store_id = read_identity(self._directory)
        self._recovered = recover_quietly(self._directory, clock)
        self._damage: set[Damage] = set()
        self._reader = BlockReader(self._damage.add)
        self._lock = threading.Lock()

    def view(self) -> View:
        """What a query reads; entries that are only in the journal are in it. Raises StoreError."""
        if self._has_changed():
            self._recovered = recover_quietly(self._directory, self._clock)
        state = self._recovered.state
        return View(
            lock=self._lock,
            table=state.series,
            sessions=state.sessions,
            windows=list(state.windows.values()),
            books=[state.book],
            tiers=self._recovered.tiers,
            last_seen=self._recovered.checkpoint.last_seen,
            overflowed=dict(state.series.refused),
            log=state.events,
            now_ms=self._clock.wall_ms(),
            reader=self._reader,
            known_gaps=self._gaps,
            open_ledger=self._asked,
        )

    def records(self) -> Any:
        """What is known by the ids of requests, as the ledger shows it; None if nothing is. Raises StoreError."""
        ledger = self._read_ledger()
        return None if ledger is None else ledger.view()

    def _asked(self) -> Any:
        """The ledger for answers; None if nothing is kept by the ids of requests. Raises StoreError."""
        ledger = self._read_ledger()
        return None if ledger is None else ledger.asked()

    def _read_ledger(self) -> Ledger | None:
        """As it was flushed, and what is in the journal only; None if there are no records. Raises StoreError.

        An agent may be at work, and flush between our look at the ledger and that at the journal: then both are looked
        at again.
        """
        for _ in range(ATTEMPTS):
            book = LedgerBook(self._open_ledger, is_there=self._directory.ledger.is_dir())
            position = book.position
            recover_quietly(self._directory, self._clock, book)
            if book.ledger is None or self._open_ledger().position == position:
                return book.ledger
        raise StoreError(f"the ledger of {self._directory.root} changes faster than it can be read")

    def _open_ledger(self) -> Ledger:
        return read_ledger(self._directory.ledger, self._store_id or bytes(16))

    def _gaps(self) -> list[Gap]:
        """Those that were found when the store was read, and since."""
        return merged([*self._recovered.gaps, *map(gap_of_damage, list(self._damage))])

    def _has_changed(self) -> bool:
        catalog = self._recovered.catalog
        known = {*(file.path for file in (*catalog.files, *catalog.rolled_files)), *catalog.superseded}
        paths = set(segment_paths(self._directory.segments))
        return any(map(is_compacted, paths - known)) or not known - set(catalog.superseded) <= paths

    def status(self) -> dict[str, Any]:
        """As `Store.status`."""
        recovered = self._recovered
        state = recovered.state
        parts = StatusParts(
            store_id=self._store_id,
            directory=self._directory,
            accounts=dict(state.totals),
            sessions=list(state.sessions),
            windows=len(state.windows),
            series=state.series,
            events=state.events,
            head_bytes=state.memory_bytes,
            journal_position=recovered.position,
            journal_durable=recovered.position,
            tiers=recovered.tiers,
            corrupt=recovered.corrupt + len(self._damage),
            gaps=self._gaps(),
            last_checkpoint_ms=recovered.checkpoint.written_ms or None,
        )
        ledger = self._open_ledger().status() if self._directory.ledger.is_dir() else None
        return {**status_of(parts), "records": records_status(ledger)}


def recover_quietly(directory: StoreDirectory, clock: Clock, book: LedgerBook | None = None) -> Recovered:
    """Read everything in a moment in which no checkpoint was written; records go to the `book`."""
    vanished: OSError | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            before = _segment_sizes(directory)
            recovered = recover(directory, Budgets(), clock.wall_ms(), book)
            if _segment_sizes(directory) == before:
                return recovered
        except FileNotFoundError as error:
            vanished = error
        except OSError as error:
            raise StoreError(f"cannot read the store {directory.root}: {error}") from error
    raise StoreError(f"the store {directory.root} changes faster than it can be read: {vanished or 'checkpoints'}")


def _segment_sizes(directory: StoreDirectory) -> dict[Path, int]:
    return {path: path.stat().st_size for path in segment_paths(directory.segments)}

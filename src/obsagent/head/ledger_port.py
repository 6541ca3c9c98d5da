"""What the store asks of the ledger: the table of predictions that wait for truths, truths, outcomes and kept rows.

The ledger has files and a durable position of its own. It is injected (`OpenLedger`), since what is behind it needs
numpy, and a store without records is to load none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from obsagent.by_id.batches import Batch
from obsagent.by_id.report import TruthReport
from obsagent.errors import StoreError
from obsagent.fs import Fs


class Ledger(Protocol):
    """Not thread-safe: whoever has it holds a lock around `apply`, `flush` and `upkeep`."""

    @property
    def position(self) -> int:
        """All records of the journal below it are in the ledger's files."""
        ...

    def apply(
        self, batch: Batch, *, session: bytes, sequence: int, rows: int, dropped: int, position: int
    ) -> TruthReport:
        """Takes in a batch that begins at `position` of the journal.

        `sequence` is that of its last record, and `rows` how many it was sent with: those that it does not hold any
        more were rejected. `dropped` were given up before it. Says what became of its truths.
        """
        ...

    def is_duplicate(self, session: bytes, sequence: int) -> bool:
        """True if the records of a session up to a sequence have been applied."""
        ...

    def session(self, session: bytes) -> tuple[int, TruthReport]:
        """The sequence of its last record, and what became of all its truths."""
        ...

    def wants_flush(self, now_ms: int) -> bool:
        """True if memory holds much, or something old."""
        ...

    def flush(self, position: int) -> None:
        """Everything applied goes to disk; it is all that the journal has below `position`. Raises `StoreError`."""
        ...

    def upkeep(self, now_ms: int) -> bool:
        """One bounded step of merging and expiring; True if there was something to do. Raises `StoreError`."""
        ...

    def view(self) -> Any:
        """What is known now; it does not change any more."""
        ...

    def status(self) -> dict[str, Any]:
        """Counts and sizes, as JSON takes them."""
        ...

    def close(self) -> None:
        """Closes its files; nothing is written by it."""
        ...


OpenLedger = Callable[[Path, Fs, bytes], Ledger]
"""Of a directory, which is made if there is none, and the key of its hashes; raises `StoreError`."""


def open_ledger(directory: Path, fs: Fs, key: bytes) -> Ledger:
    """The real one."""
    raise StoreError(f"this build has no ledger for {directory}")

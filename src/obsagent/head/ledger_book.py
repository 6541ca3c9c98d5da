"""The ledger of one store, opened when there is something in it or for it, and what of the journal it still needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obsagent.by_id.report import TruthReport
from obsagent.head.entries import Records
from obsagent.head.ledger_port import Ledger

EVERYTHING = (1 << 63) - 1
"""Behind all positions: nothing of the journal is needed."""


class LedgerBook:
    """Not thread-safe, like the ledger.

    Invariant: every record of the journal below `needed_from` is in the ledger's files.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], *, is_there: bool) -> None:
        """Opens the ledger if it `is_there` already; else with the first record."""
        self._open = open_ledger
        self._ledger = open_ledger() if is_there else None
        self._first_unflushed = EVERYTHING

    @property
    def ledger(self) -> Ledger | None:
        """None while there was no record."""
        return self._ledger

    def opened(self) -> Ledger:
        """The ledger, made if there is none yet; raises `StoreError`."""
        if self._ledger is None:
            self._ledger = self._open()
        return self._ledger

    @property
    def position(self) -> int:
        """From where on a replay of the journal brings what is not in the ledger's files."""
        return 0 if self._ledger is None else self._ledger.position

    @property
    def needed_from(self) -> int:
        """The journal from there on may not be removed."""
        return self._first_unflushed

    def session(self, session: bytes) -> tuple[int, TruthReport]:
        """The sequence of a session's last record, and what became of its truths."""
        return (0, TruthReport()) if self._ledger is None else self._ledger.session(session)

    def is_duplicate(self, entry: Records) -> bool:
        """True if it was applied before; what is to be forgotten is so each time."""
        if self._ledger is None or not entry.sequence:
            return False
        return self._ledger.is_duplicate(entry.session, entry.sequence)

    def apply(self, entry: Records, position: int) -> bool:
        """Applies the entry that begins at a position of the journal; False if the ledger has it."""
        if position < self.position or self.is_duplicate(entry):
            return False
        self.opened().apply(
            entry.batch,
            session=entry.session,
            sequence=entry.sequence,
            rows=entry.rows,
            dropped=entry.dropped,
            position=position,
        )
        self._first_unflushed = min(self._first_unflushed, position)
        return True

    def flush(self, position: int) -> None:
        """Everything goes to the ledger's files: it is all that the journal has below `position`."""
        if self._ledger is not None and self._first_unflushed < EVERYTHING:
            self._ledger.flush(position)
            self._first_unflushed = EVERYTHING

    def status(self) -> dict[str, Any] | None:
        """What the ledger says of itself; None if there is none."""
        return None if self._ledger is None else self._ledger.status()

    def close(self) -> None:
        """Closes the ledger's files."""
        if self._ledger is not None:
            self._ledger.close()

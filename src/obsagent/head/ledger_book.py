"""The ledger of one store, opened when there is something in it or for it, and what of the journal it still needs."""

from __future__ import annotations

from collections.abc import Callable

from obsagent.by_id.report import TruthReport
from obsagent.head.entries import Records
from obsagent.head.ledger_port import Ledger

EVERYTHING = (1 << 63) - 1
"""Behind all positions: nothing of the journal is needed."""


class LedgerBook:
    """For one thread at a time.

    Invariant: every record of the journal below `needed_from` is in the ledger's files.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], *, is_there: bool) -> None:
        """Opens the ledger if it `is_there` already; else with the first record."""
        self._open = open_ledger
        self.ledger = open_ledger() if is_there else None
        """None while there was no record."""
        self._first_applied = EVERYTHING
        self._first_frozen = EVERYTHING

    def opened(self) -> Ledger:
        """The ledger, made if there is none yet; raises `StoreError`."""
        if self.ledger is None:
            self.ledger = self._open()
        return self.ledger

    @property
    def needed_from(self) -> int:
        """The journal from there on may not be removed."""
        return min(self._first_applied, self._first_frozen)

    def frozen(self) -> None:
        """What was applied so far is on its way to disk."""
        self._first_frozen, self._first_applied = self.needed_from, EVERYTHING

    def written(self) -> None:
        """It has arrived there."""
        self._first_frozen = EVERYTHING

    @property
    def position(self) -> int:
        """From where on a replay of the journal brings what is not in the ledger's files."""
        return 0 if self.ledger is None else self.ledger.position

    def session(self, session: bytes) -> tuple[int, TruthReport]:
        """The sequence of a session's last record, and what became of its truths."""
        if self.ledger is None:
            return 0, TruthReport()
        state = self.ledger.session(session)
        return state.last_record, state.report

    def is_duplicate(self, entry: Records) -> bool:
        """True if it was applied before; what is to be forgotten is so each time."""
        if self.ledger is None or not entry.sequence:
            return False
        return self.ledger.is_duplicate(entry.session, entry.sequence)

    def apply(self, entry: Records, position: int) -> bool:
        """Applies the entry that begins at a position of the journal; False if the ledger has it."""
        if position < self.position or self.is_duplicate(entry):
            return False
        ledger = self.opened()
        session = entry.session if entry.sequence else b""
        ledger.apply(
            entry.batch,
            session=session,
            sequence=entry.sequence,
            rows=entry.rows,
            dropped=entry.dropped + (ledger.session(session).dropped if session else 0),
            position=position,
        )
        self._first_applied = min(self._first_applied, position)
        return True

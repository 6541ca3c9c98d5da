"""What the store asks of the ledger: the table of predictions that wait for truths, truths, outcomes and kept rows.

It is injected (`OpenLedger`), since what is behind it needs numpy, and a store without records is to load none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from obsagent.by_id.batches import Batch
from obsagent.by_id.report import TruthReport
from obsagent.fs import Fs


class SessionState(Protocol):
    """How far the records of a session have come."""

    @property
    def last_record(self) -> int:
        """The sequence of the last that was applied; 0 before the first."""
        ...

    @property
    def dropped(self) -> int:
        """How many its client has given up."""
        ...

    @property
    def report(self) -> TruthReport:
        """What became of its truths."""
        ...


class Ledger(Protocol):
    """Thread-safe, but `apply` is for one thread at a time, and so is `flush`."""

    @property
    def position(self) -> int:
        """All records of the journal below it are in the ledger's files."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Of what is not in its files."""
        ...

    def apply(self, batch: Batch, *, session: bytes, sequence: int, rows: int, dropped: int, position: int) -> object:
        """Takes in a batch that begins at `position` of the journal.

        `sequence` is that of its last record, and `rows` how many it was sent with: those that it does not hold any
        more were rejected. `dropped` is what the session's client has given up so far. No `session`: of nobody.
        """
        ...

    def is_duplicate(self, session: bytes, sequence: int) -> bool:
        """True if the records of a session up to a sequence have been applied."""
        ...

    def session(self, session: bytes) -> SessionState:
        """That of a session, which may be new."""
        ...

    def wants_flush(self, now_ms: int) -> bool:
        """True if memory holds much, or something old."""
        ...

    def flush(self, position: int, now_ms: int, frozen: Callable[[], object]) -> None:
        """Everything applied goes to disk; it is all that the journal has below `position`.

        `frozen` is called once it is settled what that is: from then on batches may be applied. Raises OSError.
        """
        ...

    def upkeep(self) -> bool:
        """One bounded step of merging and expiring; True if there is more to do. Raises OSError."""
        ...

    def view(self) -> Any:
        """What is known now; it does not change any more."""
        ...

    def asked(self) -> Any:
        """The same for answers: `obsagent.answer.outcomes.Ledger`."""
        ...

    def status(self) -> dict[str, Any]:
        """Counts and sizes, as JSON takes them."""
        ...

    def close(self, position: int, now_ms: int) -> None:
        """Flushes, and closes its files. Raises OSError."""
        ...


OpenLedger = Callable[[Path, Fs, bytes], Ledger]
"""Of a directory, which is made if there is none, and the key of its hashes; raises `StoreError`."""


def open_ledger(
    directory: Path,
    fs: Fs,
    key: bytes,
    horizon_ms: Callable[[str], int] | None = None,
    task: Callable[[str], str] | None = None,
    positive: Callable[[str], str] | None = None,
    retention_ms: Callable[[], tuple[int, ...]] | None = None,
    disk_budget: int | None = None,
) -> Ledger:
    """The real one. Functions say of a model how long its predictions and truths wait for each other, what it predicts,
    and which class is the positive one; the last two are empty where it is to be told by the predictions.

    `retention_ms` is how long outcomes are kept in windows of each length. Beyond `disk_budget` bytes the oldest
    predictions that wait go first.
    """
    from obsagent.ledger.ledger import Ledger as RealLedger  # loads numpy
    from obsagent.ledger.settings import LedgerSettings

    default = LedgerSettings()
    settings = LedgerSettings(
        horizon_ms=horizon_ms or default.horizon_ms,
        task=task or default.task,
        positive=positive or default.positive,
        retention_ms=retention_ms or default.retention_ms,
        disk_budget=default.disk_budget if disk_budget is None else disk_budget,
    )
    return RealLedger.open(directory, fs, key, settings)


def read_ledger(directory: Path, key: bytes) -> Ledger:
    """The real one as it was flushed last; nothing of it is changed on disk. Raises StoreError."""
    from obsagent.ledger.ledger import Ledger as RealLedger  # loads numpy

    return RealLedger.open_read_only(directory, key)

"""A ledger in memory for tests: truths meet predictions by id as in a real one, in dicts, without numpy or a disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

from obsagent.by_id import columns
from obsagent.by_id.batches import Batch, Forgotten, Predictions, Rows, Truths, Values
from obsagent.by_id.codec import texts_of
from obsagent.by_id.report import TruthReport

NOWHERE = Path("nowhere")
"""A directory without files: what is not flushed needs none."""


@dataclass(slots=True)
class Known:
    """What is known of one id of one model."""

    predictions: list[tuple[str, str, float | str]] = field(default_factory=list)
    """Version, variant, value."""
    truth: float | str | None = None
    row: bytes | None = None


class SessionState(NamedTuple):
    """How far the records of a session have come."""

    last_record: int = 0
    dropped: int = 0
    report: TruthReport = TruthReport()


class MemoryLedger:
    """Implements `obsagent.head.ledger_port.Ledger`; nothing of it is ever on disk, so its position stays 0."""

    position = memory_bytes = 0

    def __init__(self) -> None:
        """Knows nothing."""
        self.known: dict[tuple[str, str], Known] = {}
        self._sessions: dict[bytes, SessionState] = {}
        self._batches: list[Batch] = []

    def is_duplicate(self, session: bytes, sequence: int) -> bool:
        """True if the records of a session up to a sequence have been applied."""
        return sequence <= self.session(session).last_record

    def session(self, session: bytes) -> SessionState:
        """That of a session, which may be new."""
        return self._sessions.get(session, SessionState())

    def apply(
        self, batch: Batch, *, session: bytes, sequence: int, rows: int, dropped: int, position: int
    ) -> TruthReport:
        """Takes in a batch; what became of its truths."""
        self._batches.append(batch)
        report = self._apply(batch)
        if isinstance(batch, Truths):
            report = report._replace(rejected=report.rejected + rows - len(batch.ids))
        self._sessions[session] = SessionState(sequence, dropped, self.session(session).report.plus(report))
        return report

    def _apply(self, batch: Batch) -> TruthReport:
        ids = texts_of(batch.ids)
        match batch:
            case Truths():
                return self._take_truths(batch, ids)
            case Predictions():
                for text, value in zip(ids, _values(batch.values), strict=True):
                    self._of(batch.model, text).predictions.append((batch.version, batch.variant, value))
            case Rows():
                for text, row in zip(ids, batch.rows, strict=True):
                    self._of(batch.model, text).row = row
            case Forgotten():
                wanted = set(ids)
                for model, text in list(self.known):
                    if text in wanted and batch.model in ("", model):
                        del self.known[model, text]
        return TruthReport()

    def _take_truths(self, batch: Truths, ids: list[str]) -> TruthReport:
        counts = dict.fromkeys(TruthReport._fields, 0)
        for text, value in zip(ids, _values(batch.values), strict=True):
            counts[self._take_truth(self._of(batch.model, text), value)] += 1
        return TruthReport(**counts)

    def _take_truth(self, known: Known, value: float | str) -> str:
        if isinstance(value, float) and isnan(value):
            return "rejected"
        before, known.truth = known.truth, value
        if before is not None:
            return "duplicate" if before == value else "corrected"
        return "matched" if known.predictions else "unmatched"

    def _of(self, model: str, text: str) -> Known:
        return self.known.setdefault((model, text), Known())

    def wants_flush(self, now_ms: int) -> bool:
        """Never."""
        return False

    def flush(self, position: int, now_ms: int, frozen: Callable[[], object]) -> None:
        """There is no disk."""
        frozen()

    def upkeep(self) -> bool:
        """Nothing is merged or expires."""
        return False

    def view(self) -> Any:
        """Itself."""
        return self

    def asked(self) -> Any:
        """A real one in memory, of all that was taken in, for answers: it needs numpy. None if nothing was."""
        if not self._batches:
            return None
        from obsagent.ledger.ledger import Ledger

        ledger = Ledger.open_read_only(NOWHERE)
        for position, batch in enumerate(self._batches):
            ledger.apply(batch, session=b"", sequence=0, rows=len(batch.ids), dropped=0, position=position)
        return ledger.asked()

    def status(self) -> dict[str, Any]:
        """How many ids are known."""
        return {"ids": len(self.known)}

    def close(self, position: int, now_ms: int) -> None:
        """Nothing is open."""


def _values(values: Values) -> list[float | str]:
    if values.names is None:
        return list(columns.unpack(columns.NUMBER, values.data))
    return [values.names[int(index)] for index in columns.unpack(columns.CLASS, values.data)]

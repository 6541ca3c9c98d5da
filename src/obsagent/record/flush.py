"""What a flush says: what of the session is acknowledged, waits, or is lost."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.errors import PendingSamples


class FlushResult(NamedTuple):
    """What became of the samples, events and records of the session so far; `pending` are those from before the flush.

    Records are predictions with an id, kept rows and truths.
    """

    acknowledged: int
    pending: int
    dropped: int
    rejected: int
    pending_events: int = 0
    dropped_events: int = 0
    pending_records: int = 0
    dropped_records: int = 0

    def raise_if_pending(self) -> None:
        """Raises `PendingSamples` unless the agent has acknowledged everything that was kept."""
        if self.pending or self.pending_events or self.pending_records:
            others = ((self.pending_events, "events"), (self.pending_records, "predictions, rows and truths"))
            told = [f"{self.pending} samples", *(f"{count} {what}" for count, what in others if count)]
            raise PendingSamples(f"{' and '.join(told)} are not acknowledged by the agent yet")

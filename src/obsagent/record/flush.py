"""What a flush says: what of the session is acknowledged, waits, or is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from obsagent.errors import PendingSamples

if TYPE_CHECKING:
    from obsagent.record.client import Client


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


def result_of(client: Client, sealed: int) -> FlushResult:
    """What has become of `sealed` samples of a client's session, and of its events and records."""
    outbox, counts, models = client.outbox, client.counts(), client.models
    given_up = counts.dropped_budget + counts.dropped_expired
    held = models.held_samples if models is not None else 0
    unsealed_records = models.waiting_records if models is not None else 0
    return FlushResult(
        acknowledged=outbox.acknowledged_samples,
        pending=max(sealed - given_up - outbox.acknowledged_samples, 0) + held,
        dropped=counts.dropped_ring + given_up,
        rejected=counts.rejected_value,
        pending_events=client.events.pending,
        dropped_events=client.events.dropped,
        pending_records=client.records.pending + unsealed_records,
        dropped_records=client.records.dropped,
    )

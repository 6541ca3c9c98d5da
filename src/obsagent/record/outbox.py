"""The client's own queue: sealed batches that the agent has not acknowledged yet.

Sequences count from one and never repeat within a session. What does not fit the budget, or grows older than
an hour, is given up from the old end and counted; `first_kept` tells the agent so, and a hole never blocks an
acknowledgement.

What is given up after it was sent may have been taken all the same: then its acknowledgement comes, in the same
conversation, and it counts as acknowledged after all.

Owned by the sender thread. Other threads read the counters.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from obsagent.limits import CLIENT_QUEUE_AGE_MS, CLIENT_QUEUE_BYTES, EXEMPLAR_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obsagent._native.ring import Batch
    from obsagent.record.exemplars import ExemplarSlots, HeldExemplar

ENTRY_OVERHEAD_BYTES = 256


def exact_ms(ns: int) -> float:
    """Nanoseconds as milliseconds; since the epoch they have more digits than a double, and would be rounded down."""
    return ns // 1_000 / 1_000


class QueuedBatch:
    """A batch with its sequence, and the exemplars that go with it."""

    __slots__ = ("batch", "exemplars", "queued_ms", "reach_ms", "sequence")

    def __init__(self, sequence: int, batch: Batch, queued_ms: int, exemplars: Sequence[HeldExemplar] = ()) -> None:
        """`queued_ms`: monotonic milliseconds."""
        self.sequence = sequence
        self.batch = batch
        self.queued_ms = queued_ms
        self.exemplars = exemplars
        self.reach_ms: int = getattr(batch, "reach_ms", 0)  # the drain's batches are all of now

    @property
    def byte_size(self) -> int:
        """What the entry weighs in the budget."""
        return len(self.batch.body) + ENTRY_OVERHEAD_BYTES + EXEMPLAR_BYTES * len(self.exemplars)


class Outbox:
    """Batches in order of sequence, oldest first; the first `_sent` of them have been handed to the socket."""

    def __init__(
        self,
        budget_bytes: int = CLIENT_QUEUE_BYTES,
        age_limit_ms: int = CLIENT_QUEUE_AGE_MS,
        exemplars: ExemplarSlots | None = None,
    ) -> None:
        """An empty queue whose next sequence is one; each batch takes along the exemplars from before its end."""
        self._exemplars = exemplars
        self._queue: deque[QueuedBatch] = deque()
        self._sent = 0
        self._in_doubt: deque[tuple[int, int]] = deque()  # sequence and samples
        self._budget_bytes = budget_bytes
        self._age_limit_ms = age_limit_ms
        self._bytes = 0
        self._next_sequence = 1
        self.queued_samples = 0
        self.acknowledged_samples = 0
        self.acknowledged_sequence = 0
        self.dropped_budget = 0
        self.dropped_expired = 0

    @property
    def first_kept(self) -> int:
        """The oldest sequence that may still be sent."""
        return self._queue[0].sequence if self._queue else self._next_sequence

    @property
    def settled_samples(self) -> int:
        """Samples that nobody waits for any more: acknowledged or given up."""
        return self.acknowledged_samples + self.dropped_budget + self.dropped_expired

    @property
    def waiting(self) -> bool:
        """True while something has been sent and is not acknowledged."""
        return self._sent > 0

    @property
    def has_room(self) -> bool:
        """True while half of the budget is free."""
        return self._bytes <= self._budget_bytes // 2

    def put(self, batch: Batch, now_ms: int) -> None:
        """Queues a sealed batch; gives up the oldest ones if the budget is exceeded."""
        exemplars = self._exemplars.take(exact_ms(batch.end_ns)) if self._exemplars is not None else ()
        entry = QueuedBatch(self._next_sequence, batch, now_ms, exemplars)
        self._next_sequence += 1
        self._queue.append(entry)
        self._bytes += entry.byte_size
        self.queued_samples += batch.samples
        while self._bytes > self._budget_bytes and len(self._queue) > 1:
            if self._sent:
                self._in_doubt.append((self._queue[0].sequence, self._queue[0].batch.samples))
            self.dropped_budget += self._give_up()

    def expire(self, now_ms: int) -> None:
        """Gives up what has waited longer than the age limit."""
        while self._queue and now_ms - self._queue[0].queued_ms > self._age_limit_ms:
            self.dropped_expired += self._give_up()

    def give_up_unsent(self) -> None:
        """The session ends: what was never handed to the socket will not be."""
        while len(self._queue) > self._sent:
            entry = self._queue.pop()
            self._bytes -= entry.byte_size
            self.dropped_expired += entry.batch.samples

    def _give_up(self) -> int:
        return self._pop().batch.samples

    def _pop(self) -> QueuedBatch:
        entry = self._queue.popleft()
        self._bytes -= entry.byte_size
        self._sent = max(self._sent - 1, 0)
        return entry

    def next_unsent(self) -> QueuedBatch | None:
        """The next batch to send, or None."""
        return self._queue[self._sent] if self._sent < len(self._queue) else None

    def mark_sent(self) -> None:
        """The batch that `next_unsent` gave has been handed to the socket."""
        self._sent += 1

    def rewind(self) -> None:
        """A new conversation: everything unacknowledged is to be sent again, and what is given up stays so."""
        self._sent = 0
        self._in_doubt.clear()

    def acknowledge(self, sequence: int) -> Batch | None:
        """Everything up to `sequence` is on the agent's disk; the last batch of which this is news."""
        self.acknowledged_sequence = max(self.acknowledged_sequence, sequence)
        while self._in_doubt and self._in_doubt[0][0] <= sequence:
            _, samples = self._in_doubt.popleft()
            self.dropped_budget -= samples
            self.acknowledged_samples += samples
        batch = None
        while self._queue and self._queue[0].sequence <= sequence:
            entry = self._pop()
            batch = entry.batch
            self.acknowledged_samples += entry.batch.samples
        return batch

"""The client's queue of records: predictions with ids, kept rows, and truths, in batches of one model and slice each.

Sequences count records, from one. What does not fit the budget is given up from the old end and counted, but truths
never are: whoever has some waits for room. So there may be gaps, behind which nothing is sent before all ahead of them
is acknowledged (FORMAT.md of the wire). What is given up after it was sent may have been taken all the same: then its
acknowledgement comes, in the same conversation, and it counts as acknowledged after all.

Any thread puts batches in; the sender's thread sends them.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from obsagent.by_id import columns
from obsagent.by_id.codec import encode, encoded_size, kind_of
from obsagent.by_id.report import TruthReport
from obsagent.limits import CLIENT_RECORDS_BYTES, CLIENT_TRUTHS_BYTES

if TYPE_CHECKING:
    from obsagent.by_id.batches import Kind, Predictions, Rows, Truths

    Sent = Predictions | Rows | Truths

ENTRY_OVERHEAD_BYTES = 256


class QueuedRecords:
    """A batch with the sequence of its first record. The times of one that is not `stamped` are monotonic."""

    __slots__ = ("_batch", "byte_size", "is_stamped", "kind", "rows", "sequence", "was_sent")

    def __init__(self, sequence: int, batch: Sent, *, is_stamped: bool) -> None:
        """The sequence counts in all sessions of the client."""
        self.sequence = sequence
        self._batch = batch
        self.is_stamped = is_stamped
        self.kind: Kind = kind_of(batch)
        self.rows = len(batch.ids)
        self.byte_size = encoded_size(batch) + ENTRY_OVERHEAD_BYTES
        self.was_sent = False

    @property
    def last_sequence(self) -> int:
        """That of its last record."""
        return self.sequence + self.rows - 1

    def body(self, offset_ms: float) -> bytes:
        """What is sent; the offset is that from the monotonic clock to the agent's."""
        if self.is_stamped:
            return encode(self._batch)
        by_ms = int(offset_ms)
        times = columns.unpack(columns.TIME, self._batch.at_ms)
        return encode(replace(self._batch, at_ms=columns.pack(columns.TIME, [at_ms + by_ms for at_ms in times])))


class RecordQueue:
    """Batches in order of sequence, oldest first; the first `_sent` of them have been handed to the socket.

    Thread-safe. The lock is held for a few instructions and may be taken again by a signal's handler.
    """

    def __init__(self, budget_bytes: int = CLIENT_RECORDS_BYTES, truths_bytes: int = CLIENT_TRUTHS_BYTES) -> None:
        """Two empty budgets: of what may be given up, and of truths, which wait for room."""
        self._lock = threading.RLock()
        self._queue: deque[QueuedRecords] = deque()
        self._truths: deque[QueuedRecords] = deque()
        self._sent = 0
        self._in_doubt: deque[QueuedRecords] = deque()
        self._budgets = budget_bytes, truths_bytes
        self._bytes = self._truth_bytes = 0
        self._next_sequence = 1
        self.pending = 0
        """Records that are neither acknowledged nor given up."""
        self.dropped = 0
        self.acknowledged_sequence = 0
        self.report = TruthReport()
        """What became of the truths that were acknowledged."""
        self.is_refused = False
        """True for an agent that takes no records: what comes is dropped."""

    @property
    def first_kept(self) -> int:
        """The oldest sequence that may still be sent."""
        with self._lock:
            return self._queue[0].sequence if self._queue else self._next_sequence

    @property
    def last_sequence(self) -> int:
        """The sequence of the newest record; 0 before the first."""
        return self._next_sequence - 1

    @property
    def waiting(self) -> bool:
        """True while something has been sent and is not acknowledged."""
        return self._sent > 0

    @property
    def has_room(self) -> bool:
        """True while half of the budget of what may be given up is free, or nothing is kept anyway."""
        return self._bytes <= self._budgets[0] // 2 or self.is_refused

    def put(self, batch: Predictions | Rows, *, is_stamped: bool) -> None:
        """Queues a batch; gives up the oldest ones, of the same kinds, if the budget is exceeded."""
        with self._lock:
            entry = self._append(batch, is_stamped=is_stamped)
            self._bytes += entry.byte_size
            while self._bytes > self._budgets[0] or (self.is_refused and self._bytes):
                self._drop(next(each for each in self._queue if each not in self._truths))

    def put_truths(self, batch: Truths, *, is_stamped: bool) -> int | None:
        """Queues truths and gives the sequence of the last; None if there is no room for them now."""
        with self._lock:
            if not self.has_room_for_truths:
                return None
            entry = self._append(batch, is_stamped=is_stamped)
            self._truths.append(entry)
            self._truth_bytes += entry.byte_size
            return entry.last_sequence

    def _append(self, batch: Sent, *, is_stamped: bool) -> QueuedRecords:
        entry = QueuedRecords(self._next_sequence, batch, is_stamped=is_stamped)
        self._next_sequence += entry.rows
        self._queue.append(entry)
        self.pending += entry.rows
        return entry

    def _drop(self, entry: QueuedRecords) -> None:
        index = self._queue.index(entry)
        if index < self._sent:
            self._sent -= 1
            self._in_doubt.append(entry)
        self._forget(entry)
        self.dropped += entry.rows

    def _forget(self, entry: QueuedRecords) -> None:
        self._queue.remove(entry)
        self.pending -= entry.rows
        if self._truths and entry in self._truths:
            self._truths.remove(entry)
            self._truth_bytes -= entry.byte_size
        else:
            self._bytes -= entry.byte_size

    @property
    def has_room_for_truths(self) -> bool:
        """True while their budget is not used up."""
        return self._truth_bytes <= self._budgets[1]

    @property
    def truths_waiting(self) -> bool:
        """True while truths are neither acknowledged nor withdrawn."""
        return bool(self._truths)

    def withdraw_truths(self) -> None:
        """Takes out the truths that were never handed to the socket: whoever waited for them is told so."""
        with self._lock:
            for entry in [each for each in self._truths if not each.was_sent]:
                self._forget(entry)

    def refuse(self) -> None:
        """The agent takes no records: gives up all there are."""
        with self._lock:
            self.is_refused = True
            for entry in list(self._queue):
                self._drop(entry)

    def drop(self, rows: int) -> None:
        """Records that cannot be queued any more."""
        with self._lock:
            self.dropped += rows

    def accept(self) -> None:
        """The agent takes records."""
        self.is_refused = False

    def next_unsent(self) -> QueuedRecords | None:
        """The next batch to send, or None; behind a gap only when all ahead of it is acknowledged."""
        with self._lock:
            if self._sent >= len(self._queue):
                return None
            entry = self._queue[self._sent]
            if self._sent and self._queue[self._sent - 1].last_sequence + 1 != entry.sequence:
                return None
            return entry

    def mark_sent(self, entry: QueuedRecords) -> None:
        """The batch that `next_unsent` gave has been handed to the socket."""
        with self._lock:
            entry.was_sent = True
            if self._sent < len(self._queue) and self._queue[self._sent] is entry:
                self._sent += 1
            else:
                self._in_doubt.append(entry)  # given up meanwhile

    def rewind(self) -> None:
        """A new conversation: everything unacknowledged is to be sent again, and what is given up stays so."""
        with self._lock:
            self._sent = 0
            self._in_doubt.clear()

    def acknowledge(self, sequence: int, report: TruthReport) -> None:
        """Everything up to `sequence` is on the agent's disk; `report` is what has become of truths since the last."""
        with self._lock:
            self.acknowledged_sequence = max(self.acknowledged_sequence, sequence)
            self.report = self.report.plus(report)
            for entry in [each for each in self._in_doubt if each.last_sequence <= sequence]:
                self._in_doubt.remove(entry)
                self.dropped -= entry.rows
            while self._queue and self._queue[0].last_sequence <= sequence:
                self._forget(self._queue[0])
                self._sent = max(self._sent - 1, 0)

    def give_up_unsent(self) -> None:
        """The session ends: what was never handed to the socket will not be."""
        with self._lock:
            for entry in list(self._queue)[self._sent :]:
                self._drop(entry)

"""The client's queue of events: moments that a service names, such as a deploy.

Events are few, matter more than any sample, and are kept apart from the batches: a queue that is full of samples
costs no event. Sequences count events, from one; what does not fit the budget is given up from the old end and
counted. Any thread puts events in; the sender's thread sends them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from obsagent.errors import EventError
from obsagent.limits import (
    CLIENT_EVENTS,
    EVENT_BYTES_MAX,
    EVENT_NAME_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    LABELS_MAX,
)
from obsagent.record.registry import LABEL_NAME
from obsagent.samples import Event
from obsagent.wire.frame import event_bytes

SET_BY_AGENT = ("service", "host")


class QueuedEvent(NamedTuple):
    """An event that the agent has not acknowledged; `at_ms` is monotonic."""

    name: str
    at_ms: float
    labels: dict[str, str]

    def stamped(self, offset_ms: float) -> Event:
        """The event with its time since the epoch, by the agent's clock."""
        return Event(self.name, int(self.at_ms + offset_ms), self.labels)


class EventQueue:
    """Events in order of sequence, oldest first; the first `_sent` of them have been handed to the socket.

    Thread-safe. The lock is held for a few instructions and may be taken again by a signal's handler.
    """

    def __init__(self, budget: int = CLIENT_EVENTS) -> None:
        """An empty queue whose next sequence is one."""
        self._lock = threading.RLock()
        self._queue: deque[QueuedEvent] = deque()
        self._budget = budget
        self._sent = 0
        self.first_kept = 1
        self.acknowledged_sequence = 0
        self.dropped = 0

    @property
    def pending(self) -> int:
        """Events that are neither acknowledged nor given up."""
        return len(self._queue)

    @property
    def last_sequence(self) -> int:
        """The sequence of the newest event; 0 before the first."""
        return self.first_kept + len(self._queue) - 1

    @property
    def waiting(self) -> bool:
        """True while something has been sent and is not acknowledged."""
        return self._sent > 0

    def put(self, event: QueuedEvent) -> None:
        """Queues an event; gives up the oldest one if there are too many."""
        with self._lock:
            self._queue.append(event)
            if len(self._queue) > self._budget:
                self._pop()
                self.dropped += 1

    def refuse(self) -> None:
        """An event that cannot be queued any more: the session is over."""
        with self._lock:
            self.dropped += 1

    def _pop(self) -> None:
        self._queue.popleft()
        self.first_kept += 1
        self._sent = max(self._sent - 1, 0)

    def unsent(self, count: int) -> tuple[int, list[QueuedEvent]]:
        """The sequence of the next event to send, and at most `count` events from it on."""
        with self._lock:
            begin = self._sent
            end = min(begin + count, len(self._queue))
            return self.first_kept + begin, [self._queue[index] for index in range(begin, end)]

    def mark_sent(self, sequence: int) -> None:
        """Everything up to `sequence` has been handed to the socket."""
        with self._lock:
            self._sent = max(sequence - self.first_kept + 1, 0)

    def rewind(self) -> None:
        """A new conversation: everything unacknowledged is to be sent again."""
        with self._lock:
            self._sent = 0

    def acknowledge(self, sequence: int) -> None:
        """Everything up to `sequence` is on the agent's disk."""
        with self._lock:
            self.acknowledged_sequence = max(self.acknowledged_sequence, sequence)
            while self._queue and self.first_kept <= sequence:
                self._pop()

    def give_up_unsent(self) -> None:
        """The session ends: what was never handed to the socket will not be."""
        with self._lock:
            while len(self._queue) > self._sent:
                self._queue.pop()
                self.dropped += 1


def checked_event(name: str, at_ms: float, labels: Mapping[str, object]) -> QueuedEvent:
    """The event with its values turned into text; raises `EventError` for what an agent would not take."""
    if not isinstance(name, str) or not name or not name.isprintable() or len(name.encode()) > EVENT_NAME_BYTES_MAX:
        raise EventError(
            f"{name!r} is no name for an event: expected 1 to {EVENT_NAME_BYTES_MAX} bytes of printable text"
        )
    if len(labels) > LABELS_MAX:
        raise EventError(f"event {name}: {len(labels)} labels; at most {LABELS_MAX} are allowed")
    texts = {label: _checked_value(name, label, value) for label, value in labels.items()}
    size = event_bytes(Event(name, 0, texts))
    if size > EVENT_BYTES_MAX:
        raise EventError(f"event {name}: {size} bytes of name and labels; at most {EVENT_BYTES_MAX} are allowed")
    return QueuedEvent(name, at_ms, texts)


def _checked_value(name: str, label: str, value: object) -> str:
    if not LABEL_NAME.fullmatch(label) or len(label) > LABEL_NAME_BYTES_MAX:
        raise EventError(f"event {name}: {label!r} is no name for a label: letters, digits, _ and . are allowed")
    if label in SET_BY_AGENT:
        raise EventError(f"event {name}: the label {label!r} is set by obsagent; choose another name")
    encoded = str(value).encode("utf-8", "replace")
    if len(encoded) > LABEL_VALUE_BYTES_MAX:
        raise EventError(f"event {name}: the value of label {label!r} is longer than {LABEL_VALUE_BYTES_MAX} bytes")
    return encoded.decode()

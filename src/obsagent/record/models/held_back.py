"""What was given before the rules of its model came: kept as it is, within a budget, until the client knows them.

Nothing of a model is encoded before: rules may say that a column is not to leave the process. What does not fit the
budget, or waits for longer than a minute (its samples would count where they do not belong), is dropped, the oldest
first, and counted in the accounts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from obsagent.limits import HELD_BACK_AGE_S, HELD_BACK_BYTES

if TYPE_CHECKING:
    from obsagent.record.models.feed import Feed
    from obsagent.record.models.model import Model
    from obsagent.record.models.slices import SliceKey

ENTRY_BYTES = 200


class Held(NamedTuple):
    """One call that waits: how many samples it is, and predictions by id, and what records it."""

    model: Model
    slice_key: SliceKey
    samples: int
    byte_size: int
    at_s: float
    record: Callable[[Feed], None]
    records: int = 0


class HeldBack:
    """Calls in the order in which they came; its owner has a lock."""

    def __init__(self, drop: Callable[[int, int], None]) -> None:
        """`drop` counts samples and records as dropped."""
        self._drop = drop
        self._queue: deque[Held] = deque()
        self._bytes = 0
        self.samples = 0
        self.records = 0

    def __len__(self) -> int:
        return len(self._queue)

    def has_room_for(self, byte_size: int) -> bool:
        """True if half of the budget stays free for others."""
        return self._bytes + byte_size <= HELD_BACK_BYTES // 2

    def put(self, held: Held) -> None:
        """Keeps a call; gives up the oldest ones if the budget is exceeded, and those that have waited too long."""
        self._queue.append(held)
        self._bytes += held.byte_size + ENTRY_BYTES
        self.samples += held.samples
        self.records += held.records
        while self._queue and (self._bytes > HELD_BACK_BYTES or held.at_s - self._queue[0].at_s > HELD_BACK_AGE_S):
            self._drop_oldest()

    def expire(self, now_s: float) -> None:
        """Gives up what has waited too long."""
        while self._queue and now_s - self._queue[0].at_s > HELD_BACK_AGE_S:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        held = self._queue.popleft()
        self._bytes -= held.byte_size + ENTRY_BYTES
        self.samples -= held.samples
        self.records -= held.records
        self._drop(held.samples, held.records)

    def take(self, of: Callable[[Model], bool]) -> list[Held]:
        """The calls of some models, which are kept no longer."""
        found = [held for held in self._queue if of(held.model)]
        self._queue = deque(held for held in self._queue if not of(held.model))
        self._bytes -= sum(held.byte_size + ENTRY_BYTES for held in found)
        self.samples -= sum(held.samples for held in found)
        self.records -= sum(held.records for held in found)
        return found

    def drop_all(self) -> None:
        """Gives up everything."""
        while self._queue:
            self._drop_oldest()

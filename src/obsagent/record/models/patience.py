"""No more haste than the agent has: what need not be quick waits for room in the client's queues instead of losing it.

A request never waits. But who brings a backfill (`at=`), or more rows at once than a batch holds, has time: such a call
goes on as soon as there is room. It waits only while the agent goes on taking what is sent. Once nothing was
acknowledged for `STALL_S`, nobody waits any more before something is, and what finds no room is given up and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from obsagent.limits import STALL_S

WaitFor = Callable[[Callable[[], bool], float], bool]
"""Lets the sender work until something holds; False if it does not within so many seconds."""


class Queue(Protocol):
    """What waits for acknowledgement."""

    @property
    def has_room(self) -> bool:
        """True while half of the budget is free."""
        ...

    @property
    def acknowledged_sequence(self) -> int:
        """How far the agent has come."""
        ...


class Patience:
    """With one queue. Any thread but the sender's may wait."""

    def __init__(self, queue: Callable[[], Queue], wait_for: WaitFor) -> None:
        """`queue` gives that of the present session."""
        self._queue = queue
        self._wait_for = wait_for
        self.begin_session()

    def begin_session(self) -> None:
        """Nobody has waited in vain."""
        self._stalled_at = -1

    def await_room(self, is_ready: Callable[[], bool] = lambda: True) -> None:
        """Returns once there is room in the queue and `is_ready`, or the agent takes nothing any more."""
        queue = self._queue()
        while not (queue.has_room and is_ready()):
            before = queue.acknowledged_sequence
            if before == self._stalled_at:
                return

            def goes_on(before: int = before) -> bool:
                return (queue.has_room and is_ready()) or queue.acknowledged_sequence != before

            if not self._wait_for(goes_on, STALL_S):
                self._stalled_at = before
                return

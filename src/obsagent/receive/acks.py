"""Acknowledgements that wait for the journal to be synced.

However long that takes and whatever clients send meanwhile, a session has at most a few of them waiting: beyond
that the newest takes the place of the one before, since an acknowledgement covers all before it. The older ones
stay, so that a session that never pauses is acknowledged with every sync nevertheless.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from obsagent.by_id.report import TruthReport
from obsagent.limits import PENDING_ACKS_PER_SESSION

NO_RECORDS = (0, TruthReport())


class Ack(NamedTuple):
    """What a session is to be told once the journal is durable up to `position`.

    `records` are the sequence of its last one, and what became of its truths up to there.
    """

    identity: bytes
    session: bytes
    sequence: int
    position: int
    goodbye: bool = False
    event: int = 0
    records: tuple[int, TruthReport] = NO_RECORDS


class PendingAcks:
    """Acknowledgements by session, each session's in the order of their journal positions."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: dict[tuple[bytes, bool], deque[Ack]] = {}
        self._looked_at = -1

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, ack: Ack) -> None:
        """Waits for `ack.position`, which is not below that of any acknowledgement added before."""
        waiting = self._waiting.setdefault((ack.session, ack.goodbye), deque())
        if len(waiting) == PENDING_ACKS_PER_SESSION or (waiting and waiting[-1].position == ack.position):
            waiting.pop()
        waiting.append(ack)
        if ack.position <= self._looked_at:
            self._looked_at = -1

    def due(self, synced: int) -> list[Ack]:
        """Takes out what is durable; one a session, since an acknowledgement covers all before it."""
        if synced <= self._looked_at:
            return []
        self._looked_at = synced
        newest = [ack for waiting in self._waiting.values() if (ack := _take(waiting, synced)) is not None]
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting}
        return newest


def _take(waiting: deque[Ack], synced: int) -> Ack | None:
    """Takes out those up to position `synced`; the last of them."""
    ack = None
    while waiting and waiting[0].position <= synced:
        ack = waiting.popleft()
    return ack

"""Acknowledgements that wait for the journal to be synced."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Ack(NamedTuple):
    """What a session is to be told once the journal is durable up to `position`."""

    identity: bytes
    session: bytes
    sequence: int
    position: int
    goodbye: bool = False
    event: int = 0


class PendingAcks:
    """Acknowledgements in the order of their journal positions."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: deque[Ack] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ack: Ack) -> None:
        """Waits for `ack.position`, which is not below that of any acknowledgement added before."""
        self._waiting.append(ack)

    def due(self, synced: int) -> list[Ack]:
        """Takes out what is durable; one a session, since an acknowledgement covers all before it."""
        newest: dict[tuple[bytes, bool], Ack] = {}
        while self._waiting and self._waiting[0].position <= synced:
            ack = self._waiting.popleft()
            newest[ack.session, ack.goodbye] = ack
        return list(newest.values())

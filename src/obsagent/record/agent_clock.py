"""The agent's clock as a client sees it: agent time = monotonic time + offset.

Every answer of the agent carries its time. An answer that was delayed on its way makes the offset look too
small, never too large: so a larger offset is believed at once, a smaller one only when several answers in a row
agree that the clock has gone back.
"""

from __future__ import annotations

TOLERANCE_MS = 50.0
AGREEING_ANSWERS = 5


class AgentClock:
    """Keeps the offset; small differences are left alone, so that windows are not cut for nothing."""

    def __init__(self, offset_ms: float) -> None:
        """`offset_ms` is a first guess: this host's own clock."""
        self.offset_ms = offset_ms
        self._smaller: list[float] = []

    def welcome(self, agent_ms: float, monotonic_ms: float) -> bool:
        """The first answer of a conversation; True if the offset changed."""
        self._smaller.clear()
        return self._believe(agent_ms - monotonic_ms)

    def hear(self, agent_ms: float, monotonic_ms: float) -> bool:
        """Any later answer; True if the offset changed."""
        offset_ms = agent_ms - monotonic_ms
        if offset_ms >= self.offset_ms - TOLERANCE_MS:
            self._smaller.clear()
            return self._believe(offset_ms)
        self._smaller.append(offset_ms)
        if len(self._smaller) < AGREEING_ANSWERS:
            return False
        largest = max(self._smaller)
        self._smaller.clear()
        return self._believe(largest)

    def _believe(self, offset_ms: float) -> bool:
        if abs(offset_ms - self.offset_ms) <= TOLERANCE_MS:
            return False
        self.offset_ms = offset_ms
        return True

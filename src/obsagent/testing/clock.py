"""The time of a test: it stands still until it is advanced."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from obsagent.clock import window_start
from obsagent.record.agent_clock import AgentClock


class ManualClock:
    """Begins at the start of the present window; implements `obsagent.clock.Clock`."""

    def __init__(self, before_advance: Callable[[], object]) -> None:
        """`before_advance` takes in what was recorded until then."""
        self._start_ms = window_start(time.time_ns() // 1_000_000)
        self._before_advance = before_advance
        self._advanced_s = 0.0

    def advance(self, seconds: float) -> None:
        """Time passes; what was recorded before belongs to the time before. Raises `ValueError` if it would go back."""
        if not seconds >= 0:
            raise ValueError(f"time goes forward only, not by {seconds} seconds")
        self._before_advance()
        self._advanced_s += seconds

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.wall_ms() / 1000, UTC)

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._start_ms + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        """Milliseconds since the test began."""
        return round(self._advanced_s * 1000)

    def duration_s(self) -> float:
        """Seconds since the test began: what durations are measured with."""
        return self._advanced_s

    def arrival_s(self) -> float:
        """What `queued_at` is compared with: it comes from real clocks."""
        return time.time() + self._advanced_s


class SettledClock(AgentClock):
    """The agent's clock as a client in memory sees it: their times are the same already."""

    def __init__(self) -> None:
        """No offset, for ever."""
        super().__init__(0.0)

    def welcome(self, agent_ms: float, monotonic_ms: float) -> bool:
        """Nothing changes."""
        return False

    def hear(self, agent_ms: float, monotonic_ms: float) -> bool:
        """Nothing changes."""
        return False

"""Time: milliseconds since the epoch (UTC), windows, and a clock that tests can turn."""

from __future__ import annotations

import time
from typing import Protocol

from obsagent.limits import CLOCK_STEP_MS, WINDOW_MS

READINGS_MAX = 5


class Clock(Protocol):
    """What the agent asks the time of."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds on the machine's monotonic clock."""
        return time.monotonic_ns() // 1_000_000


class ClockSteps:
    """Notices when the wall clock is set: it then moves against the monotonic one.

    The small differences by which a clock is slewed are followed. A machine that was asleep looks like a clock that
    was set forward, and is to be treated like one. Belongs to one thread.
    """

    def __init__(self, clock: Clock) -> None:
        """Begins with the clock as it is."""
        self._clock = clock
        self._ahead_ms = self._wall_ahead_ms()

    def look(self) -> int:
        """By how much (ms) the clock was set since the last look: above zero forward, below it back, 0 not at all."""
        ahead_ms = self._wall_ahead_ms()
        step_ms = ahead_ms - self._ahead_ms
        self._ahead_ms = ahead_ms
        return step_ms if abs(step_ms) >= CLOCK_STEP_MS else 0

    def _wall_ahead_ms(self) -> int:
        """How far the wall clock is ahead of the monotonic one."""
        for _ in range(READINGS_MAX):
            before_ms = self._clock.monotonic_ms()
            wall_ms = self._clock.wall_ms()
            if self._clock.monotonic_ms() - before_ms < CLOCK_STEP_MS // 2:
                break  # and not: this process was stopped between the two readings
        return wall_ms - before_ms


def window_start(at_ms: int) -> int:
    """Start of the window `[start, start + WINDOW_MS)` that holds `at_ms`."""
    return at_ms - at_ms % WINDOW_MS

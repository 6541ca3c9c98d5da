"""Time: milliseconds since the epoch (UTC), windows, and a clock that tests can turn."""

from __future__ import annotations

import time
from typing import Protocol

from obsagent.limits import WINDOW_MS


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


def window_start(at_ms: int) -> int:
    """Start of the window `[start, start + WINDOW_MS)` that holds `at_ms`."""
    return at_ms - at_ms % WINDOW_MS

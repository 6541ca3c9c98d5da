"""How long the time is that is judged at once: a window for what is sudden, an hour and a day for what is slow."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.limits import CHECKPOINT_DELAY_MS, WINDOW_MS

DAY_MS = 86_400_000


class Level(NamedTuple):
    """One length. `delay_ms` is waited for what comes late, `quiet` such times without evidence end an alarm.

    Where nothing newer comes a window is judged `idle_ms` after the last sample was seen. What lies back up to
    `again_ms` is judged when a stream is seen for the first time, or its state was lost.
    """

    name: str
    window_ms: int
    delay_ms: int
    idle_ms: int
    quiet: int
    again_ms: int

    def windows_in(self, days: float) -> float:
        """How many there are in so many days."""
        return days * DAY_MS / self.window_ms


WINDOW = Level("10s", WINDOW_MS, CHECKPOINT_DELAY_MS, 5_000, 6, 3_600_000)
HOUR = Level("1h", 3_600_000, 30_000, 60_000, 3, 7 * DAY_MS)
DAY = Level("1d", DAY_MS, 300_000, 300_000, 2, 60 * DAY_MS)
LEVELS = (WINDOW, HOUR, DAY)

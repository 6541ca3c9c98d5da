"""Which flights are due when: the year as a straight line over the run, thinned where the machine is too slow."""

from __future__ import annotations

import math

BACKLOG_S = 2.0
BACKLOG_SHARE = 0.1  # of a short run
STEPS = 8  # a stride is one longer for each eighth of the allowed backlog that is exceeded
REMAINDER = 512  # flights that may still be sent when the time is up


class Pace:
    """Hands out flights in order, each once, as their time comes.

    Flights that are due and not taken yet are the backlog. While it is small every flight is taken; beyond
    `BACKLOG_S` seconds' worth only every second, third, … one, evenly, until the run has caught up. When the time
    is up, what is left is thinned to `REMAINDER` flights: a slow machine sees fewer flights, not a longer run.
    """

    def __init__(self, count: int, duration_s: float) -> None:
        """`count` flights over `duration_s` seconds."""
        self.count = count
        self.duration_s = duration_s
        self.position = 0
        self.skipped = 0
        self._backlog_allowed = max(count * min(BACKLOG_S / duration_s, BACKLOG_SHARE), REMAINDER)
        self._last_stride = 0

    @property
    def flights_per_s(self) -> float:
        """How many flights a second of the run has."""
        return self.count / self.duration_s

    @property
    def taken(self) -> int:
        """Flights handed out so far."""
        return self.position - self.skipped

    @property
    def finished(self) -> bool:
        """Whether no flight is left."""
        return self.position >= self.count

    def backlog(self, elapsed_s: float) -> int:
        """Flights that are due and not taken; negative when the run is ahead."""
        due = min(int(self.count * elapsed_s / self.duration_s), self.count)
        return due - self.position

    def take(self, limit: int, elapsed_s: float) -> range:
        """The next flights, at most `limit` of those that are due; at least one while there are any."""
        backlog = self.backlog(elapsed_s)
        stride = self._stride(backlog, elapsed_s)
        end = min(self.position + min(limit * stride, max(backlog, 1)), self.count)
        chosen = range(self.position, end, stride)
        self.skipped += (end - self.position) - len(chosen)
        self.position = end
        return chosen

    def _stride(self, backlog: int, elapsed_s: float) -> int:
        """Every how many-th flight is taken; when the time is up it is settled once, for all that is left."""
        if elapsed_s < self.duration_s:
            excess = backlog - self._backlog_allowed
            return 1 + max(math.ceil(excess / self._backlog_allowed * STEPS), 0)
        self._last_stride = self._last_stride or max(math.ceil(backlog / REMAINDER), 1)
        return self._last_stride

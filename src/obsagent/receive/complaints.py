"""What the receiver logs about its clients, at a limited rate: whoever sends a million bad messages fills no disk."""

from __future__ import annotations

import logging
from collections import Counter

from obsagent.clock import Clock

PERIOD_MS = 10_000
LINES_PER_PERIOD = 10


class Complaints:
    """Lets each format of a line through ten times in ten seconds, and says how many it has kept back."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        """Nothing is kept back yet."""
        self._log = log
        self._clock = clock
        self._period = -1
        self._lines: Counter[str] = Counter()

    def say(self, level: int, line: str, *values: object, exc_info: Exception | None = None) -> None:
        """One line, if there is room for its kind; with a traceback if there is an error to show."""
        period = self._clock.monotonic_ms() // PERIOD_MS
        if period != self._period:
            self._period = period
            self._tell_kept_back()
        self._lines[line] += 1
        if self._lines[line] <= LINES_PER_PERIOD:
            self._log.log(level, line, *values, exc_info=exc_info)

    def _tell_kept_back(self) -> None:
        kept_back = sum(max(count - LINES_PER_PERIOD, 0) for count in self._lines.values())
        self._lines.clear()
        if kept_back:
            self._log.warning("%d lines like those before are not in this log", kept_back)

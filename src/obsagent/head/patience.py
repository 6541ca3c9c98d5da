"""A wall clock for deciding what is old: it does not believe at once that a long time has passed.

Retention removes for good what is older than a date. A clock that is wrong for a while (before NTP has set it, in a
machine that woke up, by a mistake) would make everything old at once. So a step ahead counts only when the clock has
held it for an hour; until then time goes on from where it was, at the pace of the monotonic clock.
"""

from __future__ import annotations

HOLD_MS = 3_600_000
"""How long a clock must go evenly to be believed after a step ahead."""
STEP_MS = 60_000
"""How much further than the monotonic clock a clock must have gone for a step."""


class PatientClock:
    """Times are milliseconds; wall times since the epoch, UTC."""

    def __init__(self, last_ms: int | None) -> None:
        """`last_ms` is when the store was last written, if it ever was: time goes on from there."""
        self._believed_ms = last_ms
        self._looked_ms = 0
        self._even_since_ms: int | None = None
        self._offset_ms = 0

    def believe(self, wall_ms: int, monotonic_ms: int) -> int:
        """The wall time that can be relied upon now; never later than `wall_ms`."""
        if self._believed_ms is None:
            self._believed_ms = wall_ms
        if self._even_since_ms is None:
            self._even_since_ms = monotonic_ms
            self._looked_ms = monotonic_ms
            self._offset_ms = wall_ms - monotonic_ms
        offset_ms = wall_ms - monotonic_ms
        if offset_ms - self._offset_ms > STEP_MS:
            self._even_since_ms = monotonic_ms
        self._offset_ms = offset_ms
        at_pace_ms = self._believed_ms + monotonic_ms - self._looked_ms
        self._looked_ms = monotonic_ms
        is_near = wall_ms - at_pace_ms <= STEP_MS
        is_held = monotonic_ms - self._even_since_ms >= HOLD_MS
        self._believed_ms = wall_ms if is_near or is_held else at_pace_ms
        return self._believed_ms

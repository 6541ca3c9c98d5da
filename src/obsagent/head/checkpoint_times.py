"""When it is time for a checkpoint: a window has ended, the head is over its budget, or the clock was set."""

from __future__ import annotations

from obsagent.clock import Clock, ClockSteps, window_start
from obsagent.limits import CHECKPOINT_DELAY_MS

RETRY_AFTER_MS = 5_000
"""How long, on the monotonic clock, a checkpoint that failed is not tried again."""


class CheckpointTimes:
    """For one thread after the other."""

    def __init__(self, clock: Clock) -> None:
        """Nothing was tried so far."""
        self._clock = clock
        self._steps = ClockSteps(clock)
        self._clock_was_set = False
        self._next_try_ms = 0
        self._tried_cutoff_ms = 0

    def cutoff_ms(self, now_ms: int) -> int:
        """Windows that start before it can be written."""
        return window_start(now_ms - CHECKPOINT_DELAY_MS)

    def want_everything(self) -> bool:
        """True if the clock was set: windows of the time before may lie hours ahead, and hold back the journal."""
        self._clock_was_set = bool(self._steps.look()) or self._clock_was_set
        return self._clock_was_set

    def is_new(self, cutoff_ms: int) -> bool:
        """True for a cutoff that was not tried before."""
        return cutoff_ms != self._tried_cutoff_ms

    def is_too_early(self) -> bool:
        """True for a while after one has failed."""
        return self._clock.monotonic_ms() < self._next_try_ms

    def failed(self) -> None:
        """It could not be written."""
        self._next_try_ms = self._clock.monotonic_ms() + RETRY_AFTER_MS

    def succeeded(self, cutoff_ms: int) -> None:
        """It was written, or there was nothing to write."""
        self._tried_cutoff_ms = cutoff_ms
        self._clock_was_set = False

"""A clock whose wall time can be set, while its monotonic time only passes."""

from __future__ import annotations

from store_lab import BEGIN_MS


class SetClock:
    """Begins hours after the machine did; `pass_ms` is time, `set_by` somebody who sets the clock."""

    def __init__(self, wall_ms: int = BEGIN_MS, monotonic_ms: int = 50_000_000) -> None:
        self.now_ms = wall_ms
        self.alive_ms = monotonic_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> int:
        return self.alive_ms

    def pass_ms(self, duration_ms: int) -> None:
        self.now_ms += duration_ms
        self.alive_ms += duration_ms

    def set_by(self, step_ms: int) -> None:
        self.now_ms += step_ms

"""What is known of one metric: its value, between what it lies, and why if it is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric's value and confidence interval.

    The interval is of chance alone. `bound`: how far the value lies, at most, from what the single rows would give,
    where they were counted in bins; 0 where counting loses nothing. `why`: without a value or without an interval, the
    reason; "" otherwise.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    bound: float = 0.0
    why: str = ""

    @classmethod
    def undefined(cls, why: str) -> Self:
        """No value, and the reason."""
        return cls(None, why=why)

    @classmethod
    def within(cls, value: float, interval: tuple[float, float], bound: float = 0.0) -> Self:
        """A value with its interval."""
        return cls(float(value), float(interval[0]), float(interval[1]), float(bound))

    def to_state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "bound": self.bound, "why": self.why}

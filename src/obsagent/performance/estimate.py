"""An estimate of what is not known yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from obsagent.performance.intervals import around


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its standard error, and between what the truth lies; `why` there is none, "" otherwise."""

    value: float | None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""

    @classmethod
    def undefined(cls, why: str) -> Self:
        """No value, and the reason."""
        return cls(None, why=why)


def estimated(value: float, error: float, confidence: float, least: float = 0.0, most: float = 1.0) -> Estimate:
    """A value with the normal interval of its standard error, cut off where the metric ends."""
    low, high = around(value, error, confidence, least, most)
    return Estimate(float(value), float(error), float(low), float(high))

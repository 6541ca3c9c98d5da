"""The evidence about one feature over time.

    R ← (R + 1) · E        the sum, over every moment at which a change may have begun, of the e-values since then:
                           the Shiryaev-Roberts e-detector (Shin, Ramdas, Rinaldo: E-detectors, 2022). As long as
                           nothing has changed the expectation of R is at most the number of windows, so that
                           R ≥ n takes n windows on average, or more
    M ← max(M, 1) · E      the largest term of that sum (CUSUM): where the change that explains most began

Both are kept as natural logarithms: one clear window of a busy service is worth e^1000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NOTHING = -math.inf
LITTLE = 2.0
"""Evidence below this (e² is 7 to 1) comes and goes by chance: a change is not said to have begun with it."""


@dataclass(slots=True)
class Chart:
    """What is known of one feature (of one slice) at one level. Times are ms since the epoch."""

    log_r: float = NOTHING
    log_m: float = NOTHING
    since_ms: int = 0
    """Start of the window with which the largest term of R begins, or began to be more than little."""
    count: int = 0
    """Windows that were judged."""
    last_ms: int = 0
    """End of the latest of them."""
    last_log_e: float = 0.0
    samples: int = 0
    """Of the latest of them."""
    quiet: int = 0
    """Windows without evidence at a stretch."""
    flagged: bool = False
    """True if the latest window by itself stood out among those of the other features."""

    def update(self, log_e: float, from_ms: int, to_ms: int, samples: int) -> None:
        """One more window, with the logarithm of its e-value."""
        self.log_r = log_add(self.log_r, 0.0) + log_e
        if self.log_m <= LITTLE:
            self.since_ms = from_ms
        self.log_m = max(self.log_m, 0.0) + log_e
        self.count += 1
        self.last_ms, self.last_log_e, self.samples = to_ms, log_e, samples
        self.quiet = self.quiet + 1 if log_e <= 0.0 else 0

    def begin_again(self) -> None:
        """After an alarm the evidence is used up."""
        self.log_r = NOTHING

    def forget(self) -> None:
        """What was, is over."""
        self.log_r = self.log_m = NOTHING


def log_add(one: float, other: float) -> float:
    """ln(eᵃ + eᵇ) without leaving the range of doubles."""
    high, low = max(one, other), min(one, other)
    return high if low == NOTHING else high + math.log1p(math.exp(low - high))

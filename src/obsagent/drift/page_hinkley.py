"""The Page–Hinkley test."""

from __future__ import annotations

import math

from obsagent.drift.detector import Detector
from obsagent.errors import DriftError

MODES = ("up", "down", "both")


class PageHinkley(Detector):
    """Whether the mean of a stream has left that of all values so far, by sums of the deviations: O(1) a value.

    Page, Continuous inspection schemes (Biometrika 41, 1954); Hinkley (Biometrika 58, 1971). As in river, with its
    forgetting factor `alpha` for the sums; the decreasing side begins at −1 there, and so it does here.
    """

    SETTINGS = ("min_instances", "delta", "threshold", "alpha", "mode")
    STATISTICS = ("_count", "_mean", "_up", "_down", "_least_up", "_most_down")

    def __init__(
        self,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 1 - 0.0001,
        mode: str = "both",
    ) -> None:
        """`delta`: deviations that are ignored; `threshold`: the sum that is a drift; `mode`: up, down or both."""
        if mode not in MODES:
            raise DriftError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
        self.min_instances = min_instances
        self.delta = delta
        self.threshold = threshold
        self.alpha = alpha
        self.mode = mode
        super().__init__()

    def _begin(self) -> None:
        self._count, self._mean = 0, 0.0
        self._up, self._down = 0.0, 0.0
        self._least_up, self._most_down = math.inf, -1.0

    def _take(self, x: float) -> None:
        self._count += 1
        self._mean += (1 / self._count) * (x - self._mean)
        deviation = x - self._mean
        self._up = self.alpha * self._up + deviation - self.delta
        self._down = self.alpha * self._down + deviation + self.delta
        self._least_up = min(self._least_up, self._up)
        self._most_down = max(self._most_down, self._down)
        if self._count >= self.min_instances:
            up = self.mode != "down" and self._up - self._least_up > self.threshold
            down = self.mode != "up" and self._most_down - self._down > self.threshold
            self.drift_detected = up or down

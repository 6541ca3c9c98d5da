"""The Drift Detection Method."""

from __future__ import annotations

import math

from obsagent.drift.detector import WarningDetector


class DDM(WarningDetector):
    """Whether an error rate is some standard deviations above the best that it has been: O(1) a value.

    Gama, Medas, Castillo, Rodrigues, Learning with drift detection (SBIA 2004). As in river: p + s above the least p +
    some s of the same moment; what was learnt before a drift is forgotten at the next value.
    """

    SETTINGS = ("warm_start", "warning_threshold", "drift_threshold")
    STATISTICS = ("warning_detected", "_count", "_rate", "_least_rate", "_least_stddev", "_least")
    BOUNDED = True

    def __init__(self, warm_start: int = 30, warning_threshold: float = 2.0, drift_threshold: float = 3.0) -> None:
        """`warm_start`: values of which nothing is said; the thresholds: standard deviations."""
        self.warm_start = warm_start
        self.warning_threshold = warning_threshold
        self.drift_threshold = drift_threshold
        super().__init__()

    def _begin(self) -> None:
        self._count, self._rate = 0, 0.0
        self._least_rate = self._least_stddev = self._least = math.inf

    def _take(self, x: float) -> None:
        self._count += 1
        self._rate += (1 / self._count) * (x - self._rate)
        stddev = math.sqrt(max(0.0, self._rate * (1 - self._rate)) / self._count)
        if self._count <= self.warm_start:
            return
        now = self._rate + stddev
        if now <= self._least:
            self._least_rate, self._least_stddev, self._least = self._rate, stddev, now
        self.drift_detected = now > self._least_rate + self.drift_threshold * self._least_stddev
        is_high = now > self._least_rate + self.warning_threshold * self._least_stddev
        self.warning_detected = is_high and not self.drift_detected

"""HDDM with the A-test: Hoeffding's bound for the difference of two means."""

from __future__ import annotations

import math

from obsagent.drift.detector import WarningDetector


class HDDM_A(WarningDetector):
    """Whether the mean of errors has risen since the moment at which it was surely lowest: O(1) a value.

    Frías-Blanco, del Campo-Ávila, Ramos-Jiménez, Morales-Bueno, Ortiz-Díaz, Caballero-Mota, Online and non-parametric
    drift detection methods based on Hoeffding's bounds (IEEE Trans. Knowl. Data Eng. 27, 2015). As in river and MOA.
    """

    SETTINGS = ("drift_confidence", "warning_confidence", "two_sided_test")
    STATISTICS = ("warning_detected", "_count", "_mean", "_low_count", "_low_mean", "_high_count", "_high_mean")
    BOUNDED = True

    def __init__(
        self, drift_confidence: float = 0.001, warning_confidence: float = 0.005, two_sided_test: bool = False
    ) -> None:
        """The confidences: how likely a false detection, or warning, is; `two_sided_test` sees falling means too."""
        self.drift_confidence = drift_confidence
        self.warning_confidence = warning_confidence
        self.two_sided_test = two_sided_test
        super().__init__()

    def _begin(self) -> None:
        self._count, self._mean = 0, 0.0
        self._low_count, self._low_mean = 0, 0.0
        self._high_count, self._high_mean = 0, 0.0

    def _take(self, x: float) -> None:
        self._count += 1
        self._mean += (1 / self._count) * (x - self._mean)
        here = self._bound(self._count)
        if not self._low_count or self._low_mean + self._bound(self._low_count) >= self._mean + here:
            self._low_count, self._low_mean = self._count, self._mean
        if not self._high_count or self._high_mean - self._bound(self._high_count) <= self._mean - here:
            self._high_count, self._high_mean = self._count, self._mean
        self.drift_detected = self._has_risen(self.drift_confidence)
        self.warning_detected = not self.drift_detected and self._has_risen(self.warning_confidence)
        if self.two_sided_test:
            if self._has_fallen(self.drift_confidence):
                self.drift_detected = True
            elif self._has_fallen(self.warning_confidence):
                self.warning_detected = True

    def _bound(self, count: int) -> float:
        return math.sqrt(1.0 / (2 * count) * math.log(1.0 / self.drift_confidence))

    def _has_risen(self, confidence: float) -> bool:
        return self._differs(self._low_count, self._mean - self._low_mean, confidence)

    def _has_fallen(self, confidence: float) -> bool:
        return self._differs(self._high_count, self._high_mean - self._mean, confidence)

    def _differs(self, count: int, difference: float, confidence: float) -> bool:
        """Whether the mean of `count` values differs from that of all by more than chance allows."""
        if count == self._count:
            return False
        share = (self._count - count) / count * (1.0 / self._count)
        return difference >= math.sqrt(share / 2 * math.log(2.0 / confidence))

"""HDDM with the W-test: McDiarmid's bound for the difference of two weighted means."""

from __future__ import annotations

import math

from obsagent.drift.detector import WarningDetector

_MEAN, _BOUND, _ANY = range(3)  # of a sample: its weighted mean, what its bound is made of, 1 if it has values
_EMPTY = (0.0, 1.0, 0.0)


class HDDM_W(WarningDetector):
    """As `HDDM_A`, with exponentially weighted means: sooner for gradual changes. O(1) a value.

    The same paper as `HDDM_A`'s. As in river and MOA.
    """

    SETTINGS = ("drift_confidence", "warning_confidence", "lambda_val", "two_sided_test")
    STATISTICS = ("warning_detected", "_all", "_low", "_since_low", "_high", "_since_high", "_lowest", "_highest")
    BOUNDED = True

    def __init__(
        self,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        lambda_val: float = 0.05,
        two_sided_test: bool = False,
    ) -> None:
        """`lambda_val`: the weight of the latest value; the others as those of `HDDM_A`."""
        self.drift_confidence = drift_confidence
        self.warning_confidence = warning_confidence
        self.lambda_val = lambda_val
        self.two_sided_test = two_sided_test
        super().__init__()

    def _begin(self) -> None:
        self._all = list(_EMPTY)
        self._low, self._since_low, self._lowest = list(_EMPTY), list(_EMPTY), math.inf
        self._high, self._since_high, self._highest = list(_EMPTY), list(_EMPTY), -math.inf

    def _take(self, x: float) -> None:
        self._add(self._all, x)
        margin = self._margin(self._all[_BOUND], self.drift_confidence)
        mean = self._all[_MEAN]
        if mean + margin < self._lowest:
            self._lowest, self._low, self._since_low = mean + margin, list(self._all), list(_EMPTY)
        else:
            self._add(self._since_low, x)
        self.drift_detected = self._exceeds(self._since_low, self._low, self.drift_confidence)
        self.warning_detected = not self.drift_detected and self._exceeds(
            self._since_low, self._low, self.warning_confidence
        )
        if mean - margin > self._highest:
            self._highest, self._high, self._since_high = mean - margin, list(self._all), list(_EMPTY)
        else:
            self._add(self._since_high, x)
        if self.two_sided_test:
            if self._exceeds(self._high, self._since_high, self.drift_confidence):
                self.drift_detected = True
            elif self._exceeds(self._high, self._since_high, self.warning_confidence):
                self.warning_detected = True

    def _add(self, sample: list[float], x: float) -> None:
        weight = self.lambda_val
        sample[_MEAN] = weight * x + (1 - weight) * sample[_MEAN] if sample[_ANY] else x
        sample[_BOUND] = weight * weight + (1 - weight) ** 2 * sample[_BOUND]
        sample[_ANY] = 1.0

    def _margin(self, bound: float, confidence: float) -> float:
        return math.sqrt(bound * math.log(1 / confidence) / 2)

    def _exceeds(self, above: list[float], below: list[float], confidence: float) -> bool:
        """Whether the mean of the first sample is above the second's by more than chance allows."""
        if not (above[_ANY] and below[_ANY]):
            return False
        return above[_MEAN] - below[_MEAN] > self._margin(above[_BOUND] + below[_BOUND], confidence)

"""Counts of a model that tells two classes apart."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import ERROR_MAX
from obsagent.performance import arrays, binary_measures
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.bins import CELLS, NO_SCORE, bin_of, middles
from obsagent.performance.counts import Counts

EPSILON = float(np.finfo(np.float64).eps)  # scikit-learn's clip of probabilities
SUMS = 4  # Σ score, Σ score², Σ ln score, Σ ln(1 − score)


class BinaryCounts(Counts):
    """How often which truth, prediction and score came together; 1 is the positive class.

    `joint`: int64 (truth 2, predicted 2, bin 1025), the last bin for rows without a score. `sums`: float64 (truth 2,
    4) over rows with a score: Σ score, Σ score², Σ ln score, Σ ln(1 − score), both clipped by 2.2e-16. `predictions`:
    int64 (predicted 2, bin 1025) of all predictions, whether their truth has come or not. `low`, `high`: the scores'
    range; those of [0, 1] are taken for probabilities.
    """

    KIND = "binary"
    _measures = binary_measures.MEASURES

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        """Nothing counted yet. Raises `PerformanceError` unless low < high."""
        if not -math.inf < low < high < math.inf:
            raise PerformanceError(f"scores range from low to a higher high, not from {low!r} to {high!r}")
        self.low, self.high = float(low), float(high)
        self.joint: Ints = np.zeros((2, 2, CELLS), dtype=np.int64)
        self.sums: Floats = np.zeros((2, SUMS))
        self.predictions: Ints = np.zeros((2, CELLS), dtype=np.int64)

    @classmethod
    def from_arrays(
        cls, joint: Any, sums: Any = None, predictions: Any = None, low: float = 0.0, high: float = 1.0
    ) -> Self:
        """Counts that others have added up, in the shapes of the attributes.

        Without `sums`, scores count as the middles of their bins; without `predictions`, every prediction has its
        truth. Raises `PerformanceError` for what does not fit.
        """
        found = cls(low, high)
        found.joint = arrays.counts(joint, (2, 2, CELLS), "joint")
        found.sums = found._from_middles() if sums is None else arrays.numbers(sums, (2, SUMS), "sums")
        known = found.joint.sum(axis=0)
        found.predictions = known if predictions is None else arrays.counts(predictions, (2, CELLS), "predictions")
        if (found.predictions < known).any():
            raise PerformanceError("predictions: fewer than have a truth; it counts those with a truth too")
        return found

    @property
    def probabilistic(self) -> bool:
        """Whether scores are probabilities."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def confusion(self) -> Ints:
        """Rows are truths, columns predictions."""
        return np.asarray(self.joint.sum(axis=2))

    @property
    def scores(self) -> Ints:
        """How many rows of each truth are in each of the 1,024 bins."""
        return np.asarray(self.joint.sum(axis=1)[:, :NO_SCORE])

    @property
    def rows(self) -> int:
        """How many truths there are."""
        return int(self.joint.sum())

    @property
    def maturity(self) -> float | None:
        """The share of predictions whose truth has come; None without a prediction."""
        total = int(self.predictions.sum())
        return self.rows / total if total else None

    def update(self, truths: Any, predicted: Any, scores: Any = None) -> None:
        """Takes rows: truths and predictions, 0 or 1; scores, where None and NaN are no score.

        Raises `PerformanceError` for what does not fit, and nothing has changed then.
        """
        actual = arrays.binary(truths, "truths")
        chosen = arrays.binary(predicted, "predicted", len(actual))
        given = self._scores(scores, len(actual))
        place = bin_of(given, self.low, self.high)
        flat = (actual * 2 + chosen) * CELLS + place
        added = np.bincount(flat, minlength=4 * CELLS).reshape(2, 2, CELLS)
        self.joint += added
        self.predictions += added.sum(axis=0)
        scored = place != NO_SCORE
        for truth in (0, 1):
            self.sums[truth] += _sums(given[scored & (actual == truth)], self.probabilistic)

    def update_predictions(self, predicted: Any, scores: Any = None) -> None:
        """Takes predictions whose truth has not come. Raises `PerformanceError` as `update` does."""
        chosen = arrays.binary(predicted, "predicted")
        place = bin_of(self._scores(scores, len(chosen)), self.low, self.high)
        self.predictions += np.bincount(chosen * CELLS + place, minlength=2 * CELLS).reshape(2, CELLS)

    def merge(self, other: Self) -> None:
        """Adds what the other has counted. Raises `PerformanceError` if its scores have another range."""
        if (self.low, self.high) != (other.low, other.high):
            raise PerformanceError("counts over different ranges of scores do not merge")
        self.joint += other.joint
        self.sums += other.sums
        self.predictions += other.predictions

    def _scores(self, scores: Any, rows: int) -> Floats:
        if scores is None:
            return np.full(rows, np.nan)
        given = arrays.scores(scores, rows)
        if (np.abs(given) > ERROR_MAX).any():
            raise PerformanceError("scores are infinite, or so large that the sum of their squares is")
        if self.probabilistic and ((given < 0) | (given > 1)).any():
            raise PerformanceError("scores are probabilities, from 0 to 1; give low= and high= for those that are none")
        return given

    def _from_middles(self) -> Floats:
        each = np.array([_sums(middles(self.low, self.high)[[at]], self.probabilistic) for at in range(NO_SCORE)])
        return np.asarray(self.scores @ each)

    def _state(self) -> dict[str, Any]:
        return {
            "low": self.low,
            "high": self.high,
            "joint": self.joint,
            "sums": self.sums,
            "predictions": self.predictions,
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        return cls.from_arrays(state["joint"], state["sums"], state["predictions"], state["low"], state["high"])


def _sums(scores: Floats, probabilistic: bool) -> Floats:
    if not probabilistic:
        return np.array([scores.sum(), np.square(scores).sum(), 0.0, 0.0])
    clipped = np.clip(scores, EPSILON, 1 - EPSILON)
    return np.array([scores.sum(), np.square(scores).sum(), np.log(clipped).sum(), np.log1p(-clipped).sum()])

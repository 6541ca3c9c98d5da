"""Performance before the truths come: what it is if scores mean what they meant in the reference.

CBPE, confidence-based performance estimation, as NannyML defines it: https://nannyml.readthedocs.io, How it works:
Performance Estimation. Scores are calibrated on the reference; a prediction of calibrated probability p then is right
with that probability. It follows shifts of the inputs, and knows nothing of a change of what the inputs mean (concept
drift), for which truths are needed.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import arrays, cbpe_measures
from obsagent.performance.arrays import Ints
from obsagent.performance.binary import BinaryCounts
from obsagent.performance.bins import CELLS, NO_SCORE, middles
from obsagent.performance.calibration import Calibration
from obsagent.performance.counts import CONFIDENCE
from obsagent.performance.estimate import Estimate, estimated

NO_PREDICTIONS = "there is no prediction with a score"


class CBPE:
    """Estimates of a model that tells two classes apart; made once for a reference."""

    def __init__(self, reference: BinaryCounts) -> None:
        """Counts of the reference's truths. Raises `PerformanceError` if none of them has a score."""
        self.low, self.high = reference.low, reference.high
        self.calibration = Calibration(reference.scores[0], reference.scores[1])

    @classmethod
    def from_arrays(cls, scores: Any, low: float = 0.0, high: float = 1.0) -> Self:
        """`scores`: rows of each truth in each bin of [low, high], (2, 1024). Raises `PerformanceError`."""
        found = arrays.counts(scores, (2, NO_SCORE), "scores")
        joint = np.zeros((2, 2, CELLS), dtype=np.int64)
        joint[:, 0, :NO_SCORE] = found
        return cls(BinaryCounts.from_arrays(joint, low=low, high=high))

    def estimate(self, predictions: Any, threshold: float = 0.5, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
        """Accuracy, precision, recall, F₁, specificity, ROC AUC and average precision of predictions; of scores in
        [0, 1] the Brier score too.

        `predictions`: `BinaryCounts`, of which all predictions count, whether their truth has come or not; or how many
        predictions of either class are in each bin, (2, 1024); or only how many are, (1024,): from `threshold` on they
        are positive. What has no score is left out. Rows of a bin are taken to come in any order.
        Raises `PerformanceError` for what does not fit.
        """
        rows = self._rows(predictions, threshold)
        has_probabilities = (self.low, self.high) == (0.0, 1.0)
        measures = cbpe_measures.MEASURES | (cbpe_measures.OF_PROBABILITIES if has_probabilities else {})
        if not rows.any():
            return {name: Estimate.undefined(NO_PREDICTIONS) for name in measures}
        probabilities = self.calibration.probabilities
        found = {}
        for name, measure in measures.items():
            value, gradient, why = measure(rows.astype(np.float64), probabilities)
            error = math.sqrt(self.calibration.variance(rows, gradient))
            found[name] = Estimate.undefined(why) if why else estimated(value, error, confidence)
        return found

    def _rows(self, predictions: Any, threshold: float) -> Ints:
        if isinstance(predictions, BinaryCounts):
            if (predictions.low, predictions.high) != (self.low, self.high):
                raise PerformanceError("the reference's scores have another range than the predictions'")
            return predictions.predictions[:, :NO_SCORE]
        shape = np.shape(predictions)
        if shape == (2, NO_SCORE):
            return arrays.counts(predictions, shape, "predictions")
        rows = arrays.counts(predictions, (NO_SCORE,), "predictions")
        positive = middles(self.low, self.high) >= threshold
        return np.stack([np.where(positive, 0, rows), np.where(positive, rows, 0)])

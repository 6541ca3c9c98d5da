"""Performance of many classes before the truths come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import arrays, class_measures
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.bins import NO_SCORE
from obsagent.performance.calibration import Calibration
from obsagent.performance.cbpe import NO_PREDICTIONS
from obsagent.performance.counts import CONFIDENCE
from obsagent.performance.estimate import Estimate, estimated


class ClassCBPE:
    """Estimates of a model that tells any number of classes apart, from the probability of the predicted class alone.

    Top-label calibration: Gupta, Ramdas, Top-label calibration and multiclass-to-binary reductions (ICLR 2022). For
    each predicted class, how often it is right is fitted to its probability by isotonic regression. Accuracy and
    precision need nothing else. Recall and F₁ need to know which class is true where a prediction is wrong: it is taken
    to be as in the reference's wrong predictions of the same class. `ProbabilityCBPE`, and NannyML, know and calibrate
    every class's probability; the two agree on accuracy closely, and not exactly.
    """

    def __init__(self, reference: Any, names: Sequence[Any]) -> None:
        """`reference`: int64 (truth, predicted, 1024), by the bin of the predicted class's probability.

        Raises `PerformanceError` for what does not fit.
        """
        self.names = tuple(names)
        size = len(self.names)
        if size < 2:
            raise PerformanceError("two classes or more are expected")
        joint = arrays.counts(reference, (size, size, NO_SCORE), "reference")
        right = joint[np.arange(size), np.arange(size)]
        seen = joint.sum(axis=0)
        if not seen.any():
            raise PerformanceError("the reference has no truth of a prediction with a probability")
        self.calibrations = [
            Calibration(seen[at] - right[at], right[at]) if seen[at].any() else None for at in range(size)
        ]
        self._missed = _where_wrong(joint.sum(axis=2))

    def estimate(self, predictions: Any, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
        """Accuracy; precision, recall and F₁, macro and weighted.

        `predictions`: int64 (predicted, 1024), by the bin of its probability. Undefined if a class is predicted that
        the reference never predicted. Raises `PerformanceError` for what does not fit.
        """
        rows = arrays.counts(predictions, (len(self.names), NO_SCORE), "predictions")
        if why := self._unknown(rows):
            return {name: Estimate.undefined(why) for name in ("accuracy", *_AVERAGED)}
        right, variances = self._right(rows)
        expected = np.diag(right) + (self._missed * (rows.sum(axis=1) - right)[None, :])
        total = float(rows.sum())
        found = {"accuracy": estimated(float(right.sum()) / total, math.sqrt(variances.sum()) / total, confidence)}
        for name, (which, weighted) in _AVERAGED.items():
            value, gradient = class_measures.mean_over_classes(expected, which, weighted)
            slopes = np.diag(gradient) - (self._missed * gradient).sum(axis=0)  # one more that is right, a class
            found[name] = estimated(value, math.sqrt(float(np.square(slopes) @ variances)), confidence)
        return found

    def _right(self, rows: Ints) -> tuple[Floats, Floats]:
        """How many predictions of each class are expected to be right, and the variance of that."""
        right, variances = np.zeros(len(rows)), np.zeros(len(rows))
        for at, calibration in enumerate(self.calibrations):
            if calibration is not None:
                right[at] = rows[at] @ calibration.probabilities
                variances[at] = calibration.variance(rows[at], np.ones(NO_SCORE))
        return right, variances

    def _unknown(self, rows: Ints) -> str:
        if not rows.any():
            return NO_PREDICTIONS
        new = [
            name
            for name, calibration, row in zip(self.names, self.calibrations, rows, strict=True)
            if calibration is None and row.any()
        ]
        return f"the reference never predicted {new[0]!r}" if new else ""


def _where_wrong(cells: Ints) -> Floats:
    """The shares of the truths of wrong predictions, (truth, predicted); of a class that is never wrong, of all."""
    wrong = cells.astype(np.float64) * (1 - np.eye(len(cells)))
    others = np.broadcast_to(cells.sum(axis=1)[:, None] + 1.0, wrong.shape) * (1 - np.eye(len(cells)))
    known = wrong.sum(axis=0) > 0
    taken = np.where(known[None, :], wrong, others)
    return np.asarray(taken / taken.sum(axis=0))


_AVERAGED = {
    f"{which}_{average}": (which, average == class_measures.WEIGHTED)
    for which in (class_measures.PRECISION, class_measures.RECALL, class_measures.F1)
    for average in (class_measures.MACRO, class_measures.WEIGHTED)
}

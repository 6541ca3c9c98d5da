"""Performance of many classes before the truths come, from every class's probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import arrays
from obsagent.performance.arrays import Floats
from obsagent.performance.bins import NO_SCORE, bin_of
from obsagent.performance.calibration import Calibration
from obsagent.performance.cbpe import NO_PREDICTIONS
from obsagent.performance.classes import checked_names, codes_of
from obsagent.performance.counts import CONFIDENCE
from obsagent.performance.estimate import Estimate, estimated
from obsagent.performance.probability_measures import MEASURES, Expected, Found


class ProbabilityCBPE:
    """Estimates of a model that tells any number of classes apart, from the probabilities of all of them, row by row.

    As NannyML does it: each class's probability is calibrated against all others by isotonic regression, and those of a
    row are scaled to 1. NannyML leaves the probabilities of a class as they are where a cross-validation says that it
    is no worse, which was seen to say otherwise on another machine (probably for how ties are sorted there). Here
    `uncalibrated` names such classes.
    """

    def __init__(self, reference: Any, names: Sequence[Any], uncalibrated: Sequence[Any] = ()) -> None:
        """`reference`: int64 (class, 2, 1024), by the bin of the class's probability: truths of others, and of it.

        Such counts add up. Raises `PerformanceError` for what does not fit.
        """
        self.names = checked_names(names)
        counted = arrays.counts(reference, (len(self.names), 2, NO_SCORE), "reference")
        left = {*codes_of(uncalibrated, self.names).tolist()}
        if not counted.any(axis=(1, 2)).all():
            raise PerformanceError("the reference has no truth of a prediction with a probability")
        self.calibrations = [None if at in left else Calibration(*each) for at, each in enumerate(counted)]

    @classmethod
    def of_rows(
        cls, truths: Sequence[Any], probabilities: Any, names: Sequence[Any], uncalibrated: Sequence[Any] = ()
    ) -> Self:
        """Of a reference's rows: names of classes, and probabilities (rows, classes) in the order of `names`."""
        known = checked_names(names)
        actual = codes_of(truths, known)
        bins = bin_of(arrays.probabilities(probabilities, (len(actual), len(known))))
        counted = np.zeros((len(known), 2, NO_SCORE), dtype=np.int64)
        for at, (of_others, of_it) in enumerate(counted):
            of_others += np.bincount(bins[actual != at, at], minlength=NO_SCORE)
            of_it += np.bincount(bins[actual == at, at], minlength=NO_SCORE)
        return cls(counted, known, uncalibrated)

    def estimate(
        self, predicted: Sequence[Any], probabilities: Any, confidence: float = CONFIDENCE
    ) -> dict[str, Estimate]:
        """Accuracy; precision, recall and F₁, macro and weighted; specificity, ROC AUC, average precision, macro.

        `predicted`: names of classes; `probabilities`: (rows, classes) in the order of `names`, from 0 to 1. Standard
        errors have how truths fall, and how well the reference's calibration is known, as if that of each class were
        of other rows. Memory is some arrays of the shape of `probabilities`. Raises `PerformanceError` for what does
        not fit.
        """
        chosen = codes_of(predicted, self.names)
        given = arrays.probabilities(probabilities, (len(chosen), len(self.names)))
        if not len(chosen):
            return {name: Estimate.undefined(NO_PREDICTIONS) for name in MEASURES}
        bins = bin_of(given)
        calibrated = np.stack(
            [
                given[:, at] if each is None else each.probabilities[bins[:, at]]
                for at, each in enumerate(self.calibrations)
            ],
            axis=1,
        )
        sums = calibrated.sum(axis=1)[:, None]
        truths = np.divide(calibrated, sums, out=np.full_like(calibrated, 1 / len(self.names)), where=sums > 0)
        expected = Expected(chosen, bins, truths)
        return {
            name: self._estimated(expected, sums, measure(expected), confidence) for name, measure in MEASURES.items()
        }

    def _estimated(self, expected: Expected, sums: Floats, found: Found, confidence: float) -> Estimate:
        value, slopes, why = found
        if why:
            return Estimate.undefined(why)
        means = (expected.truths * slopes).sum(axis=1)[:, None]
        falling = float((expected.truths * np.square(slopes - means)).sum())
        of_calibrated = np.divide(slopes - means, sums, out=np.zeros_like(slopes), where=sums > 0)
        return estimated(value, math.sqrt(falling + self._learnt(expected, of_calibrated)), confidence)

    def _learnt(self, expected: Expected, slopes: Floats) -> float:
        """The variance by how well calibrations are known; `slopes` are after each calibrated probability."""
        variance = 0.0
        for calibration, bins, each in zip(self.calibrations, expected.bins.T, slopes.T, strict=True):
            if calibration is not None:
                weights = np.bincount(calibration.blocks[bins], each, minlength=len(calibration.variances))
                variance += float((np.square(weights) * calibration.variances).sum())
        return variance

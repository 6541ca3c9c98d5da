"""The metrics of two classes by name, each of `BinaryCounts` and a confidence, as scikit-learn defines them.

Where scikit-learn puts `zero_division` (precision without a positive prediction, recall without a positive truth) or
warns, a metric here has no value, and says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from obsagent.performance import confusion, curves
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.bins import middles
from obsagent.performance.intervals import around
from obsagent.performance.measured import Measured

if TYPE_CHECKING:
    from obsagent.performance.binary import BinaryCounts

Measure: TypeAlias = "Callable[[BinaryCounts, float], Measured]"

CALIBRATION_BINS = 16
NO_PREDICTED = "there is no positive prediction with a truth"
NO_POSITIVE = "there is no positive truth"
NO_NEGATIVE = "there is no negative truth"
NEITHER = "there is neither a positive truth nor a positive prediction"
NO_SCORES = "there is no truth of a prediction with a score"
NO_PROBABILITIES = "the scores are not of [0, 1], and so no probabilities"


def accuracy(of: BinaryCounts, confidence: float) -> Measured:
    """The share of predictions that are right."""
    return confusion.accuracy(of.confusion, confidence)


def precision(of: BinaryCounts, confidence: float) -> Measured:
    """The share of positive predictions that are right."""
    hits, predicted = float(of.confusion[1, 1]), float(of.confusion[:, 1].sum())
    return confusion.share(hits, predicted, confidence, NO_PREDICTED)


def recall(of: BinaryCounts, confidence: float) -> Measured:
    """The share of positive truths that were predicted."""
    return confusion.share(float(of.confusion[1, 1]), float(of.confusion[1].sum()), confidence, NO_POSITIVE)


def specificity(of: BinaryCounts, confidence: float) -> Measured:
    """The share of negative truths that were predicted."""
    return confusion.share(float(of.confusion[0, 0]), float(of.confusion[0].sum()), confidence, NO_NEGATIVE)


def f1(of: BinaryCounts, confidence: float) -> Measured:
    """The harmonic mean of precision and recall."""
    cells = of.confusion
    return confusion.f1(float(cells[1, 1]), float(cells[0, 1] + cells[1, 0]), confidence, NEITHER)


def mcc(of: BinaryCounts, confidence: float) -> Measured:
    """Matthews' correlation coefficient."""
    return confusion.mcc(of.confusion, confidence)


def log_loss(of: BinaryCounts, confidence: float) -> Measured:
    """The mean of −ln of the probability given to the truth; the interval's width is of the bins' middles."""
    each = middles()
    losses = np.array([-np.log1p(-each), -np.log(each)])
    return _mean_loss(of, max(0.0, -(of.sums[1, 2] + of.sums[0, 3])), losses, confidence, math.inf)


def brier(of: BinaryCounts, confidence: float) -> Measured:
    """The mean of (score − truth)²; the interval's width is of the bins' middles."""
    positives = float(of.scores[1].sum())
    total = of.sums[0, 1] + of.sums[1, 1] - 2 * of.sums[1, 0] + positives
    losses = np.array([np.square(middles()), np.square(1 - middles())])
    return _mean_loss(of, max(0.0, total), losses, confidence, 1.0)


def roc_auc(of: BinaryCounts, confidence: float) -> Measured:
    """The area under the ROC curve."""
    return curves.roc_auc(of.scores[0], of.scores[1], confidence)


def average_precision(of: BinaryCounts, confidence: float) -> Measured:
    """The area under the curve of precision over recall, in steps."""
    return curves.average_precision(of.scores[0], of.scores[1], confidence)


def calibration_error(of: BinaryCounts, confidence: float) -> Measured:
    """Σ |rows that are positive − Σ score| over 16 bins of equal width, a row.

    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks (ICML 2017). A score counts as the middle of
    its 1,024th, which moves the result by `bound` at most. The normal interval takes it as given on which side of each
    bin the scores are off: by chance alone the error is never 0, so that a perfect model's interval lies too high.
    """
    if why := _unscored(of):
        return Measured.undefined(why)
    rows = of.scores.sum(axis=0)
    total = float(rows.sum())
    fine = np.arange(len(rows)) * CALIBRATION_BINS // len(rows)
    expected, observed, each = (
        np.bincount(fine, weights=weights, minlength=CALIBRATION_BINS)
        for weights in (rows * middles(), of.scores[1], rows)
    )
    value = float(np.abs(expected - observed).sum()) / total
    shares = np.divide(observed, each, out=np.zeros_like(observed), where=each > 0)
    error = math.sqrt(float((each * shares * (1 - shares)).sum())) / total
    return Measured.within(value, around(value, error, confidence, 0.0, 1.0), 0.5 / len(rows))


def _mean_loss(of: BinaryCounts, total: float, losses: Floats, confidence: float, most: float) -> Measured:
    if why := _unscored(of):
        return Measured.undefined(why)
    rows = float(of.scores.sum())
    value = float(total) / rows
    most = max(most, value)  # sums of others may be of scores beyond [0, 1]
    return Measured.within(value, around(value, _error(of.scores, losses), confidence, 0.0, most))


def _error(rows: Ints, losses: Floats) -> float:
    """The standard error of a mean of losses that come so often."""
    total = float(rows.sum())
    mean = float((rows * losses).sum()) / total
    return math.sqrt(float((rows * np.square(losses - mean)).sum())) / total


def _unscored(of: BinaryCounts) -> str:
    if not of.probabilistic:
        return NO_PROBABILITIES
    return "" if of.scores.any() else NO_SCORES


MEASURES: dict[str, Measure] = {
    each.__name__: each
    for each in (
        accuracy,
        precision,
        recall,
        f1,
        specificity,
        mcc,
        log_loss,
        brier,
        roc_auc,
        average_precision,
        calibration_error,
    )
}

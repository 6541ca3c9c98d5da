"""The metrics of any number of classes by name, each of `ClassCounts` and a confidence.

`macro` is the mean over classes, `weighted` that weighted by how many truths a class has, `micro` of all decisions
together, which is the accuracy. A class of which a metric is undefined, as the precision of one that was never
predicted, is left out of the mean: scikit-learn's `zero_division=nan`. A class that neither a truth nor a prediction
names does not count at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from obsagent.performance import confusion
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.intervals import around, multinomial_error
from obsagent.performance.measured import Measured

if TYPE_CHECKING:
    from obsagent.performance.classes import ClassCounts

Measure: TypeAlias = "Callable[[ClassCounts, float], Measured]"

NO_PROBABILITIES = "no probabilities were given"
MICRO, MACRO, WEIGHTED = "micro", "macro", "weighted"
PRECISION, RECALL, F1 = "precision", "recall", "f1"


def accuracy(of: ClassCounts, confidence: float) -> Measured:
    """The share of predictions that are right."""
    return confusion.accuracy(of.cells, confidence)


def mcc(of: ClassCounts, confidence: float) -> Measured:
    """Matthews' correlation coefficient."""
    return confusion.mcc(of.cells, confidence)


def log_loss(of: ClassCounts, confidence: float) -> Measured:
    """The mean of −ln of the probability given to the truth."""
    if not of.losses.rows:
        return Measured.undefined(NO_PROBABILITIES)
    return Measured.within(of.losses.mean, around(of.losses.mean, of.losses.error, confidence, 0.0))


def of_class(of: ClassCounts, at: int, confidence: float) -> dict[str, Measured]:
    """Precision, recall and F₁ of the class at that place, against all others."""
    hits, predicted, truths = (float(each) for each in (of.cells[at, at], of.cells[:, at].sum(), of.cells[at].sum()))
    wrong = predicted + truths - 2 * hits
    return {
        PRECISION: confusion.share(hits, predicted, confidence, "the class is never predicted"),
        RECALL: confusion.share(hits, truths, confidence, "the class is never the truth"),
        F1: confusion.f1(hits, wrong, confidence, "the class is neither predicted nor the truth"),
    }


def averaged(which: str, average: str) -> Measure:
    """Precision, recall or F₁ over classes. Interval: delta method; `confusion` names the paper."""

    def measure(of: ClassCounts, confidence: float) -> Measured:
        if average == MICRO:
            return confusion.accuracy(of.cells, confidence)
        if not of.cells.any():
            return Measured.undefined(confusion.NO_ROWS)
        value, gradient = mean_over_classes(of.cells, which, average == WEIGHTED)
        return Measured.within(value, around(value, multinomial_error(of.cells, gradient), confidence, 0.0, 1.0))

    return measure


def mean_over_classes(cells: Ints | Floats, which: str, weighted: bool) -> tuple[float, Floats]:
    """Precision, recall or F₁, the mean over classes, and its gradient after every cell."""
    truths, predicted = cells.sum(axis=1).astype(np.float64), cells.sum(axis=0).astype(np.float64)
    hits = np.diag(cells).astype(np.float64)
    of_truth, of_prediction = {PRECISION: (0.0, 1.0), RECALL: (1.0, 0.0), F1: (0.5, 0.5)}[which]
    below = of_truth * truths + of_prediction * predicted  # what the hits are divided by
    defined = below > 0
    each = np.divide(hits, below, out=np.zeros_like(hits), where=defined)
    weights = np.where(defined, truths if weighted else 1.0, 0.0)
    total = float(weights.sum())
    if not total:
        return 0.0, np.zeros(cells.shape)
    value = float(weights @ each) / total
    slope = np.divide(weights / total, below, out=np.zeros_like(hits), where=defined)
    gradient = np.diag(slope)
    gradient -= (slope * each * of_truth)[:, None] + (slope * each * of_prediction)[None, :]
    if weighted:
        gradient += (np.where(defined, each - value, 0.0) / total)[:, None]
    return value, gradient


MEASURES: dict[str, Measure] = {
    "accuracy": accuracy,
    **{
        f"{which}_{average}": averaged(which, average)
        for which in (PRECISION, RECALL, F1)
        for average in (MACRO, MICRO, WEIGHTED)
    },
    "mcc": mcc,
    "log_loss": log_loss,
}

"""Metrics of a confusion matrix: rows are truths, columns predictions, as scikit-learn has it."""

from __future__ import annotations

import math

import numpy as np

from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.intervals import around, multinomial_error, wilson
from obsagent.performance.measured import Measured

NO_ROWS = "there is no truth yet"


def share(successes: float, trials: float, confidence: float, why: str) -> Measured:
    """A proportion with Wilson's interval; undefined, with the reason, of no trials."""
    if not trials:
        return Measured.undefined(why)
    return Measured.within(successes / trials, wilson(successes, trials, confidence))


def accuracy(cells: Ints, confidence: float) -> Measured:
    """The share of rows whose prediction is the truth."""
    return share(float(np.trace(cells)), float(cells.sum()), confidence, NO_ROWS)


def f1(hits: float, wrong: float, confidence: float, why: str) -> Measured:
    """2 TP / (2 TP + FP + FN), of TP and of FP + FN.

    It rises with J = TP / (TP + FP + FN), a proportion: Wilson's interval of that, F₁ = 2 J / (1 + J).
    """
    if not hits + wrong:
        return Measured.undefined(why)
    low, high = wilson(hits, hits + wrong, confidence)
    return Measured.within(2 * hits / (2 * hits + wrong), (2 * low / (1 + low), 2 * high / (1 + high)))


def mcc(cells: Ints, confidence: float) -> Measured:
    """Matthews' correlation coefficient; of more than two classes Gorodkin's R_K (Comput. Biol. Chem. 28, 2004).

    scikit-learn says 0 where all truths, or all predictions, are of one class; here it is undefined then. Interval:
    delta method.
    """
    matrix = cells.astype(np.float64)
    total, truths, predicted = matrix.sum(), matrix.sum(axis=1), matrix.sum(axis=0)
    if not total:
        return Measured.undefined(NO_ROWS)
    spread_predicted, spread_truths = _spread(total, predicted), _spread(total, truths)
    if spread_predicted <= 0 or spread_truths <= 0:
        return Measured.undefined("all truths, or all predictions, are of one class")
    right = float(np.trace(matrix))
    covariance = right * total - float(truths @ predicted)
    scale = math.sqrt(spread_predicted) * math.sqrt(spread_truths)
    value = max(-1.0, min(1.0, covariance / scale))  # rounding may lead out of it
    gradient = np.eye(len(matrix)) * total + right - truths[None, :] - predicted[:, None]
    gradient /= scale
    gradient -= value * ((total - predicted)[None, :] / spread_predicted + (total - truths)[:, None] / spread_truths)
    return Measured.within(value, around(value, multinomial_error(cells, gradient), confidence, -1.0, 1.0))


def _spread(total: float, of: Floats) -> float:
    """N² − Σ n²: 0 if and only if all are of one class, also in floating point."""
    return float((of * (total - of)).sum())

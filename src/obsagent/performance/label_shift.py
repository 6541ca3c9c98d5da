"""How often which class is true now, from predictions alone, if only the classes' shares have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import arrays
from obsagent.performance.arrays import Floats
from obsagent.performance.counts import CONFIDENCE
from obsagent.performance.estimate import Estimate, estimated

CONDITION_MAX = 1e4


@dataclass(frozen=True, slots=True)
class LabelShift:
    """`weights`: how many times as often as in the reference each class is true now; `shares`: how often it is."""

    weights: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]


def bbse(cells: Any, predicted: Any, confidence: float = CONFIDENCE) -> LabelShift:
    """Black box shift estimation: w = C⁻¹ μ, of C the reference's joint shares of predictions and truths.

    Lipton, Wang, Smola, Detecting and correcting for label shift with black box predictors (ICML 2018). `cells`:
    counts of the reference, (truth, predicted), as `ClassCounts.cells` or `BinaryCounts.confusion`; `predicted`: how
    often each class is predicted now. It holds where features of a class are what they were. Errors by the delta
    method, of both counts. Undefined if the predictions do not tell the classes apart, C being near singular. Raises
    `PerformanceError` for counts that do not fit.
    """
    size = np.shape(cells)[0] if np.ndim(cells) == 2 else 0
    counts = arrays.counts(cells, (size, size), "cells").astype(np.float64)
    now = arrays.counts(predicted, (size,), "predicted").astype(np.float64)
    if size < 2 or not counts.sum() or not now.sum():
        raise PerformanceError("counts of two classes or more are expected, of a reference and of predictions now")
    joint, now_share = counts.T / counts.sum(), now / now.sum()
    truths = joint.sum(axis=0)
    if why := _ill(joint, truths):
        none = (Estimate.undefined(why),) * size
        return LabelShift(none, none)
    current = _multinomial(now_share) / now.sum()
    weights, shares = np.linalg.solve(joint, now_share), np.linalg.solve(joint / truths, now_share)
    of_joint = _of_cells(joint, weights, counts.sum())
    of_classes = sum(
        share**2 * _multinomial(column) / rows
        for share, column, rows in zip(shares, (joint / truths).T, counts.sum(axis=1), strict=True)
    )
    return LabelShift(
        _estimates(weights, joint, current + of_joint, confidence, np.inf),
        _estimates(shares, joint / truths, current + of_classes, confidence, 1.0),
    )


def _ill(joint: Floats, truths: Floats) -> str:
    """Why C cannot be inverted, or ""."""
    if not truths.all():
        return "a class is never the truth in the reference"
    return "" if np.linalg.cond(joint / truths) <= CONDITION_MAX else "the predictions do not tell the classes apart"


def _estimates(
    values: Floats, matrix: Floats, covariance: Floats, confidence: float, most: float
) -> tuple[Estimate, ...]:
    """Solutions of matrix × values = μ, where what is on the right has that covariance."""
    inverse = np.linalg.inv(matrix)
    errors = np.sqrt(np.maximum(np.diag(inverse @ covariance @ inverse.T), 0.0))
    return tuple(estimated(v, e, confidence, 0.0, most) for v, e in zip(values, errors, strict=True))


def _multinomial(shares: Floats) -> Floats:
    """The covariance of one row's class."""
    return np.diag(shares) - np.outer(shares, shares)


def _of_cells(joint: Floats, weights: Floats, rows: float) -> Floats:
    """The covariance of C w, of a C that so many rows were counted for."""
    fitted = joint @ weights
    return np.asarray((np.diag(joint @ np.square(weights)) - np.outer(fitted, fitted)) / rows)

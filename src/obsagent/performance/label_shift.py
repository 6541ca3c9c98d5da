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
    joint, share = counts.T / counts.sum(), now / now.sum()
    if (why := _ill(joint)) is not None:
        none = (Estimate.undefined(why),) * size
        return LabelShift(none, none)
    inverse = np.linalg.inv(joint)
    weights = inverse @ share
    errors = np.sqrt(np.diag(inverse @ _covariance(joint, share, weights, counts.sum(), now.sum()) @ inverse.T))
    truths = joint.sum(axis=0)
    return LabelShift(
        tuple(estimated(w, e, confidence, 0.0, np.inf) for w, e in zip(weights, errors, strict=True)),
        tuple(estimated(w, e, confidence) for w, e in zip(weights * truths, errors * truths, strict=True)),
    )


def _ill(joint: Floats) -> str | None:
    """Why C cannot be inverted."""
    if not joint.sum(axis=0).all():
        return "a class is never the truth in the reference"
    by_class = joint / joint.sum(axis=0)
    if np.linalg.cond(by_class) > CONDITION_MAX:
        return "the predictions do not tell the classes apart"
    return None


def _covariance(joint: Floats, share: Floats, weights: Floats, rows: float, now: float) -> Floats:
    """Of μ − C w: multinomial counts of the predictions now, and of the reference's cells weighted by w."""
    current = (np.diag(share) - np.outer(share, share)) / now
    fitted = joint @ weights
    reference = (np.diag(joint @ np.square(weights)) - np.outer(fitted, fitted)) / rows
    return np.asarray(current + reference)

"""Rows with truths for tests of performance, and what scikit-learn says of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

metrics = pytest.importorskip("sklearn.metrics")

Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]


def binary_rows(seed: int, size: int, digits: int | None = None) -> Rows:
    """Truths, predictions and scores of a model that is not calibrated."""
    chance = np.random.default_rng(seed)
    scores = chance.beta(1.5, 2.5, size)
    truths = (chance.random(size) < scores**1.3).astype(np.int64)
    if digits is not None:
        scores = scores.round(digits)
    return truths, (scores >= 0.5).astype(np.int64), scores


OF_CLASSES: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": metrics.accuracy_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "f1": metrics.f1_score,
    "specificity": lambda truths, predicted: metrics.recall_score(truths, predicted, pos_label=0),
    "mcc": metrics.matthews_corrcoef,
}
OF_SCORES: dict[str, Callable[[Any, Any], float]] = {
    "log_loss": metrics.log_loss,
    "brier": metrics.brier_score_loss,
    "roc_auc": metrics.roc_auc_score,
    "average_precision": metrics.average_precision_score,
}


def quiet(function: Callable[..., float], *arguments: Any, **named: Any) -> float:
    """What scikit-learn computes, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(*arguments, **named))

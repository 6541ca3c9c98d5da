"""What scikit-learn says of rows with truths; tests that import this are skipped without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

metrics = pytest.importorskip("sklearn.metrics")

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

"""Whether a model has become worse than its reference, by intervals alone: they must not touch."""

from __future__ import annotations

from typing import Any

WORSE, BETTER, SAME = "worse", "better", "same"

HIGHER_IS_BETTER = frozenset(
    {
        *("roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "specificity", "mcc", "r2"),
        *(f"{which}_{how}" for which in ("precision", "recall", "f1") for how in ("macro", "micro", "weighted")),
    }
)
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "mae", "rmse", "mape", "error_p50", "error_p90", "error_p99"})
"""Not the calibration error, which is never 0 by chance, and larger the fewer truths there are; nor the bias, which has
a sign."""


def verdict(name: str, now: dict[str, Any], then: dict[str, Any] | None) -> str | None:
    """Of a metric with its interval (`low`, `high`) and that of the reference; None where nothing can be said."""
    if then is None or name not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        return None
    bounds = (now["low"], now["high"], then["low"], then["high"])
    if any(bound is None for bound in bounds):
        return None
    low, high, then_low, then_high = bounds
    if then_low <= high and low <= then_high:
        return SAME
    return BETTER if (low > then_high) == (name in HIGHER_IS_BETTER) else WORSE

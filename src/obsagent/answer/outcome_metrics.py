"""Derived metrics of outcomes: what each is called, and of which models it says anything.

metric ──► Figure: its unit, the tasks that it has a meaning for, and the measure of `obsagent.performance` behind it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from obsagent.answer.outcomes import REGRESSION, OutcomeModel
from obsagent.answer.values import RATIO

TWO_CLASSES, CLASSES, NUMBERS = "two classes", "classes", "numbers"
"""What a model may predict: one of two classes, one of more, numbers."""

MATURITY, TRUTHS, PREDICTIONS = "truth_maturity", "truths", "predictions_with_id"
ESTIMATED = "estimated_"


class Figure(NamedTuple):
    """One derived metric of outcomes; `measure` is empty for what is counted."""

    tasks: tuple[str, ...]
    measure: str = ""
    unit: str = ""
    is_estimate: bool = False
    """True if it is computed from scores and the reference, before truths are known."""
    quantile: float | None = None
    """Of the magnitudes of errors."""

    @property
    def needs_truths(self) -> bool:
        """False if predictions alone say something."""
        return bool(self.measure) and not self.is_estimate


ANY = (TWO_CLASSES, CLASSES, NUMBERS)
OF_TWO = (
    *("precision", "recall", "f1", "specificity", "log_loss", "brier"),
    *("roc_auc", "average_precision", "calibration_error"),
)
OF_BOTH = ("accuracy", "mcc")
AVERAGED = tuple(f"{which}_{how}" for which in ("precision", "recall", "f1") for how in ("macro", "micro", "weighted"))
OF_NUMBERS = ("mae", "rmse", "mape", "r2", "bias")
ESTIMATES = {
    "accuracy": (TWO_CLASSES, CLASSES),
    **dict.fromkeys(
        ("precision", "recall", "f1", "specificity", "roc_auc", "average_precision", "brier"), (TWO_CLASSES,)
    ),
    **{name: (CLASSES,) for name in AVERAGED if not name.endswith("_micro")},
}
"""What can be estimated before truths come, and for which tasks."""
UNITS = {"mape": RATIO}

FIGURES: Mapping[str, Figure] = {
    **{name: Figure((TWO_CLASSES, CLASSES), name) for name in OF_BOTH},
    **{name: Figure((TWO_CLASSES,), name) for name in OF_TWO},
    **{name: Figure((TWO_CLASSES, CLASSES), name) for name in AVERAGED},
    **{name: Figure((NUMBERS,), name, UNITS.get(name, "")) for name in OF_NUMBERS},
    **{f"error_p{percent}": Figure((NUMBERS,), "error", quantile=percent / 100) for percent in (50, 90, 99)},
    **{ESTIMATED + name: Figure(tasks, name, is_estimate=True) for name, tasks in ESTIMATES.items()},
    MATURITY: Figure(ANY, unit=RATIO),
    TRUTHS: Figure(ANY),
    PREDICTIONS: Figure(ANY),
}
"""Name → figure. Of errors any quantile may be asked for: `error_p99.9`. What they say in words is in `words.py`."""

_ERROR_QUANTILE = re.compile(r"error_p([0-9]{1,3})(?:\.([0-9]{1,12}))?")


def figure_of(name: str) -> Figure | None:
    """The figure that a metric's name stands for; None for another metric."""
    shape = _ERROR_QUANTILE.fullmatch(name)
    if shape is None or name in FIGURES:
        return FIGURES.get(name)
    q = float(f"{shape[1]}.{shape[2] or '0'}e-2")
    return Figure((NUMBERS,), "error", quantile=q) if q <= 1.0 else None


def predicts(model: OutcomeModel) -> str:
    """Which task a model has; empty while nothing is known of it."""
    if model.task == REGRESSION:
        return NUMBERS
    if not model.task:
        return ""
    return TWO_CLASSES if len(model.classes) <= 2 or model.negative else CLASSES


def metrics_for(task: str) -> list[str]:
    """The metrics that have a meaning for a task; all of them while it is not known."""
    return [name for name, figure in FIGURES.items() if not task or task in figure.tasks]

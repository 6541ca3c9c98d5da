"""The rows of a report on performance: of each version and slice all metrics, with estimates and the reference's."""

from __future__ import annotations

from typing import Any

from obsagent.answer.of_outcomes import MODEL
from obsagent.answer.outcome_counts import Counts, counts_of, names_of, of_neither
from obsagent.answer.outcome_metrics import CLASSES, FIGURES, NUMBERS, TWO_CLASSES, predicts
from obsagent.answer.outcome_rows import OutcomeRows, maturity_of, measured
from obsagent.answer.outcomes import OutcomeModel
from obsagent.answer.select import Group
from obsagent.evaluate.verdicts import verdict
from obsagent.limits import PERFORMANCE_CLASSES_SHOWN
from obsagent.performance import BinaryCounts, ClassCounts, Estimate, Measured

Report = dict[str, Any]

NAMED = (MODEL, "version", "variant")
METRICS = {
    TWO_CLASSES: (
        *("roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "specificity", "mcc"),
        *("log_loss", "brier", "calibration_error"),
    ),
    CLASSES: (
        *("accuracy", "mcc", "precision_macro", "recall_macro", "f1_macro"),
        *("precision_weighted", "recall_weighted", "f1_weighted"),
    ),
    NUMBERS: ("mae", "rmse", "mape", "r2", "bias", "error_p50", "error_p90", "error_p99"),
}
"""What is measured of each task, what says most first."""


def judged_row(rows: OutcomeRows, group: Group) -> Report | None:
    """One row; None if nothing was predicted, or it is not known yet what the model predicts."""
    part, model, reference = rows.part(group.key), rows.model(group.key), rows.reference(group.key)
    task = predicts(model)
    if not part.predictions or not task:
        return None
    counts, expected = counts_of(part, model), rows.expectations.counts(model, reference)
    estimates = rows.expectations.estimates(model, reference, part)
    metrics = {name: _metric(name, counts, expected, estimates.get(name)) for name in METRICS[task]}
    return {
        **{label: group.labels[label] for label in NAMED},
        "labels": {label: value for label, value in group.labels.items() if label not in NAMED},
        "task": task,
        "positive": model.positive or None if task == TWO_CLASSES else None,
        "reference": reference or None,
        "maturity": maturity_of(part),
        "of_neither": of_neither(part, model),
        "watermark": rows.watermark(group.key),
        "confusion": _confusion(counts, model),
        "metrics": {name: metric for name, metric in metrics.items() if _says_anything(metric)},
    }


def _metric(name: str, counts: Counts, expected: Counts | None, estimate: Estimate | None) -> Report:
    now = measured(counts, FIGURES[name])
    then = measured(expected, FIGURES[name]) if expected is not None else None
    found = {"value": now.value, "low": now.low, "high": now.high, "bound": now.bound, "why": now.why}
    known = _known(then)
    return found | {"estimate": _estimate(estimate), "reference": known, "verdict": verdict(name, found, known)}


def _known(then: Measured | None) -> Report | None:
    return {"value": then.value, "low": then.low, "high": then.high} if then and then.value is not None else None


def _estimate(estimate: Estimate | None) -> Report | None:
    if estimate is None or estimate.value is None:
        return None
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "standard_error": estimate.standard_error,
    }


def _says_anything(metric: Report) -> bool:
    return metric["value"] is not None or metric["estimate"] is not None or metric["reference"] is not None


def _confusion(counts: Counts, model: OutcomeModel) -> Report | None:
    """By truth and predicted class; None of numbers, and of more classes than anybody looks at."""
    if isinstance(counts, BinaryCounts):
        return {
            "classes": [model.negative or f"not {model.positive}", model.positive],
            "counts": counts.confusion.tolist(),
        }
    if not isinstance(counts, ClassCounts) or len(model.classes) > PERFORMANCE_CLASSES_SHOWN:
        return None
    named = [
        place for place, row in enumerate(names_of(model)) if counts.cells[place].any() or counts.cells[:, place].any()
    ]
    names = names_of(model)
    return {"classes": [names[place] for place in named], "counts": counts.cells[named][:, named].tolist()}

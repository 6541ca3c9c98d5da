"""Metrics of expected truths of rows, of any number of classes, each with its slopes: what one more would add to it.

Each takes `Expected` and answers its value, the slopes, (rows, classes), and why it is undefined, or "". `macro` is the
mean over classes; a class of which a metric is undefined is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from obsagent.performance import cbpe_measures, class_measures
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.bins import NO_SCORE

Found: TypeAlias = tuple[float, Floats, str]
Measure: TypeAlias = "Callable[[Expected], Found]"


@dataclass(frozen=True, slots=True)
class Expected:
    """Rows: at least one."""

    predicted: Ints
    """(rows,): the class that was predicted, by its place."""
    bins: Ints
    """(rows, classes): that of each class's probability."""
    truths: Floats
    """(rows, classes): how probable each class is as the truth; 1 a row."""

    @property
    def cells(self) -> Floats:
        """(truth, predicted): how many rows of each are expected."""
        size = self.truths.shape[1]
        return np.stack([self.truths[self.predicted == place].sum(axis=0) for place in range(size)], axis=1)


def accuracy(of: Expected) -> Found:
    """The share of predictions that are right."""
    rows, size = of.truths.shape
    slopes = (of.predicted[:, None] == np.arange(size)) / rows
    return float((slopes * of.truths).sum()), slopes, ""


def specificity(of: Expected) -> Found:
    """The share of truths of other classes that were not predicted to be of the class, the mean over classes."""
    rows, size = of.truths.shape
    cells = of.cells
    others = rows - cells.sum(axis=1)
    kept = others - cells.sum(axis=0) + np.diag(cells)
    defined = others > 0
    if not defined.any():
        return _undefined(of, "truths of one class only are expected")
    weights = np.divide(1.0, others * defined.sum(), out=np.zeros(size), where=defined)
    each = np.divide(kept, others, out=np.zeros(size), where=defined)
    is_predicted = of.predicted[:, None] == np.arange(size)
    return float((weights * kept).sum()), weights * (is_predicted - 1 + each), ""


def averaged(which: str, weighted: bool) -> Measure:
    """Precision, recall or F₁ over classes."""

    def measure(of: Expected) -> Found:
        value, gradient = class_measures.mean_over_classes(of.cells, which, weighted)
        return value, gradient[:, of.predicted].T, ""

    return measure


def ranked(curve: cbpe_measures.Measure) -> Measure:
    """The area under a curve of each class against all others by its probability, the mean over classes."""

    def measure(of: Expected) -> Found:
        values, slopes = [], np.zeros(of.truths.shape)
        for place, (bins, truths) in enumerate(zip(of.bins.T, of.truths.T, strict=True)):
            rows = np.bincount(bins, minlength=NO_SCORE).astype(np.float64)
            share = np.bincount(bins, truths, minlength=NO_SCORE) / np.maximum(rows, 1)
            value, gradient, why = curve(rows[None, :], share)
            if not why:
                values.append(value)
                slopes[:, place] = gradient[0, bins]
        if not values:
            return _undefined(of, why)
        return float(np.mean(values)), slopes / len(values), ""

    return measure


def _undefined(of: Expected, why: str) -> Found:
    return 0.0, np.zeros(of.truths.shape), why


MEASURES: dict[str, Measure] = {
    "accuracy": accuracy,
    **{
        f"{which}_{average}": averaged(which, average == class_measures.WEIGHTED)
        for which in (class_measures.PRECISION, class_measures.RECALL, class_measures.F1)
        for average in (class_measures.MACRO, class_measures.WEIGHTED)
    },
    "specificity_macro": specificity,
    "roc_auc_macro": ranked(cbpe_measures.roc_auc),
    "average_precision_macro": ranked(cbpe_measures.average_precision),
}

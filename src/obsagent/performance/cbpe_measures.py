"""Metrics of expected truths, each with its gradient after how many positives are in each cell.

Each takes `rows`, how many predictions of either class (2) are in each bin (1024), and the probability that such a one
is positive, a bin; it answers its value, the gradient, (2, 1024), and why it is undefined, or "".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from obsagent.performance import curves
from obsagent.performance.arrays import Floats
from obsagent.performance.bins import middles

Found: TypeAlias = tuple[float, Floats, str]
Measure: TypeAlias = Callable[[Floats, Floats], Found]


def _of(rows: Floats, value: float, negative: float, positive: float) -> Found:
    """A value whose gradient is the same for all predictions of a class."""
    return value, np.broadcast_to(np.array([[negative], [positive]]), rows.shape), ""


def _undefined(rows: Floats, why: str) -> Found:
    return 0.0, np.zeros(rows.shape), why


def _sums(rows: Floats, probabilities: Floats) -> tuple[float, float, float, float]:
    """Expected true negatives, false negatives, false positives and true positives."""
    missed, hits = (rows @ probabilities).tolist()
    negative, positive = rows.sum(axis=1).tolist()
    return negative - missed, missed, positive - hits, hits


def accuracy(rows: Floats, probabilities: Floats) -> Found:
    """The share of predictions that are right."""
    kept, missed, wrong, hits = _sums(rows, probabilities)
    total = kept + missed + wrong + hits
    return _of(rows, (kept + hits) / total, -1 / total, 1 / total)


def precision(rows: Floats, probabilities: Floats) -> Found:
    """The share of positive predictions that are right."""
    _, _, wrong, hits = _sums(rows, probabilities)
    if not wrong + hits:
        return _undefined(rows, "there is no positive prediction")
    return _of(rows, hits / (wrong + hits), 0.0, 1 / (wrong + hits))


def recall(rows: Floats, probabilities: Floats) -> Found:
    """The share of positive truths that were predicted."""
    _, missed, _, hits = _sums(rows, probabilities)
    positives = missed + hits
    if not positives:
        return _undefined(rows, "no positive truth is expected")
    return _of(rows, hits / positives, -hits / positives**2, missed / positives**2)


def specificity(rows: Floats, probabilities: Floats) -> Found:
    """The share of negative truths that were predicted."""
    kept, _, wrong, _ = _sums(rows, probabilities)
    negatives = kept + wrong
    if not negatives:
        return _undefined(rows, "no negative truth is expected")
    return _of(rows, kept / negatives, -wrong / negatives**2, kept / negatives**2)


def f1(rows: Floats, probabilities: Floats) -> Found:
    """The harmonic mean of precision and recall."""
    _, missed, wrong, hits = _sums(rows, probabilities)
    below = 2 * hits + wrong + missed
    if not below:
        return _undefined(rows, "there is no positive prediction, and no positive truth is expected")
    return _of(rows, 2 * hits / below, -2 * hits / below**2, 2 / below - 2 * hits / below**2)


def roc_auc(rows: Floats, probabilities: Floats) -> Found:
    """The area under the ROC curve."""
    each = rows.sum(axis=0)
    above = each * probabilities
    below = each - above
    positives, negatives = float(above.sum()), float(below.sum())
    if not positives or not negatives:
        return _undefined(rows, "truths of one class only are expected")
    lower = np.cumsum(below) - below / 2
    higher = positives - np.cumsum(above) + above / 2
    value = float(above @ lower) / (positives * negatives)
    gradient = (lower - higher) / (positives * negatives) - value * (1 / positives - 1 / negatives)
    return value, np.broadcast_to(gradient, rows.shape), ""


def average_precision(rows: Floats, probabilities: Floats) -> Found:
    """The area under the curve of precision over recall, in a step a row."""
    each, p = rows.sum(axis=0)[::-1], probabilities[::-1]
    hits = each * p
    positives = float(hits.sum())
    if not positives:
        return _undefined(rows, "no positive truth is expected")
    hits_before, rows_before = np.cumsum(hits) - hits, np.cumsum(each) - each
    steps = curves.harmonic(rows_before + each) - curves.harmonic(rows_before)
    value = float((p * (hits + (hits_before - p * rows_before) * steps)).sum()) / positives
    later = np.cumsum((p * steps)[::-1])[::-1] - p * steps
    own = np.divide((hits_before - 2 * p * rows_before) * steps, each, out=np.zeros_like(each), where=each > 0) + 2 * p
    gradient = ((own + later - value) / positives)[::-1]
    return value, np.broadcast_to(gradient, rows.shape), ""


def brier(rows: Floats, probabilities: Floats) -> Found:
    """The mean of (score - truth)², of scores in [0, 1]; each is taken for the middle of its bin."""
    scores, each = middles(), rows.sum(axis=0)
    expected = probabilities * (1 - scores) ** 2 + (1 - probabilities) * scores**2
    total = float(each.sum())
    return float(each @ expected) / total, np.broadcast_to((1 - 2 * scores) / total, rows.shape), ""


MEASURES: dict[str, Measure] = {
    each.__name__: each for each in (accuracy, precision, recall, f1, specificity, roc_auc, average_precision)
}
OF_PROBABILITIES: dict[str, Measure] = {"brier": brier}
"""Of scores that are meant to be probabilities."""

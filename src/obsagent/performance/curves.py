"""Areas under curves, from how many positives and negatives are in which score bin.

Rows in one bin count as tied, as scikit-learn counts tied scores; how far that is from what the scores themselves would
give is bounded by the best and the worst order within every bin.
"""

from __future__ import annotations

import math

import numpy as np

from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.intervals import on_logits, wilson
from obsagent.performance.measured import Measured

ONE_CLASS = "truths of both classes with scores are needed"
NO_POSITIVE = "there is no positive truth with a score"
_EXACT = 64


def roc_auc(negatives: Ints, positives: Ints, confidence: float) -> Measured:
    """The probability that a positive's score is above a negative's, ties counting half.

    Interval: DeLong, DeLong, Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
    characteristic curves (Biometrics 44, 1988), on logits. Where every positive is above every negative or the other
    way round that has no width: then Wilson's, as if there were as many trials as rows of the rarer class.
    """
    below, above = float(negatives.sum()), float(positives.sum())
    if not below or not above:
        return Measured.undefined(ONE_CLASS)
    of_positives = (np.cumsum(negatives) - 0.5 * negatives) / below  # each positive's share of negatives below it
    of_negatives = 1 - (np.cumsum(positives) - 0.5 * positives) / above
    value = float((positives * of_positives).sum()) / above
    bound = float((negatives.astype(np.float64) * positives).sum()) / (2 * below * above)
    variance = _variance(of_positives, positives, value) + _variance(of_negatives, negatives, value)
    if variance <= 0 or not 0 < value < 1:
        fewest = min(below, above)
        return Measured.within(value, wilson(value * fewest, fewest, confidence), bound)
    error = math.sqrt(variance) / (value * (1 - value))
    return Measured.within(value, on_logits(value, error, confidence), bound)


def _variance(values: Floats, rows: Ints, mean: float) -> float:
    """The variance of the mean of values that come so often."""
    count = float(rows.sum())
    return float((rows * np.square(values - mean)).sum()) / (max(count - 1, 1.0) * count)


def average_precision(negatives: Ints, positives: Ints, confidence: float) -> Measured:
    """Σ (Rₙ − Rₙ₋₁) Pₙ over the bins from the highest score on, as scikit-learn defines it.

    Interval: on logits, as Boyd, Eng, Page, Area under the precision-recall curve: point estimates and confidence
    intervals (ECML PKDD 2013), recommend.
    """
    above = float(positives.sum())
    if not above:
        return Measured.undefined(NO_POSITIVE)
    hits, misses = positives[::-1].astype(np.float64), negatives[::-1].astype(np.float64)
    rows = hits + misses
    hits_before, rows_before = np.cumsum(hits) - hits, np.cumsum(rows) - rows
    precision = np.divide(hits_before + hits, rows_before + rows, out=np.zeros_like(hits), where=rows_before + rows > 0)
    value = float((hits * precision).sum()) / above
    best = float(one_by_one(hits, hits_before, rows_before).sum()) / above
    worst = float(one_by_one(hits, hits_before, rows_before + misses).sum()) / above
    bound = max(best - value, value - worst, 0.0)
    if not 0 < value < 1:
        return Measured.within(value, wilson(value * above, above, confidence), bound)
    return Measured.within(value, on_logits(value, 1 / math.sqrt(above * value * (1 - value)), confidence), bound)


def one_by_one(hits: Floats, hits_before: Floats, rows_before: Floats) -> Floats:
    """The sum of the precision at `hits` positives in a row: Σⱼ (hits_before + j) / (rows_before + j)."""
    return hits + (hits_before - rows_before) * (harmonic(rows_before + hits) - harmonic(rows_before))


def harmonic(upto: Floats) -> Floats:
    """1 + 1/2 + … + 1/n, to some 1e-13."""
    table = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, _EXACT + 1, dtype=np.float64))])
    large = np.maximum(upto, _EXACT)
    series = np.log(large) + np.euler_gamma + 1 / (2 * large) - 1 / (12 * large**2) + 1 / (120 * large**4)
    return np.where(upto <= _EXACT, table[np.minimum(upto, _EXACT).astype(np.int64)], series)

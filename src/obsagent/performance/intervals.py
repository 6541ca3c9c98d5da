"""Confidence intervals.

Wilson, Probable inference, the law of succession, and statistical inference (JASA 22, 1927), for proportions. The delta
method over multinomial counts for what is a smooth function of a confusion matrix: Takahashi, Yamamoto, Kuchiba,
Koyama, Confidence interval for micro-averaged F1 and macro-averaged F1 scores (Applied Intelligence 52, 2022).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance.arrays import Floats, Ints

Interval = tuple[float, float]


def z_of(confidence: float) -> float:
    """The normal quantile of a two-sided interval. Raises `PerformanceError` for what is no confidence."""
    if not 0 < confidence < 1:
        raise PerformanceError(f"a confidence is between 0 and 1, such as 0.95, not {confidence!r}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: float, trials: float, confidence: float) -> Interval:
    """Wilson's score interval of a proportion; `trials` is above 0."""
    z = z_of(confidence)
    share, extra = successes / trials, z * z / trials
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(max(share * (1 - share), 0.0) / trials + extra / (4 * trials))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def around(value: float, error: float, confidence: float, least: float = -math.inf, most: float = math.inf) -> Interval:
    """The normal interval of a standard error, cut off where the metric ends."""
    half = z_of(confidence) * error
    return max(least, value - half), min(most, value + half)


def on_logits(value: float, error: float, confidence: float) -> Interval:
    """The interval of a value in (0, 1) whose logit has that standard error: it ends within (0, 1) by itself."""
    middle, half = math.log(value / (1 - value)), z_of(confidence) * error
    return _share(middle - half), _share(middle + half)


def multinomial_error(cells: Ints, gradient: Floats) -> float:
    """The standard error of a function of multinomial counts, by its gradient after the counts: the delta method."""
    total = float(cells.sum())
    mean = float((cells * gradient).sum()) / total
    return math.sqrt(max(0.0, float((cells * np.square(gradient - mean)).sum())))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))

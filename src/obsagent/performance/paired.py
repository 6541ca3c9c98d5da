"""Two models on the same truths: which of them is wrong where the other is right.

Only rows on which exactly one of the two is wrong tell them apart. If both are as good, each such row is a fair coin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import arrays
from obsagent.performance.intervals import around

_LN_2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Paired:
    """What a paired test finds.

    `p_value`: McNemar's exact test, of one look at the end: McNemar, Note on the sampling error of the difference
    between correlated proportions or percentages (Psychometrika 12, 1947). `anytime_p_value`: holds at whatever moment
    one looks, and however often: 1 / E of the Beta(½, ½) mixture of likelihood ratios, a test martingale: Lindon,
    Malek, Anytime-valid inference for multinomial count data (NeurIPS 2022). `difference`: error rate of the second
    less that of the first; `low`, `high`: its normal interval for paired rows.
    """

    rows: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float
    anytime_p_value: float


def paired_test(only_first_wrong: int, only_second_wrong: int, rows: int, confidence: float = 0.95) -> Paired:
    """Compares two models by counts that add up over windows: rows that only one of them gets wrong, and all rows.

    Raises `PerformanceError` for counts that do not fit.
    """
    first, second, total = arrays.counts([only_first_wrong, only_second_wrong, rows], (3,), "counts").tolist()
    if first + second > total:
        raise PerformanceError(f"{first} and {second} rows of {total} are too many")
    p_value = exact_p(first, second)
    anytime = math.exp(min(0.0, -log_evidence(first, second)))
    if not total:
        return Paired(0, None, None, None, p_value, anytime)
    difference = (second - first) / total
    error = math.sqrt(max(0.0, (first + second) / total - difference**2) / total)
    return Paired(total, difference, *around(difference, error, confidence, -1.0, 1.0), p_value, anytime)


def disagreements(truths: Any, first: Any, second: Any) -> tuple[int, int, int]:
    """Rows that only the first gets wrong, those that only the second gets wrong, and all: for `paired_test`.

    Raises `PerformanceError` unless there are as many predictions of both as truths.
    """
    actual, one, other = (np.asarray(each) for each in (truths, first, second))
    if actual.ndim != 1 or not actual.shape == one.shape == other.shape:
        raise PerformanceError("truths and predictions of both models are expected, one of each a row")
    wrong, also = one != actual, other != actual
    return int((wrong & ~also).sum()), int((also & ~wrong).sum()), len(actual)


def exact_p(first: int, second: int) -> float:
    """The two-sided probability that so many fair coins fall as unevenly, or more so."""
    total, fewer = first + second, min(first, second)
    if 2 * fewer >= total - 1:
        return 1.0
    logs = _tail(total, fewer)
    largest = float(logs.max())
    return min(1.0, 2 * math.exp(largest + math.log(float(np.exp(logs - largest).sum())) - total * _LN_2))


def log_evidence(first: int, second: int) -> float:
    """ln E against fair coins, of the Beta(½, ½) mixture over every other one."""
    total = first + second
    mixed = math.lgamma(first + 0.5) + math.lgamma(second + 0.5) - math.lgamma(total + 1) - math.log(math.pi)
    return mixed + total * _LN_2


def _tail(total: int, fewer: int) -> arrays.Floats:
    """ln of the binomial coefficients up to `fewer`, the largest last; what is below e⁻⁸⁰ of it is left out."""
    found = [_log_choose(total, fewer)]
    for each in range(fewer, 0, -1):
        found.append(found[-1] + math.log(each / (total - each + 1)))
        if found[-1] < found[0] - 80:
            break
    return np.array(found)


def _log_choose(total: int, part: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(part + 1) - math.lgamma(total - part + 1)

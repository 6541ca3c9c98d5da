"""Pearson's chi-squared test of counts over common bins, and Cramér's V."""

from __future__ import annotations

import math
from collections.abc import Iterable

from obsagent.drift.counts import pair
from obsagent.errors import DriftError

TESTS = ("homogeneity", "goodness of fit")


class ChiSquared(float):
    """The statistic, with `p_value` and `degrees_of_freedom`."""

    __slots__ = ("degrees_of_freedom", "p_value")
    p_value: float
    degrees_of_freedom: int

    @property
    def statistic(self) -> float:
        """The statistic as a plain number."""
        return float(self)


def chi_squared(
    reference: Iterable[float], current: Iterable[float], *, test: str = "homogeneity", yates: bool = False
) -> ChiSquared:
    """Pearson's X² (Phil. Mag. 50, 1900), with its p-value; bins that neither side has seen do not count.

    `"homogeneity"`: both are samples; what is expected comes from the two together, so that a category which only one
    side has seen is no special case (scipy's `chi2_contingency`, nannyml; both with `yates=True` where two bins are
    left). `"goodness of fit"`: the reference is the truth (scipy's `chisquare`, evidently); what it has never seen is
    impossible, and the statistic infinite where it comes. Raises `DriftError`.
    """
    if test not in TESTS:
        raise DriftError(f"test is {' or '.join(map(repr, TESTS))}, not {test!r}")
    before, after = pair(reference, current)
    seen = [(n, m) for n, m in zip(before, after, strict=True) if n > 0 or m > 0]
    correction = 0.5 if yates and len(seen) == 2 else 0.0
    statistic = ChiSquared(_homogeneity(seen, correction) if test == TESTS[0] else _fit(seen))
    statistic.degrees_of_freedom = len(seen) - 1
    statistic.p_value = chi_squared_tail(float(statistic), len(seen) - 1)
    return statistic


def cramers_v(reference: Iterable[float], current: Iterable[float]) -> float:
    """Cramér's V, √(X² / n): from 0, the same shares, to 1, no bin in common (Mathematical Methods of Statistics,
    1946).

    Of the test of homogeneity; n counts both samples, so that unlike X² it does not grow with them. Raises
    `DriftError`.
    """
    before, after = pair(reference, current)
    return min(1.0, math.sqrt(chi_squared(before, after) / (sum(before) + sum(after))))


def _homogeneity(seen: list[tuple[float, float]], correction: float) -> float:
    before, after = sum(n for n, _ in seen), sum(m for _, m in seen)
    total = before + after
    parts = []
    for n, m in seen:
        for observed, size in ((n, before), (m, after)):
            expected = (n + m) * (size / total)
            difference = abs(observed - expected)
            parts.append((difference - min(correction, difference)) ** 2 / expected)
    return math.fsum(parts)


def _fit(seen: list[tuple[float, float]]) -> float:
    if any(n == 0 for n, _ in seen):
        return math.inf
    scale = sum(m for _, m in seen) / sum(n for n, _ in seen)
    return math.fsum((m - n * scale) ** 2 / (n * scale) for n, m in seen)


def chi_squared_tail(x: float, degrees_of_freedom: int) -> float:
    """P(χ² > x): the finite sums for even and odd degrees (Abramowitz, Stegun 26.4.4, 26.4.5); no term is negative."""
    if x <= 0 or degrees_of_freedom <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    half, odd = x / 2, degrees_of_freedom % 2
    log_half = math.log(half)
    steps = (k + odd / 2 for k in range(degrees_of_freedom // 2))
    terms = [math.exp(step * log_half - half - math.lgamma(step + 1)) for step in steps]
    return min(1.0, math.fsum(terms) + (math.erfc(math.sqrt(half)) if odd else 0.0))

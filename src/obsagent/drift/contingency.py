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
    """A bin's difference from what is expected is the same on both sides, but for its sign."""
    before, after = sum(n for n, _ in seen), sum(m for _, m in seen)
    share = before / (before + after)
    differences = ((n + m, abs(n - (n + m) * share)) for n, m in seen)
    parts = math.fsum((off - min(correction, off)) ** 2 / both for both, off in differences)
    return parts / (share * (after / (before + after)))


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
    tail = _sum_of_terms(half, odd / 2, degrees_of_freedom // 2)
    return min(1.0, tail + math.erfc(math.sqrt(half)) if odd else tail)


def _sum_of_terms(x: float, first: float, count: int) -> float:
    """Σ xˢ e⁻ˣ / Γ(s + 1) over s = first, first + 1, …: from the largest term on, up and down by their ratios."""
    if count == 0:
        return 0.0
    largest = min(count - 1, max(0, int(x - first)))
    middle = first + largest
    term = math.exp(middle * math.log(x) - x - math.lgamma(middle + 1))
    terms, up, down = [term], term, term
    for step in range(1, count - largest):
        up *= x / (middle + step)
        terms.append(up)
    for step in range(largest):
        down *= (middle - step) / x
        terms.append(down)
    return math.fsum(terms)

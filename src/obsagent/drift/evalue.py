"""E-values of a window's counts against a frozen reference: evidence whose mean is at most 1 where nothing has changed.

Windows of one process vary more than samples of one distribution do. The null hypothesis allows for that: a window's
shares are drawn from a Dirichlet distribution around the reference's, of concentration κ₀, and its counts from them.
The alternative is the same with a lower concentration: shares that lie further away, in whatever direction.

    ln DM(n; κ) = ln Γ(κ) − ln Γ(κ + N) + Σ [ln Γ(κ p + n) − ln Γ(κ p)]
    E = mean over κ₁ in κ₀ / {2, 4, 16, 64, 256} of DM(n; κ₁) / DM(n; κ₀)

E is a mixture of likelihood ratios, so that P(E ≥ 1 / α) ≤ α, with no table and no large-sample limit: Vovk, Wang,
E-values: calibration, combination and applications (Ann. Statist. 49, 2021); Good, The Bayesian significance test for
multinomial distributions (J. R. Stat. Soc. B 29, 1967) for the mixture.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import add, itemgetter
from typing import TypeAlias

from obsagent.drift.counts import are_shares, checked
from obsagent.drift.rising import log_excess
from obsagent.drift.tolerance import log_likelihood_within
from obsagent.errors import DriftError

_Chosen: TypeAlias = Callable[[Sequence[float]], tuple[float, ...]]
"""Some of a row's bins, the first of them once more at the end."""

DIVISORS = (2.0, 4.0, 16.0, 64.0, 256.0)
_EMPTY = 0.4  # of the bins: where more are, it is quicker to choose the others
_PLAIN_BELOW = 1e7  # of κ₀ + N: differences of ln Γ are right to 1e-7 there, and computed a row at once


class Null:
    """What windows are compared with: a reference's shares, and how much a window may differ from them by nature.

    Made once for a reference; `log_e_value` then costs some 0.1 ms for 130 bins, less where most are empty.
    """

    __slots__ = ("_rows", "kappa0", "shares", "tolerance")

    def __init__(
        self,
        reference: Iterable[float],
        *,
        kappa0: float | None = None,
        divisors: Sequence[float] = DIVISORS,
        tolerance: float = 0.0,
    ) -> None:
        """`reference`: counts, or shares together with a `kappa0`.

        `kappa0`: the concentration of `fit_kappa0`; never above the reference's number of observations, since it knows
        its own shares no better; that if it is not given. A bin in which the reference has nothing has as much as one
        observation: about what lies beyond the extremes of a sample. `tolerance`: changes of a divergence KL(reference
        ‖ current) up to it, in nats, are none: the null is then the best of those and of the above. (Wasserman, Ramdas,
        Balakrishnan, Universal inference, PNAS 117, 2020.) PSI is about twice as large. Raises `DriftError`.
        """
        counts = checked(reference, "reference")
        self.kappa0 = _concentration(counts, kappa0)
        if not divisors or not all(1 < each < math.inf for each in divisors):
            raise DriftError(f"divisors of kappa0 are above 1, {divisors!r} are not")
        if not 0 <= tolerance < math.inf:
            raise DriftError(f"a tolerance is a divergence in nats, not {tolerance!r}")
        self.tolerance = float(tolerance)
        self.shares = _shares(counts, self.kappa0)
        self._rows = [_Row(self.shares, self.kappa0 / each) for each in (1.0, *divisors)]

    def log_e_value(self, current: Iterable[float]) -> float:
        """ln E of a window's counts over the reference's bins; 0 if they count nothing. Raises `DriftError`."""
        counts = checked(current, "current")
        if len(counts) != len(self.shares):
            raise DriftError(f"the reference has {len(self.shares)} bins and the current counts have {len(counts)}")
        total = sum(counts)
        if total == 0:
            return 0.0
        if self.tolerance == 0 and self.kappa0 + total < _PLAIN_BELOW:
            null, *logs = self._log_probabilities(counts, total)
        else:
            null, *logs = [row.log_odds(counts, total) for row in self._rows]
        if self.tolerance > 0:
            null = max(null, log_likelihood_within(self.shares, counts, self.tolerance))
        largest = max(logs)
        return largest - null + math.log(sum(math.exp(each - largest) for each in logs) / len(logs))

    def _log_probabilities(self, counts: list[float], total: float) -> list[float]:
        """Of every row. Where most bins are empty they are passed over: they say nothing at any concentration."""
        if counts.count(0) < len(counts) * _EMPTY:
            return [row.log_probability(counts, total) for row in self._rows]
        filled = [place for place, n in enumerate(counts) if n]
        chosen = itemgetter(*filled, filled[0])  # one more, so that it gives a tuple of one too
        found = chosen(counts)[:-1]
        return [row.log_probability_of_some(chosen, found, total) for row in self._rows]


def log_e_value(
    reference: Iterable[float],
    current: Iterable[float],
    *,
    kappa0: float | None = None,
    divisors: Sequence[float] = DIVISORS,
    tolerance: float = 0.0,
) -> float:
    """ln E of the current counts against the reference's, over the same bins; `Null` describes what is given.

    Whoever compares one reference with many windows makes a `Null` once. Raises `DriftError`.
    """
    return Null(reference, kappa0=kappa0, divisors=divisors, tolerance=tolerance).log_e_value(current)


class _Row:
    """One Dirichlet-multinomial distribution."""

    __slots__ = ("_alphas", "_constant", "_kappa", "_log_gamma", "_log_gammas")

    def __init__(self, shares: list[float], kappa: float) -> None:
        self._kappa = kappa
        self._alphas = array("d", [kappa * share for share in shares])  # there is one for each of 5,000 charts
        self._log_gammas = array("d", map(math.lgamma, self._alphas))
        self._log_gamma = math.lgamma(kappa)
        self._constant = self._log_gamma - math.fsum(self._log_gammas)

    def log_probability(self, counts: list[float], total: float) -> float:
        """ln DM(n; κ), but for the multinomial coefficient: a row at once, for concentrations that are not huge."""
        rising = math.fsum(map(math.lgamma, map(add, self._alphas, counts)))
        return self._constant - math.lgamma(self._kappa + total) + rising

    def log_probability_of_some(self, chosen: _Chosen, counts: tuple[float, ...], total: float) -> float:
        """The same of the bins that are chosen; those between have counted nothing."""
        rising = math.fsum(map(math.lgamma, map(add, chosen(self._alphas), counts)))
        before = math.fsum(chosen(self._log_gammas)[:-1])
        return self._log_gamma - before - math.lgamma(self._kappa + total) + rising

    def log_odds(self, counts: list[float], total: float) -> float:
        """ln DM(n; κ) less that of the multinomial distribution with the same shares: nothing cancels."""
        parts = (log_excess(alpha, n) for alpha, n in zip(self._alphas, counts, strict=True) if n)
        return math.fsum(parts) - log_excess(self._kappa, total)


def _concentration(counts: list[float], kappa0: float | None) -> float:
    size = sum(counts)
    if size <= 0:
        raise DriftError("reference: no bin counts anything, so there is nothing to compare")
    if kappa0 is None and are_shares(counts):
        raise DriftError("a reference of shares needs kappa0, since nobody knows of how many observations they are")
    if kappa0 is not None and not 0 < kappa0 < math.inf:
        raise DriftError(f"kappa0 is a positive number, not {kappa0!r}")
    if kappa0 is None:
        return float(size)
    return float(kappa0 if are_shares(counts) else min(kappa0, size))


def _shares(counts: list[float], kappa0: float) -> list[float]:
    """The reference's shares, none of them 0."""
    one = 1 / kappa0 if are_shares(counts) else 1.0
    filled = [count if count > 0 else one for count in counts]
    total = sum(filled)
    return [count / total for count in filled]

"""The likelihood of what is tolerated: of the best distribution that is no further from the reference than that."""

from __future__ import annotations

import math
from operator import mul, truediv

_ROUNDS = 100
_PRECISION = 1e-12  # of the divergence
_FIRST = 1e-3  # of the number of observations: where the search for the weight begins
_BACK = 1 / 64
_NOTHING = 1e-15  # of the number of observations: a weight as good as none, with which no bin is empty


def log_likelihood_within(shares: list[float], counts: list[float], divergence: float) -> float:
    """max Σ n ln(q / p) over all q with KL(p ‖ q) ≤ `divergence`, in nats: p are the shares, none of which is 0.

    By Lagrange's rule the best q is (n + λ p) / (N + λ): between what was counted, at λ = 0, and the reference. The
    divergence of that is convex in λ and falls (Jensen's inequality, twice), so that Newton's method comes from below
    to the λ that is looked for and never goes beyond it. There the bound is not quite kept: the maximum is never too
    low.
    """
    total = sum(counts)
    least = 0.0 if all(counts) else total * _NOTHING
    if _divergence(shares, counts, total, least)[0] <= divergence:
        return _log_likelihood(shares, counts, total, 0.0)
    weight = 0.0 if all(counts) else total * _FIRST
    found, slope = _divergence(shares, counts, total, weight)
    while found < divergence:
        weight *= _BACK
        found, slope = _divergence(shares, counts, total, weight)
    for _ in range(_ROUNDS):
        over = found - divergence
        if over <= _PRECISION * divergence or slope >= 0:
            break
        further = weight - over / slope
        found, slope = _divergence(shares, counts, total, further)
        if found < divergence:  # within what rounding leaves
            break
        weight = further
    return _log_likelihood(shares, counts, total, weight)


def _divergence(shares: list[float], counts: list[float], total: float, weight: float) -> tuple[float, float]:
    """KL(p ‖ q) for q = (n + λ p) / (N + λ), and its derivative by λ, which is above 0 if a bin is empty."""
    ratios = [n / p + weight for p, n in zip(shares, counts, strict=True)]
    whole = total + weight
    found = math.fsum(map(mul, shares, (math.log(whole / each) for each in ratios)))
    return found, 1 / whole - math.fsum(map(truediv, shares, ratios))


def _log_likelihood(shares: list[float], counts: list[float], total: float, weight: float) -> float:
    return math.fsum(
        n * math.log((n + weight * p) / ((total + weight) * p)) for p, n in zip(shares, counts, strict=True) if n
    )

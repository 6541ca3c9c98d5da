"""The likelihood of what is tolerated: of the best distribution that is no further from the reference than that."""

from __future__ import annotations

import math

_ROUNDS = 100
_STEP = 3.0
_PRECISION = 1e-7  # of logarithms
_LEAST = 1e-300


def log_likelihood_within(shares: list[float], counts: list[float], divergence: float) -> float:
    """max Σ n ln(q / p) over all q with KL(p ‖ q) ≤ `divergence`, in nats: p are the shares, none of which is 0.

    By Lagrange's rule the best q is (n + λ p) / (N + λ): between what was counted, at λ = 0, and the reference. λ is
    found between two that keep the bound and do not (regula falsi, the Illinois way, over logarithms), and taken from
    the side at which it is not kept: so the maximum is never too low.
    """
    total = sum(counts)
    if _divergence(shares, counts, total, 0.0) <= divergence:
        return _log_likelihood(shares, counts, total, 0.0)

    def over(log_weight: float) -> float:
        return math.log(max(_divergence(shares, counts, total, math.exp(log_weight)), _LEAST) / divergence)

    low = high = math.log(total)
    above = below = over(low)
    while above <= 0:
        low -= _STEP
        above = over(low)
    while below > 0:
        high += _STEP
        below = over(high)
    last = 0.0
    for _ in range(_ROUNDS):
        if high - low < _PRECISION or 0 <= above < _PRECISION:
            break
        middle = (low * below - high * above) / (below - above)
        found = over(middle)
        if found > 0:
            low, above, below = middle, found, below / 2 if last > 0 else below
        else:
            high, below, above = middle, found, above / 2 if last < 0 else above
        last = found
    return _log_likelihood(shares, counts, total, math.exp(low))


def _divergence(shares: list[float], counts: list[float], total: float, weight: float) -> float:
    """KL(p ‖ q) for q = (n + λ p) / (N + λ); infinite at λ = 0 if a bin is empty."""
    if weight == 0 and not all(counts):
        return math.inf
    q = ((n + weight * p) / (total + weight) for p, n in zip(shares, counts, strict=True))
    return math.fsum(p * math.log(p / each) for p, each in zip(shares, q, strict=True))


def _log_likelihood(shares: list[float], counts: list[float], total: float, weight: float) -> float:
    return math.fsum(
        n * math.log((n + weight * p) / ((total + weight) * p)) for p, n in zip(shares, counts, strict=True) if n
    )

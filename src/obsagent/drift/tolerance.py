"""The likelihood of what is tolerated: of the best distribution that is no further from the reference than that."""

from __future__ import annotations

import math

_ROUNDS = 200


def log_likelihood_within(shares: list[float], counts: list[float], divergence: float) -> float:
    """max Σ n ln(q / p) over all q with KL(p ‖ q) ≤ `divergence`, in nats: p are the shares, none of which is 0.

    By Lagrange's rule the best q is (n + λ p) / (N + λ): between what was counted, at λ = 0, and the reference. λ is
    found by bisection, at that end of the last interval at which the bound is not kept: so the maximum is never too
    low.
    """
    total = sum(counts)
    low, high = 0.0, max(total, 1.0)
    if _divergence(shares, counts, total, low) <= divergence:
        return _log_likelihood(shares, counts, total, low)
    while _divergence(shares, counts, total, high) > divergence:
        low, high = high, high * 16
    for _ in range(_ROUNDS):
        middle = math.sqrt(low * high) if low > 0 else high / 2**16
        if not low < middle < high or high - low <= 1e-9 * high:
            break
        low, high = (middle, high) if _divergence(shares, counts, total, middle) > divergence else (low, middle)
    return _log_likelihood(shares, counts, total, low)


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

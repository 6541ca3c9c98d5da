"""Rising powers against plain ones, at any size: what Dirichlet-multinomials are made of."""

from __future__ import annotations

import math

_STIRLING_FROM = 16.0


def log_excess(a: float, n: float) -> float:
    """ln of a (a + 1) … (a + n − 1) / aⁿ, Γ(a + n) / (Γ(a) aⁿ) for any n ≥ 0: Σ log1p(i / a) for i below n.

    For a large `a` it is about n² / 2a, which a difference of two `lgamma` would lose in rounding. Stirling's series,
    of which the term left out is below 1e-13; the absolute error is some 1e-16 n.
    """
    if n == 0:
        return 0.0
    if a < _STIRLING_FROM:
        return math.lgamma(a + n) - math.lgamma(a) - n * math.log(a)
    return (a + n - 0.5) * math.log1p(n / a) - n + (_series(a + n) - _series(a))


def _series(z: float) -> float:
    """ln Γ(z) less (z − ½) ln z − z + ½ ln 2π (Abramowitz, Stegun 6.1.41)."""
    square = 1 / (z * z)
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / z

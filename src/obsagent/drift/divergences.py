"""How far apart two distributions over the same bins are: sums over the bins' shares p (reference) and q (current)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from obsagent.drift import zeros
from obsagent.drift.counts import pair, shares
from obsagent.drift.zeros import ZeroRule
from obsagent.errors import DriftError

_SERIES_BELOW = 0.01


def psi(
    reference: Iterable[float], current: Iterable[float], *, base: float = math.e, zero: ZeroRule = "half"
) -> float:
    """The population stability index, Σ (p − q) log(p / q): Kullback and Leibler's J of 1951, the sum of both `kl`.

    `zero` says what a bin counts as that only one side has seen (`zeros`). Raises `DriftError`.
    """
    p, q = zeros.apply(zero, *pair(reference, current))
    return math.fsum((a - b) * _log_ratio(a, b) for a, b in zip(p, q, strict=True) if a != b) / _log_base(base)


def kl(reference: Iterable[float], current: Iterable[float], *, base: float = math.e, zero: ZeroRule = "half") -> float:
    """Kullback and Leibler's divergence of the reference from the current counts, Σ p log(p / q) (Ann. Math. Stat.,
    1951).

    As scipy's `entropy(reference, current)`; exchange the two for the other direction. `zero="evidently"` divides
    by the sums after filling, as that library does. Raises `DriftError`.
    """
    p, q = zeros.apply(zero, *pair(reference, current))
    if zero == "evidently":
        p, q = shares(p), shares(q)
    return math.fsum(a * _log_ratio(a, b) for a, b in zip(p, q, strict=True) if a > 0) / _log_base(base)


def js_distance(reference: Iterable[float], current: Iterable[float], *, base: float = 2.0) -> float:
    """Jensen–Shannon distance, the root of the mean of both sides' `kl` from their middle; in base 2 from 0 to 1.

    Lin, Divergence measures based on the Shannon entropy (IEEE Trans. Inf. Theory, 1991); that the root is a metric:
    Endres, Schindelin (ibid., 2003). It needs no zero rule. `base=math.e` is scipy's and evidently's default; its
    square is TensorFlow Data Validation's divergence. Raises `DriftError`.
    """
    p, q = map(shares, pair(reference, current))
    divergence = math.fsum(_from_middle(a, b) for a, b in zip(p, q, strict=True)) / 2
    return math.sqrt(max(0.0, divergence) / _log_base(base))


def hellinger(reference: Iterable[float], current: Iterable[float]) -> float:
    """Hellinger's distance, √(½ Σ (√p − √q)²), from 0 to 1 (J. reine angew. Math., 1909). Raises `DriftError`."""
    p, q = map(shares, pair(reference, current))
    return math.sqrt(math.fsum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2)


def total_variation(reference: Iterable[float], current: Iterable[float]) -> float:
    """Total variation, ½ Σ |p − q|: the share of the observations that lie in other bins now. Raises `DriftError`."""
    p, q = map(shares, pair(reference, current))
    return math.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def linf(reference: Iterable[float], current: Iterable[float]) -> float:
    """The largest change of a bin's share, max |p − q|. Raises `DriftError`."""
    p, q = map(shares, pair(reference, current))
    return max(abs(a - b) for a, b in zip(p, q, strict=True))


def _log_ratio(a: float, b: float) -> float:
    """log(a / b) where either may be 0, not both."""
    if a == 0 or b == 0:
        return math.inf if a > 0 else -math.inf
    return math.log(a / b)


def _from_middle(a: float, b: float) -> float:
    """a log(a / m) + b log(b / m) with m = (a + b) / 2, also of a and b that nearly agree."""
    middle = (a + b) / 2
    if middle == 0:
        return 0.0
    d = (a - b) / (a + b)
    if abs(d) < _SERIES_BELOW:  # log1p of d and of −d would cancel to nothing but rounding
        square = d * d
        return middle * square * (1 + square * (1 / 6 + square * (1 / 15 + square / 28)))
    part = a * math.log(a / middle) if a > 0 else 0.0
    return part + b * math.log(b / middle) if b > 0 else part


def _log_base(base: float) -> float:
    if not base > 1 or math.isinf(base):
        raise DriftError(f"a logarithm's base is above 1, {base!r} is not")
    return math.log(base)

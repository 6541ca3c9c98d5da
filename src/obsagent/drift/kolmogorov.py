"""The Kolmogorov–Smirnov statistic of counts over common bins."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate

from obsagent.drift.counts import pair, shares

_SMALL = 1.18  # below, the other of the two series of Kolmogorov's distribution converges faster


class KS(float):
    """The largest difference of the two distribution functions at an edge; `gap` and `p_value` go with it.

    `gap`: how much larger it may be at most between the edges, where nobody has looked: never more than the largest
    bin's mass. `p_value`: Kolmogorov's limit for values without ties; of bins it is an upper bound.
    """

    __slots__ = ("gap", "p_value")
    gap: float
    p_value: float


def ks(reference: Iterable[float], current: Iterable[float]) -> KS:
    """Kolmogorov and Smirnov's max |F − G| over ordered bins; a lower bound, by `.gap` at most, of that of the values.

    A bin's observations may lie anywhere in it, so that F − G may rise within it by the smaller of its two masses and
    no more. `.p_value` is of counts (Smirnov, Ann. Math. Stat. 19, 1948): at large counts it is small for differences
    that matter to nobody. Raises `DriftError`.
    """
    before, after = pair(reference, current)
    p, q = shares(before), shares(after)
    largest = max(abs(a - b) for a, b in zip(accumulate(p), accumulate(q), strict=True))
    statistic = KS(min(1.0, largest))
    between = max(_within(p, q), largest)
    statistic.gap = between - largest
    sizes = sum(before) * sum(after) / (sum(before) + sum(after))
    statistic.p_value = kolmogorov_tail(math.sqrt(sizes) * largest)
    return statistic


def _within(p: list[float], q: list[float]) -> float:
    """The most that |F − G| may be inside a bin: one side's observations at its begin, the other's at its end."""
    f = g = most = 0.0
    for a, b in zip(p, q, strict=True):
        most = max(most, f + a - g, g + b - f)
        f, g = f + a, g + b
    return most


def kolmogorov_tail(x: float) -> float:
    """P(K > x) of Kolmogorov's distribution (Giorn. Ist. Ital. Attuari, 1933)."""
    if x <= 0:
        return 1.0
    if x < _SMALL:
        rate = math.pi**2 / (8 * x * x)
        below = math.fsum(math.exp(-((2 * k - 1) ** 2) * rate) for k in range(1, 8))
        return 1 - math.sqrt(2 * math.pi) / x * below
    return 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 8))

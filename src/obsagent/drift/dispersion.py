"""How much the windows of a reference differ from each other by nature: the concentration κ₀ of the null hypothesis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from obsagent.drift.counts import checked, shares
from obsagent.drift.rising import log_excess
from obsagent.errors import DriftError

_GOLDEN = (math.sqrt(5) - 1) / 2
_LEAST = 1.0
_PRECISION = 1e-4  # of ln κ₀


def fit_kappa0(
    windows: Iterable[Iterable[float]], *, reference: Iterable[float] | None = None, limit: float | None = None
) -> float:
    """The most likely concentration of a Dirichlet-multinomial distribution of these windows' counts, between 1 and
    `limit`.

    The shares are the reference's, or those of all windows together. `limit`: by default the number of observations,
    since a reference knows its own shares no better; it is the answer where windows differ no more than samples do.
    Minka, Estimating a Dirichlet distribution (2000). Raises `DriftError` without a window that counts anything.
    """
    taken = [counts for counts in (checked(each, "windows") for each in windows) if sum(counts) > 0]
    if not taken:
        raise DriftError("there is no window that counts anything")
    if len({len(counts) for counts in taken}) > 1:
        raise DriftError("all windows have the same bins")
    pooled = [sum(bins) for bins in zip(*taken, strict=True)] if reference is None else checked(reference, "reference")
    if len(pooled) != len(taken[0]):
        raise DriftError(f"the reference has {len(pooled)} bins and the windows have {len(taken[0])}")
    most = float(sum(map(sum, taken))) if limit is None else limit
    if not most >= _LEAST:
        raise DriftError(f"kappa0 is 1 at least, so its limit is not {most!r}")
    return _most_likely(_log_likelihood(taken, pooled), most)


def _log_likelihood(windows: list[list[float]], pooled: list[float]) -> Callable[[float], float]:
    """Of κ, against the multinomial; what occurs more often is computed once."""
    p = shares([max(count, 1.0) if sum(pooled) > 1 else max(count, 1e-9) for count in pooled])
    cells = Counter((share, n) for counts in windows for share, n in zip(p, counts, strict=True) if n)
    sizes = Counter(map(sum, windows))

    def of(kappa: float) -> float:
        bins = math.fsum(times * log_excess(kappa * share, n) for (share, n), times in cells.items())
        return bins - math.fsum(times * log_excess(kappa, size) for size, times in sizes.items())

    return of


def _most_likely(likelihood: Callable[[float], float], most: float) -> float:
    """Golden sections of ln κ."""
    low, high = math.log(_LEAST), math.log(most)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = likelihood(math.exp(left)), likelihood(math.exp(right))
    while high - low > _PRECISION:
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = likelihood(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = likelihood(math.exp(right))
    found = math.exp((low + high) / 2)
    return max((found, _LEAST, most), key=likelihood)

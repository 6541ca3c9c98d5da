"""e-SR over windows of every length: drift that is too slow to be seen in a window is seen in the sum of many.

Windows are added up in pairs, those in pairs of pairs, and so on: level j has blocks of 2ʲ windows. Each level is an
e-SR detector of its blocks' e-values; a start of level j weighs as much as the 2ʲ windows that it stands for, a level
as much as any other. What has been completed by a window is added up, and an alarm is a sum of 1 / α.

Why that keeps the rate: the weights of the blocks that have begun by window t are never more than t (the first block of
a level, for which nothing has passed yet, weighs one window), and what a block adds to its weight is 0 in the mean.
Windows that are drawn independently around the reference differ less when they are added up, so that the same κ₀ errs
on the safe side there.

A window costs two e-values in the mean; the state is one row of counts a level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import add
from typing import Any, Self

from obsagent.drift.counts import checked
from obsagent.drift.evalue import Null
from obsagent.drift.sequential import KeptRate, finite, infinite, rate
from obsagent.errors import DriftError
from obsagent.limits import DRIFT_DYADIC_LEVELS_MAX

LEVELS = 14
"""Up to 8,192 windows: 23 hours of 10 s."""


class DyadicESR(KeptRate):
    """The e-SR detector of one feature's counts, window by window, over blocks of 1, 2, 4, … 2^(levels − 1) windows.

    `drift_detected` is the verdict on the latest window, `block` of how many windows the strongest evidence is; the
    window after an alarm begins anew.
    """

    __slots__ = (
        "_log_rs",
        "_pending",
        "block",
        "drift_detected",
        "levels",
        "log_r",
        "null",
        "since_reset",
        "windows",
    )

    def __init__(self, null: Null, alpha: float = 1e-4, *, levels: int = LEVELS) -> None:
        """`alpha`: at most one false alarm in 1 / alpha windows. Raises `DriftError`."""
        if not 1 <= levels <= DRIFT_DYADIC_LEVELS_MAX:
            raise DriftError(f"levels are 1 to {DRIFT_DYADIC_LEVELS_MAX}, not {levels!r}")
        self.null = null
        self.alpha = rate(alpha)
        self.levels = int(levels)
        self.windows = 0
        self.reset()

    def reset(self) -> None:
        """Begins anew, as after an alarm."""
        self.since_reset = 0
        self.log_r = -math.inf
        self.block = 1
        self.drift_detected = False
        self._log_rs = [-math.inf] * self.levels
        self._pending: list[list[float] | None] = [None] * self.levels

    def update(self, current: Iterable[float]) -> bool:
        """Takes the counts of the next window; True is an alarm. Raises `DriftError`, and nothing has changed then."""
        counts = checked(current, "current")
        log_e = self.null.log_e_value(counts)  # before anything changes: it may raise
        if self.drift_detected:
            self.reset()
        self.windows += 1
        self.since_reset += 1
        completed = self._completed(counts, log_e)
        largest = max(completed)
        self.block = 1 << completed.index(largest)
        total = (
            largest + math.log(sum(math.exp(each - largest) for each in completed)) if largest > -math.inf else largest
        )
        self.log_r = total - math.log(self.levels)
        self.drift_detected = self.log_r >= -math.log(self.alpha)
        return self.drift_detected

    def _completed(self, counts: list[float], log_e: float) -> list[float]:
        """ln of the weighted R of each level whose block ends with this window: level 0, and one up for each pair."""
        found = []
        for level in range(self.levels):
            first = self.since_reset == 1 << level
            start = -level * math.log(2) if first else 0.0
            self._log_rs[level] = log_e + _log_sum(self._log_rs[level], start)
            found.append(self._log_rs[level] + level * math.log(2))
            if level + 1 == self.levels:
                break
            half, self._pending[level] = self._pending[level], None
            if half is None:
                self._pending[level] = counts
                break
            counts = list(map(add, half, counts))
            log_e = self.null.log_e_value(counts)
        return found

    def to_state(self) -> dict[str, Any]:
        """All but the null, as JSON and msgpack take it."""
        return {
            "alpha": self.alpha,
            "windows": self.windows,
            "since_reset": self.since_reset,
            "drift_detected": self.drift_detected,
            "block": self.block,
            "log_r": finite(self.log_r),
            "log_rs": [finite(each) for each in self._log_rs],
            "pending": [None if each is None else list(each) for each in self._pending],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], null: Null) -> Self:
        """What `to_state` gave, going on where it was, with the same null. Raises `DriftError` for anything else."""
        try:
            found = cls(null, state["alpha"], levels=len(state["log_rs"]))
            found.windows, found.since_reset = int(state["windows"]), int(state["since_reset"])
            found.drift_detected, found.block = bool(state["drift_detected"]), int(state["block"])
            found.log_r, found._log_rs = infinite(state["log_r"]), [infinite(each) for each in state["log_rs"]]
            found._pending = [None if each is None else checked(each, "pending") for each in state["pending"]]
        except (KeyError, TypeError, ValueError) as error:
            raise DriftError(f"this is no state of a DyadicESR: {error}") from None
        bins = {len(each) for each in found._pending if each is not None}
        if len(found._pending) != found.levels or not bins <= {len(null.shares)}:
            raise DriftError("this state of a DyadicESR is of other bins than the null")
        return found


def _log_sum(a: float, b: float) -> float:
    """ln(eᵃ + eᵇ), b finite."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high)) if low > -math.inf else high

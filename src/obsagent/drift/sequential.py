"""Decisions over time: an alarm that comes falsely once in 1 / α windows at most, however long one watches.

The e-SR detector: R ← (R + 1) E, an alarm at R ≥ 1 / α. R is the sum, over all windows in which a change may have
begun, of the evidence since; it grows by one a window in the mean at most where nothing has changed, so that it takes 1
/ α windows or more, in the mean, to get there. Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for
sequential change detection (New Engl. J. Stat. Data Sci., 2024); Shiryaev (1963), Roberts (1966).
"""

from __future__ import annotations

import math
from typing import Any, Self

from obsagent.errors import DriftError

DAY_S = 86_400.0


class KeptRate:
    """What a decision whose rate of false alarms is kept says of that rate: at most `alpha` a window."""

    __slots__ = ("alpha",)
    alpha: float

    @property
    def average_run_length(self) -> float:
        """Windows until a false alarm, in the mean, at least."""
        return 1 / self.alpha

    def days_between_false_alarms(self, window_s: float) -> float:
        """The same in days, at least, for windows of that many seconds."""
        return days_between(self.alpha, window_s)

    def false_alarm_rate(self, window_s: float | None = None) -> str:
        """What the rate means, in a sentence for people; in days if the length of a window is given."""
        return rate_in_words(self.alpha, window_s)


class ESR(KeptRate):
    """The e-SR detector of one sequence of e-values, one a window.

    `drift_detected` is the verdict on the latest window; the one after an alarm begins anew. `since` is how many
    windows ago the change most likely began. A window without data need not be given: it says nothing, and counts
    nothing.
    """

    __slots__ = ("_evidence", "drift_detected", "log_r", "since", "windows")

    def __init__(self, alpha: float = 1e-4) -> None:
        """`alpha`: at most one false alarm in 1 / alpha windows. Raises `DriftError` for what is no rate."""
        self.alpha = rate(alpha)
        self.windows = 0
        self.drift_detected = False
        self.reset()

    def reset(self) -> None:
        """Begins anew, as after an alarm."""
        self.log_r = -math.inf
        self._evidence = 0.0
        self.since = 0

    def update(self, log_e: float) -> bool:
        """Takes ln E of the next window; True is an alarm. Raises `DriftError` for NaN, and nothing changes."""
        if math.isnan(log_e):
            raise DriftError("ln E is a number; NaN is none")
        if self.drift_detected:
            self.reset()
        self.windows += 1
        self.log_r = float(log_e) + log_one_more(self.log_r)
        begins = self._evidence <= 0
        self._evidence = max(self._evidence, 0.0) + log_e
        self.since = 1 if begins else self.since + 1
        self.drift_detected = self.log_r >= -math.log(self.alpha)
        return self.drift_detected

    def to_state(self) -> dict[str, Any]:
        """All of it, as JSON and msgpack take it."""
        return {
            "alpha": self.alpha,
            "windows": self.windows,
            "drift_detected": self.drift_detected,
            "log_r": finite(self.log_r),
            "evidence": finite(self._evidence),
            "since": self.since,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` gave, going on where it was. Raises `DriftError` for anything else."""
        try:
            found = cls(state["alpha"])
            found.windows, found.since = int(state["windows"]), int(state["since"])
            found.drift_detected = bool(state["drift_detected"])
            found.log_r, found._evidence = infinite(state["log_r"]), infinite(state["evidence"])
        except (KeyError, TypeError, ValueError) as error:
            raise DriftError(f"this is no state of an ESR: {error!r}") from None
        return found


def log_one_more(log_r: float) -> float:
    """ln(R + 1)."""
    return log_r + math.log1p(math.exp(-log_r)) if log_r > 0 else math.log1p(math.exp(log_r))


def days_between(alpha: float, window_s: float) -> float:
    """Days of 1 / alpha windows. Raises `DriftError` unless windows last."""
    if not 0 < window_s < math.inf:
        raise DriftError(f"a window lasts a number of seconds, not {window_s!r}")
    return window_s / alpha / DAY_S


def rate_in_words(alpha: float, window_s: float | None) -> str:
    """A rate of false alarms in words."""
    text = f"at most one false alarm in {1 / alpha:,.0f} windows, on average"
    return text if window_s is None else f"{text} ({days_between(alpha, window_s):,.3g} days)"


def finite(value: float) -> float | str:
    """A float as JSON has it, which knows no infinity."""
    return value if math.isfinite(value) else str(value)


def infinite(value: float | str) -> float:
    """What `finite` gave. Raises `ValueError`."""
    found = float(value)
    if math.isnan(found):
        raise ValueError("NaN")
    return found


def rate(alpha: float) -> float:
    """The rate. Raises `DriftError` for what is none."""
    if not 0 < alpha <= 1:
        raise DriftError(f"alpha is a rate of alarms a window, above 0 and up to 1, not {alpha!r}")
    return float(alpha)

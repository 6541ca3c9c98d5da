"""The risk of a model, bounded at every moment at once.

Risk is the mean loss of a row: 1 for an error and 0 for none, or anything between the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from obsagent.errors import PerformanceError

_STEPS = 60  # of a bisection: to 1e-18


@dataclass(slots=True)
class RiskBounds:
    """A confidence sequence: with probability 1 − alpha the risk lies between the bounds at every moment, always.

    So one may look after every row and stop when one likes. Rows add up; their order does not matter. The bounds are
    the risks r that the Beta(½, ½) mixture of ((θ / r)^loss ((1 − θ) / (1 − r))^(1 − loss)) over θ does not refute,
    Ville's inequality: Robbins, Statistical methods related to the law of the iterated logarithm (Ann. Math. Statist.
    41, 1970); that it holds for losses between 0 and 1 too, and for a mean that stays though rows depend on each other:
    Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting (JRSS B 86, 2024).
    """

    alpha: float = 0.05
    losses: float = 0.0
    rows: int = 0

    def __post_init__(self) -> None:
        rate(self.alpha)

    def update(self, losses: float, rows: int = 1) -> None:
        """Takes the sum of so many rows' losses. Raises `PerformanceError` unless each may be from 0 to 1."""
        checked(losses, rows)
        self.losses += losses
        self.rows += rows

    def merge(self, other: RiskBounds) -> None:
        """Adds the other's rows."""
        self.update(other.losses, other.rows)

    @property
    def risk(self) -> float | None:
        """The mean loss so far; None without a row."""
        return self.losses / self.rows if self.rows else None

    def interval(self) -> tuple[float, float]:
        """The lower and the upper bound; 0 and 1 without a row."""
        return risk_interval(self.losses, self.rows, self.alpha)


def risk_interval(losses: float, rows: float, alpha: float) -> tuple[float, float]:
    """The bounds of `RiskBounds` for a sum of losses of so many rows."""
    if not rows:
        return 0.0, 1.0
    mixed = log_mixture(losses, rows) + math.log(alpha)
    risk = losses / rows

    def refuted(at: float) -> bool:
        return mixed >= log_likelihood(losses, rows, at)

    return _edge(0.0, risk, refuted), _edge(1.0, risk, refuted)


def risk_upper(losses: float, rows: int, confidence: float) -> float:
    """An upper bound of the risk, of one look at so many rows, as of a reference; 1 without a row.

    Holds for any independent losses from 0 to 1, however few: Hoeffding, Probability inequalities for sums of bounded
    random variables (JASA 58, 1963), theorem 1. Raises `PerformanceError` for losses that there cannot be.
    """
    checked(losses, rows)
    refuting = math.log(1 - rate(confidence))
    if not rows:
        return 1.0
    most = log_likelihood(losses, rows, losses / rows)
    return _edge(1.0, losses / rows, lambda at: log_likelihood(losses, rows, at) - most <= refuting)


def log_mixture(losses: float, rows: float) -> float:
    """ln of ∫ θ^losses (1 − θ)^(rows − losses) dBeta(½, ½)(θ)."""
    return math.lgamma(losses + 0.5) + math.lgamma(rows - losses + 0.5) - math.lgamma(rows + 1) - math.log(math.pi)


def log_likelihood(losses: float, rows: float, risk: float) -> float:
    """ln of risk^losses (1 − risk)^(rows − losses); 0⁰ is 1."""
    hits = losses * math.log(risk) if losses > 0 and risk > 0 else (-math.inf if losses > 0 else 0.0)
    kept = rows - losses
    others = kept * math.log1p(-risk) if kept > 0 and risk < 1 else (-math.inf if kept > 0 else 0.0)
    return hits + others


def _edge(refuted_end: float, kept: float, refuted: Callable[[float], bool]) -> float:
    """Where what is refuted ends, between an end and what is not."""
    if not refuted(refuted_end):
        return refuted_end
    outside, inside = refuted_end, kept
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if refuted(middle) else (outside, middle)
    return outside


def rate(alpha: float) -> float:
    """A probability or a rate. Raises `PerformanceError` for what is none."""
    if not 0 < alpha < 1:
        raise PerformanceError(f"alpha is above 0 and below 1, not {alpha!r}")
    return float(alpha)


def checked(losses: float, rows: int) -> None:
    """Raises `PerformanceError` unless so many rows can have this sum of losses from 0 to 1."""
    if rows != int(rows) or not 0 <= losses <= rows:
        raise PerformanceError(f"losses are from 0 to 1 a row; {rows!r} rows cannot have {losses!r} together")

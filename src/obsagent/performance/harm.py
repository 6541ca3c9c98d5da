"""Harm: when the risk of a model in use is above what its reference allows, which is when retraining is recommended.

The null hypothesis: given what came before, no row's loss has a mean above `limit`, the upper bound of the reference's
risk plus a tolerance. An alternative θ > limit bets against it; its e-value for a row's loss x from 0 to 1,

    e = (θ / limit)ˣ ((1 − θ) / (1 − limit))¹⁻ˣ,

has a mean of 1 at most where the null holds, since it is convex in x. The e-SR detector adds up, over all rows at which
harm may have begun, the evidence since then, R ← (R + 1) e, so that a late onset is found as fast as an early one; R
less the rows so far falls in the mean where there is no harm, and R ≥ 1 / alpha comes after 1 / alpha rows or more, in
the mean, and within T rows with a probability of alpha T at most. Here R is the mean over several θ.

Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection (New Engl. J. Stat. Data
Sci., 2024); Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting (JRSS B 86, 2024).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import PERFORMANCE_ROWS_MAX
from obsagent.performance.arrays import Floats
from obsagent.performance.risk import checked, rate, risk_interval, risk_upper

ALPHA = 1e-8
BETS = 16


@dataclass(frozen=True, slots=True)
class Harm:
    """What a recommendation rests on, of the latest `rows` rows, about since when harm was done.

    `risk`: their mean loss; `lower`: what the risk is above, with the rate of the detector; `limit`: the bound of the
    reference's risk plus the tolerance; `log_evidence`: ln R.
    """

    rows: int
    risk: float
    lower: float
    limit: float
    log_evidence: float

    def to_state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


class HarmDetector:
    """Recommends retraining when the risk is above a limit: at most one false recommendation in 1 / alpha rows.

    `retraining_recommended` is the verdict on the latest batch; the one after a recommendation begins anew. A batch
    costs the same, however many rows it has and however many came before; rows of one batch count as one moment, and
    how many there are must not depend on their losses. Rows whose truths come early may be of another kind than all:
    judge them when enough of them are known.
    """

    def __init__(self, reference_risk_upper: float, tolerance: float = 0.0, alpha: float = ALPHA) -> None:
        """`tolerance`: how much more risk is no harm. Raises `PerformanceError` unless the limit is in (0, 1)."""
        self.reference_risk_upper, self.tolerance = float(reference_risk_upper), float(tolerance)
        self.limit = self.reference_risk_upper + self.tolerance
        if not (0 < self.limit < 1 and self.reference_risk_upper >= 0 and self.tolerance >= 0):
            raise PerformanceError(
                f"a risk is from 0 to 1, and with its tolerance above 0 and below 1; "
                f"{reference_risk_upper!r} and {tolerance!r} are not"
            )
        self.alpha = rate(alpha)
        self._of_losses, self._of_gains = _bets(self.limit)
        self.rows = 0
        self.reset()

    @classmethod
    def of_reference(
        cls, losses: float, rows: int, tolerance: float = 0.0, alpha: float = ALPHA, confidence: float = 0.95
    ) -> Self:
        """With the upper bound of the risk of a reference that had such losses. Raises `PerformanceError`."""
        return cls(risk_upper(losses, rows, confidence), tolerance, alpha)

    def reset(self) -> None:
        """Begins anew, as after a recommendation."""
        self.retraining_recommended = False
        self._log_r: Floats = np.full(BETS, -math.inf)
        self._evidence: Floats = np.zeros(BETS)  # of the stretch that speaks loudest, of each bet
        self._stretch: Floats = np.zeros((2, BETS))  # its rows and losses

    def update(self, losses: float, rows: int = 1) -> bool:
        """Takes a batch: the sum of so many rows' losses, errors for instance; True is a recommendation.

        Raises `PerformanceError` unless every loss may be from 0 to 1, and nothing changes then.
        """
        checked(losses, rows)
        if self.retraining_recommended:
            self.reset()
        if not rows:
            return False
        logs = losses * self._of_losses + (rows - losses) * self._of_gains
        self._log_r = np.logaddexp(self._log_r, math.log(rows)) + logs
        begun = self._evidence > 0
        self._evidence = np.where(begun, self._evidence, 0.0) + logs
        self._stretch = np.where(begun, self._stretch, 0.0) + np.array([[rows], [losses]])
        self.rows += rows
        self.retraining_recommended = self.log_evidence >= -math.log(self.alpha)
        return self.retraining_recommended

    @property
    def log_evidence(self) -> float:
        """ln R: of the mean over the bets."""
        return float(np.logaddexp.reduce(self._log_r)) - math.log(BETS)

    @property
    def harm(self) -> Harm | None:
        """What the recommendation rests on; None if there is none."""
        if not self.retraining_recommended:
            return None
        rows, losses = self._stretch[:, int(self._evidence.argmax())].tolist()
        lower = max(self.limit, risk_interval(losses, rows, self.alpha)[0])
        return Harm(int(rows), losses / rows, lower, self.limit, self.log_evidence)

    @property
    def average_run_length(self) -> float:
        """Rows until a false recommendation, in the mean, at least."""
        return 1 / self.alpha

    def false_alarm_rate(self, rows_per_day: float | None = None) -> str:
        """What the rate means, in a sentence for people; in days if it is known how many truths come in one."""
        text = f"at most one false recommendation in {1 / self.alpha:,.0f} truths, on average"
        if rows_per_day is None:
            return text
        if not 0 < rows_per_day < math.inf:
            raise PerformanceError(f"truths a day are a positive number, not {rows_per_day!r}")
        return f"{text} ({1 / self.alpha / rows_per_day:,.3g} days)"

    def to_state(self) -> dict[str, Any]:
        """All of it, as JSON and msgpack take it."""
        return {
            "reference_risk_upper": self.reference_risk_upper,
            "tolerance": self.tolerance,
            "alpha": self.alpha,
            "rows": self.rows,
            "retraining_recommended": self.retraining_recommended,
            "log_r": [None if each == -math.inf else each for each in self._log_r.tolist()],
            "evidence": self._evidence.tolist(),
            "stretch": self._stretch.tolist(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` gave, going on where it was. Raises `PerformanceError` for anything else."""
        try:
            found = cls(state["reference_risk_upper"], state["tolerance"], state["alpha"])
            found.rows, found.retraining_recommended = int(state["rows"]), bool(state["retraining_recommended"])
            found._log_r = _row([-math.inf if each is None else each for each in state["log_r"]], (BETS,))
            found._evidence = _finite(_row(state["evidence"], (BETS,)))
            found._stretch = _finite(_row(state["stretch"], (2, BETS)))
            if not ((found._stretch[1] >= 0) & (found._stretch[1] <= found._stretch[0])).all():
                raise ValueError("losses are from 0 to 1 a row")
            if not 0 <= found.rows <= PERFORMANCE_ROWS_MAX:
                raise ValueError(f"{found.rows} rows")
            found.retraining_recommended &= bool(found._stretch[0].all())  # it rests on rows
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PerformanceError(f"this is no state of a HarmDetector: {error}") from None
        return found


def _bets(limit: float) -> tuple[Floats, Floats]:
    """ln e of a loss of 1 and of 0, of each θ: from near the limit to far above, evenly for what chance can tell apart.

    That is in √θ's angle, whose standard error is the same for all risks; each step is √2 of the one before.
    """
    at = math.asin(math.sqrt(limit))
    angles = at + (math.pi / 2 - at) * 2.0 ** (-np.arange(1, BETS + 1) / 2)
    bets = np.square(np.sin(angles))
    return np.log(bets / limit), np.log1p(-bets) - math.log1p(-limit)


def _row(given: Any, shape: tuple[int, ...]) -> Floats:
    found = np.array(given, dtype=np.float64)
    if found.shape != shape or np.isnan(found).any() or (found == math.inf).any():
        raise ValueError(f"numbers of the shape {shape} are expected")
    return found


def _finite(found: Floats) -> Floats:
    if not np.isfinite(found).all():
        raise ValueError("numbers are expected")
    return found

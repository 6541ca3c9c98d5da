"""The risk that a model may have: that of its reference, or of its first truths, and how much more is no harm.

Risk is the mean loss of a row. A reference says how often which score, prediction and truth came together, and so what
the risk of classes was, and how far numbers were off; where none does, the first truths of a version say it, and of a
slice always its own, since a slice that is harder than others is none that gets worse.

What is judged lies between 0 and 1. Of numbers that is the loss in units of a scale, and no more than 1: the scale is
the loss of an error of the bound that is configured, else `SPREADS` times the known risk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from obsagent.harm_config import ABSOLUTE, BRIER, ERROR, SQUARED
from obsagent.limits import ERROR_MAX, HARM_SCALE_MAX, HARM_SCALE_MIN

if TYPE_CHECKING:
    from obsagent.reference import Reference
    from obsagent.reference.feature import Joint

PREDICTION, CATEGORY = "prediction.value", "category"
FIRST_TRUTHS = "first truths"
POWERS = {ABSOLUTE: 1, SQUARED: 2}
"""The losses of numbers, and which power of the error each is."""
SPREADS = {ABSOLUTE: 8.0, SQUARED: 16.0}
"""With these a normal error's mean loss is judged 5 % too low, since the largest count for less: `track`."""
Lookup = Callable[[str, str], "Reference | None"]
"""The reference of a model and version."""
Positive = Callable[[Sequence[str]], str | None]
"""Which of the names of classes is the one whose probability scores are."""


def loss_of(asked: str, *, is_class: bool) -> str:
    """The loss that counts: what is asked for where it can be, else the default of classes or of numbers."""
    fitting = (ERROR, BRIER) if is_class else (*POWERS,)
    return asked if asked in fitting else fitting[0]


@dataclass(frozen=True, slots=True)
class Known:
    """What rows that are known have lost: `losses` in all, each from 0 to 1, in units of `scale`."""

    losses: float
    rows: int
    source: str
    """Of what: the id of a reference, or `FIRST_TRUTHS`."""
    spread: float = 0.0
    """The standard deviation of a row's loss, of numbers."""
    scale: float = 1.0
    """What a loss of 1 stands for."""

    def __post_init__(self) -> None:
        if not (self.rows > 0 and 0 <= self.losses <= self.rows and self.spread >= 0):
            raise ValueError(f"{self.rows!r} rows cannot have lost {self.losses!r}")
        if not HARM_SCALE_MIN <= self.scale <= HARM_SCALE_MAX:
            raise ValueError(f"losses in units of {self.scale!r}")

    @classmethod
    def of_numbers(cls, loss: str, bound: float, rows: int, mean: float, variance: float, source: str) -> Self:
        """Of losses without a bound, which are scaled by that of errors, if there is one, or by their mean."""
        learnt = max(SPREADS[loss] * mean, HARM_SCALE_MIN) if mean > 0 else 1.0
        scale = bound ** POWERS[loss] if bound else learnt
        return cls(min(mean / scale, 1.0) * rows, rows, source, math.sqrt(max(0.0, variance)) / scale, scale)

    @property
    def risk(self) -> float:
        """The mean."""
        return self.losses / self.rows


def known_risk(lookup: Lookup, model: str, version: str, loss: str, bound: float = 0.0) -> Known | None:
    """What the reference that is configured for a version says; None if there is none, or it does not say."""
    from obsagent.ledger.names import positive_class  # loads numpy

    return known_of_reference(lookup(model, version), loss, positive_class, bound)


def known_of_reference(reference: Reference | None, loss: str, positive: Positive, bound: float = 0.0) -> Known | None:
    """The risk in a reference; None if it does not say. `bound` is that of errors, 0 if none is configured."""
    if reference is None:
        return None
    return _of_numbers(reference, loss, bound) if loss in POWERS else _of_classes(reference, loss, positive)


def _of_numbers(reference: Reference, loss: str, bound: float) -> Known | None:
    if reference.errors is None:
        return None
    rows, mean, deviations = reference.errors.absolute if loss == ABSOLUTE else reference.errors.squares
    most = min(mean, ERROR_MAX)
    return Known.of_numbers(loss, bound, rows, most, deviations / rows, f"reference {reference.label}")


def _of_classes(reference: Reference, loss: str, positive: Positive) -> Known | None:
    if reference.joint is None:
        return None
    truth, predicted = reference.truth, reference.outputs.get(PREDICTION)
    if truth is None or truth.kind != CATEGORY:
        return None
    if loss == BRIER:
        found = _brier(reference.joint, positive(reference.joint.truths))
    else:
        found = _errors(reference.joint) if predicted is not None and predicted.kind == CATEGORY else None
    return Known(*found, f"reference {reference.label}") if found and found[1] else None


def _errors(joint: Joint) -> tuple[float, int]:
    """Rows whose class is wrong, of those with both a prediction and a truth; two without a name may be the same."""
    if not set(joint.predicted) & set(joint.truths):  # they are called differently, and say nothing of each other
        return 0.0, 0
    names = (*joint.predicted, None), (*joint.truths, None)
    wrong = rows = 0
    for (_, predicted, truth), count in joint.cells.items():
        if predicted < 0 or truth < 0 or (names[0][predicted] is None and names[1][truth] is None):
            continue
        rows += count
        wrong += count if names[0][predicted] != names[1][truth] else 0
    return float(wrong), rows


def _brier(joint: Joint, positive: str | None) -> tuple[float, int] | None:
    """Σ (score − truth)², with scores in the middle of their bins: each is off by 1 / (2 bins) at most."""
    if not joint.score_bins or (joint.score_low, joint.score_high) != (0.0, 1.0) or positive not in joint.truths:
        return None
    place = joint.truths.index(positive)
    losses, rows = 0.0, 0
    for (score, _, truth), count in joint.cells.items():
        if score >= 0 and truth >= 0:
            losses += count * ((score + 0.5) / joint.score_bins - (truth == place)) ** 2
            rows += count
    return losses, rows

"""The risk that a model may have: that of its reference, or of its first truths, and how much more is no harm.

Risk is the mean loss of a row. A reference says how often which score, prediction and truth came together, and so what
the risk of classes was; where none does, the first truths of a version say it, and of a slice always its own, since a
slice that is harder than others is none that gets worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obsagent.harm_config import ABSOLUTE, BRIER, ERROR

if TYPE_CHECKING:
    from obsagent.reference import Reference
    from obsagent.reference.feature import Joint

PREDICTION, CATEGORY = "prediction.value", "category"
FIRST_TRUTHS = "first truths"
Lookup = Callable[[str, str], "Reference | None"]
"""The reference of a model and version."""
Positive = Callable[[Sequence[str]], str | None]
"""Which of the names of classes is the one whose probability scores are."""


def loss_of(asked: str, *, is_class: bool) -> str:
    """The loss that counts: what is asked for where it can be, else the default of classes or of numbers."""
    fitting = (ERROR, BRIER) if is_class else (ABSOLUTE,)
    return asked if asked in fitting else fitting[0]


@dataclass(frozen=True, slots=True)
class Known:
    """What rows that are known have lost: `losses` in all, each from 0 to 1."""

    losses: float
    rows: int
    source: str
    """Of what: the id of a reference, or `FIRST_TRUTHS`."""
    spread: float = 0.0
    """The standard deviation of a row's loss, of numbers."""

    def __post_init__(self) -> None:
        if not (self.rows > 0 and 0 <= self.losses <= self.rows and self.spread >= 0):
            raise ValueError(f"{self.rows!r} rows cannot have lost {self.losses!r}")

    @property
    def risk(self) -> float:
        """The mean."""
        return self.losses / self.rows


def known_risk(lookup: Callable[[str, str], Reference | None], model: str, version: str, loss: str) -> Known | None:
    """What the reference that is configured for a version says; None if there is none, or it does not say."""
    from obsagent.ledger.names import positive_class  # loads numpy

    return known_of_reference(lookup(model, version), loss, positive_class)


def known_of_reference(reference: Reference | None, loss: str, positive: Positive) -> Known | None:
    """The risk of classes in a reference; None if it does not say."""
    if reference is None or reference.joint is None or loss not in (ERROR, BRIER):
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

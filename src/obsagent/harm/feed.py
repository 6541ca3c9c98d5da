"""What is asked of the ledger: truths as they came, each once, and who predicts how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from obsagent.evaluate.state import Judged


@dataclass(frozen=True, slots=True)
class Arrived:
    """Truths of one version in one combination of slices, added up; of one second about."""

    judged: Judged
    slice: Mapping[str, str]
    is_class: bool
    at_ms: int
    """The newest of them; by the time of the truth, or of the prediction if that is later."""
    count: int
    errors: int
    """Of classes, how many were wrong."""
    loss: float
    """Σ of (score − truth)² of classes, where there is a score; Σ |error| of numbers."""
    loss_squared: float
    """Σ of the squares of these."""
    loss_fourth: float
    """Σ of their fourth powers; NaN where nobody has kept it."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came behind a position, the oldest first; `position` is that of the last batch of it."""

    rows: Sequence[Arrived]
    position: int
    is_all: bool = True
    """False if more is there already."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions with ids, and how many of them have their truth."""

    count: int
    joined: int


class Feed(Protocol):
    """The ledger, as far as harm goes."""

    def arrivals(self, after_position: int) -> Arrivals:
        """What came behind a position of the journal and cannot be lost any more."""
        ...

    def predicted(self, model: str, from_ms: int, to_ms: int) -> Mapping[Judged, Predicted]:
        """How much each version and variant of a model has predicted in a time."""
        ...

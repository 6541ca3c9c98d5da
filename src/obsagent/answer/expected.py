"""What a feature is compared with: the part of a reference that an answer needs, and where it is found.

References are files that the agent's configuration names; they are handed in, so that an answer can be made from any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from obsagent.reference.errors import Errors


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reference says of one feature.

    `counts` are by bin, in the order of a column's: of numbers those below the first edge, the bins, those above the
    last edge; of categories each of `categories`, then all others. `sums` are those of the numbers in each.
    """

    reference: str
    """The reference's id."""
    feature: str
    is_number: bool
    counts: tuple[float, ...]
    sums: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    nulls: float = 0.0
    nans: float = 0.0
    positive_infinities: float = 0.0
    negative_infinities: float = 0.0
    wrong_types: float = 0.0
    stddev: float = math.nan
    kappa0: float = 0.0
    """The concentration of the windows around the reference: how many samples one of its windows is worth; 0: all."""
    importance: float = 1.0
    distinct: float = 0.0
    """How many different values it has seen, about; 0 where nobody knows."""
    is_constant: bool = False
    """True if it has only ever had one value."""

    @property
    def besides(self) -> tuple[float, float, float, float]:
        """What is in none of the bins: nulls and NaN together, -infinity, +infinity, values of the wrong type."""
        return (
            self.nulls + self.nans,
            self.negative_infinities,
            self.positive_infinities,
            self.wrong_types,
        )

    @property
    def samples(self) -> float:
        """All that is there, nulls included."""
        return math.fsum(self.counts) + math.fsum(self.besides)

    @property
    def concentration(self) -> float:
        """`kappa0`, never more than there are samples."""
        return min(self.kappa0, self.samples) if self.kappa0 > 0 else self.samples


@dataclass(frozen=True, slots=True)
class ExpectedOutcomes:
    """What a reference says of a model's outcomes: how often which score, prediction and truth came together, and of
    numbers how far they were apart.
    """

    reference: str
    """The reference's id."""
    predicted: tuple[str, ...]
    truths: tuple[str, ...]
    """The names of classes, by index."""
    cells: Mapping[tuple[int, int, int], int]
    """(score bin, index of the prediction, index of the truth) → rows; −1 for what is missing, and beyond the last name
    for what has none."""
    score_bins: int = 0
    """Of one width; 0 without scores."""
    score_range: tuple[float, float] = (0.0, 1.0)
    errors: Errors | None = None
    """Of numbers; None where a reference has not kept them."""


class References(Protocol):
    """Finds references; whatever is wrong with one, it is not found, and the others are."""

    def feature(self, reference: str, feature: str) -> Expected | None:
        """What the reference with this id says of a feature; None if there is no such reference, or none in it."""
        ...

    def features(self, reference: str) -> tuple[str, ...]:
        """The names of all features in a reference; none if there is no such reference."""
        ...

    def current(self, model: str, version: str) -> str:
        """The id of the reference that is configured for a version of a model; empty if there is none."""
        ...

    def outcomes(self, reference: str) -> ExpectedOutcomes | None:
        """What the reference with this id says of outcomes; None if there is no such reference, or no truth in it."""
        ...


class NoReferences:
    """Where there are none."""

    def feature(self, reference: str, feature: str) -> Expected | None:
        """None."""
        return None

    def features(self, reference: str) -> tuple[str, ...]:
        """None."""
        return ()

    def current(self, model: str, version: str) -> str:
        """None."""
        return ""

    def outcomes(self, reference: str) -> ExpectedOutcomes | None:
        """None."""
        return None


NO_REFERENCES = NoReferences()

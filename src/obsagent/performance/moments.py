"""Count, mean and squared deviations of a stream of numbers, which merge without cancellation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import PERFORMANCE_ROWS_MAX, SQUARE_MAX
from obsagent.performance.arrays import Floats

_EPSILON = float(np.finfo(np.float64).eps)
_LAST_DIGITS = 4 * _EPSILON


@dataclass(slots=True)
class Moments:
    """Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979)."""

    rows: int = 0
    mean: float = 0.0
    deviations: float = 0.0
    """Σ (value − mean)²."""

    @classmethod
    def of(cls, values: Floats) -> Self:
        """Those of an array. Deviations are taken from its first value, so that those of a constant are exactly 0."""
        if not values.size:
            return cls()
        first = float(values.flat[0])
        shifted = values - first
        middle = float(shifted.mean())
        return cls(values.size, first + middle, float(np.square(shifted - middle).sum()))

    @classmethod
    def from_sums(cls, rows: float, total: float, squares: float, centre: float = 0.0) -> Self:
        """Of Σ (value − centre) and Σ (value − centre)²; the nearer the centre is to the mean, the more digits stay.

        What is no more than summing so many numbers may be off by counts as no deviation at all. Raises
        `PerformanceError` for sums of no numbers.
        """
        if rows < 0 or rows != int(rows) or not all(map(math.isfinite, (total, squares, centre))):
            raise PerformanceError("sums are finite, and of a whole number of rows")
        if not rows:
            return cls()
        mean = total / rows
        deviations = squares - total * mean
        noise = rows * _EPSILON * squares
        return cls(int(rows), centre + mean, deviations if deviations > noise else 0.0)

    def merge(self, other: Moments) -> None:
        """Adds those of other rows."""
        if not other.rows:
            return
        rows, apart = self.rows + other.rows, other.mean - self.mean
        self.mean = other.mean if not self.rows else self.mean + apart * (other.rows / rows)
        self.deviations += other.deviations + apart * apart * (self.rows / rows) * other.rows
        self.rows = rows

    @property
    def variance(self) -> float:
        """The mean squared deviation; 0 of no rows."""
        return self.deviations / self.rows if self.rows else 0.0

    @property
    def error(self) -> float:
        """The standard error of the mean; 0 of fewer than two rows."""
        return math.sqrt(self.variance / (self.rows - 1)) if self.rows > 1 else 0.0

    @property
    def mean_square(self) -> float:
        """The mean of the squares."""
        return self.mean * self.mean + self.variance

    @property
    def constant(self) -> bool:
        """Whether the values differ by no more than floating point does: some last digits of their mean."""
        last_digits = _LAST_DIGITS * self.mean
        return self.variance <= last_digits * last_digits

    def to_state(self) -> list[float]:
        """As `from_state` takes it."""
        return [self.rows, self.mean, self.deviations]

    @classmethod
    def from_state(cls, state: Sequence[float], *, is_positive: bool = False) -> Self:
        """What `to_state` gave, of numbers from 0 on if so said. Raises `PerformanceError`, `ValueError` for others."""
        rows, mean, deviations = state
        least, most = (0.0, SQUARE_MAX) if is_positive else (-SQUARE_MAX, SQUARE_MAX)
        if (
            int(rows) != rows
            or not 0 <= rows <= PERFORMANCE_ROWS_MAX
            or not least <= mean <= most
            or not 0 <= deviations < math.inf
        ):
            raise PerformanceError(f"{state!r} are no moments")
        return cls(int(rows), float(mean), float(deviations))

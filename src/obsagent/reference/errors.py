"""How far predicted numbers were from their truths: what a reference keeps of a model's errors, and how it is counted.

The error of a row is prediction − truth. Moments of it and of what is made of it are kept, as
`obsagent.performance.RegressionSums` has them, and in which bins the errors are.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from obsagent.limits import ERROR_MAX
from obsagent.reference.format import ERROR_BIN_MAX, ERROR_BINS_PER_OCTAVE, ERROR_OCTAVES
from obsagent.sketches import Moments

SMALLEST = 2.0**-ERROR_OCTAVES
SHARE_TRUTH_MIN = 2.0**-52
"""Of truths that are nearer to zero |error / truth| says nothing: scikit-learn divides by this instead."""


class Scatter(NamedTuple):
    """How many numbers, their mean, and the sum of the squared differences from it."""

    rows: int
    mean: float
    deviations: float


@dataclass(frozen=True, slots=True)
class Errors:
    """Of rows with a finite prediction and a finite truth, neither truth nor error larger than 1e70."""

    errors: Scatter
    truths: Scatter
    absolute: Scatter
    """|error|: its mean is the MAE."""
    squares: Scatter
    """error²: its mean is the MSE."""
    shares: Scatter
    """|error / truth|, of truths that are not 0: its mean is the MAPE."""
    bins: Mapping[int, int]
    """Bin → rows, ascending: those of `obsagent.performance.error_bins`."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.errors.rows

    @property
    def r2(self) -> float | None:
        """1 − Σ error² / Σ (truth − mean)²; None of truths that are all the same."""
        return 1 - self.squares.mean * self.rows / self.truths.deviations if self.truths.deviations else None


class ErrorCounter:
    """Counts errors, a part at a time."""

    def __init__(self) -> None:
        self._errors, self._truths, self._absolute, self._squares, self._shares = (Moments() for _ in range(5))
        self._bins: Counter[int] = Counter()

    def add(self, predicted: Sequence[float | None], truths: Sequence[float | None]) -> None:
        """The next rows; those that lack one of the two say nothing."""
        pairs = [
            (prediction - truth, truth)
            for prediction, truth in zip(predicted, truths, strict=True)
            if prediction is not None and truth is not None and abs(prediction - truth) <= ERROR_MAX >= abs(truth)
        ]
        errors = array("d", (error for error, _ in pairs))
        self._errors.add_many(errors)
        self._truths.add_many(array("d", (truth for _, truth in pairs)))
        self._absolute.add_many(array("d", map(abs, errors)))
        self._squares.add_many(array("d", (error * error for error in errors)))
        self._shares.add_many(
            array("d", (abs(error / truth) for error, truth in pairs if abs(truth) >= SHARE_TRUTH_MIN))
        )
        self._bins.update(map(bin_of, errors))

    def result(self) -> Errors | None:
        """What the reference keeps; None if no row had both."""
        if not self._errors.count:
            return None
        return Errors(
            _scatter(self._errors),
            _scatter(self._truths),
            _scatter(self._absolute),
            _scatter(self._squares),
            _scatter(self._shares),
            dict(sorted(self._bins.items())),
        )


def bin_of(error: float) -> int:
    """The bin of a finite error."""
    size = abs(error)
    if size < SMALLEST:
        return 0
    place = min(math.floor((math.log2(size) + ERROR_OCTAVES) * ERROR_BINS_PER_OCTAVE) + 1, ERROR_BIN_MAX)
    return place if error > 0 else -place


def _scatter(moments: Moments) -> Scatter:
    return Scatter(moments.count, moments.mean, moments.m2) if moments.count else Scatter(0, 0.0, 0.0)

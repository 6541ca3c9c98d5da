"""Counts of a model that predicts numbers."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import ERROR_MAX
from obsagent.performance import arrays, error_bins, regression_measures
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.counts import Counts
from obsagent.performance.measured import Measured
from obsagent.performance.moments import Moments

EPSILON = float(np.finfo(np.float64).eps)  # what scikit-learn divides by instead of a lesser truth
ROUNDING = 1e-3
"""So far two ways to add up the same squares are apart at most, however many were merged."""
SQUARE_MIN = 1e-290
"""Below it floats lose digits."""
_CODES = np.arange(-error_bins.LAST, error_bins.LAST + 1)


class RegressionSums(Counts):
    """Moments of errors (prediction − truth) and of truths, and in which bins the errors are.

    `errors`, `truths`, `absolute` (|error|): of all rows; `shares` (|error / truth|): of rows with |truth| ≥ 2.2e-16;
    `squares` (error²): None where sums of others leave it unknown. `bins`: int64 (5121,), of `error_bins`.
    """

    KIND = "regression"
    _measures = regression_measures.MEASURES

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.errors, self.truths, self.absolute, self.shares = Moments(), Moments(), Moments(), Moments()
        self.squares: Moments | None = Moments()
        self.bins: Ints = np.zeros(len(_CODES), dtype=np.int64)

    @classmethod
    def from_arrays(
        cls,
        rows: int,
        errors: tuple[float, float, float],
        truths: tuple[float, float],
        shares: tuple[int, float] = (0, 0.0),
        centre: float = 0.0,
        bins: tuple[Any, Any] = ((), ()),
    ) -> Self:
        """Sums that others have added up.

        `errors`: Σ e, Σ |e|, Σ e²; `truths`: Σ (y − centre), Σ (y − centre)², where a centre near the truths, such as
        the first of them, keeps the digits of R²: of one so far away that rounding hides how truths differ, they are
        all the same. `shares`: rows with a truth that is not 0 (nor nearer to it than 2.2e-16), Σ |e / y|; `bins`:
        codes of `error_bins.bin_of`, and how many errors are in each. MAPE has no interval then. Raises
        `PerformanceError` for what does not fit.
        """
        found = cls()
        total, absolute, squares = errors
        found.errors = Moments.from_sums(rows, total, squares)
        found.absolute = Moments.from_sums(rows, absolute, squares)
        found.truths = Moments.from_sums(rows, *truths, centre)
        found.shares = Moments.from_sums(*shares, 0.0)
        found.squares = None
        found.bins = _dense(*bins)
        return found

    @classmethod
    def from_moments(
        cls,
        errors: Moments,
        truths: Moments,
        absolute: Moments,
        shares: Moments,
        squares: Moments | None,
        bins: tuple[Any, Any] = ((), ()),
    ) -> Self:
        """Moments that others have, as the attributes are described; `bins` as of `from_arrays`.

        Raises `PerformanceError` for what does not fit.
        """
        found = cls()
        found.errors, found.truths, found.absolute, found.shares = errors, truths, absolute, shares
        found.squares = None if squares is None else _squares_of(errors, squares)
        found.bins = _dense(*bins)
        return found

    @property
    def rows(self) -> int:
        """How many truths there are."""
        return self.errors.rows

    def update(self, truths: Any, predicted: Any) -> None:
        """Takes rows of finite numbers. Raises `PerformanceError` for others, and nothing has changed then."""
        actual = arrays.column(truths, "truths")
        errors = arrays.column(predicted, "predicted", len(actual)) - actual
        if (np.abs(errors) > ERROR_MAX).any() or (np.abs(actual) > ERROR_MAX).any():
            raise PerformanceError("truths or errors are so large that the sum of their squares is infinite")
        self._add(Moments.of(actual), errors, actual)

    def _add(self, truths: Moments, errors: Floats, actual: Floats) -> None:
        some = np.abs(actual) >= EPSILON
        self.truths.merge(truths)
        self.errors.merge(Moments.of(errors))
        self.absolute.merge(Moments.of(np.abs(errors)))
        self.shares.merge(Moments.of(np.abs(errors[some] / actual[some])))
        if self.squares is not None:
            self.squares.merge(Moments.of(np.square(errors)))
        self.bins += np.bincount(error_bins.bin_of(errors) + error_bins.LAST, minlength=len(_CODES))

    def merge(self, other: Self) -> None:
        """Adds what the other has counted."""
        self.truths.merge(other.truths)
        self.errors.merge(other.errors)
        self.absolute.merge(other.absolute)
        self.shares.merge(other.shares)
        if self.squares is None or other.squares is None:
            self.squares = None
        else:
            self.squares.merge(other.squares)
        self.bins += other.bins

    def quantile(self, q: float, confidence: float = 0.95, *, absolute: bool = False) -> Measured:
        """The quantile of the errors, or of their magnitudes. Raises `PerformanceError` unless 0 ≤ q ≤ 1."""
        return regression_measures.quantile(self, q, confidence, absolute)

    def _state(self) -> dict[str, Any]:
        some = np.flatnonzero(self.bins)
        return {
            **{name: getattr(self, name).to_state() for name in ("errors", "truths", "absolute", "shares")},
            "squares": self.squares.to_state() if self.squares else None,
            "codes": _CODES[some],
            "counts": self.bins[some],
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        errors, truths = (Moments.from_state(state[name]) for name in ("errors", "truths"))
        absolute, shares = (Moments.from_state(state[name], is_positive=True) for name in ("absolute", "shares"))
        squares = None if state["squares"] is None else Moments.from_state(state["squares"], is_positive=True)
        return cls.from_moments(errors, truths, absolute, shares, squares, (state["codes"], state["counts"]))


def _squares_of(errors: Moments, squares: Moments) -> Moments:
    """Those of a state. Raises `PerformanceError` unless they can be the squares of such errors."""
    is_mean = math.isclose(squares.mean, errors.mean_square, rel_tol=ROUNDING, abs_tol=SQUARE_MIN)
    total = squares.rows * squares.mean
    if squares.rows != errors.rows or not is_mean or squares.deviations > total * total * (1 + ROUNDING) + SQUARE_MIN:
        raise PerformanceError("squares of other errors")
    return squares


def _dense(codes: Any, counts: Any) -> Ints:
    """Counts of every bin, of those that are given."""
    size = np.shape(codes)
    places = arrays.numbers(codes, size, "codes") + error_bins.LAST
    if len(size) != 1 or ((places < 0) | (places >= len(_CODES)) | (places != np.floor(places))).any():
        raise PerformanceError("bins: codes of error_bins.bin_of are expected, in one dimension")
    found: Ints = np.zeros(len(_CODES), dtype=np.int64)
    np.add.at(found, places.astype(np.int64), arrays.counts(counts, size, "counts"))
    return found

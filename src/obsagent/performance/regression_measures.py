"""The metrics of predicted numbers by name, each of `RegressionSums` and a confidence, as scikit-learn defines them.

The error of a row is prediction − truth. MAPE leaves out rows whose truth is 0, or nearer to it than 2.2e-16, which is
what scikit-learn divides by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.performance import error_bins
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.confusion import NO_ROWS
from obsagent.performance.intervals import around, z_of
from obsagent.performance.measured import Measured
from obsagent.performance.moments import Moments

if TYPE_CHECKING:
    from obsagent.performance.regression import RegressionSums

Measure: TypeAlias = "Callable[[RegressionSums, float], Measured]"

ONLY_ZERO = "every truth is 0"
NO_BINS = "the errors were not counted in bins"
NO_SCATTER = "the sums that were given do not tell how much it scatters, so that there is no interval"


def mae(of: RegressionSums, confidence: float) -> Measured:
    """The mean of |error|; the normal interval of a mean."""
    return _mean(of.absolute, confidence, 0.0, NO_ROWS)


def bias(of: RegressionSums, confidence: float) -> Measured:
    """The mean of the errors; the normal interval of a mean."""
    return _mean(of.errors, confidence, -math.inf, NO_ROWS)


def mape(of: RegressionSums, confidence: float) -> Measured:
    """The mean of |error / truth|; the normal interval of a mean."""
    found = _mean(of.shares, confidence, 0.0, ONLY_ZERO)
    if found.value is not None and of.squares is None:
        return Measured(found.value, why=NO_SCATTER)
    return found


def rmse(of: RegressionSums, confidence: float) -> Measured:
    """The root of the mean of error²; the root of the normal interval of that mean."""
    if not of.rows:
        return Measured.undefined(NO_ROWS)
    value, error = math.sqrt(of.errors.mean_square), _mean_square_error(of)
    if error is None:
        return Measured(value, why=NO_SCATTER)
    low, high = around(of.errors.mean_square, error, confidence, 0.0)
    return Measured.within(value, (math.sqrt(low), math.sqrt(high)))


def r2(of: RegressionSums, confidence: float) -> Measured:
    """1 − Σ error² / Σ (truth − mean)².

    Of truths that are all the same it is 1 if every error is 0 and 0 otherwise, as scikit-learn has it
    (`force_finite`); truths that differ in some last digits of floating point only are the same. Interval: delta method
    on ln(1 − R²), as if truths were normal and errors did not depend on them.
    """
    if of.rows < 2:
        return Measured.undefined("R² needs two truths")
    unexplained, error = of.errors.mean_square, _mean_square_error(of)
    if of.truths.constant:
        return Measured(1.0 if unexplained == 0 else 0.0, why="all truths are the same, as far as their sums tell")
    share = unexplained / of.truths.variance
    if error is None:
        return Measured(1 - share, why=NO_SCATTER)
    if not share:
        return Measured.within(1.0, (1.0, 1.0))
    relative = math.hypot(error / unexplained, math.sqrt(2 / of.rows))
    low, high = around(0.0, relative, confidence)
    with np.errstate(over="ignore"):
        return Measured.within(1 - share, (1 - share * np.exp(high), 1 - share * np.exp(low)))


def quantile(of: RegressionSums, q: float, confidence: float, absolute: bool) -> Measured:
    """The least error that a share `q` of all is not above: the middle of its bin, which `bound` reaches the ends of.

    Interval: order statistics, by the normal approximation of a binomial rank: David, Nagaraja, Order Statistics
    (2003).
    """
    if not 0 <= q <= 1:
        raise PerformanceError(f"a quantile is from 0 to 1, not {q!r}")
    codes, rows = _counted(of.bins, absolute)
    total = int(rows.sum())
    if not total:
        return Measured.undefined(NO_BINS if of.rows else NO_ROWS)
    half = z_of(confidence) * math.sqrt(total * q * (1 - q))
    ranks = [math.ceil(total * q), math.floor(total * q - half), math.ceil(total * q + half) + 1]
    places = np.searchsorted(np.cumsum(rows), np.clip(ranks, 1, total))
    value, low, high = error_bins.middle_of(codes[places])
    return Measured.within(value, (low, high), error_bins.bound_of(int(codes[places[0]])))


def _counted(bins: Ints, absolute: bool) -> tuple[Ints, Ints]:
    """Codes in ascending order, and how many errors are in each."""
    if not absolute:
        return np.arange(-error_bins.LAST, error_bins.LAST + 1), bins
    rows = bins[error_bins.LAST :].copy()
    rows[1:] += bins[: error_bins.LAST][::-1]
    return np.arange(error_bins.LAST + 1), rows


def _mean(of: Moments, confidence: float, least: float, why: str) -> Measured:
    if not of.rows:
        return Measured.undefined(why)
    return Measured.within(of.mean, around(of.mean, of.error, confidence, least))


def _mean_square_error(of: RegressionSums) -> float | None:
    """The standard error of the mean of error²: of the bins' middles if it was not counted itself; None without."""
    return of.squares.error if of.squares is not None else _binned_error(of.bins)


def _binned_error(bins: Ints) -> float | None:
    squares: Floats = np.square(error_bins.middle_of(np.arange(-error_bins.LAST, error_bins.LAST + 1)))
    total = float(bins.sum())
    if not total:
        return None
    mean = float((bins * squares).sum()) / total
    return math.sqrt(float((bins * np.square(squares - mean)).sum())) / total


def _at(q: float) -> Measure:
    return lambda of, confidence: quantile(of, q, confidence, absolute=True)


MEASURES: dict[str, Measure] = {
    **{each.__name__: each for each in (mae, rmse, mape, r2, bias)},
    "error_p50": _at(0.5),
    "error_p90": _at(0.9),
    "error_p99": _at(0.99),
}

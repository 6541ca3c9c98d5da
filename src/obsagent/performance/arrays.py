"""Arrays that are given from outside, checked."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from obsagent.errors import PerformanceError
from obsagent.limits import PERFORMANCE_ROWS_MAX, PERFORMANCE_SUM_MAX

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


def counts(given: Any, shape: tuple[int, ...], of: str) -> Ints:
    """Counts of that shape, as int64, a copy. Raises `PerformanceError` for anything else."""
    found = numbers(given, shape, of)
    if (found < 0).any() or (found != np.floor(found)).any():
        raise PerformanceError(f"{of}: counts are whole numbers and not negative")
    most = PERFORMANCE_ROWS_MAX  # above it floats round
    if found.sum() > 2 * most or (whole := found.astype(np.int64)).sum() > most:
        raise PerformanceError(f"{of}: counts add up to {most:,} at most")
    return whole


def numbers(given: Any, shape: tuple[int, ...], of: str) -> Floats:
    """Finite numbers of that shape, as float64, a copy. Raises `PerformanceError` for anything else."""
    found = floats(given, of)
    if found.shape != shape:
        raise PerformanceError(f"{of}: the shape {shape} is expected, not {found.shape}")
    if not (np.abs(found) <= PERFORMANCE_SUM_MAX).all():
        raise PerformanceError(f"{of}: NaN, infinity or more than {PERFORMANCE_SUM_MAX:g} among the numbers")
    return found


def floats(given: Any, of: str) -> Floats:
    """Numbers of any shape, as float64, a copy; None is NaN. Raises `PerformanceError` for what are none."""
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise PerformanceError(f"{of}: numbers are expected, in an array that is not ragged") from None


def column(given: Any, of: str, rows: int | None = None) -> Floats:
    """One finite number a row. Raises `PerformanceError` for anything else, and if there are more or fewer rows."""
    found = _one_a_row(given, of, rows)
    if not np.isfinite(found).all():
        raise PerformanceError(f"{of}: NaN, infinity or None among them; leave such rows out")
    return found


def binary(given: Any, of: str, rows: int | None = None) -> Ints:
    """0 or 1, False or True, a row. Raises `PerformanceError` for anything else."""
    found = column(given, of, rows)
    if not ((found == 0) | (found == 1)).all():
        raise PerformanceError(f"{of}: 0 or 1 a row is expected, 1 for the positive class")
    return found.astype(np.int64)


def probabilities(given: Any, shape: tuple[int, ...]) -> Floats:
    """Numbers from 0 to 1 of that shape. Raises `PerformanceError` for anything else."""
    found = numbers(given, shape, "probabilities")
    if ((found < 0) | (found > 1)).any():
        raise PerformanceError("probabilities are from 0 to 1")
    return found


def scores(given: Any, rows: int) -> Floats:
    """One score a row; NaN where there is none."""
    return _one_a_row(given, "scores", rows)


def _one_a_row(given: Any, of: str, rows: int | None) -> Floats:
    found = floats(given, of)
    if found.ndim != 1:
        raise PerformanceError(f"{of}: one dimension is expected, not {found.ndim}")
    if rows is not None and len(found) != rows:
        raise PerformanceError(f"{of}: {rows} rows are expected, as there are truths, not {len(found)}")
    return found

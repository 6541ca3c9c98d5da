"""The bins that errors of numbers are counted in: 32 of the same ratio to an octave, on both sides of zero.

Bin 0 holds what is nearer to zero than 2⁻⁴⁰; bin b > 0 magnitudes in [2^((b − 1) / 32 − 40), 2^(b / 32 − 40)), bin −b
the same of negative errors; the last ones, ±2560, also all beyond 2⁴⁰. An error that is answered with its bin's
geometric middle is off by 1.1 % at most: Masson, Rim, Lee, DDSketch (VLDB 2019) for the bound.
"""

from __future__ import annotations

import numpy as np

from obsagent.performance.arrays import Floats, Ints

PER_OCTAVE = 32
OCTAVES = 40  # above and below 1
LAST = 2 * OCTAVES * PER_OCTAVE
RELATIVE_ERROR = 2.0 ** (0.5 / PER_OCTAVE) - 1
SMALLEST = 2.0**-OCTAVES


def bin_of(errors: Floats) -> Ints:
    """The bin of each finite error."""
    size = np.abs(errors)
    with np.errstate(divide="ignore"):
        place = np.floor((np.log2(size) + OCTAVES) * PER_OCTAVE) + 1
    return np.where(size < SMALLEST, 0.0, np.copysign(np.clip(place, 1, LAST), errors)).astype(np.int64)


def middle_of(codes: Ints) -> Floats:
    """The geometric middle of each bin, with its sign."""
    size = np.exp2((np.abs(codes) - 0.5) / PER_OCTAVE - OCTAVES)
    return np.where(codes == 0, 0.0, np.copysign(size, codes))


def bound_of(code: int) -> float:
    """How far an error may be from the middle of its bin; infinite for the last ones."""
    if abs(code) >= LAST:
        return float("inf")
    return SMALLEST if not code else float(abs(middle_of(np.array([code]))[0])) * RELATIVE_ERROR

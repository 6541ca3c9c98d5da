"""Every bucket boundary and its neighbours, against exact integer arithmetic.

The oracle never rounds: the boundaries of one octave are floor(2**(k / 2**scale) * 2**52), found by
integer square roots (nested floors of square roots are the floor of the root), and a double is its 53-bit
significand and exponent.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from functools import cache
from itertools import product

import numpy as np
import pytest

from obsagent.sketches import LogHist

SCALES = range(9)
SIGNIFICAND_MIN, SIGNIFICAND_MAX = 2**52, 2**53 - 1
NEIGHBOURS = range(-3, 4)
NORMAL_EXPONENTS = [-1022, -1021, -1000, -513, -512, -60, -3, -2, -1, 0, 1, 2, 3, 10, 52, 53, 511, 512, 1022, 1023]


@cache
def boundaries(scale: int) -> list[int]:
    """The significands, rounded down, of the buckets' bounds in [1, 2)."""

    def root(k: int) -> int:
        power = 1 << (k + 52 * 2**scale)
        for _ in range(scale):
            power = math.isqrt(power)
        return power

    return [root(k) for k in range(2**scale)]


def exact_bucket(significand: int, exponent: int, scale: int) -> int:
    """Bucket of significand * 2**(exponent - 52): bounds below the value, minus one; upper bounds belong."""
    return exponent * 2**scale + bisect_left(boundaries(scale), significand) - 1


def near_boundaries(scale: int) -> list[int]:
    values = {bound + offset for bound, offset in product([*boundaries(scale), SIGNIFICAND_MAX], NEIGHBOURS)}
    return sorted(value for value in values if SIGNIFICAND_MIN <= value <= SIGNIFICAND_MAX)


def bucket(value: float, scale: int) -> int:
    hist = LogHist(scale)
    hist.add(value)
    ((index,), (count,)) = hist.buckets()
    assert count == 1
    return index


def counted(values: list[float], scale: int) -> dict[int, int]:
    """Through add_many, which has a code path of its own."""
    hist = LogHist(scale)
    hist.add_many(np.array(values))
    return dict(zip(*hist.buckets(), strict=True))


def test_the_oracle_knows_the_square_root_of_two() -> None:
    assert boundaries(0) == [2**52]
    assert boundaries(1) == [2**52, math.isqrt(2**105)]
    assert all(b < SIGNIFICAND_MAX for b in boundaries(8))


@pytest.mark.parametrize("scale", SCALES)
def test_every_boundary_and_its_neighbours_at_normal_exponents(scale: int) -> None:
    for exponent in NORMAL_EXPONENTS:
        expected = {math.ldexp(m, exponent - 52): exact_bucket(m, exponent, scale) for m in near_boundaries(scale)}
        assert {value: bucket(value, scale) for value in expected} == expected
        assert counted(list(expected), scale) == Counter(expected.values())


@pytest.mark.parametrize("scale", SCALES)
def test_every_boundary_and_its_neighbours_among_subnormals(scale: int) -> None:
    """A subnormal is a whole number of 2**-1074; shifted left it is a significand like any other."""
    expected = {}
    for exponent in range(-1074, -1022):
        lost_bits = -1022 - exponent
        for bound, offset in product([*boundaries(scale), SIGNIFICAND_MAX], NEIGHBOURS):
            units = (bound >> lost_bits) + offset
            if 2 ** (52 - lost_bits) <= units < 2 ** (53 - lost_bits):
                expected[math.ldexp(units, -1074)] = exact_bucket(units << lost_bits, exponent, scale)
    assert min(expected) == 5e-324
    assert {value: bucket(value, scale) for value in expected} == expected
    assert counted(list(expected), scale) == Counter(expected.values())


@pytest.mark.parametrize("scale", SCALES)
def test_random_significands_over_the_whole_range(scale: int) -> None:
    rng = np.random.default_rng(scale)
    significands = rng.integers(SIGNIFICAND_MIN, SIGNIFICAND_MAX, 20_000, endpoint=True)
    exponents = rng.integers(-1022, 1023, 20_000, endpoint=True)
    below = np.searchsorted(np.array(boundaries(scale)), significands, side="left")
    expected = Counter((exponents * 2**scale + below - 1).tolist())
    values = np.ldexp(significands.astype(float), exponents - 52)
    assert counted(values, scale) == expected


@pytest.mark.parametrize("scale", SCALES)
def test_negative_values_mirror_positive_ones(scale: int) -> None:
    values = np.ldexp(np.array(near_boundaries(scale), dtype=float), -52)
    positive, negative = LogHist(scale), LogHist(scale)
    positive.add_many(values)
    negative.add_many(-values)
    assert negative.buckets(negative=True) == positive.buckets()
    assert negative.buckets() == ([], [])


@pytest.mark.parametrize("scale", range(8))
def test_downscaling_places_as_counting_at_the_lower_scale_does(scale: int) -> None:
    significands = np.array(near_boundaries(8), dtype=float)
    values = np.concatenate([np.ldexp(significands, exponent - 52) for exponent in (-1022, -1, 0, 1, 1023)])
    values = np.concatenate([values, -values, [5e-324, 0.0]])
    fine, coarse = LogHist(8), LogHist(scale)
    fine.add_many(values)
    coarse.add_many(values)
    fine.downscale(scale)
    assert fine == coarse


def test_the_ends_of_the_index_range() -> None:
    assert bucket(5e-324, 8) == -1074 * 256 - 1
    assert bucket(1.7976931348623157e308, 8) == 1024 * 256 - 1
    assert [bucket(2.0**e, 0) for e in (-1074, -1022, -1, 0, 1, 1023)] == [-1075, -1023, -2, -1, 0, 1022]

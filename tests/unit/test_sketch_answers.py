"""What each of the sketches of features answers, beside numpy, exact arithmetic and plain counting."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from obsagent.sketches import Edges, HyperLogLog, Moments, TopK

RNG = np.random.default_rng(11)
DISTRIBUTIONS = {
    "normal": RNG.normal(3, 2, 5000),
    "lognormal": RNG.lognormal(0, 2, 5000),
    "far": 1e9 + RNG.normal(0, 1, 5000),
    "whole": RNG.integers(-5, 6, 5000).astype(float),
    "two": np.where(RNG.random(5000) < 0.99, 0.1, 7.0),
    "tiny": RNG.normal(0, 1e-60, 5000),
}


def moments_of(values: Any) -> Moments:
    moments = Moments()
    moments.add_many(values)
    return moments


# ---- Moments ----


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 10, 511, 5000])
def test_moments_are_those_of_exact_arithmetic(name: str, size: int) -> None:
    values = DISTRIBUTIONS[name][:size]
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact) / size
    m2, m3, m4 = (sum((value - mean) ** power for value in exact) / size for power in (2, 3, 4))
    moments = moments_of(values)
    assert moments.mean == pytest.approx(float(mean), rel=1e-14)
    near = 1e-7 if name == "far" else 1e-11  # the mean of values around 1e9 is rounded to 1e-7
    assert moments.variance == pytest.approx(float(m2), rel=near)
    assert moments.stddev == pytest.approx(np.std(values), rel=1e-6)
    assert (moments.min, moments.max) == (values.min(), values.max())
    assert moments.sum == pytest.approx(float(sum(exact)), rel=1e-13)
    if m2 == 0:
        assert math.isnan(moments.skewness)
        assert math.isnan(moments.kurtosis)
        return
    with mp.workdps(40):
        variance = mp.mpf(m2.numerator) / m2.denominator
        skewness = float(mp.mpf(m3.numerator) / m3.denominator / mp.sqrt(variance) ** 3)
        kurtosis = float(mp.mpf(m4.numerator) / m4.denominator / variance**2 - 3)
    assert moments.skewness == pytest.approx(skewness, rel=10 * near, abs=10 * near)
    assert moments.kurtosis == pytest.approx(kurtosis, rel=10 * near, abs=10 * near)


def test_empty_moments_are_nan() -> None:
    moments = Moments()
    for answer in (moments.mean, moments.variance, moments.stddev, moments.skewness, moments.min, moments.max):
        assert math.isnan(answer)
    assert (moments.count, moments.sum, moments.m2, moments.m3, moments.m4) == (0, 0.0, 0.0, 0.0, 0.0)


def test_a_constant_has_no_variance() -> None:
    moments = moments_of([0.1] * 1000)
    assert (moments.mean, moments.variance, moments.stddev) == (0.1, 0.0, 0.0)


def test_a_weight_counts_as_often() -> None:
    weighted, repeated = moments_of([1.0, 2.0]), moments_of([1.0, 2.0])
    weighted.add(9.0, 50)
    repeated.add_many([9.0] * 50)
    assert weighted.count == repeated.count == 52
    assert weighted.variance == pytest.approx(repeated.variance)


# ---- Edges ----


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("bins", [1, 2, 7, 64, 128, 255])
def test_counts_are_those_of_numpy(name: str, bins: int) -> None:
    values = DISTRIBUTIONS[name]
    edges = np.unique(np.quantile(values[:2000], np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        pytest.skip("all quantiles are one")
    counted = Edges(edges)
    counted.add_many(values)
    below, *counts, above = counted.counts
    assert counts == np.histogram(values, edges)[0].tolist()
    assert (below, above) == ((values < edges[0]).sum(), (values > edges[-1]).sum())
    assert counted.sums[1:-1] == pytest.approx(np.histogram(values, edges, weights=values)[0].tolist(), rel=1e-12)
    assert counted.sums[0] == pytest.approx(values[values < edges[0]].sum(), rel=1e-12)
    assert counted.edges == tuple(edges)
    assert counted.count == len(values)


def test_the_last_bin_is_closed_and_negative_zero_is_zero() -> None:
    counted = Edges([-0.0, 1, 2])
    counted.add_many([-0.0, 0.0, 1, 2, math.nextafter(2, 3), -5e-324, 5e-324])
    assert counted.counts == (1, 3, 2, 1)
    assert math.copysign(1, counted.edges[0]) == 1


def test_counts_over_other_edges_do_not_merge() -> None:
    counted = Edges([0, 1, 2])
    for other in (Edges([0, 1]), Edges([0, 1, 2.5]), Edges([0, 1, 2, 3])):
        with pytest.raises(ValueError, match="the edges of the two differ"):
            counted.merge(other)
        assert counted != other
    counted.merge(Edges([0, 1, 2]))
    assert counted.counts == (0, 0, 0, 0)


def test_weights_go_to_counts_and_sums() -> None:
    counted = Edges([0, 1, 2])
    counted.add(1.5, 4)
    counted.add(-3)
    assert (counted.counts, counted.sums) == ((1, 0, 4, 0), (-3.0, 0.0, 6.0, 0.0))


# ---- TopK ----


def test_frequent_keys_of_a_skewed_stream() -> None:
    keys = [f"city-{int(n)}" for n in RNG.zipf(1.3, 50_000)]
    truth, top = Counter(keys), TopK(50)
    top.add_many(keys)
    assert top.total == len(keys)
    assert 0 < top.error <= top.total / 51
    counted = dict(top.items())
    assert len(counted) <= 50
    for key, count in truth.items():
        assert count > top.error or key not in counted or counted[key] <= count
        if count > top.error:
            assert count - top.error <= counted[key] <= count
    assert top.other == top.total - sum(counted.values())
    assert [count for _, count in top.items()] == sorted(counted.values(), reverse=True)


def test_up_to_k_keys_are_exact_in_any_order() -> None:
    keys = [f"k{n % 20}" for n in range(1000)]
    whole, parts = TopK(20), [TopK(20) for _ in range(7)]
    whole.add_many(keys)
    for part, top in enumerate(parts):
        top.add_many(keys[part::7])
    for order in (parts, parts[::-1]):
        merged = TopK(20)
        for top in order:
            merged.merge(top)
        assert merged == whole
    assert (whole.error, whole.other, dict(whole.items())) == (0, 0, dict(Counter(keys)))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([3, 3.0, "3", np.int64(3), np.float64(3)], "3"),
        ([0.0, -0.0, 0, "0"], "0"),
        ([1.5, np.float32(1.5), "1.5"], "1.5"),
        ([True, "True", np.bool_(True)], "True"),
        ([math.nan, float("nan"), "nan"], "nan"),
        ([-math.inf, "-inf"], "-inf"),
        ([2**70, str(2**70)], str(2**70)),
        ([5e-324, "5e-324"], "5e-324"),
        (["", ""], ""),
        (["żółw", np.str_("żółw")], "żółw"),
        (["\ud800", "?"], "?"),
    ],
)
def test_which_keys_are_one(keys: list[Any], text: str) -> None:
    top = TopK()
    top.add_many(keys)
    assert top.items() == [(text, len(keys))]


def test_ties_are_told_by_key() -> None:
    top = TopK()
    top.add_many(["b", "a", "ab", "c", "c"])
    assert top.items() == [("c", 2), ("a", 1), ("ab", 1), ("b", 1)]


def test_long_keys_are_refused_with_what_to_do() -> None:
    top = TopK()
    top.add("ü" * 128)
    with pytest.raises(ValueError, match="at most 256 bytes, not 257: shorten or hash it"):
        top.add("x" * 257)
    with pytest.raises(ValueError, match="at most 256 bytes"):
        top.add_many(["a", "x" * 300])
    assert top.total == 1


@pytest.mark.parametrize("keys", ["abc", b"abc", 5, [1, b"x"], [object()]])
def test_add_many_refuses_what_are_no_keys(keys: Any) -> None:
    top = TopK()
    with pytest.raises(TypeError):
        top.add_many(keys)
    assert top.total == 0


# ---- HyperLogLog ----


@pytest.mark.parametrize("p", [8, 12, 14])
@pytest.mark.parametrize("count", [0, 1, 10, 100, 1_000, 10_000, 100_000])
def test_estimates_are_within_their_error(p: int, count: int) -> None:
    seen = HyperLogLog(p)
    seen.add_many(RNG.random(count))
    assert seen.count() == pytest.approx(count, rel=4.5 * seen.relative_error, abs=0.01)
    assert seen.relative_error == pytest.approx(1.04 / math.sqrt(2**p))


def test_a_value_again_changes_nothing() -> None:
    seen = HyperLogLog()
    seen.add_many(["a", b"b", 1, 2.5, math.nan])
    before = seen.copy()
    seen.add_many(["a", "b", True, np.float32(2.5), float("nan"), None, np.str_("a"), np.int8(1)])
    seen.merge(before)
    assert seen == before
    assert seen.count() == pytest.approx(5, abs=0.1)


def test_which_numbers_are_one_value() -> None:
    seen = HyperLogLog(16)
    seen.add_many([0.0, -0.0, 0, False, math.nan, -math.nan, math.inf, -math.inf, 5e-324, "0", 1, "1", None])
    assert round(seen.count()) == 8


def test_whole_numbers_beyond_doubles_differ() -> None:
    first = 2**60
    for make in (list, lambda ids: np.array(ids, dtype=np.int64), lambda ids: np.array(ids, dtype=np.uint64)):
        seen = HyperLogLog()
        seen.add_many(make(range(first, first + 500)))
        assert seen.count() == pytest.approx(500, rel=0.07)
    huge = HyperLogLog()
    huge.add(10**400)
    huge.add(10**400 + 1)
    assert round(huge.count()) == 2


def test_integers_count_the_same_from_a_buffer_and_one_by_one() -> None:
    ids = RNG.integers(-(2**63), 2**63 - 1, 2000)
    ids[:500] %= 2**40
    at_once, one_by_one = HyperLogLog(), HyperLogLog()
    at_once.add_many(ids)
    for number in ids.tolist():
        one_by_one.add(number)
    assert at_once == one_by_one


def test_merging_is_the_same_in_any_order() -> None:
    parts = [HyperLogLog(10) for _ in range(6)]
    for number, part in enumerate(parts):
        part.add_many(RNG.random(10 ** (number % 4 + 1)))
    forwards, backwards = HyperLogLog(10), HyperLogLog(10)
    for left, right in zip(parts, reversed(parts), strict=True):
        forwards.merge(left)
        backwards.merge(right)
    assert forwards == backwards
    with pytest.raises(ValueError, match="p differs: 10 here, 12 there"):
        forwards.merge(HyperLogLog(12))

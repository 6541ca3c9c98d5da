"""Metrics of predicted numbers and of rankings, beside scikit-learn's of the same rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from performance_lab import metrics, quiet

from obsagent.errors import PerformanceError
from obsagent.performance import RankingSums, RegressionSums
from obsagent.performance.error_bins import LAST, RELATIVE_ERROR, bin_of, middle_of

PEERS = {
    "mae": metrics.mean_absolute_error,
    "rmse": metrics.root_mean_squared_error,
    "mape": metrics.mean_absolute_percentage_error,
    "r2": metrics.r2_score,
}


def summed(truths: Any, predicted: Any) -> RegressionSums:
    sums = RegressionSums()
    sums.update(truths, predicted)
    return sums


@pytest.mark.parametrize("offset", [0.0, -1e3, 1e8, 1e12])
def test_metrics_are_scikit_learns_far_from_zero_too(offset: float) -> None:
    chance = np.random.default_rng(1)
    truths = offset + chance.normal(3, 2, 3_000)
    predicted = truths + chance.normal(0.1, 1, 3_000)
    found = summed(truths, predicted)
    for name, function in PEERS.items():
        shift = offset if name == "r2" else 0.0  # scikit-learn's mean of the truths is rounded far from zero
        wanted = function(truths - shift, predicted - shift)
        assert found.measure(name).value == pytest.approx(wanted, rel=1e-9), name
    assert found.measure("bias").value == pytest.approx(float((predicted - truths).mean()))


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -7.3e-200, 0.0])
@pytest.mark.parametrize("off", [0.0, 1.0])
def test_r2_of_constant_truths_is_what_scikit_learn_says_and_does_not_explode(value: float, off: float) -> None:
    merged = RegressionSums()
    for size in (3, 1, 10):
        merged.merge(summed([value] * size, [value + off] * size))
    assert merged.measure("r2").value == (0.0 if off and value + off != value else 1.0)
    assert quiet(metrics.r2_score, [1.0] * 3, [1.0 + off] * 3) == (0.0 if off else 1.0)
    sums = (14 * value, 14 * value * value)
    given = RegressionSums.from_arrays(14, (14 * off, 14 * off, 14 * off * off), sums).measure("r2")
    assert given.value == (0.0 if off else 1.0)


def test_truths_that_differ_in_the_last_digit_are_constant() -> None:
    truths = [0.1, 0.1, math.nextafter(0.1, 1)]
    assert summed(truths, [0.2, 0.2, 0.2]).measure("r2").value == 0.0
    assert summed([0.1, 0.1, 0.1 + 1e-9], [0.2, 0.2, 0.2]).measure("r2").value < -1e10  # type: ignore[operator]


def test_sums_about_a_far_centre_do_not_make_r2_explode() -> None:
    value, rows, total, squares = 0.1, 100_000, 0.0, 0.0
    for _ in range(rows):  # added one by one, as counters are: off by 1e-12 and more
        total, squares = total + value, squares + value * value
    assert abs(squares - total * total / rows) > 0
    found = RegressionSums.from_arrays(rows, (float(rows), float(rows), float(rows)), (total, squares)).measure("r2")
    assert found.value == 0
    assert "as far as their sums tell" in found.why


def test_sums_of_others_measure_alike() -> None:
    chance = np.random.default_rng(2)
    truths = chance.normal(1e6, 5, 2_000)
    errors = chance.normal(0, 1, 2_000)
    own, centre = summed(truths, truths + errors), float(truths[0])
    errors = (truths + errors) - truths
    codes, counts = np.unique(bin_of(errors), return_counts=True)
    given = RegressionSums.from_arrays(
        len(truths),
        (errors.sum(), np.abs(errors).sum(), np.square(errors).sum()),
        ((truths - centre).sum(), np.square(truths - centre).sum()),
        (len(truths), np.abs(errors / truths).sum()),
        centre,
        (codes, counts),
    )
    for name, found in given.measures().items():
        wanted = own.measure(name)
        assert found.value == pytest.approx(wanted.value, rel=1e-9), name
        if name != "mape":
            assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=0.02), name
    assert "no interval" in given.measure("mape").why
    given.merge(own)
    assert given.measure("mape").low is None
    blind = RegressionSums.from_arrays(3, (3.0, 3.0, 3.0), (0.0, 6.0))
    assert {name for name, each in blind.measures().items() if each.low is None} >= {"rmse", "r2", "mape", "error_p50"}


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1.0, 1e9])
def test_quantiles_of_errors_are_within_their_bound(scale: float, absolute: bool) -> None:
    errors = np.random.default_rng(3).standard_t(2, 2_001) * scale
    sums = summed(np.zeros(len(errors)), errors)
    for q in (0.0, 0.01, 0.25, 0.5, 0.9, 1.0):
        found = sums.quantile(q, absolute=absolute)
        exact = np.quantile(np.abs(errors) if absolute else errors, q, method="inverted_cdf")
        assert found.value is not None
        assert abs(found.value - exact) <= found.bound * (1 + 1e-9)
        assert found.bound <= max(abs(exact) * RELATIVE_ERROR * 1.02, 2**-40)


def test_bins_of_errors_hold_what_they_say() -> None:
    values = np.concatenate(
        [[0.0, 1e-300, 1e-12, 1e300, 1.0, 2.0], np.exp(np.random.default_rng(4).normal(0, 9, 1_000))]
    )
    codes = bin_of(values)
    assert bin_of(-values).tolist() == (-codes).tolist()
    inner = (codes > 0) & (codes < LAST)
    assert np.abs(middle_of(codes)[inner] / values[inner] - 1).max() <= RELATIVE_ERROR * 1.02
    assert codes[:4].tolist() == [0, 0, codes[2], LAST]
    assert math.isinf(summed([0.0], [1e60]).quantile(0.5).bound)


def test_what_is_undefined_says_why() -> None:
    assert all(each.why for each in RegressionSums().measures().values())
    one = summed([0.0], [1.0]).measures()
    assert "two truths" in one["r2"].why
    assert one["mape"].why == "every truth is 0"
    assert summed([0.0, 2.0], [1.0, 1.0]).measure("mape").value == 0.5


def test_wrong_numbers_are_refused() -> None:
    sums = RegressionSums()
    for truths, predicted, message in [
        ([1.0, math.nan], [1.0, 1.0], "NaN"),
        ([1.0], [1.0, 2.0], "1 rows"),
        ([1e200], [0.0], "sum of their squares"),
        (["x"], [1.0], "numbers are expected"),
    ]:
        with pytest.raises(PerformanceError, match=message):
            sums.update(truths, predicted)
    assert not sums.rows
    with pytest.raises(PerformanceError, match="from 0 to 1"):
        sums.quantile(1.5)
    for code in (LAST + 1, 0.5, 1e18):
        with pytest.raises(PerformanceError, match="codes of error_bins"):
            RegressionSums.from_arrays(1, (0, 0, 0), (0, 0), bins=([code], [1]))
    with pytest.raises(PerformanceError, match="whole number of rows"):
        RegressionSums.from_arrays(1.5, (0, 0, 0), (0, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("ties", [True, False])
def test_ndcg_is_scikit_learns(k: int, ties: bool) -> None:
    chance = np.random.default_rng(5)
    relevances = chance.integers(0, 4, (200, 10)) * chance.integers(0, 2, (200, 1))  # some lists without any
    scores = chance.integers(0, 5, (200, 10)) if ties else chance.random((200, 10))
    sums = RankingSums((k,))
    sums.update(relevances, scores)
    assert sums.measure(f"ndcg@{k}").value == pytest.approx(metrics.ndcg_score(relevances, scores, k=k), abs=1e-12)


def test_mrr_counts_the_place_of_the_first_relevant_item_and_ties_against_it() -> None:
    sums = RankingSums()
    sums.update([[0, 1, 1], [0, 0], [1], [0, 2, 0]], [[3, 2, 1], [1, 2], [0.5], [1, 1, 1]])
    assert sums.measure("mrr").value == pytest.approx((1 / 2 + 0 + 1 + 1 / 3) / 4)
    assert RankingSums().measure("mrr").why


def test_wrong_rankings_are_refused() -> None:
    sums = RankingSums()
    for relevances, scores in [([[1]], []), ([[1, 0]], [[1]]), ([[-1]], [[1]]), ([[]], [[]]), ([[1]], [[math.nan]])]:
        with pytest.raises(PerformanceError):
            sums.update(relevances, scores)
    with pytest.raises(PerformanceError, match="cutoffs"):
        RankingSums((0,))
    with pytest.raises(PerformanceError, match="different cutoffs"):
        sums.merge(RankingSums((1,)))

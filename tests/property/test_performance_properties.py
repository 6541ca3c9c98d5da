"""What holds of counts of performance for any rows: merging is order-free, and equals counting all at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.performance import (
    CBPE,
    BinaryCounts,
    ClassCounts,
    HarmDetector,
    RankingSums,
    RegressionSums,
    bbse,
    paired_test,
    risk_interval,
)
from obsagent.performance.counts import Counts
from obsagent.performance.measured import Measured

NAMES = ["a", "b", "c"]
Rows = list[Any]
Count = Callable[[Rows], Counts]

finite = st.floats(-1e6, 1e6)
score = st.one_of(st.none(), st.floats(0, 1))
binary_row = st.tuples(st.integers(0, 1), st.integers(0, 1), score)
class_row = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.floats(0, 1))
number_row = st.tuples(finite, finite)
items = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=6)


def binary(rows: Rows) -> Counts:
    counts = BinaryCounts()
    counts.update(*([row[at] for row in rows] for at in range(3)))
    return counts


def classes(rows: Rows) -> Counts:
    counts = ClassCounts(NAMES)
    probabilities = np.array([[row[2]] * 3 for row in rows]).reshape(len(rows), 3)
    counts.update([row[0] for row in rows], [row[1] for row in rows], probabilities)
    return counts


def regression(rows: Rows) -> Counts:
    counts = RegressionSums()
    counts.update([row[0] for row in rows], [row[1] for row in rows])
    return counts


def ranking(rows: Rows) -> Counts:
    counts = RankingSums()
    counts.update([[gain for gain, _ in row] for row in rows], [[each for _, each in row] for row in rows])
    return counts


KINDS: list[tuple[Count, st.SearchStrategy[Any]]] = [
    (binary, binary_row),
    (classes, class_row),
    (regression, number_row),
    (ranking, items),
]


def alike(found: Measured, wanted: Measured) -> None:
    """Equal within rounding: merging changes no more than the last digits."""
    assert found.why == wanted.why
    for one, other in zip((found.value, found.low, found.high), (wanted.value, wanted.low, wanted.high), strict=True):
        assert (one is None and other is None) or one == pytest.approx(other, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("count", "row"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_parts_in_any_order_are_the_whole(count: Count, row: st.SearchStrategy[Any], data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.lists(row, max_size=8), min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(parts))))
    whole, merged = count([each for part in parts for each in part]), count([])
    for at in order:
        merged.merge(count(parts[at]))
    stored = type(merged).from_bytes(merged.to_bytes())
    for name, wanted in whole.measures().items():
        alike(merged.measure(name), wanted)
        assert stored.measure(name) == merged.measure(name)


@pytest.mark.parametrize(("count", "row"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_value_is_within_its_interval_and_wider_with_more_confidence(
    count: Count, row: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    counts = count(data.draw(st.lists(row, max_size=12)))
    for found, wider in zip(counts.measures(0.5).values(), counts.measures(0.99).values(), strict=True):
        assert found.value == wider.value
        if found.low is not None and found.value is not None:
            assert found.high is not None
            assert wider.low is not None
            assert wider.high is not None
            slack = 1e-9 * (1 + abs(found.value))
            assert wider.low - slack <= found.low <= found.value + slack
            assert found.value - slack <= found.high <= wider.high + slack
            assert found.bound >= 0


sparse = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1023), st.integers(1, 10**6)), min_size=1, max_size=30)


def spread(given_cells: list[tuple[int, int, int]]) -> Any:
    found = np.zeros((2, 1024), dtype=np.int64)
    for row, at, count in given_cells:
        found[row, at] += count
    return found


@settings(max_examples=40, deadline=None)
@given(sparse, sparse)
def test_estimates_are_metrics_with_an_error(reference: Any, current: Any) -> None:
    estimator = CBPE.from_arrays(spread(reference))
    rising = np.diff(estimator.calibration.probabilities)
    assert (rising >= -1e-12).all()
    for found in estimator.estimate(spread(current)).values():
        if found.value is not None:
            assert -1e-9 <= found.value <= 1 + 1e-9
            assert found.standard_error is not None
            assert 0 <= found.standard_error < math.inf


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30), st.floats(0.01, 0.9))
def test_a_detector_goes_on_from_its_state_and_its_bounds_hold_the_mean(
    batches: list[tuple[int, int]], limit: float
) -> None:
    detector = HarmDetector(limit, alpha=1e-3)
    again = HarmDetector(limit, alpha=1e-3)
    for errors, others in batches:
        assert detector.update(errors, errors + others) == again.update(errors, errors + others)
        again = HarmDetector.from_state(again.to_state())
        if errors + others:
            low, high = risk_interval(errors, errors + others, 0.05)
            assert 0 <= low <= errors / (errors + others) <= high <= 1
    assert again.to_state() == detector.to_state()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_pairs_are_symmetric_and_later_looks_cost_something(first: int, second: int, others: int) -> None:
    found, turned = (paired_test(*each, first + second + others) for each in ((first, second), (second, first)))
    assert found.p_value == pytest.approx(turned.p_value)
    assert 0 <= found.p_value <= found.anytime_p_value * (1 + 1e-6) + 1e-12 <= 1 + 1e-5
    if found.difference is not None and turned.difference is not None:
        assert found.difference == -turned.difference


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 1000), min_size=3, max_size=3), min_size=3, max_size=3))
def test_without_a_shift_none_is_found(counts: list[list[int]]) -> None:
    found = bbse(counts, np.sum(counts, axis=0))
    for each in found.weights:
        assert each.why or each.value == pytest.approx(1, abs=1e-6)

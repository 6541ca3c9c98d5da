"""For any data: counts and sums of a reference are those of numpy.histogram, whatever the parts it is read in."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.reference import FeatureReference, Reference
from obsagent.reference.columns import Cells
from obsagent.reference.counting import CategoryCounter, NumberCounter
from obsagent.reference.learning import CategoryLearner, NumberLearner
from obsagent.reference.reader import read
from obsagent.reference.rebin import rebinned
from obsagent.reference.writer import pack

NUMBERS = st.lists(
    st.one_of(
        st.floats(width=64),
        st.sampled_from([0.0, -0.0, 1.0, 1.0, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308]),
        st.integers(-5, 5).map(float),
    ),
    min_size=1,
    max_size=400,
)
CATEGORIES = st.lists(st.one_of(st.sampled_from(["a", "b", "", "NULL", "7.0", "7"]), st.text(max_size=4)), max_size=300)


def parts_of(cells: list[str], size: int) -> list[Cells]:
    return [Cells(cells[at : at + size]) for at in range(0, len(cells), size)]


def numbers_of(values: list[float], size: int) -> FeatureReference:
    parts = parts_of([repr(value) for value in values], size)
    learner = NumberLearner()
    for part in parts:
        learner.add(part)
    counter = NumberCounter(learner)
    for part in parts:
        counter.add(part)
        counter.end_window()
    return counter.result(len(values), None)


@settings(max_examples=150, deadline=None)
@given(NUMBERS, st.integers(1, 400))
def test_counts_and_sums_are_those_of_numpy(values: list[float], size: int) -> None:
    feature = numbers_of(values, size)
    finite = np.array([value for value in values if math.isfinite(value)])
    assert (feature.count, feature.nan_count) == (len(finite), sum(map(math.isnan, values)))
    assert feature.samples == len(values)
    if not len(finite):
        assert (feature.edges, feature.counts, feature.spread) == ((), (), None)
        return
    edges = np.array(feature.edges)
    with np.errstate(over="ignore"):  # of widths of bins, which numpy computes and does not need
        counts = np.histogram(finite, edges)[0]
    assert feature.counts == (0, *counts.tolist(), 0)
    places = np.searchsorted(edges, finite, side="right")
    places[finite == edges[-1]] = len(edges) - 1
    for at, total in enumerate(feature.sums):
        inside = finite[places == at]
        with np.errstate(over="ignore"):
            bound = 1e-12 * float(np.abs(inside).sum())
        if math.isfinite(bound):
            assert abs(total - math.fsum(inside)) <= bound
    assert all(low < high for low, high in pairwise(feature.edges))
    assert len(feature.edges) <= 256
    assert 1 <= feature.kappa0 <= max(1, len(values))


@settings(max_examples=50, deadline=None)
@given(NUMBERS, st.integers(1, 400))
def test_what_was_counted_comes_back_from_a_file(values: list[float], size: int) -> None:
    data = pack(Reference("m", rows=len(values), features={"x": numbers_of(values, size)}))
    assert pack(read(data)) == data


@settings(max_examples=50, deadline=None)
@given(NUMBERS)
def test_counts_over_the_same_edges_are_the_same(values: list[float]) -> None:
    feature = numbers_of(values, 400)
    if feature.edges and all(map(math.isfinite, feature.sums)):
        found = rebinned(feature, feature.edges)
        assert (found.counts, found.guessed) == ([*feature.counts], 0.0)


@settings(max_examples=100, deadline=None)
@given(CATEGORIES, st.integers(1, 300))
def test_categories_are_counted_exactly(cells: list[str], size: int) -> None:
    parts, learner = parts_of(cells, size), CategoryLearner()
    for part in parts:
        learner.add(part)
    counter = CategoryCounter(learner)
    for part in parts:
        counter.add(part)
    feature = counter.result(len(cells), None)
    expected = Counter(text for text in Cells(cells).texts() if text is not None)
    assert feature.count == expected.total()
    assert feature.null_count == len(cells) - expected.total()
    for category, count in zip(feature.categories, feature.category_counts, strict=False):
        assert expected.pop(category) == count
    assert feature.category_counts[-1] == expected.total()
    assert not expected or len(feature.categories) == 128

"""What is answered of classic histograms contains the truth, whatever was observed and however edges were chosen."""

from __future__ import annotations

import math
import statistics

from hypothesis import given
from hypothesis import strategies as st

from obsagent.answer.classic import BUCKET, COUNT, SUM, Bounds, ClassicHistogram, Part, histogram_of

EDGES = st.lists(st.floats(0.001, 100), min_size=1, max_size=8, unique=True).map(sorted)
VALUES = st.lists(st.one_of(st.floats(0, 200), st.sampled_from([0.0, 0.001, 1.0, 100.0])), min_size=1, max_size=60)
PARTS = st.lists(st.tuples(EDGES, VALUES), min_size=1, max_size=4)


def observed(parts: list[tuple[list[float], list[float]]]) -> tuple[ClassicHistogram, list[float]]:
    """Several histograms with edges of their own as one, and everything that they observed, in order."""
    totals: dict[Part, float] = {}
    every: list[float] = []
    for edges, values in parts:
        layout = (*edges, math.inf)
        for edge in layout:
            part = Part(BUCKET, layout, edge)
            totals[part] = totals.get(part, 0.0) + sum(value <= edge for value in values)
        every += values
    totals[Part(SUM)], totals[Part(COUNT)] = math.fsum(every), float(len(every))
    grown = list(totals.values())
    found = histogram_of(list(totals), lambda index: grown[index])
    assert found is not None
    return found, sorted(every)


def assert_contains(bounds: Bounds | None, truth: float) -> None:
    assert bounds is not None
    assert bounds.low <= truth <= bounds.high
    assert bounds.low <= bounds.value <= bounds.high


@given(PARTS, st.floats(0, 1))
def test_a_quantile_lies_within_its_bounds(parts: list[tuple[list[float], list[float]]], q: float) -> None:
    hist, every = observed(parts)
    assert_contains(hist.quantile(q), every[min(max(math.ceil(q * len(every)), 1), len(every)) - 1])


@given(PARTS, st.floats(-1, 250))
def test_a_share_lies_within_its_bounds(parts: list[tuple[list[float], list[float]]], limit: float) -> None:
    hist, every = observed(parts)
    assert_contains(hist.share(limit), sum(value <= limit for value in every) / len(every))


@given(PARTS, st.booleans())
def test_the_standard_deviation_lies_within_its_bounds(
    parts: list[tuple[list[float], list[float]]], knows_sum: bool
) -> None:
    hist, every = observed(parts)
    hist.sum = hist.sum if knows_sum else None
    truth, slack = statistics.pstdev(every), 1e-9 * max(every)
    bounds = hist.stddev()
    assert bounds is not None
    assert bounds.low - slack <= truth <= bounds.high + slack
    assert bounds.low <= bounds.value <= bounds.high
    assert math.isinf(bounds.high) is any(value > edges[-1] for edges, values in parts for value in values)


@given(st.tuples(EDGES, VALUES))
def test_a_share_at_an_edge_is_exact(part: tuple[list[float], list[float]]) -> None:
    hist, every = observed([part])
    for edge in part[0]:
        share = hist.share(edge)
        assert share == Bounds(*[sum(value <= edge for value in every) / len(every)] * 3)


@given(EDGES, VALUES, st.floats(0, 1))
def test_the_bounds_of_one_histogram_are_neighbouring_edges(edges: list[float], values: list[float], q: float) -> None:
    hist, _ = observed([(edges, values)])
    bounds = hist.quantile(q)
    every = [0.0, *edges, math.inf]
    assert bounds is not None
    assert every.index(bounds.high) - every.index(bounds.low) == 1


@given(PARTS)
def test_count_and_sum_are_exact(parts: list[tuple[list[float], list[float]]]) -> None:
    hist, every = observed(parts)
    assert (hist.count, hist.sum) == (len(every), math.fsum(every))

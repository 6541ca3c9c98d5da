"""What holds of divergences and e-values for any counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from obsagent.drift import (
    DyadicESR,
    Null,
    chi_squared,
    cramers_v,
    e_bh,
    hellinger,
    js_distance,
    kl,
    ks,
    linf,
    log_e_value,
    psi,
    total_variation,
    wasserstein,
)

UNORDERED: list[Callable[..., float]] = [psi, kl, js_distance, hellinger, total_variation, linf, chi_squared, cramers_v]
SYMMETRIC: list[Callable[..., float]] = [psi, js_distance, hellinger, total_variation, linf, ks, chi_squared]
BOUNDED: list[Callable[..., float]] = [js_distance, hellinger, total_variation, linf, ks, cramers_v]

cells = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=40)


@st.composite
def pairs(draw: Any) -> tuple[list[int], list[int]]:
    drawn = draw(cells)
    reference, current = [n for n, _ in drawn], [m for _, m in drawn]
    assume(sum(reference) > 0 and sum(current) > 0)
    return reference, current


@settings(max_examples=50)
@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_bins_does_not_matter_where_they_have_none(counts: Any, chance: Any) -> None:
    reference, current = counts
    order = list(range(len(reference)))
    chance.shuffle(order)
    mixed = [reference[place] for place in order], [current[place] for place in order]
    for function in UNORDERED:
        assert function(*mixed) == pytest.approx(function(*counts), rel=1e-9, abs=1e-9)
    assert log_e_value(*mixed) == pytest.approx(log_e_value(*counts), rel=1e-7, abs=1e-6)


@settings(max_examples=50)
@given(pairs())
def test_what_is_symmetric_and_what_is_bounded(counts: Any) -> None:
    reference, current = counts
    for function in SYMMETRIC:
        assert function(current, reference) == pytest.approx(function(reference, current), rel=1e-9, abs=1e-9)
    for function in BOUNDED:
        assert 0 <= function(reference, current) <= 1 + 1e-12
    assert psi(reference, current, zero="infinite") >= 0


@settings(max_examples=50)
@given(pairs(), st.data())
def test_bins_that_become_one_take_from_a_distance_and_add_nothing(counts: Any, data: Any) -> None:
    assume(len(counts[0]) > 1)
    place = data.draw(st.integers(0, len(counts[0]) - 2))
    merged = [[*side[:place], side[place] + side[place + 1], *side[place + 2 :]] for side in counts]
    for function in (js_distance, hellinger, total_variation, ks, chi_squared):
        assert function(*merged) <= function(*counts) + 1e-6 * max(1, function(*counts))
    fewer, more = ks(*merged), ks(*counts)
    assert more <= fewer + fewer.gap + 1e-12  # what the gap promises


@settings(max_examples=50)
@given(pairs(), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_a_wasserstein_distance_moves_with_its_unit(counts: Any, begin: float, width: float) -> None:
    edges = [begin + width * place for place in range(len(counts[0]) + 1)]
    assume(all(a < b for a, b in pairwise(edges)))
    plain = wasserstein(*counts, range(len(edges)), mass="midpoint")
    assert wasserstein(*counts, edges, mass="midpoint") == pytest.approx(width * plain, rel=1e-6, abs=1e-6 * width)
    assert plain <= len(edges)


@settings(max_examples=50)
@given(pairs())
def test_evidence_is_a_number_whatever_was_counted(counts: Any) -> None:
    reference, current = counts
    assume(sum(reference) > 1)
    for tolerance in (0.0, 0.01):
        assert math.isfinite(log_e_value(reference, current, tolerance=tolerance))
    assert log_e_value(reference, current, tolerance=0.01) <= log_e_value(reference, current) + 1e-6


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 500), min_size=3, max_size=3), min_size=1, max_size=40), st.integers(0, 39))
def test_a_restart_at_any_window_changes_nothing(windows: list[list[int]], at: int) -> None:
    null = Null([5_000, 3_000, 2_000])
    through, restarted = DyadicESR(null, 0.01, levels=4), DyadicESR(null, 0.01, levels=4)
    for place, counts in enumerate(windows):
        if place == at:
            restarted = DyadicESR.from_state(json.loads(json.dumps(restarted.to_state())), null)
        assert through.update(counts) == restarted.update(counts)
    assert through.to_state() == restarted.to_state()


@given(st.lists(st.floats(0, 1e9), max_size=30), st.floats(1e-6, 1))
def test_e_bh_finds_what_its_definition_says(e_values: list[float], alpha: float) -> None:
    ordered = sorted(e_values, reverse=True)
    enough = [k for k, e in enumerate(ordered, 1) if e * k * alpha >= len(e_values) * (1 + 1e-12)]
    nearly = [k for k, e in enumerate(ordered, 1) if e * k * alpha >= len(e_values) * (1 - 1e-12)]
    assert max(enough, default=0) <= len(e_bh(e_values, alpha)) <= max(nearly, default=0)
    assert [e_values[place] for place in e_bh(e_values, alpha)] == ordered[: len(e_bh(e_values, alpha))]

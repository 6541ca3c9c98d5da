"""ADWIN of blocks: it finds the changes that ADWIN finds, from sums, and goes on where it was."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.drift import ADWIN
from obsagent.drift.block_adwin import BlockADWIN
from obsagent.errors import DriftError


def bits(count: int, risk: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [float(chance.random() < risk) for _ in range(count)]


def feed(adwin: BlockADWIN, values: list[float], size: int) -> list[int]:
    """After how many values it saw a change."""
    found = []
    for begin in range(0, len(values), size):
        part = values[begin : begin + size]
        if adwin.update_many(sum(part), sum(each**2 for each in part), len(part)):
            found.append(begin + len(part))
    return found


def test_no_change_is_seen_where_there_is_none() -> None:
    for seed in range(5):
        assert feed(BlockADWIN(), bits(20_000, 0.1, seed), 100) == []


@pytest.mark.parametrize("size", [1, 7, 32, 500])
def test_a_change_is_seen_about_as_soon_as_by_adwin(size: int) -> None:
    values = bits(4_000, 0.1, 1) + bits(2_000, 0.3, 2)
    plain = ADWIN()
    first = next(number for number, value in enumerate(values, 1) if plain.update(value))
    adwin = BlockADWIN()
    found = feed(adwin, values, size)
    assert 4_000 < found[0] <= first + 64 + size
    assert adwin.estimation == pytest.approx(0.3, abs=0.04)
    assert abs(adwin.width - 2_000) < 600


def test_the_window_goes_on_after_a_detection() -> None:
    adwin = BlockADWIN()
    feed(adwin, bits(4_000, 0.1, 1) + bits(1_000, 0.5, 2), 50)
    width = adwin.width
    adwin.update_many(16.0, 16.0, 32)
    assert adwin.width == width + 32


@given(st.lists(st.floats(0, 1), max_size=300), st.integers(1, 50))
def test_what_is_in_the_window_is_what_was_given(values: list[float], size: int) -> None:
    adwin = BlockADWIN(delta=1e-300)
    feed(adwin, values, size)
    whole = len(values) // 32 * 32
    assert adwin.width == whole
    assert adwin.total + adwin._open[1] == pytest.approx(sum(values))
    assert adwin._open[0] == pytest.approx(len(values) - whole)
    assert adwin.variance >= 0


def test_a_state_goes_on_where_it_was() -> None:
    values = bits(3_000, 0.1, 1) + bits(1_000, 0.4, 2)
    whole, part = BlockADWIN(), BlockADWIN()
    feed(whole, values, 50)
    feed(part, values[:2_000], 50)
    part = BlockADWIN.from_state(json.loads(json.dumps(part.to_state())))
    feed(part, values[2_000:], 50)
    assert part.to_state() == whole.to_state()
    with pytest.raises(DriftError):
        ADWIN.from_state(part.to_state())


def test_values_one_by_one_and_wrong_ones() -> None:
    adwin = BlockADWIN()
    for value in bits(64, 0.5, 1):
        adwin.update(value)
    assert adwin.width == 64
    for wrong in ((float("nan"), 0.0, 1), (0.0, float("inf"), 1), (0.0, 0.0, -1)):
        with pytest.raises(DriftError):
            adwin.update_many(*wrong)
    assert adwin.width == 64

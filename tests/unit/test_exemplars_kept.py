"""Which exemplars are kept: the largest of each series and window, in whatever order they come and are divided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent import exemplars
from obsagent.exemplars import keep, kept_of, rank
from obsagent.limits import EXEMPLARS_PER_WINDOW, WINDOW_MS
from obsagent.samples import Exemplar

BUDGET = 4
FOUND = st.builds(
    Exemplar,
    series_id=st.integers(0, 9),
    window_ms=st.integers(0, 3).map(lambda number: number * WINDOW_MS),
    value=st.integers(0, 5).map(float),
    time_ms=st.integers(0, 3),
    trace_id=st.sampled_from(["a", "b"]),
)


@given(st.lists(FOUND, max_size=40), st.randoms(use_true_random=False))
def test_the_order_and_the_division_do_not_matter(found: list[Exemplar], chance: object) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    half = len(shuffled) // 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exemplars, "EXEMPLARS_PER_BLOCK", 1_000)
        patch.setattr(keep, "__defaults__", (BUDGET,))
        at_once = kept_of(found)
        assert kept_of(shuffled) == at_once
        assert kept_of([*kept_of(shuffled[:half]), *kept_of(shuffled[half:])]) == at_once
        longer = kept_of(found, 2 * WINDOW_MS)
        assert kept_of(at_once, 2 * WINDOW_MS) == longer
    for window_ms in {each.window_ms for each in found}:
        of_window = [each for each in found if each.window_ms == window_ms]
        largest = [
            max((e for e in of_window if e.series_id == one), key=rank) for one in {e.series_id for e in of_window}
        ]
        wanted = sorted(largest, key=rank, reverse=True)[:BUDGET]
        assert [e for e in at_once if e.window_ms == window_ms] == sorted(wanted, key=lambda each: each.series_id)


def test_of_too_many_series_the_largest_are_kept() -> None:
    kept: dict[int, Exemplar] = {}
    for number in range(2 * EXEMPLARS_PER_WINDOW):
        keep(kept, Exemplar(number, 0, float(number), 0, "t"))
    assert sorted(kept) == list(range(EXEMPLARS_PER_WINDOW, 2 * EXEMPLARS_PER_WINDOW))


def test_a_block_has_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars, "EXEMPLARS_PER_BLOCK", 7)
    found = [Exemplar(series, window * WINDOW_MS, float(series), 0, "t") for series in range(5) for window in range(3)]
    kept = kept_of(found)
    assert [(each.window_ms // WINDOW_MS, each.series_id) for each in kept] == [
        (w, s) for w in range(3) for s in (3, 4)
    ]
    many = [replace(found[0], window_ms=window * WINDOW_MS) for window in range(20)]
    assert len(kept_of(many)) == 20  # one of each window, at the least

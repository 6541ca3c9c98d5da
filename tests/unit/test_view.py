"""What a view reads: how much it took to answer, and when a series was last heard of."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from faulty_fs import FailingFs
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, make_body

from obsagent._native.codec import Groups
from obsagent.clock import window_start
from obsagent.head.store import Store
from obsagent.head.view import Reads, View
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind

WINDOWS = 8


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Windows in one segment file and in memory; of each series only some have samples, some of them late."""
    chance = random.Random(5)
    clock = TurnedClock(window_start(BEGIN_MS))
    store = Store.open(tmp_path, clock=clock, fs=FailingFs())
    producer = Producer("p")
    begin(store, producer, list(Kind))
    for step in range(WINDOWS):
        late = clock.now_ms - chance.choice([0, 0, 3]) * WINDOW_MS
        chosen = chance.sample(list(enumerate(producer.defined)), 1)
        store.write(producer.frame(max(late, window_start(BEGIN_MS)), *make_body(chosen, chance)))
        clock.now_ms += WINDOW_MS
        if step in (2, 5):
            store.checkpoint()
    store.sync()
    return store


def brute_force(view: View, ids: list[int]) -> dict[int, tuple[int, int]]:
    newest = {}
    for start in range(window_start(BEGIN_MS), window_start(BEGIN_MS) + WINDOWS * WINDOW_MS, WINDOW_MS):
        for series_id in ids:
            groups = Groups({series_id: 0}, 1)
            view.collect(start, start + 1, groups)
            if groups.samples(0):
                newest[series_id] = start, start + WINDOW_MS
    return newest


def test_the_last_sample_of_every_series_is_found_wherever_it_is(store: Store) -> None:
    view = store.view()
    ids = [series.id for series in view.series()]
    expected = brute_force(view, ids)
    assert len(set(expected.values())) > 1
    assert view.last_samples(ids, 0) == expected
    for series_id in ids:
        assert view.last_samples([series_id], 0) == {series_id: expected[series_id]}
        end_ms = expected[series_id][1]
        assert view.last_samples([series_id], end_ms) == {}
        assert view.last_samples([series_id, 99], end_ms - 1) == {series_id: expected[series_id]}
    assert view.last_samples([], 0) == {}


def test_looking_back_stops_when_all_are_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    view = store.view()
    newest = max(view.windows, key=lambda window: window.start_ms)
    (series_id,) = newest.samples.series_ids()
    monkeypatch.setattr(view.reader, "_windows_with", None)  # would fail if it were called
    assert view.last_samples([series_id], 0) == {series_id: (newest.start_ms, newest.start_ms + WINDOW_MS)}


def test_a_question_says_what_it_has_read(store: Store) -> None:
    view = store.view()
    ids = [series.id for series in view.series()]
    reads = view.collect(0, 1 << 60, Groups(dict.fromkeys(ids, 0), 1)).reads
    assert (reads.segments, reads.blocks, reads.head_windows) == (1, 2, len(view.windows))
    assert reads.frames > 2
    assert reads.bytes > 0
    assert reads.raw_bytes > 0
    assert view.collect(0, 1 << 60, Groups({}, 0)).reads.frames == 0
    assert view.collect(0, 1, Groups({}, 0)).reads == Reads()

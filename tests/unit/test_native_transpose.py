"""Frames that are cut by series: made from rows by window, selected by their index, read in one call."""

from __future__ import annotations

import random
import threading

import pytest

from obsagent._native.codec import Groups, Transpose, Window, read_sections, series_in_rows
from obsagent.errors import CorruptData
from obsagent.samples import Kind
from obsagent.segment import format as layout

WINDOW_MS = 10_000


def window_of(number: int, series_ids: range) -> Window:
    """A counter, a gauge and a histogram by turns, each with values that tell the window."""
    window = Window()
    for series_id in series_ids:
        if series_id % 3 == 0:
            window.add_counter(series_id, 1 + number, float(number))
        else:
            kind = Kind.GAUGE if series_id % 3 == 1 else Kind.HISTOGRAM
            for value in range(1, 4):
                window.add_value(series_id, kind, float(value * (number + 1)), time_ms=number * WINDOW_MS)
    return window


def transposed(windows: dict[int, Window], max_bytes: int = 65_536) -> list[tuple[int, int, int, int, bytes]]:
    transpose = Transpose()
    for number, window in windows.items():
        for _, _, rows in window.encode_frames():
            transpose.add_rows(number * WINDOW_MS, rows)
    return transpose.encode(max_bytes)


@pytest.fixture(scope="module")
def windows() -> dict[int, Window]:
    return {number: window_of(number, range(1, 25)) for number in range(30)}


@pytest.mark.parametrize("max_bytes", [1, 500, 65_536])
def test_whatever_is_asked_of_the_frames_is_what_the_windows_say(windows: dict[int, Window], max_bytes: int) -> None:
    frames = transposed(windows, max_bytes)
    chance = random.Random(max_bytes)
    for _ in range(20):
        first, last = sorted(chance.sample(range(31), 2))
        chosen = {series_id: index for index, series_id in enumerate(chance.sample(range(1, 30), 5))}
        found = Groups(chosen, 5, 0, 3 * WINDOW_MS, 10)
        wanted = Groups(chosen, 5, 0, 3 * WINDOW_MS, 10)
        for *_, sections in frames:
            found.merge_sections(sections, first * WINDOW_MS, last * WINDOW_MS)
        for number in range(first, last):
            windows[number].collect(wanted, number * WINDOW_MS)
        for index in range(5):
            for step in range(10):
                assert found.histogram(index, step) == wanted.histogram(index, step)
                assert found.counter(index, step) == wanted.counter(index, step)
                assert found.gauge(index, step) == wanted.gauge(index, step)


def test_a_frame_is_read_section_by_section(windows: dict[int, Window]) -> None:
    ((first_ms, last_ms, first_series, last_series, sections),) = transposed(windows)
    read = read_sections(sections)
    assert [window_ms for window_ms, _ in read] == [number * WINDOW_MS for number in windows]
    assert (first_ms, last_ms, first_series, last_series) == (read[0][0], read[-1][0], 1, 24)
    for _, rows in read:
        assert series_in_rows(rows) == list(range(1, 25))
    for size in range(8):
        with pytest.raises(CorruptData):
            read_sections(sections[:size])


def test_bad_sections_change_nothing(windows: dict[int, Window]) -> None:
    ((*_, sections),) = transposed(windows)
    groups, transpose = Groups({1: 0}, 1), Transpose()
    with pytest.raises(CorruptData):
        groups.merge_sections(sections[:-1], 0, 1 << 60)
    with pytest.raises(CorruptData):
        transpose.add_sections(sections[:-1])
    assert groups.samples(0) == len(transpose) == 0


def test_frames_can_be_transposed_again(windows: dict[int, Window]) -> None:
    whole = Transpose(5, 12)
    for *_, sections in transposed(windows, 300):
        whole.add_sections(sections)
    assert len(whole) == 8 * len(windows)
    stripe = {number: window_of(number, range(5, 13)) for number in windows}
    assert whole.encode() == transposed(stripe)


def test_one_series_has_one_kind_in_a_window() -> None:
    transpose = Transpose()
    for kind in (Kind.HISTOGRAM, Kind.GAUGE):
        window = Window()
        window.add_value(1, kind, 1.0)
        transpose.add_rows(0, window.encode_frames()[0][2])
    with pytest.raises(CorruptData, match="two kinds"):
        transpose.encode()


def test_frames_are_selected_by_series_and_windows() -> None:
    lines = [(0, 1, 5, 0), (10_000, 1, 5, 20_000), (40_000, 6, 6, 0), (0, 7, 9, 50_000)]
    index = b"".join(layout.INDEX_ENTRY.pack(at, first, last, 9, 9, 9, 9, span) for at, first, last, span in lines)
    everything = Groups({3: 0, 6: 0, 8: 0}, 1)
    assert everything.select_frames(index, 0, 1 << 60) == [0, 1, 2, 3]
    assert everything.select_frames(index, 30_000, 40_000) == [1, 3]
    assert everything.select_frames(index, 30_001, 40_001) == [2, 3]
    assert Groups({9: 0}, 1).select_frames(index, 0, 1) == [3]
    assert Groups({4: 0, 10: 0}, 1).select_frames(index, 1, 10_001) == [1]
    assert Groups({}, 0).select_frames(index, 0, 1 << 60) == []
    assert everything.select_frames(b"", 0, 1) == []
    with pytest.raises(CorruptData, match="whole lines"):
        everything.select_frames(index[:-1], 0, 1)


def test_a_transpose_belongs_to_one_thread_at_a_time() -> None:
    transpose = Transpose()
    for number in range(200):
        transpose.add_rows(number * WINDOW_MS, window_of(number, range(1, 200)).encode_frames()[0][2])
    thread = threading.Thread(target=transpose.encode)
    thread.start()
    clashes = 0
    while thread.is_alive():
        try:
            len(transpose)
        except RuntimeError:
            clashes += 1
    thread.join()
    assert clashes > 0

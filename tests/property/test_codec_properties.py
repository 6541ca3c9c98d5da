"""Properties of bodies, windows and rows: any partition gives the same, and no bytes do harm."""

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent._native import codec
from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent._native.sketch import LogHist
from obsagent.errors import CorruptData
from obsagent.samples import Kind

repeatable = settings(max_examples=40, deadline=None, derandomize=True)

SERIES = st.integers(0, 5)  # of the session; the store's are 100 more
NUMBERS = st.integers(-1000, 1000).map(float)  # integers: their sums are the same in any order
ENTRIES = st.one_of(
    st.tuples(st.just("run"), SERIES, st.lists(NUMBERS, min_size=1, max_size=20)),
    st.tuples(st.just("loghist"), SERIES, st.lists(NUMBERS, min_size=1, max_size=20)),
    st.tuples(st.just("counter"), st.integers(10, 12), st.tuples(st.integers(1, 9), st.integers(0, 99))),
    st.tuples(st.just("gauge"), st.integers(20, 22), NUMBERS),
)
BODIES = st.lists(st.lists(ENTRIES, max_size=6), max_size=4)


def session_map() -> SeriesMap:
    series_map = SeriesMap()
    for number in range(30):
        kind = Kind.HISTOGRAM if number < 10 else Kind.COUNTER if number < 20 else Kind.GAUGE
        series_map.set(number, 100 + number, kind)
    return series_map


def body_of(entries) -> bytes:
    writer = BodyWriter()
    for kind, series, content in entries:
        if kind == "run":
            writer.put_run(series, content)
        elif kind == "loghist":
            writer.put_loghist(series, content)
        elif kind == "counter":
            writer.put_counter(series, *content)
        else:
            writer.put_gauge(series, content)
    return writer.take()


def window_of(bodies) -> Window:
    window, series_map = Window(), session_map()
    for time_ms, entries in enumerate(bodies):
        window.apply(body_of(entries), series_map, time_ms)
    return window


def rows_of(window: Window, max_bytes: int = 1 << 30) -> list[bytes]:
    return [rows for _, _, rows in window.encode_frames(max_bytes)]


def rebuilt(frames: list[bytes]) -> Window:
    window = Window()
    for rows in frames:
        window.merge_rows(rows)
    return window


@repeatable
@given(BODIES)
def test_a_window_is_its_samples(bodies):
    """Against sums kept in Python."""
    hists: dict[int, LogHist] = defaultdict(LogHist)
    counters: dict[int, list[float]] = defaultdict(lambda: [0, 0.0])
    lasts: dict[int, tuple[float, int]] = {}
    samples = 0
    for time_ms, entries in enumerate(bodies):
        for kind, series, content in entries:
            if kind == "counter":
                counters[series][0] += content[0]
                counters[series][1] += content[1]
                samples += content[0]
                continue
            values = [content] if kind == "gauge" else content
            hists[series].add_many(values)
            samples += len(values)
            if kind == "gauge":
                lasts[series] = (content, time_ms)
    window = window_of(bodies)
    assert window.sample_count == samples
    assert window.series_count == len(hists) + len(counters)
    groups = Groups({100 + series: series for series in range(30)}, 30)
    window.collect(groups)
    for series in range(30):
        assert groups.histogram(series) == (hists[series]._to_compact() if series in hists else None)
        assert groups.counter(series) == tuple(counters[series])
        assert groups.gauge(series) == lasts.get(series) == window.gauge_last(100 + series)


@repeatable
@given(BODIES, st.randoms(use_true_random=False))
def test_histograms_and_counters_are_free_of_order(bodies, random):
    entries = [entry for body in bodies for entry in body if entry[0] != "gauge"]
    shuffled = random.sample(entries, len(entries))
    cut = random.randint(0, len(entries))
    assert rows_of(window_of([entries])) == rows_of(window_of([shuffled[:cut], shuffled[cut:]]))


@repeatable
@given(BODIES, BODIES)
def test_merging_windows_is_merging_their_rows(left_bodies, right_bodies):
    left, right = window_of(left_bodies), window_of(right_bodies)
    by_rows = rebuilt(rows_of(right) + rows_of(left))
    left.merge(right)
    assert rows_of(left) == rows_of(by_rows)


@repeatable
@given(BODIES, st.integers(0, 400))
def test_frames_of_any_size_give_the_window_back(bodies, max_bytes):
    window = window_of(bodies)
    assert rows_of(rebuilt(rows_of(window, max_bytes))) == rows_of(window)


@repeatable
@given(BODIES)
def test_groups_of_a_window_are_groups_of_its_rows(bodies):
    window = window_of(bodies)
    mapping = {100 + series: series % 2 for series in range(30) if series % 3}
    live, stored = Groups(mapping, 2), Groups(mapping, 2)
    window.collect(live)
    used = sum(stored.merge_rows(rows) for rows in rows_of(window, 200))
    assert used == len(set(mapping) & set(window.series_ids()))
    for group in range(2):
        assert live.histogram(group) == stored.histogram(group)
        assert live.counter(group) == stored.counter(group)
        assert live.gauge(group) == stored.gauge(group)
        assert live.samples(group) == stored.samples(group)


@repeatable
@given(st.lists(st.floats(), min_size=1, max_size=50))
def test_any_double_may_be_a_sample(values):
    writer = BodyWriter()
    writer.put_run(0, values)
    writer.put_gauge(20, values[0])
    body = writer.take()
    assert codec.check_body(body) == len(values) + 1
    window = Window()
    assert window.apply(body, session_map(), 1) == (len(values) + 1, 0)
    copy = rebuilt(rows_of(window))
    assert copy.sample_count == len(values) + 1
    last, _ = copy.gauge_last(120)
    assert last == values[0] or (math.isnan(last) and math.isnan(values[0]))


@repeatable
@given(BODIES, st.data())
def test_flipped_bytes_are_refused_or_harmless(bodies, data):
    window = window_of(bodies)
    rows = bytearray(b"".join(rows_of(window)))
    before = rows_of(window)
    for _ in range(data.draw(st.integers(1, 4)) if rows else 0):
        rows[data.draw(st.integers(0, len(rows) - 1))] ^= data.draw(st.integers(1, 255))
    groups = Groups({100 + series: 0 for series in range(30)}, 1)
    try:
        groups.merge_rows(rows)
    except CorruptData:
        assert groups.samples(0) == 0
    try:
        window.merge_rows(rows)
    except CorruptData:
        assert rows_of(window) == before


@repeatable
@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_harmless(data):
    for read in (
        lambda: codec.check_body(data),
        lambda: codec.check_body(b"\x01" + data),
        lambda: Window().apply(b"\x01" + data, session_map(), 0),
        lambda: Window().merge_rows(data),
        lambda: Groups(dict.fromkeys(range(256), 0), 1).merge_rows(data),
    ):
        try:
            read()
        except CorruptData:
            continue
    with pytest.raises((CorruptData, EOFError)):
        codec.read_record(data, 0)

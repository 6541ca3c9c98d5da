"""The codec module: records, sample bodies, windows and groups."""

import array
import struct
import threading

import pytest

from obsagent._native import codec
from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent._native.sketch import LogHist
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.samples import Kind

END_MS = 1_700_000_000_000
HISTOGRAM, COUNTER, GAUGE = 10, 11, 12  # store series
VALUES = [float(1 + index * index % 977) for index in range(300)]


def full_body() -> bytes:
    """112 + 9 + 2 samples of the session's series 0, 1 and 2."""
    writer = BodyWriter()
    writer.put_run(0, VALUES[:12])
    writer.put_loghist(0, VALUES[12:112])
    writer.put_counter(1, 9, 4.5)
    writer.put_gauge(2, 8.0)
    writer.put_gauge(2, -3.0)
    return writer.take()


def full_map() -> SeriesMap:
    series_map = SeriesMap()
    series_map.set(0, HISTOGRAM, Kind.HISTOGRAM)
    series_map.set(1, COUNTER, Kind.COUNTER)
    series_map.set(2, GAUGE, Kind.GAUGE)
    return series_map


def full_window() -> Window:
    window = Window()
    window.apply(full_body(), full_map(), END_MS)
    return window


def rows_of(window: Window) -> bytes:
    """All rows as one frame: equal windows give equal bytes."""
    frames = window.encode_frames(1 << 40)
    assert len(frames) <= 1
    return frames[0][2] if frames else b""


class TestRecords:
    def test_a_record_is_size_checksum_type_payload(self):
        record = codec.pack_record(5, b"a")
        assert record == struct.pack("<IIB", 1, codec.crc32c(b"\x05a"), 5) + b"a"
        assert len(record) == codec.RECORD_HEADER_BYTES + 1

    def test_crc32c_is_castagnoli_and_chains(self):
        assert codec.crc32c(b"123456789") == 0xE3069283
        assert codec.crc32c(b"6789", codec.crc32c(b"12345")) == 0xE3069283
        assert codec.crc32c(b"") == 0

    @pytest.mark.parametrize("buffer_type", [bytes, bytearray, memoryview])
    def test_records_are_read_one_after_another(self, buffer_type):
        payloads = [b"", b"one", bytes(range(256)) * 100]
        data = buffer_type(b"".join(codec.pack_record(n, payload) for n, payload in enumerate(payloads)))
        offset, found = 0, []
        while offset < len(data):
            kind, payload, offset = codec.read_record(data, offset)
            found.append((kind, bytes(payload)))
        assert found == list(enumerate(payloads))

    def test_a_payload_is_a_view_and_not_a_copy(self):
        data = bytearray(codec.pack_record(1, b"abc"))
        _, payload, _ = codec.read_record(data, 0)
        data[codec.RECORD_HEADER_BYTES] = ord("x")
        assert payload == b"xbc"

    def test_wider_items_count_as_their_bytes(self):
        column = array.array("d", [1.0, 2.0])
        assert codec.pack_record(1, column) == codec.pack_record(1, column.tobytes())
        padded = array.array("B", codec.pack_record(1, bytes(3)) + bytes(4))
        words = array.array("Q", padded.tobytes())
        assert codec.read_record(words, 0) == (1, bytes(3), 12)

    def test_every_cut_is_torn(self):
        record = codec.pack_record(1, b"payload")
        for size in range(len(record)):
            with pytest.raises(EOFError):
                codec.read_record(record[:size], 0)

    def test_every_flipped_bit_is_noticed(self):
        record = codec.pack_record(1, b"payload")
        for bit in range(len(record) * 8):
            flipped = bytearray(record)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises((CorruptData, EOFError)):
                codec.read_record(flipped, 0)

    def test_offsets_outside_are_refused(self):
        record = codec.pack_record(1, b"")
        with pytest.raises(ValueError, match="negative"):
            codec.read_record(record, -1)
        for offset in (len(record), len(record) + 1, 1 << 60):
            with pytest.raises(EOFError):
                codec.read_record(record, offset)


class TestBody:
    def test_bytes_are_the_documented_grammar(self):
        writer = BodyWriter()
        writer.put_run(300, [1.5, -2.0])
        writer.put_counter(1, 200, 2.5)
        writer.put_gauge(2, 7.0)
        run = b"\xac\x02\x01\x02" + struct.pack("<dd", 1.5, -2.0)
        counter = b"\x01\x03\xc8\x01" + struct.pack("<d", 2.5)
        gauge = b"\x02\x04" + struct.pack("<d", 7.0)
        assert writer.take() == b"\x01" + run + counter + gauge
        assert writer.take() == b"\x01"

    def test_an_embedded_histogram_is_the_sketch(self):
        writer = BodyWriter()
        writer.put_loghist(0, VALUES, scale=4)
        sketch = LogHist(scale=4)
        sketch.add_many(VALUES)
        assert writer.take().endswith(sketch._to_compact())

    def test_samples_are_counted_in_the_check(self):
        assert codec.check_body(full_body()) == 112 + 9 + 2
        assert codec.check_body(b"\x01") == 0

    def test_a_prefix_is_whole_only_between_entries(self):
        body = full_body()
        accepted = 0
        for size in range(len(body)):
            try:
                codec.check_body(body[:size])
                accepted += 1
            except CorruptData:
                pass
        assert accepted == 5  # nothing yet, and after each entry but the last

    @pytest.mark.parametrize("body", [b"\x02", b"\x01\x00\x06\x07\x03\x01\x06\x00\x08\x00\x00"])
    def test_other_versions_and_parts_are_named_so(self, body):
        with pytest.raises(UnsupportedVersion):
            codec.check_body(body)

    def test_the_writer_refuses_what_the_grammar_lacks(self):
        writer = BodyWriter()
        for put, arguments in [
            (writer.put_run, (0, [])),
            (writer.put_run, (0, [0.0] * 65_537)),
            (writer.put_run, (1 << 31, [0.0])),
            (writer.put_loghist, (0, [1.0], 9)),
            (writer.put_counter, (0, 0, 1.0)),
            (writer.put_counter, (0, 1, -1.0)),
            (writer.put_counter, (0, 1, float("nan"))),
        ]:
            with pytest.raises(ValueError, match="range"):
                put(*arguments)
        assert writer.take() == b"\x01"


class TestSeriesMap:
    def test_numbers_are_set_and_found(self):
        series_map = SeriesMap()
        assert len(series_map) == 0
        assert series_map.get(0) is None
        series_map.set(3, 30)
        series_map.set(1, SeriesMap.REFUSED)
        series_map.set(3, 31)
        assert (series_map.get(1), series_map.get(2), series_map.get(3)) == (SeriesMap.REFUSED, None, 31)
        assert len(series_map) == 2
        assert series_map.items() == [(1, SeriesMap.REFUSED), (3, 31)]

    def test_it_grows(self):
        series_map = SeriesMap()
        for number in range(5000):
            series_map.set(number, number * 2)
        assert series_map.items() == [(number, number * 2) for number in range(5000)]

    def test_numbers_may_be_sparse(self):
        """They come from outside: memory follows how many there are."""
        series_map = SeriesMap()
        for shift in range(31):
            series_map.set(1 << shift, shift)
        assert series_map.items() == [(1 << shift, shift) for shift in range(31)]

    def test_what_it_cannot_hold_is_refused(self):
        series_map = SeriesMap()
        for arguments in [(1 << 31, 0), (0, 0, 5), (0, 0, 1, 9)]:
            with pytest.raises(ValueError, match=r"above|outside|no kind"):
                series_map.set(*arguments)
        for arguments in [(0, 1 << 32), (0, -1), (1 << 32, 0), (-1, 0)]:
            with pytest.raises(OverflowError):
                series_map.set(*arguments)
        assert len(series_map) == 0


class TestWindow:
    def test_an_empty_window_has_nothing(self):
        window = Window()
        assert (window.series_count, window.sample_count, window.encode_frames()) == (0, 0, [])
        assert 0 not in window
        assert window.gauge_last(0) is None
        assert window.memory_bytes < 1000

    def test_a_body_is_applied_to_the_mapped_series(self):
        window = Window()
        assert window.apply(full_body(), full_map(), END_MS) == (123, 0)
        assert window.sample_count == 123
        assert window.series_ids() == [HISTOGRAM, COUNTER, GAUGE]
        assert HISTOGRAM in window
        assert 0 not in window
        assert window.gauge_last(GAUGE) == (-3.0, END_MS)
        assert window.gauge_last(COUNTER) is None

    def test_series_without_a_place_are_counted_refused(self):
        series_map = SeriesMap()
        series_map.set(0, HISTOGRAM, Kind.COUNTER)  # wrong kind
        series_map.set(1, SeriesMap.REFUSED)
        window = Window()
        assert window.apply(full_body(), series_map, END_MS) == (0, 123)
        assert window.series_count == 0

    def test_the_scale_of_a_run_is_the_maps(self):
        series_map = SeriesMap()
        series_map.set(0, HISTOGRAM, Kind.HISTOGRAM, 3)
        writer = BodyWriter()
        writer.put_run(0, VALUES)
        window = Window()
        window.apply(writer.take(), series_map, END_MS)
        groups = Groups({HISTOGRAM: 0}, 1)
        window.collect(groups)
        assert LogHist._from_compact(groups.histogram(0)).scale == 3

    def test_internal_samples_are_added(self):
        window = Window()
        window.add_value(1, Kind.HISTOGRAM, 2.5)
        window.add_value(1, Kind.HISTOGRAM, 3.5, weight=4)
        window.add_value(2, Kind.GAUGE, 7, time_ms=100)
        window.add_value(2, Kind.GAUGE, 6, time_ms=50)
        window.add_counter(3, 2, 10)
        assert window.sample_count == 9
        assert window.gauge_last(2) == (7.0, 100)
        for add, arguments in [
            (window.add_value, (3, Kind.GAUGE, 1.0)),
            (window.add_value, (1, Kind.COUNTER, 1.0)),
            (window.add_counter, (1, 1, 1.0)),
            (window.add_counter, (3, 1, -1.0)),
            (window.add_counter, (3, 1, float("inf"))),
        ]:
            with pytest.raises(ValueError, match=r"range|another kind"):
                add(*arguments)
        assert window.sample_count == 9

    def test_memory_follows_what_is_added(self):
        window = Window()
        sizes = [window.memory_bytes]
        for exponent in range(0, 200, 20):
            window.add_value(exponent, Kind.HISTOGRAM, 2.0**exponent)
            sizes.append(window.memory_bytes)
        assert sizes == sorted(set(sizes))

    def test_merging_windows_or_their_rows_is_the_same(self):
        left, right, by_rows = full_window(), Window(), Window()
        right.add_value(HISTOGRAM, Kind.HISTOGRAM, 5.0, weight=7)
        right.add_value(99, Kind.GAUGE, 1.0, time_ms=5)
        by_rows.merge_rows(rows_of(left))
        by_rows.merge_rows(rows_of(right))
        left.merge(right)
        assert rows_of(left) == rows_of(by_rows)
        assert left.sample_count == by_rows.sample_count == 123 + 8

    def test_frames_ascend_within_their_limit(self):
        window = Window()
        for series_id in range(1000, 0, -1):
            window.add_counter(series_id * 3, 1, 1.0)
        frames = window.encode_frames(max_bytes=500)
        assert all(len(rows) <= 500 for _, _, rows in frames)
        ends = [end for first, last, _ in frames for end in (first, last)]
        assert ends == sorted(ends)
        assert (ends[0], ends[-1]) == (3, 3000)
        copy = Window()
        for _, _, rows in frames:
            copy.merge_rows(rows)
        assert copy.series_ids() == window.series_ids()
        assert rows_of(copy) == rows_of(window)

    def test_bad_rows_change_nothing(self):
        window = full_window()
        rows = rows_of(window)
        for size in range(len(rows)):
            try:
                Window().merge_rows(rows[:size])
            except CorruptData:
                with pytest.raises(CorruptData):
                    window.merge_rows(rows[:size])
                assert rows_of(window) == rows
        other_kind = Window()
        other_kind.add_counter(GAUGE, 1, 1.0)
        with pytest.raises(CorruptData, match="another kind"):
            window.merge_rows(rows_of(other_kind))
        with pytest.raises(ValueError, match="another kind"):
            window.merge(other_kind)
        with pytest.raises(ValueError, match="itself"):
            window.merge(window)
        assert rows_of(window) == rows

    def test_reserved_rows_are_of_another_version(self):
        rows = bytearray(rows_of(full_window()))
        rows[1] |= 0x20
        with pytest.raises(UnsupportedVersion):
            Window().merge_rows(rows)


class TestGroups:
    def test_selected_series_are_merged_by_group(self):
        window = full_window()
        for gather in (window.collect, lambda groups: groups.merge_rows(rows_of(window))):
            groups = Groups({HISTOGRAM: 1, COUNTER: 1, GAUGE: 0}, 3)
            gather(groups)
            assert groups.counter(1) == (9, 4.5)
            assert groups.counter(0) == (0, 0.0)
            assert groups.gauge(0) == (-3.0, END_MS)
            assert groups.gauge(1) is None
            assert [groups.samples(group) for group in range(3)] == [2, 121, 0]
            expected = LogHist()
            expected.add_many(VALUES[:112])
            assert groups.histogram(1) == expected._to_compact()
            assert groups.histogram(2) is None

    def test_rows_of_other_series_are_not_counted(self):
        rows = rows_of(full_window())
        assert Groups({HISTOGRAM: 0}, 1).merge_rows(rows) == 1
        assert Groups({1: 0}, 1).merge_rows(rows) == 0
        assert Groups({}, 0).merge_rows(rows) == 0

    def test_bad_rows_change_nothing(self):
        groups = Groups({HISTOGRAM: 0, COUNTER: 0, GAUGE: 0}, 1)
        rows = rows_of(full_window())
        with pytest.raises(CorruptData):
            groups.merge_rows(rows[:-1])
        assert groups.samples(0) == 0
        assert groups.histogram(0) is None

    def test_a_frame_is_wanted_if_a_selected_series_may_be_in_it(self):
        groups = Groups(dict.fromkeys((40, 10, 4000000000), 0), 1)
        for first, last, wanted in [
            (0, 9, False),
            (0, 10, True),
            (10, 10, True),
            (11, 39, False),
            (11, 40, True),
            (41, 3_999_999_999, False),
            (41, 0xFFFFFFFF, True),
            (4_000_000_001, 0xFFFFFFFF, False),
        ]:
            assert groups.selects_any(first, last) is wanted
        assert Groups({}, 0).selects_any(0, 0xFFFFFFFF) is False

    def test_the_latest_of_several_gauges_is_the_last(self):
        window = Window()
        window.add_value(1, Kind.GAUGE, 5.0, time_ms=300)
        window.add_value(2, Kind.GAUGE, 6.0, time_ms=200)
        groups = Groups({1: 0, 2: 0}, 1)
        window.collect(groups)
        assert groups.gauge(0) == (5.0, 300)

    def test_impossible_groups_are_refused(self):
        with pytest.raises(ValueError, match="group 2 of 2"):
            Groups({1: 2}, 2)
        groups = Groups({}, 1)
        for ask in (groups.histogram, groups.counter, groups.gauge, groups.samples):
            for group in (1, -1):
                with pytest.raises(IndexError):
                    ask(group)


def test_wrong_arguments_raise_and_change_nothing():
    window, series_map, groups, writer = full_window(), full_map(), Groups({}, 1), BodyWriter()
    before = rows_of(window)
    for call, arguments in [
        (codec.crc32c, ("text",)),
        (codec.pack_record, (1, None)),
        (codec.pack_record, (256, b"")),
        (codec.read_record, (b"", "0")),
        (codec.check_body, (1.5,)),
        (writer.put_run, (0, None)),
        (writer.put_run, (0, ["a"])),
        (writer.put_gauge, (0, "a")),
        (series_map.set, ("a", 1)),
        (window.apply, (b"\x01", None, 0)),
        (window.apply, (b"\x01", {}, 0)),
        (window.apply, (None, series_map, 0)),
        (window.apply, (b"\x01", series_map, 1 << 64)),
        (window.add_value, (1, "gauge", 1.0)),
        (window.add_value, (-1, 1, 1.0)),
        (window.add_value, (1, 1, None)),
        (window.merge, (None,)),
        (window.merge, (groups,)),
        (window.merge_rows, (None,)),
        (window.collect, (None,)),
        (window.collect, (window,)),
        (window.encode_frames, (-1,)),
        (window.gauge_last, ("a",)),
        (groups.merge_rows, ("rows",)),
        (Groups, (None, 1)),
        (Groups, ({"a": 0}, 1)),
        (Groups, ({1: 0}, -1)),
    ]:
        with pytest.raises((TypeError, OverflowError)):
            call(*arguments)
    assert rows_of(window) == before


def test_two_threads_without_a_lock_never_corrupt_a_window():
    """Whoever comes while the other is at work is told so; what was applied is what is there."""
    writer = BodyWriter()
    writer.put_run(0, VALUES * 200)
    body, series_map, window = writer.take(), full_map(), Window()
    outcomes: list[int] = []

    def apply_often() -> None:
        for _ in range(60):
            try:
                outcomes.append(window.apply(body, series_map, END_MS)[0])
            except RuntimeError:
                outcomes.append(0)

    threads = [threading.Thread(target=apply_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 180
    assert window.sample_count == sum(outcomes) > 0


def test_groups_keep_steps_of_time_apart():
    groups = Groups({HISTOGRAM: 0, COUNTER: 1}, 2, first_ms=60_000, step_ms=30_000, step_count=2)
    for start_ms in range(0, 200_000, 10_000):
        window = Window()
        window.add_value(HISTOGRAM, Kind.HISTOGRAM, float(start_ms))
        window.add_counter(COUNTER, 1, 1.0)
        window.collect(groups, start_ms)
    assert [groups.samples(0, step) for step in range(2)] == [3, 3]
    assert groups.counter(1, 1) == (3, 3.0)
    assert LogHist._from_compact(groups.histogram(0, 1)).max == 110_000
    with pytest.raises(IndexError, match="step 2 of 2"):
        groups.counter(0, 2)


@pytest.mark.parametrize(("step_ms", "step_count"), [(0, 2), (-1, 1), (10, 0), (10, 2**33)])
def test_steps_that_cannot_be_are_refused(step_ms, step_count):
    with pytest.raises(ValueError, match="there cannot be 1 groups of"):
        Groups({}, 1, 0, step_ms, step_count)


def test_the_series_in_rows_are_listed_without_reading_what_they_say():
    window = full_window()
    rows = rows_of(window)
    assert codec.series_in_rows(rows) == window.series_ids()
    assert codec.series_in_rows(b"") == []
    with pytest.raises(CorruptData):
        codec.series_in_rows(rows[:-1])


def test_a_window_counts_samples_by_series():
    assert Window().sample_counts() == {}
    assert full_window().sample_counts() == {HISTOGRAM: 112, COUNTER: 9, GAUGE: 2}

"""Properties of the t-digests that windows keep: whatever comes, in whatever parts, all samples or no digest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent._native.sketch import TDigest
from obsagent.samples import Kind

repeatable = settings(max_examples=60, deadline=None, derandomize=True)

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=60)
ENTRIES = st.tuples(st.sampled_from(["run", "digested", "alone"]), VALUES)
PARTS = st.lists(st.lists(ENTRIES, max_size=4), min_size=1, max_size=4)


def window_of(entries: list[tuple[str, list[float]]]) -> Window:
    writer, window, series_map = BodyWriter(), Window(), SeriesMap()
    for form, values in entries:
        if form == "run":
            writer.put_run(0, values)
            continue
        writer.put_loghist(0, values)
        if form == "digested":
            writer.put_tdigest(0, values)
    series_map.set(0, 0, Kind.HISTOGRAM, digest=True)
    window.apply(writer.take(), series_map, 0)
    return window


def digest_of(windows: list[Window], by_rows: bool) -> TDigest | None:
    groups = Groups({0: 0}, 1, digests=True)
    for window in windows:
        if by_rows:
            for _, _, rows in window.encode_frames():
                groups.merge_rows(rows)
        else:
            window.collect(groups)
    encoded = groups.tdigest(0)
    return None if encoded is None else TDigest._from_compact(encoded)


def counts_of(digest: TDigest) -> tuple[int, int, int, int]:
    return digest.count, digest.nan_count, digest.positive_infinity_count, digest.negative_infinity_count


@repeatable
@given(PARTS, st.booleans())
def test_a_digest_has_all_samples_or_there_is_none(parts: list[list[tuple[str, list[float]]]], by_rows: bool) -> None:
    digest = digest_of([window_of(entries) for entries in parts], by_rows)
    entries = [entry for part in parts for entry in part]
    values = [value for _, values in entries for value in values]
    if not values or any(form == "alone" for form, _ in entries):
        assert digest is None
        return
    expected = TDigest(100)
    expected.add_many(values)
    assert digest is not None
    assert counts_of(digest) == counts_of(expected)
    assert str((digest.min, digest.max)) == str((expected.min, expected.max))  # NaN if there are none
    if digest.count <= 100:
        assert digest.centroids() == expected.centroids()


@repeatable
@given(PARTS)
def test_merging_windows_is_merging_their_rows(parts: list[list[tuple[str, list[float]]]]) -> None:
    merged, by_rows = Window(), Window()
    for entries in parts:
        window = window_of(entries)
        merged.merge(window)
        for _, _, rows in window.encode_frames():
            by_rows.merge_rows(rows)
    assert merged.encode_frames() == by_rows.encode_frames()

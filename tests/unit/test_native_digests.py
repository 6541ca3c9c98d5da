"""T-digests beside histograms: of all samples of a series' window, once, or none."""

from __future__ import annotations

import random

import pytest

from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window, check_body
from obsagent._native.sketch import TDigest
from obsagent.errors import CorruptData
from obsagent.samples import Kind

PLAIN, DIGESTED = 0, 1
CHANCE = random.Random(1)
VALUES = [CHANCE.lognormvariate(-4, 1) for _ in range(2_000)]


def full_map() -> SeriesMap:
    series_map = SeriesMap()
    series_map.set(PLAIN, PLAIN, Kind.HISTOGRAM)
    series_map.set(DIGESTED, DIGESTED, Kind.HISTOGRAM, digest=True)
    return series_map


def sketched(series: int, values: list[float], *, digest: bool = True) -> bytes:
    writer = BodyWriter()
    writer.put_loghist(series, values)
    if digest:
        writer.put_tdigest(series, values)
    return writer.take()


def run_of(series: int, values: list[float]) -> bytes:
    writer = BodyWriter()
    writer.put_run(series, values)
    return writer.take()


def window_of(*bodies: bytes) -> Window:
    window, series_map = Window(), full_map()
    for body in bodies:
        check_body(body)
        window.apply(body, series_map, 0)
    return window


def rows_of(window: Window) -> bytes:
    (frame,) = window.encode_frames(1 << 30)
    return frame[2]


def digest_of(window: Window, *series: int) -> TDigest | None:
    groups = Groups(dict.fromkeys(series, 0), 1, digests=True)
    window.collect(groups)
    by_rows = Groups(dict.fromkeys(series, 0), 1, digests=True)
    by_rows.merge_rows(rows_of(window))
    encoded, again = groups.tdigest(0), by_rows.tdigest(0)
    assert (encoded is None) == (again is None)
    if encoded is None or again is None:
        return None
    assert TDigest._from_compact(again).count == TDigest._from_compact(encoded).count
    return TDigest._from_compact(encoded)


def test_a_digest_stands_for_no_samples_of_its_own() -> None:
    body = sketched(DIGESTED, VALUES)
    assert check_body(body) == len(VALUES)
    window, series_map = Window(), full_map()
    assert window.apply(body, series_map, 0) == (len(VALUES), 0)
    assert window.sample_count == len(VALUES)
    digest = digest_of(window, DIGESTED)
    assert digest is not None
    assert (digest.count, digest.min, digest.max, digest.compression) == (2_000, min(VALUES), max(VALUES), 100)


def test_runs_of_a_series_that_keeps_one_are_digested_by_the_window() -> None:
    parts = [run_of(DIGESTED, VALUES[at : at + 10]) for at in range(0, 500, 10)]
    digest = digest_of(window_of(*parts, sketched(DIGESTED, VALUES[500:])), DIGESTED)
    assert digest is not None
    assert digest.count == 2_000
    truth = sorted(VALUES)
    for q in (0.01, 0.5, 0.99, 0.999):
        below = sum(value < digest.quantile(q) for value in truth)
        assert abs(below / 2_000 - q) <= digest.rank_error(q)


def test_few_samples_are_exact() -> None:
    digest = digest_of(window_of(run_of(DIGESTED, VALUES[:60]), sketched(DIGESTED, VALUES[60:100])), DIGESTED)
    assert digest is not None
    assert digest.centroids() == (sorted(VALUES[:100]), [1] * 100)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_window_that_missed_one_has_none(missing: int) -> None:
    bodies = [sketched(DIGESTED, VALUES[:50], digest=number != missing) for number in range(3)]
    window = window_of(*bodies)
    assert window.sample_count == 150
    assert digest_of(window, DIGESTED) is None


def test_a_group_with_a_member_that_has_none_has_none() -> None:
    window = window_of(sketched(DIGESTED, VALUES), run_of(PLAIN, [1.0]))
    assert digest_of(window, DIGESTED) is not None
    assert digest_of(window, PLAIN) is None
    assert digest_of(window, PLAIN, DIGESTED) is None


def test_a_digest_that_was_not_asked_for_is_not_kept() -> None:
    window = window_of(sketched(PLAIN, VALUES))
    assert digest_of(window, PLAIN) is None
    assert rows_of(window) == rows_of(window_of(sketched(PLAIN, VALUES, digest=False)))


def test_windows_merge_their_digests_or_drop_them() -> None:
    left, right = window_of(sketched(DIGESTED, VALUES[:900])), window_of(sketched(DIGESTED, VALUES[900:]))
    rows = rows_of(right)
    left.merge(right)
    digest = digest_of(left, DIGESTED)
    assert digest is not None
    assert digest.count == 2_000
    left.merge_rows(rows)
    digest = digest_of(left, DIGESTED)
    assert digest is not None
    assert digest.count == 3_100
    totals = Window(digests=False)
    totals.merge_rows(rows)
    totals.merge(right)
    assert totals.sample_count == 2_200
    assert digest_of(totals, DIGESTED) is None
    assert totals.memory_bytes < left.memory_bytes


def test_nan_and_infinities_count_too() -> None:
    values = [1.0, float("nan"), float("inf"), float("-inf")]
    digest = digest_of(window_of(run_of(DIGESTED, values), sketched(DIGESTED, values)), DIGESTED)
    assert digest is not None
    assert (digest.count, digest.nan_count) == (2, 2)
    assert (digest.positive_infinity_count, digest.negative_infinity_count) == (2, 2)


def test_groups_keep_digests_only_if_asked() -> None:
    groups = Groups({DIGESTED: 0}, 1)
    window_of(sketched(DIGESTED, VALUES)).collect(groups)
    assert groups.samples(0) == 2_000
    with pytest.raises(ValueError, match="digests=True"):
        groups.tdigest(0)
    with pytest.raises(IndexError, match="group 1 of 1"):
        groups.tdigest(1)
    assert Groups({}, 1, digests=True).tdigest(0) is None


def test_groups_keep_the_digests_of_steps_apart() -> None:
    groups = Groups({DIGESTED: 0}, 1, first_ms=0, step_ms=20, step_count=2, digests=True)
    for start_ms in (0, 10, 20, 30):
        window_of(run_of(DIGESTED, [float(start_ms)])).collect(groups, start_ms)
    for step, values in enumerate(([0.0, 10.0], [20.0, 30.0])):
        encoded = groups.tdigest(0, step)
        assert encoded is not None
        assert TDigest._from_compact(encoded).centroids()[0] == values


def test_a_collect_leaves_the_window_as_it_is() -> None:
    """Buffered values are sorted in a copy: others may read the window meanwhile."""
    window = window_of(run_of(DIGESTED, VALUES[:50]))
    before = window.memory_bytes
    assert rows_of(window) == rows_of(window)
    assert digest_of(window, DIGESTED) is not None
    assert window.memory_bytes == before


@pytest.mark.parametrize(
    ("histogram", "digest"), [(VALUES[:20], VALUES[:19]), (VALUES[:20], VALUES[:21]), (VALUES[:20], [])]
)
def test_a_digest_of_other_samples_is_corrupt(histogram: list[float], digest: list[float]) -> None:
    writer = BodyWriter()
    writer.put_loghist(DIGESTED, histogram)
    writer.put_tdigest(DIGESTED, digest)
    with pytest.raises(CorruptData):
        check_body(writer.take())


def test_a_digest_without_its_histogram_is_corrupt() -> None:
    writer = BodyWriter()
    writer.put_tdigest(DIGESTED, VALUES)
    with pytest.raises(CorruptData):
        check_body(writer.take())


def test_every_cut_of_a_row_with_a_digest_is_corrupt() -> None:
    rows = rows_of(window_of(sketched(DIGESTED, VALUES)))
    for size in range(1, len(rows)):
        with pytest.raises(CorruptData):
            Groups({DIGESTED: 0}, 1, digests=True).merge_rows(rows[:size])
        with pytest.raises(CorruptData):
            Window().merge_rows(rows[:size])


def test_what_a_digest_takes() -> None:
    """A window of 1,000 samples: under a kilobyte in its row, and under two in memory, on top of the histogram."""
    with_digest, without = window_of(sketched(DIGESTED, VALUES[:1000])), window_of(sketched(PLAIN, VALUES[:1000]))
    assert len(rows_of(with_digest)) - len(rows_of(without)) < 1_000
    assert with_digest.memory_bytes - without.memory_bytes < 2_000

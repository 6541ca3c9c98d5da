"""Segments that earlier versions wrote are read for ever, and a damaged one of each kind does no harm."""

from __future__ import annotations

import shutil
from pathlib import Path

import plain_reader
import pytest

from obsagent._native.codec import Groups
from obsagent._native.sketch import Column
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS
from obsagent.sketches import LogHist

GOLDEN = Path(__file__).parents[1] / "golden" / "segments"
BEGIN_MS = 1_700_000_000_000
WINDOW_MS = 10_000
VERSIONS = sorted(path.name for path in GOLDEN.iterdir())


@pytest.fixture(params=VERSIONS)
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store of nothing but the golden files (see `golden/make_segments.py`)."""
    shutil.copytree(GOLDEN / request.param, tmp_path / "segments")
    (tmp_path / "journal").mkdir()
    return tmp_path


def test_there_are_files_of_every_version() -> None:
    assert VERSIONS == ["version1", "version2", "version3", "version4"]
    names = {version: [path.name for path in sorted((GOLDEN / version).iterdir())] for version in VERSIONS}
    compacted = ["0000000000000001-0000000000000002.segment", "0000000000000003.segment"]
    rolled = [f"0000000000000001-0000000000000002.{seconds}s.segment" for seconds in (3600, 60)]
    assert names == {
        "version1": ["0000000000000001.segment", "0000000000000003.segment"],
        "version2": compacted,
        "version3": [*rolled, *compacted],
        "version4": [*rolled, *compacted],
    }


def check_answers(store: Store) -> None:
    view = store.view()
    by_metric = {series.metric: series for series in view.series()}
    assert {series.metric: series.labels for series in view.series()} == {
        metric: {"service": "shop"} for metric in by_metric
    }
    mapping = {by_metric[metric].id: index for index, metric in enumerate(("latency", "served", "depth"))}
    for window in range(1, 5):
        start_ms = BEGIN_MS + (window - 1) * WINDOW_MS
        groups = Groups(mapping, 3)
        assert view.collect(start_ms, start_ms + 1, groups).windows == 1
        expected = LogHist(6)
        expected.add_many([number * window / 1000 for number in range(1, 101)])
        assert groups.histogram(0) == expected._to_compact()
        assert groups.counter(1) == (100, 100.0)
        assert groups.gauge(2) == (float(window), start_ms + 5_000)
    account = view.accounts(0, 1 << 60)["shop"]
    samples = 804 + (4 * 13 if "feature" in by_metric else 0)
    assert (account["observed"], account["stored"]) == (samples, samples)
    if "feature" in by_metric:
        check_column(view, by_metric["feature"].id)
    assert view.metric_last_ms("served") == BEGIN_MS + 3 * WINDOW_MS + 5_000
    check_longer_windows(view, mapping)
    totals = Groups(mapping, 3)
    view.collect_totals(totals)
    assert totals.counter(1) == (400, 400.0)


def check_column(view: View, series_id: int) -> None:
    """In windows of each length: all four lie in two minutes and one hour."""
    for window_ms in TIER_WINDOWS_MS:
        begin_ms = BEGIN_MS - BEGIN_MS % TIER_WINDOWS_MS[-1]
        groups = Groups({series_id: 0}, 1)
        view.collect(begin_ms, begin_ms + 2 * TIER_WINDOWS_MS[-1], groups, window_ms)
        encoded = groups.column(0)
        assert encoded is not None
        column = Column._from_compact(encoded)
        assert (column.samples, column.null_count, column.wrong_type_count) == (52, 8, 4)
        numbers = [float(number * window) for window in range(1, 5) for number in range(10)]
        below = sum(number < 5 for number in numbers)
        assert column.edge_counts == (
            0,
            below,
            sum(5 <= number <= 10 for number in numbers),
            sum(n > 10 for n in numbers),
        )
        assert column.hist.sum == sum(numbers)
        assert column.hll is not None
        assert round(column.hll.count()) == len(set(numbers))


def check_longer_windows(view: View, mapping: dict[int, int]) -> None:
    """The four windows lie in two minutes and one hour."""
    for window_ms in TIER_WINDOWS_MS:
        begin_ms = BEGIN_MS - BEGIN_MS % window_ms
        groups = Groups(mapping, 3, begin_ms, window_ms, 12)
        view.collect(begin_ms, begin_ms + 12 * window_ms, groups, window_ms)
        starts = [(BEGIN_MS + number * WINDOW_MS) // window_ms * window_ms for number in range(4)]
        expected = [100 * starts.count(begin_ms + step * window_ms) for step in range(12)]
        assert [groups.samples(0, step) for step in range(12)] == expected
        assert [groups.counter(1, step) for step in range(12)] == [(count, float(count)) for count in expected]


def test_every_version_is_read(directory: Path) -> None:
    reader = Store.open_read_only(directory)
    check_answers(reader)
    assert [gap["reason"] for gap in reader.status()["gaps"]] == ["a part of the journal is missing"]  # all of it
    assert reader.status()["corrupt"] == 1
    assert reader.status()["sessions"][0]["last_applied"] == 4


def test_every_version_is_gone_on_with_and_compacted(directory: Path) -> None:
    store = Store.open(directory)
    while store.maybe_compact(0) or store.maybe_roll_up(0):
        pass
    assert store.status()["segments"]["compacted"] >= 1
    assert {*store.view().tiers.rolled} == {*TIER_WINDOWS_MS[1:]}
    check_answers(store)
    store.close()
    check_answers(Store.open_read_only(directory))


def test_every_version_is_read_by_its_description(directory: Path) -> None:
    for window_ms in TIER_WINDOWS_MS:
        counters = plain_reader.counters_of(plain_reader.read_store(directory / "segments", window_ms), window_ms)
        starts = [(BEGIN_MS + number * WINDOW_MS) // window_ms * window_ms for number in range(4)]
        expected = {start: (100 * starts.count(start), 100.0 * starts.count(start)) for start in starts}
        assert {start: value for (start, _), value in counters.items()} == expected

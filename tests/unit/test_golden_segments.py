"""Segments that earlier versions wrote are read for ever, and a damaged one of each kind does no harm."""

from __future__ import annotations

import shutil
from pathlib import Path

import plain_reader
import pytest

from obsagent._native.codec import Groups
from obsagent.head.store import Store
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
    assert VERSIONS == ["version1", "version2"]
    names = [path.name for path in sorted((GOLDEN / "version2").iterdir())]
    assert names == ["0000000000000001-0000000000000002.segment", "0000000000000003.segment"]


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
    assert (account["observed"], account["stored"]) == (804, 804)
    assert view.metric_last_ms("served") == BEGIN_MS + 3 * WINDOW_MS + 5_000
    totals = Groups(mapping, 3)
    view.collect_totals(totals)
    assert totals.counter(1) == (400, 400.0)


def test_every_version_is_read(directory: Path) -> None:
    reader = Store.open_read_only(directory)
    check_answers(reader)
    assert [gap["reason"] for gap in reader.status()["gaps"]] == ["a part of the journal is missing"]  # all of it
    assert reader.status()["corrupt"] == 1
    assert reader.status()["sessions"][0]["last_applied"] == 4


def test_every_version_is_gone_on_with_and_compacted(directory: Path) -> None:
    store = Store.open(directory)
    while store.maybe_compact(0):
        pass
    assert store.status()["segments"]["compacted"] >= 1
    check_answers(store)
    store.close()
    check_answers(Store.open_read_only(directory))


def test_every_version_is_read_by_its_description(directory: Path) -> None:
    counters = plain_reader.counters_of(plain_reader.read_store(directory / "segments"))
    assert list(counters.values()) == [(100, 100.0)] * 4

"""Stores as older versions wrote them stay readable.

`golden/store_N` was left by an agent of format version N that was killed: segments, and a journal with more. It is
never written again. `golden/store_N.json` is what that version itself found in it. Versions 2 to 4 are of the journal,
and have files of all tiers (`golden/make_store.py`); 3 has exemplars, 4 columns, 5 records and backfills.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from store_lab import TurnedClock

from golden.make_store import column_in, records_in
from obsagent._native.codec import Groups
from obsagent._native.sketch import LogHist
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS

GOLDEN = Path(__file__).parents[1] / "golden"
VERSIONS = sorted(path.stem for path in GOLDEN.glob("store_*.json"))


def expected(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / version).with_suffix(".json").read_text())
    return found


def check(view: View, version: str) -> None:
    golden = expected(version)
    series = list(view.series())
    assert [[one.id, one.metric, int(one.kind), one.labels] for one in series] == golden["series"]
    for row in golden["contents"]:
        groups = Groups({row["series"]: 0}, 1)
        view.collect(row["window_ms"], row["window_ms"] + 1, groups)
        assert groups.samples(0) == row["samples"]
        assert list(groups.counter(0)) == row["counter"]
        assert groups.gauge(0) == (row["gauge"] and tuple(row["gauge"]))
        check_histogram(groups.histogram(0), row["histogram"])
        assert column_in(groups) == row.get("column")
    if "accounts" in golden:
        assert view.accounts(0, 1 << 60) == golden["accounts"]
    if "exemplars" in golden:
        check_exemplars(view, golden["exemplars"])
    check_longer_windows(view, golden["contents"])


def check_exemplars(view: View, golden: list[list[Any]]) -> None:
    """Each is the one of its series and window; no others are there."""
    assert golden
    for series_id, window_ms, *rest in golden:
        (found,) = view.collect_exemplars([series_id], window_ms, window_ms + 1)
        assert [found.value, found.time_ms, found.trace_id, found.request_id] == rest
    starts = {row[1] for row in golden}
    everything = view.collect_exemplars([one.id for one in view.series()], min(starts), max(starts) + 1)
    assert {each.trace_id for each in everything} <= {row[4] for row in golden}


def check_longer_windows(view: View, rows: list[dict[str, Any]]) -> None:
    """A minute and an hour have the samples of their windows, whichever files say so."""
    for window_ms in TIER_WINDOWS_MS[1:]:
        expected: Counter[tuple[int, int]] = Counter()
        for row in rows:
            expected[row["series"], row["window_ms"] - row["window_ms"] % window_ms] += row["samples"]
        for (series_id, at_ms), samples in expected.items():
            groups = Groups({series_id: 0}, 1, at_ms, window_ms, 1)
            view.collect(at_ms, at_ms + window_ms, groups, window_ms)
            assert groups.samples(0, 0) == samples


def check_histogram(encoded: bytes | None, golden: dict[str, Any] | None) -> None:
    if golden is None:
        assert encoded is None
        return
    assert encoded is not None
    hist = LogHist._from_compact(encoded)
    assert list(map(list, hist.buckets())) == golden["buckets"]
    for name in ("count", "sum", "min", "max"):  # of NaN and the infinities alone there is no minimum
        assert getattr(hist, name) == pytest.approx(golden[name], rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_store_is_read(version: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / version, tmp_path / "store")
    store = Store.open_read_only(tmp_path / "store")
    assert store.status()["corrupt"] == 0
    check(store.view(), version)
    assert records_in(store.records()) == expected(version).get("records", records_in(None))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_store_is_taken_over_and_goes_on(version: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / version, tmp_path / "store")
    for _ in range(2):
        store = Store.open(tmp_path / "store", clock=TurnedClock())  # later its records would expire
        assert store.status()["corrupt"] == 0
        check(store.view(), version)
        assert records_in(store.records.view()) == expected(version).get("records", records_in(None))
        store.close()


def test_there_is_a_store_of_each_version() -> None:
    assert VERSIONS == ["store_1", "store_2", "store_3", "store_4", "store_5"]
    for version in VERSIONS[1:]:
        files = (GOLDEN / version / "segments").glob("*.*.segment")
        rolled = sorted({path.name.partition(".")[2] for path in files})
        assert rolled == ["3600s.segment", "60s.segment"]
    journals = {version: next((GOLDEN / version / "journal").iterdir()).read_bytes() for version in VERSIONS}
    assert [data[8] for data in journals.values()] == [1, 2, 3, 4, 5]

"""The agent's own samples and the combined gauges go the way of every other sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obsagent._native.codec import Groups
from obsagent.errors import StoreError
from obsagent.head.store import Store
from obsagent.readings import Reading
from obsagent.receive.own_session import OwnSession
from obsagent.samples import Instrument, Kind
from obsagent.selfmetrics import MESSAGES, SERIES, SYNC_DURATION
from obsagent.store_sink import StoreSink
from obsagent.wire.frame import Hello, SamplesHeader, SeriesDefinition, SessionCounts

NOW_MS = 1_800_000_000_000


class FixedClock:
    def wall_ms(self) -> int:
        return NOW_MS

    def monotonic_ms(self) -> int:
        return 1


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = Store.open(tmp_path / "store", clock=FixedClock())
    yield store
    store.close()


def one(store: Store, metric: str) -> Any:
    (series,) = [series for series in store.view().series() if series.metric == metric]
    return series


def groups_of(store: Store, series_id: int) -> Groups:
    groups = Groups({series_id: 0}, 1)
    store.view().collect(0, NOW_MS + 60_000, groups)
    return groups


def test_each_kind_is_stored_under_the_service_obsagent(store: Store) -> None:
    own = OwnSession(StoreSink(store), FixedClock(), "host")
    for _ in range(2):
        own.record(MESSAGES, 3.0)
        own.record(SYNC_DURATION, 0.01)
        own.record(SERIES, 5.0)
        own.write()
    series = one(store, "obsagent_messages")
    assert series.labels == {"service": "obsagent", "host": "host", "worker": "0"}
    assert groups_of(store, series.id).counter(0) == (2, 6.0)
    accounts = store.status()["accounts"]["services"]["obsagent"]
    assert (accounts["observed"], accounts["stored"], accounts["pending"]) == (6, 6, 0)


def test_nothing_recorded_writes_nothing(store: Store) -> None:
    own = OwnSession(StoreSink(store), FixedClock(), "host")
    position = store.position()
    own.write()
    assert store.position() == position


def test_what_a_full_store_does_not_take_is_counted_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnSession(StoreSink(store), FixedClock(), "host")
    own.record(SERIES, 5.0)

    def full(_entry: object) -> int:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", full)
        with pytest.raises(StoreError):
            own.write()
    own.record(SERIES, 6.0)
    own.write()
    accounts = store.status()["accounts"]["services"]["obsagent"]
    assert (accounts["observed"], accounts["stored"], accounts["dropped"]["budget"]) == (2, 1, 1)


def test_gauges_of_two_workers_become_one_series(store: Store) -> None:
    sink = StoreSink(store)
    own = OwnSession(sink, FixedClock(), "host")
    for worker, value in enumerate([3.0, 5.0]):
        name = bytes([worker]) * 16
        session = sink.open_session(Hello(name, "fraud", "host", 1, NOW_MS, NOW_MS, ""))
        sink.heard(name, 1)
        definition = SeriesDefinition(0, "depth", Kind.GAUGE, {}, "", "", 6, "sum")
        series = sink.resolve(definition, session.labels())
        from obsagent._native.codec import BodyWriter
        from obsagent.receive.sink import Mapped

        sink.write_definitions(name, [Mapped(0, series)])
        body = BodyWriter()
        body.put_gauge(0, value)
        counts = SessionCounts(1, 0, 0, 0, 0)
        sink.write_frame(SamplesHeader(name, 1, 1, NOW_MS, NOW_MS, 1, counts), counts, body.take())
    own.combine_gauges()
    own.write()
    (combined,) = [
        series for series in store.view().series() if series.metric == "depth" and "worker" not in series.labels
    ]
    assert combined.labels == {"service": "fraud"}
    last = groups_of(store, combined.id).gauge(0)
    assert last == (8.0, NOW_MS)


def test_what_was_found_of_a_time_long_past_is_a_backfill(store: Store) -> None:
    """It does not say when it was taken, and the store knows how far back it lies."""
    own = OwnSession(StoreSink(store), FixedClock(), "host")
    for days in (3, 1):
        own.stage(Reading(Instrument("drift_evalue", Kind.GAUGE), 2.5, at_ms=NOW_MS - days * 86_400_000 + 1))
        own.write()
    assert store._state.reach_ms == 3 * 86_400_000
    (series,) = [series for series in store.view().series() if series.metric == "drift_evalue"]
    groups = Groups({series.id: 0}, 1)
    store.view().collect(NOW_MS - 4 * 86_400_000, NOW_MS, groups)
    assert groups.samples(0) == 2


def test_what_was_found_of_an_earlier_window_is_a_sample_of_that(store: Store) -> None:
    own = OwnSession(StoreSink(store), FixedClock(), "host")
    evalue = Instrument("drift_evalue", Kind.GAUGE, across="max")
    earlier_ms = NOW_MS - 600_000
    for at_ms in (earlier_ms, 0, earlier_ms):
        own.stage(Reading(evalue, 2.5, {"feature": "amount"}, at_ms=at_ms))
    own.write()
    (series,) = [series for series in store.view().series() if series.metric == "drift_evalue"]
    for from_ms, samples in ((earlier_ms, 2), (NOW_MS, 1)):
        groups = Groups({series.id: 0}, 1)
        store.view().collect(from_ms, from_ms + 1, groups)
        assert groups.samples(0) == samples
    accounts = store.status()["accounts"]["services"]["obsagent"]
    assert (accounts["observed"], accounts["stored"], accounts["pending"]) == (3, 3, 0)

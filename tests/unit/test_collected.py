"""Readings of collectors become samples of the agent's own session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from obsagent.errors import StoreError
from obsagent.head.store import Budgets, Store
from obsagent.readings import Reading
from obsagent.receive import collected as module
from obsagent.receive.collected import Collected
from obsagent.receive.own_session import OwnSession
from obsagent.samples import Instrument, Kind
from obsagent.store_sink import StoreSink
from unit.test_own_session import NOW_MS, FixedClock, groups_of, one, store  # noqa: F401  (a fixture)

FILL = Instrument("disk_fill", Kind.GAUGE, "How full a file system is", "ratio", across="max")
READ = Instrument("disk_read_bytes", Kind.COUNTER, "Read from a disk", "bytes")
LABELS = {"service": "host", "device": "sda"}


@pytest.fixture
def own(store: Store) -> OwnSession:  # noqa: F811
    return OwnSession(StoreSink(store), FixedClock(), "ham")


def total(value: float) -> Reading:
    return Reading(READ, value, LABELS)


def written(own: OwnSession, collected: Collected, *readings: Reading) -> None:
    collected.put(list(readings))
    collected.stage()
    own.write()


def test_readings_carry_their_service_and_the_host(store: Store, own: OwnSession) -> None:  # noqa: F811
    written(own, Collected(own), Reading(FILL, 0.25, LABELS), Reading(FILL, 0.75, LABELS))
    series = one(store, "disk_fill")
    assert series.labels == {"service": "host", "device": "sda", "host": "ham"}
    assert (series.unit, series.across) == ("ratio", "max")
    groups = groups_of(store, series.id)
    assert groups.samples(0) == 2
    assert groups.gauge(0) == (0.75, NOW_MS)


def test_a_counter_begins_where_it_is_first_read(store: Store, own: OwnSession) -> None:  # noqa: F811
    collected = Collected(own)
    for value in (1000.0, 1500.0, 1500.0):
        written(own, collected, total(value))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 500.0


def test_a_counter_that_falls_has_begun_again(store: Store, own: OwnSession) -> None:  # noqa: F811
    collected = Collected(own)
    for value in (1000.0, 1500.0, 70.0, 80.0):
        written(own, collected, total(value))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 580.0


def test_two_rounds_within_a_second_are_counted_once(store: Store, own: OwnSession) -> None:  # noqa: F811
    collected = Collected(own)
    written(own, collected, total(10.0))
    written(own, collected, total(20.0), total(30.0))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 20.0


@pytest.mark.parametrize(("from_nothing", "grown"), [(False, 15.0), (True, 25.0)])
def test_what_the_store_did_not_take_of_a_counter_is_in_the_next_frame(
    store: Store,  # noqa: F811
    own: OwnSession,
    monkeypatch: pytest.MonkeyPatch,
    from_nothing: bool,
    grown: float,
) -> None:
    """Nor is it forgotten meanwhile that the counter has begun again."""
    collected = Collected(own)
    written(own, collected, total(10.0))

    def full(*_: object) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(StoreSink, "write_frame", full)
        with pytest.raises(StoreError):
            written(own, collected, replace(total(20.0), from_nothing=from_nothing))
    written(own, collected, total(25.0))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == grown


def test_what_there_is_no_room_for_is_counted(own: OwnSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COLLECTED_READINGS", 2)
    collected = Collected(own)
    collected.put([total(1.0)])
    collected.put([total(2.0), total(3.0), total(4.0)])
    assert collected.dropped == 2


def test_a_counter_that_has_begun_again_says_so_though_it_is_higher(store: Store, own: OwnSession) -> None:  # noqa: F811
    collected = Collected(own)
    written(own, collected, total(10.0))
    written(own, collected, replace(total(30.0), from_nothing=True), total(35.0))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 35.0


def test_a_counter_that_is_watched_from_its_beginning_counts_whole(store: Store, own: OwnSession) -> None:  # noqa: F811
    collected = Collected(own)
    written(own, collected, replace(total(30.0), from_nothing=True))
    written(own, collected, total(31.0))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 31.0


@pytest.mark.threat("G4")
def test_labels_that_come_and_go_do_not_fill_the_memory(
    store: Store,  # noqa: F811
    own: OwnSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many rounds of a target whose labels are never the same, beside one series that stays."""
    monkeypatch.setattr("obsagent.receive.own_session.COLLECTED_SERIES", 100)
    collected = Collected(own)
    for number in range(400):
        churn = [
            Reading(instrument, float(number), {"service": "scraped", "pod": f"{number}-{pod}"})
            for instrument in (FILL, READ)
            for pod in range(20)
        ]
        written(own, collected, total(10.0 * number), *churn)
    assert len(own._numbers) <= 100
    assert len(own._counted) <= 100
    assert len(own._read) <= 100
    assert not own._undefined
    assert len(own._numbers_of_series) <= len(store.series)
    (kept,) = [each for each in store.series if each.labels.get("device") == "sda"]
    assert groups_of(store, kept.id).counter(0)[1] == 3990.0


def test_overflow_is_counted_for_each_series_and_defined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.receive.own_session.COLLECTED_SERIES", 10)
    small = Store.open(tmp_path / "small", clock=FixedClock(), budgets=Budgets(series_per_metric=5, series_total=50))
    own = OwnSession(StoreSink(small), FixedClock(), "ham")
    collected = Collected(own)
    for number in range(200):
        written(own, collected, Reading(FILL, 0.5, {"service": "scraped", "pod": str(number)}))
    assert small.view().overflowed == {"disk_fill": 195}
    assert len(own._sink.live_gauges()) == 6
    small.close()

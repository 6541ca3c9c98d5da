"""Readings of collectors become samples of the agent's own session."""

from __future__ import annotations

import pytest

from obsagent.errors import StoreError
from obsagent.head.store import Store
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


def test_what_the_store_did_not_take_of_a_counter_is_in_the_next_frame(
    store: Store,  # noqa: F811
    own: OwnSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collected = Collected(own)
    written(own, collected, total(10.0))

    def full(*_: object) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(StoreSink, "write_frame", full)
        with pytest.raises(StoreError):
            written(own, collected, total(20.0))
    written(own, collected, total(25.0))
    assert groups_of(store, one(store, "disk_read_bytes").id).counter(0)[1] == 15.0


def test_what_there_is_no_room_for_is_counted(own: OwnSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COLLECTED_READINGS", 2)
    collected = Collected(own)
    collected.put([total(1.0)])
    collected.put([total(2.0), total(3.0), total(4.0)])
    assert collected.dropped == 2

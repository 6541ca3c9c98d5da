"""What the sink knows beside the store: who is alive, what is acknowledged, what is on its way."""

from __future__ import annotations

from pathlib import Path

import pytest
from set_clock import SetClock

from obsagent._native.codec import BodyWriter
from obsagent.by_id.report import TruthReport
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import GAUGE_INTERVAL_MS, SESSION_IDLE_LIMIT_MS, WINDOW_MS
from obsagent.receive.sink import Mapped
from obsagent.samples import Kind
from obsagent.store_sink import SUSPENDED_AFTER_MS, StoreSink
from obsagent.wire.frame import Hello, SamplesHeader, SeriesDefinition, SessionCounts

NAME = bytes(16)


class Desk:
    """A sink on a store with one session that has said hello."""

    def __init__(self, directory: Path, budgets: Budgets | None = None) -> None:
        self.clock = SetClock()
        self.store = Store.open(directory, clock=self.clock, budgets=budgets)
        self.sink = StoreSink(self.store)
        self.open(NAME)

    def open(self, name: bytes, service: str = "fraud") -> None:
        now = self.clock.now_ms
        self.sink.open_session(Hello(name, service, "host", 1, now, now, ""))
        self.sink.heard(name, self.clock.alive_ms, 0)

    def look_for(self, duration_ms: int, *, listening: bool = True) -> None:
        """As the agent does, once a second."""
        for _ in range(duration_ms // GAUGE_INTERVAL_MS):
            self.clock.pass_ms(GAUGE_INTERVAL_MS)
            self.sink.suspend_silent(self.clock.alive_ms, listening=listening)

    @property
    def state(self) -> str:
        session = self.store.sessions.get(NAME)
        assert session is not None
        return session.state

    def send(self, observed: int, samples: int) -> None:
        series = self.sink.resolve(
            SeriesDefinition(0, "step", Kind.HISTOGRAM, {}, "", "", 6, "sum"), {"service": "fraud"}
        )
        self.sink.write_definitions(NAME, [Mapped(0, series)])
        body = BodyWriter()
        body.put_run(0, [1.5] * samples)
        session = self.sink.session(NAME)
        assert session is not None
        counts = SessionCounts(observed, 0, 0, 0, 0)
        now = self.clock.now_ms
        self.sink.write_frame(
            SamplesHeader(NAME, session.last_applied + 1, 1, now, now, samples, counts), counts, body.take()
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "store")


def test_a_session_that_is_silent_is_suspended_and_comes_back(desk: Desk) -> None:
    desk.look_for(SUSPENDED_AFTER_MS)
    assert desk.state == "live"
    desk.look_for(2 * GAUGE_INTERVAL_MS)
    assert desk.state == "suspended"
    desk.sink.heard(NAME, desk.clock.alive_ms)
    assert desk.state == "live"


def test_nobody_is_suspended_because_the_agent_was_stopped(desk: Desk) -> None:
    """What the client has said meanwhile waits in the socket: and its slot must not be given to another one."""
    desk.look_for(GAUGE_INTERVAL_MS)
    desk.clock.pass_ms(10 * SUSPENDED_AFTER_MS)
    desk.look_for(SUSPENDED_AFTER_MS)
    assert desk.state == "live"
    desk.look_for(2 * GAUGE_INTERVAL_MS)
    assert desk.state == "suspended"


def test_nobody_is_suspended_while_the_agent_does_not_listen(desk: Desk) -> None:
    desk.look_for(10 * SUSPENDED_AFTER_MS, listening=False)
    desk.look_for(SUSPENDED_AFTER_MS)
    assert desk.state == "live"


def test_what_the_store_forgets_is_let_go_of(desk: Desk) -> None:
    for number in range(1, 50):
        desk.open(b"%016d" % number)
        desk.sink.write_close(b"%016d" % number, SessionCounts(0, 0, 0, 0, 0), desk.clock.now_ms)
    desk.look_for(2 * GAUGE_INTERVAL_MS)
    assert len(desk.sink._sessions) == 1  # what has ended is let go of at once
    desk.clock.pass_ms(SESSION_IDLE_LIMIT_MS + WINDOW_MS)
    desk.send(1, 1)
    desk.store.checkpoint()
    desk.look_for(GAUGE_INTERVAL_MS)
    assert list(desk.sink._sessions) == [NAME]


def test_what_is_pending_counts_while_a_session_is_silent_and_not_after_it_has_ended(desk: Desk) -> None:
    desk.send(10, 10)
    desk.sink.reported(NAME, SessionCounts(25, 0, 0, 0, 0))
    desk.look_for(2 * SUSPENDED_AFTER_MS)
    assert desk.state == "suspended"
    assert desk.sink.pending() == {"fraud": 15}
    desk.sink.write_close(NAME, SessionCounts(25, 0, 0, 15, 0), desk.clock.now_ms)
    assert desk.sink.pending() == {}


def test_what_is_acknowledged_is_what_was_said_to_be_on_disk(desk: Desk) -> None:
    desk.send(1, 1)
    desk.send(2, 1)
    session = desk.sink.session(NAME)
    assert session is not None
    assert (session.last_applied, session.acknowledged) == (2, 0)
    desk.sink.acknowledged(NAME, 1, 3, (5, TruthReport(1)))
    desk.sink.acknowledged(NAME, 0, 2, (4, TruthReport(0)))
    assert (session.acknowledged, session.acknowledged_event) == (1, 3)
    assert session.acknowledged_records == (5, TruthReport(1))
    desk.sink.acknowledged(b"nobody", 9, 9, (9, TruthReport()))


def test_what_was_recovered_is_on_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "store")
    desk.send(1, 1)
    desk.store.close()
    store = Store.open(tmp_path / "store", clock=desk.clock)
    session = StoreSink(store).session(NAME)
    assert session is not None
    assert (session.last_applied, session.acknowledged) == (1, 1)
    store.close()


def test_definitions_for_which_there_is_no_room_at_all_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "store", Budgets(series_total=10))
    mapped = []
    for number in range(15):
        labels = {"service": f"s{number}"}  # an overflow series each, until there is no room for these either
        series = desk.sink.resolve(SeriesDefinition(number, "m", Kind.COUNTER, {}, "", "", 6, "sum"), labels)
        mapped.append(Mapped(number, series, "m"))
    assert [row.series is None for row in mapped].count(True) == 4
    desk.sink.write_definitions(NAME, mapped)
    assert desk.store.status()["series"]["refused"] == {"m": 5}


def test_a_definition_of_another_kind_is_no_matter_of_the_budget(desk: Desk) -> None:
    labels = {"service": "fraud"}
    for kind in (Kind.COUNTER, Kind.GAUGE):
        series = desk.sink.resolve(SeriesDefinition(0, "m", kind, {}, "", "", 6, "sum"), labels)
        desk.sink.write_definitions(NAME, [Mapped(0, series, "m")])
    assert desk.store.status()["series"]["refused"] == {}


def test_the_agents_own_series_find_room_when_clients_have_taken_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "store", Budgets(series_total=20, series_per_metric=15))
    for number in range(30):
        desk.sink.resolve(SeriesDefinition(0, f"m{number}", Kind.COUNTER, {}, "", "", 6, "sum"), {"n": "1"})
    definition = SeriesDefinition(0, "obsagent_problems", Kind.GAUGE, {}, "", "", 6, "sum")
    assert desk.store.series.is_full
    assert desk.sink.resolve(definition, {}, reserved=True) is None  # overflow series have taken the last
    desk = Desk(tmp_path / "other", Budgets(series_total=20, series_per_metric=15))
    for number in range(30):
        desk.sink.resolve(SeriesDefinition(0, "m", Kind.COUNTER, {}, "", "", 6, "sum"), {"n": str(number)})
    for number in range(5):
        desk.sink.resolve(SeriesDefinition(0, "n", Kind.COUNTER, {}, "", "", 6, "sum"), {"n": str(number)})
    series = desk.sink.resolve(definition, {}, reserved=True)
    assert series is not None
    assert series.labels == {}

"""A wall clock that is set, forward and back, by hours: nothing is lost, and nothing waits for it to come round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from failing_store import Lab
from set_clock import SetClock
from store_lab import BEGIN_MS, check_store

from obsagent._native.codec import BodyWriter
from obsagent.clock import ClockSteps, window_start
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.checkpoint_times import RETRY_AFTER_MS
from obsagent.head.store import Store
from obsagent.head.upkeep import RETRY_AFTER_MS as UPKEEP_RETRY_MS
from obsagent.limits import CLOCK_STEP_MS, SEGMENT_FILE_AGE_MS, SESSION_IDLE_LIMIT_MS, WINDOW_MS
from obsagent.receive.ingest import Ingest
from obsagent.samples import Kind
from obsagent.store_sink import StoreSink
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts

HOUR_MS = 3_600_000
BY = [-3 * HOUR_MS, 3 * HOUR_MS]


class SetLab(Lab):
    """A store whose clock can be set."""

    clock: SetClock  # type: ignore[assignment]

    def __init__(self, directory: Path, budgets: Budgets | None = None) -> None:
        self.set_clock = SetClock()
        super().__init__(directory, budgets)

    def open(self) -> None:
        self.clock = self.set_clock
        super().open()

    def look(self) -> bool:
        return self.store.maybe_checkpoint(self.clock.now_ms)


@pytest.fixture
def lab(tmp_path: Path) -> SetLab:
    return SetLab(tmp_path / "store")


def test_a_step_is_seen_once_and_slewing_is_none() -> None:
    clock = SetClock()
    steps = ClockSteps(clock)
    for _ in range(10_000):
        clock.pass_ms(1_000)
        clock.set_by(1)  # a thousand parts in a million: faster than any daemon slews
        assert steps.look() == 0
    for by_ms in (CLOCK_STEP_MS, -CLOCK_STEP_MS, *BY):
        clock.set_by(by_ms)
        assert (steps.look(), steps.look()) == (by_ms, 0)
    clock.set_by(CLOCK_STEP_MS - 1)
    assert steps.look() == 0


def test_being_stopped_between_two_readings_is_no_step() -> None:
    class Interrupted(SetClock):
        stops = 0

        def wall_ms(self) -> int:
            if self.stops:
                self.stops -= 1
                self.pass_ms(60_000)
            return super().wall_ms()

    clock = Interrupted()
    steps = ClockSteps(clock)
    clock.stops = 2
    assert steps.look() == 0


@pytest.mark.parametrize("by_ms", BY)
def test_windows_of_the_time_before_leave_memory_at_once(lab: SetLab, by_ms: int) -> None:
    """Else they would hold back the journal for as long as the clock was set back."""
    lab.send()
    lab.clock.set_by(by_ms)
    lab.send()
    lab.store.sync()
    assert lab.look()
    assert lab.store.head_bytes() == 0
    assert lab.store._mark.low == lab.store.position()
    lab.check()
    assert not lab.look()  # and then as ever: when their time has come
    lab.send()
    assert not lab.look()
    lab.clock.pass_ms(2 * WINDOW_MS)
    assert lab.look()
    lab.check()


@pytest.mark.parametrize("by_ms", BY)
def test_a_checkpoint_is_tried_again_by_the_time_that_passes(lab: SetLab, by_ms: int) -> None:
    lab.send()
    lab.clock.pass_ms(2 * WINDOW_MS)
    lab.fs.fail_always = {"create"}
    with pytest.raises(StoreError):
        lab.look()
    lab.fs.fail_always = set()
    lab.clock.set_by(by_ms)
    assert not lab.look()
    lab.clock.pass_ms(RETRY_AFTER_MS)
    assert lab.look()
    assert lab.store.head_bytes() == 0
    lab.check()


def test_a_step_is_remembered_until_its_checkpoint_is_written(lab: SetLab) -> None:
    lab.send()
    lab.clock.set_by(-HOUR_MS)
    lab.fs.fail_always = {"create"}
    with pytest.raises(StoreError):
        lab.look()
    lab.fs.fail_always = set()
    lab.clock.pass_ms(RETRY_AFTER_MS)
    assert lab.look()
    assert lab.store.head_bytes() == 0


def test_a_file_whose_age_nobody_knows_is_followed_by_another(lab: SetLab) -> None:
    lab.send()
    assert lab.store.checkpoint()
    lab.clock.set_by(-HOUR_MS)
    for _ in range(2):
        lab.clock.pass_ms(WINDOW_MS)
        lab.send()
        assert lab.store.checkpoint()
        assert len(lab.files("segments")) == 2
    lab.clock.pass_ms(SEGMENT_FILE_AGE_MS)
    lab.send()
    assert lab.store.checkpoint()
    assert len(lab.files("segments")) == 3
    lab.check()


@pytest.mark.parametrize("by_ms", BY)
def test_compaction_is_tried_again_by_the_time_that_passes(tmp_path: Path, by_ms: int) -> None:
    lab = SetLab(tmp_path / "store", Budgets(segment_file_bytes=1))
    for _ in range(3):
        lab.send()
        lab.store.checkpoint()
    lab.fs.fail_always = {"create"}
    with pytest.raises(StoreError):
        lab.store.maybe_compact(lab.clock.monotonic_ms())
    lab.fs.fail_always = set()
    lab.clock.set_by(by_ms)
    assert not lab.store.maybe_compact(lab.clock.monotonic_ms())
    lab.clock.pass_ms(UPKEEP_RETRY_MS)
    assert lab.store.maybe_compact(lab.clock.monotonic_ms())
    lab.check()


def test_setting_the_clock_makes_no_session_idle(lab: SetLab) -> None:
    """One that is forgotten and comes back would have its batches applied once more."""
    lab.send()
    lab.store.heard(lab.producer.session)
    lab.store.sessions.set_state(lab.producer.session, "suspended")
    lab.clock.set_by(2 * SESSION_IDLE_LIMIT_MS)
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 1
    first = lab.producer.sent[0]
    before = lab.store.position()
    lab.store.write(first)
    assert lab.store.position() == before
    lab.clock.set_by(-4 * SESSION_IDLE_LIMIT_MS)  # nor does it keep one for ever
    lab.clock.pass_ms(SESSION_IDLE_LIMIT_MS + 1)
    lab.send(lab.clock.now_ms)
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 0


def test_a_session_from_before_a_restart_has_two_hours_to_come_back(lab: SetLab) -> None:
    lab.send()
    lab.store.sync()
    lab.clock.set_by(SESSION_IDLE_LIMIT_MS + HOUR_MS)
    lab.kill()
    lab.store.sessions.set_state(lab.producer.session, "suspended")
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 1
    check_store(lab.store, [lab.producer])


def test_the_last_value_of_a_gauge_is_the_one_that_came_last(lab: SetLab) -> None:
    (gauge,) = [one for one in lab.producer.defined if one.kind is Kind.GAUGE]
    lab.send()
    lab.clock.set_by(-HOUR_MS)
    lab.look()
    lab.send()
    last = lab.store.gauge_last(gauge.id)
    assert last is not None
    assert window_start(last[1]) == window_start(lab.clock.now_ms)


# The receiver ---------------------------------------------------------------------------------------------------


class Desk:
    """A receiver on a real store, one client, and what it is answered."""

    def __init__(self, directory: Path) -> None:
        self.clock = SetClock()
        self.store = Store.open(directory, clock=self.clock)
        self.ingest = Ingest(StoreSink(self.store), self.clock, lambda _identity, header: self.hear(header), {})
        self.replies: list[tuple[MessageKind, dict[str, Any]]] = []
        self.observed = self.sequence = 0
        self.hello()
        row = SeriesDefinition(0, "step", Kind.HISTOGRAM, {}, "", "", 6, "sum")
        self.say(MessageKind.DEFINE, series=[frame.definition_row(row)])

    def hear(self, header: bytes) -> None:
        self.replies.append(frame.unpack(header))

    def say(self, kind: MessageKind, body: bytes = b"", **fields: Any) -> None:
        self.ingest.handle(b"peer", [frame.pack(kind, s=bytes(16), **fields), body])

    def hello(self) -> int:
        """The agent's time, as the client is told."""
        self.say(MessageKind.HELLO, service="fraud", host="h", pid=1, started=2, clock=self.clock.now_ms, version="")
        return self.replies[-1][1]["clock"]

    def batch(self, at_ms: int, *, again: bool = False) -> None:
        if not again:
            self.observed, self.sequence = self.observed + 2, self.sequence + 1
        body = BodyWriter()
        body.put_run(0, [1.5, 2.5])
        counts = frame.counts_fields(SessionCounts(self.observed, 0, 0, 0, 0))
        self.say(MessageKind.SAMPLES, body.take(), q=self.sequence, f=1, a=at_ms, b=at_ms, n=2, **counts)

    def event(self, sequence: int, at_ms: int) -> None:
        self.say(MessageKind.EVENTS, q=sequence, f=1, events=[["deploy", at_ms, {}]])

    @property
    def last_code(self) -> str | None:
        kind, fields = self.replies[-1]
        return fields["code"] if kind is MessageKind.ERROR else None

    @property
    def account(self) -> dict[str, Any]:
        return self.store.status()["accounts"]["services"]["fraud"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "store")


@pytest.mark.parametrize("by_ms", [*BY, -60_000])
def test_a_client_is_sent_back_for_the_new_time_and_loses_nothing(desk: Desk, by_ms: int) -> None:
    stamp_ms = desk.clock.now_ms
    desk.clock.set_by(by_ms)
    desk.batch(stamp_ms)
    assert desk.last_code == "again"
    assert desk.store.status()["sessions"][0]["last_applied"] == 0
    desk.clock.pass_ms(100)
    desk.batch(desk.hello(), again=True)
    assert (desk.account["stored"], desk.account["rejected"]["time"]) == (2, 0)
    assert desk.ingest.step is not None
    assert (desk.ingest.step.by_ms, desk.ingest.steps["forward" if by_ms > 0 else "back"]) == (by_ms, 1)


def test_who_knows_the_new_time_and_does_not_keep_to_it_is_refused(desk: Desk) -> None:
    stamp_ms = desk.clock.now_ms
    desk.clock.set_by(3 * HOUR_MS)
    desk.batch(stamp_ms)
    desk.clock.pass_ms(100)
    desk.hello()
    desk.batch(stamp_ms, again=True)
    assert (desk.account["stored"], desk.account["rejected"]["time"]) == (0, 2)
    desk.batch(desk.clock.now_ms)
    assert desk.account["stored"] == 2


def test_events_are_sent_back_too(desk: Desk) -> None:
    stamp_ms = desk.clock.now_ms
    desk.clock.set_by(-HOUR_MS)
    desk.event(1, stamp_ms)
    assert desk.last_code == "again"
    desk.event(1, desk.hello())
    assert desk.store.status()["events"]["services"]["fraud"] == {"stored": 1, "dropped": 0, "rejected": {"time": 0}}


def test_without_a_step_what_is_out_of_time_is_refused(desk: Desk) -> None:
    for at_ms in (BEGIN_MS - 2 * HOUR_MS - 1, BEGIN_MS + 10_001, 0, 1 << 62):
        desk.batch(at_ms)
    assert desk.account["rejected"]["time"] == 8
    desk.batch(BEGIN_MS)
    assert desk.account["stored"] == 2


def test_a_batch_that_begins_out_of_time_is_refused_too(desk: Desk) -> None:
    """It would open a window in 1970."""
    desk.sequence, desk.observed = 1, 2
    body = BodyWriter()
    body.put_run(0, [1.5, 2.5])
    counts = frame.counts_fields(SessionCounts(2, 0, 0, 0, 0))
    desk.say(MessageKind.SAMPLES, body.take(), q=1, f=1, a=0, b=desk.clock.now_ms, n=2, **counts)
    assert desk.account["rejected"]["time"] == 2
    assert desk.store.view().last_window_ms() is None

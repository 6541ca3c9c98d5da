"""The events of a store: kept once through checkpoints, restarts and failures, bounded by name and in all."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_fs import FailingFs
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, check_events, check_store

from obsagent.errors import StoreError
from obsagent.head import events as module
from obsagent.head.budgets import Budgets
from obsagent.head.events import EventLog
from obsagent.head.store import Store
from obsagent.limits import SESSION_IDLE_LIMIT_MS, WINDOW_MS
from obsagent.samples import Event


class Lab:
    """A store on a file system that can fail, and one producer of events."""

    def __init__(self, directory: Path, budgets: Budgets | None = None) -> None:
        self.directory, self.budgets = directory, budgets or Budgets()
        self.clock = TurnedClock()
        self.producer = Producer("p")
        self.open()
        begin(self.store, self.producer)

    def open(self) -> None:
        self.fs = FailingFs()
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def happen(self, count: int = 1, **counts: int) -> None:
        for _ in range(count):
            self.store.write(self.producer.happens(self.clock.now_ms, **counts))

    def checkpoint(self) -> None:
        self.clock.now_ms += WINDOW_MS
        self.store.checkpoint()

    def reopen(self) -> None:
        self.store._store_lock.release()
        self.open()

    def check(self) -> None:
        for store in (self.store, Store.open_read_only(self.directory, clock=self.clock)):
            assert check_events(store, [self.producer]) == {self.producer.session: len(self.producer.happened)}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_events_outlive_checkpoints_and_restarts_once(lab: Lab) -> None:
    for _ in range(3):
        lab.happen(2)
        lab.checkpoint()
        lab.happen()
        lab.store.sync()
        lab.check()
        lab.reopen()
        lab.check()
    lab.store.close()
    lab.open()
    lab.check()


def test_events_outlive_the_files_that_they_were_written_to(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(segment_file_age_ms=1))
    for _ in range(4):
        lab.happen()
        lab.checkpoint()
    files = sorted((lab.directory / "segments").iterdir())
    assert len(files) == 4
    for path in files[:-1]:
        path.unlink()
    lab.reopen()
    lab.check()
    assert lab.store.status()["events"]["services"] == {"shop": {"stored": 4, "dropped": 0, "rejected": {"time": 0}}}


def test_events_that_are_sent_twice_are_kept_once(lab: Lab) -> None:
    lab.happen(3)
    lab.checkpoint()
    before = lab.store.position()
    for entry in lab.producer.event_entries(after=0):
        lab.store.write(entry)
    assert lab.store.position() == before
    lab.check()


def test_events_of_a_checkpoint_that_failed_are_in_the_next_one(lab: Lab) -> None:
    lab.happen()
    lab.checkpoint()
    lab.happen()
    lab.store.sync()
    lab.fs.fail_always = {"write", "create"}
    with pytest.raises(StoreError):
        lab.checkpoint()
    lab.fs.fail_always = set()
    lab.happen()
    lab.checkpoint()
    lab.check()
    lab.store.close()
    lab.open()
    lab.check()


def test_events_are_no_samples(lab: Lab) -> None:
    lab.happen(3, dropped=2, rejected=1)
    lab.checkpoint()
    assert check_store(lab.store, [lab.producer]) == {lab.producer.session: 0}
    assert lab.store.status()["accounts"]["total"]["observed"] == 0
    events = lab.store.status()["events"]
    assert events == {"kept": 3, "services": {"shop": {"stored": 3, "dropped": 6, "rejected": {"time": 3}}}}
    lab.reopen()
    assert lab.store.status()["events"] == events


def test_a_session_that_sent_events_only_is_not_idle(lab: Lab) -> None:
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    lab.clock.now_ms += SESSION_IDLE_LIMIT_MS
    lab.store.heard(lab.producer.session)
    lab.happen()
    lab.clock.now_ms += SESSION_IDLE_LIMIT_MS - 1
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 1


def log_of(names: str) -> EventLog:
    log = EventLog()
    for at_ms, name in enumerate(names):
        log.take("shop", [Event(name, at_ms)], 0, 0)
    return log


def found(log: EventLog, name: str | None = None) -> list[int]:
    return [event.at_ms for event in log.named(name)]


def test_the_latest_of_each_name_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_PER_NAME", 2)
    log = log_of("abbbba")
    assert (found(log), found(log, "a"), found(log, "b"), found(log, "c")) == ([0, 3, 4, 5], [0, 5], [3, 4], [])
    assert log.totals["shop"].stored == 6
    assert [event.at_ms for event in EventLog(log.kept()).kept()] == [0, 3, 4, 5]


def test_the_oldest_of_all_go_when_there_are_too_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_TOTAL", 3)
    log = log_of("abcad")
    assert (found(log), found(log, "a"), found(log, "b")) == ([2, 3, 4], [3], [])


def test_events_are_told_by_their_time_whenever_they_came(lab: Lab) -> None:
    log = EventLog([Event("a", 5), Event("b", 1), Event("a", 3)])
    assert found(log) == [1, 3, 5]
    assert found(log, "a") == [3, 5]


def test_what_no_checkpoint_holds_is_new() -> None:
    log = EventLog([Event("a", 1)])
    assert log.take_new() == []
    log.take("shop", [Event("a", 2), Event("a", 3)], 0, 0)
    assert log.take_new() == [Event("a", 2), Event("a", 3)]
    log.take("shop", [Event("a", 4)], 0, 0)
    log.return_new()
    assert log.take_new() == [Event("a", 2), Event("a", 3), Event("a", 4)]
    assert log.take_new() == []

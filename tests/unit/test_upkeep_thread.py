"""The agent's upkeep thread: it rests as long as it works, says what fails once, and ends when told to."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from obsagent import upkeep as module
from obsagent.errors import StoreError
from obsagent.upkeep import Upkeeper


class FakeStore:
    """Has some files to compact; `failures` come first."""

    def __init__(self, files: int, failures: list[str]) -> None:
        self.files = files
        self.failures = failures
        self.to_roll = self.rolled = self.retired = 0
        self.asked = threading.Semaphore(0)
        self.records = SimpleNamespace(upkeep=lambda: False)

    def maybe_compact(self, now_ms: int, pause: object) -> bool:
        assert now_ms == 7
        self.asked.release()
        if self.failures:
            raise StoreError(self.failures.pop(0))
        self.files -= 1
        return self.files >= 0

    def maybe_roll_up(self, now_ms: int, pause: object) -> bool:
        self.rolled += 1
        return self.rolled <= self.to_roll

    def maybe_retire(self, now_ms: int) -> bool:
        assert now_ms == 7
        self.retired += 1
        return False


class Sevens:
    """Seven o'clock, on both clocks."""

    def wall_ms(self) -> int:
        return 7

    monotonic_ms = wall_ms


def upkeep(store: object) -> Upkeeper:
    return Upkeeper(store, Sevens())  # type: ignore[arg-type]


def test_everything_that_waits_is_rewritten_at_once_and_what_expires_goes_first_and_after_each() -> None:
    store = FakeStore(3, [])
    store.to_roll = 2
    upkeep(store)._look()
    assert (store.files, store.rolled, store.retired) == (-3, 3, 6)


def test_a_failure_is_said_once_and_shown_until_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore(0, ["no room", "no room"])
    one = upkeep(store)
    with caplog.at_level(logging.INFO):
        one._look()
        one._look()
        one._look()  # not the time to try again: nothing has got better
    assert str(one.trouble.error) == "no room"
    assert one.trouble.count == 2
    assert [record.getMessage() for record in caplog.records] == ["segments cannot be kept up: no room"]
    store.files = 1
    one._look()
    assert one.trouble.error is None


def test_it_rests_as_long_as_it_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = upkeep(FakeStore(0, []))
    rested: list[float] = []
    monkeypatch.setattr(one._stopping, "wait", lambda seconds: rested.append(seconds) or False)
    one._rest(0.25)
    assert rested == [0.25]


def test_a_stop_ends_it_in_the_middle_of_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPKEEP_LOOK_S", 0.001)
    store = FakeStore(1 << 60, [])
    one = upkeep(store)

    def compact(now_ms: int, pause: object) -> bool:
        store.asked.release()
        while True:
            pause(0.001)  # type: ignore[operator]

    store.maybe_compact = compact  # type: ignore[method-assign]
    one.thread.start()
    assert store.asked.acquire(timeout=10)
    one.stop()
    assert not one.thread.is_alive()

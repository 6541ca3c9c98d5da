"""The sink keeps something of the sessions that go on, and nothing of those that are over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_lab import BEGIN_MS, TurnedClock

from obsagent import selfmetrics
from obsagent.head.budgets import Budgets
from obsagent.head.entries import SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.receive.own_session import OwnSession
from obsagent.store_sink import SUSPENDED_AFTER_MS, StoreSink
from obsagent.wire.frame import Hello, SessionCounts

COUNTS = SessionCounts(0, 0, 0, 0, 0)


class Lab:
    """A sink over a store, and the sessions that it was told of."""

    def __init__(self, directory: Path) -> None:
        self.clock = TurnedClock()
        self.store = Store.open(directory, clock=self.clock, budgets=Budgets(session_idle_ms=60_000))
        self.sink = StoreSink(self.store)

    def open(self, number: int) -> bytes:
        name = bytes([number]) * 16
        self.sink.open_session(Hello(name, "fraud", "host", number, BEGIN_MS, BEGIN_MS, ""))
        self.sink.heard(name, self.clock.monotonic_ms())
        return name

    def second(self) -> None:
        self.sink.suspend_silent(self.clock.monotonic_ms())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "store")
    yield lab
    lab.store.close()


def test_nothing_is_kept_of_a_session_that_said_goodbye(lab: Lab) -> None:
    stays, goes = lab.open(1), lab.open(2)
    lab.sink.write_close(goes, COUNTS, BEGIN_MS)
    assert lab.sink.session(goes) is None
    lab.second()
    assert [*lab.sink._sessions] == [stays]
    assert lab.sink.session(stays) is not None


def test_one_that_comes_back_goes_on(lab: Lab) -> None:
    name = lab.open(1)
    lab.sink.write_close(name, COUNTS, BEGIN_MS)
    lab.second()
    assert lab.open(1) == name
    assert lab.sink.session(name) is not None


def test_the_agents_own_session_is_not_forgotten_when_the_clock_is_set_ahead(lab: Lab) -> None:
    """Nobody hears it but itself; without it the agent cannot go on."""
    own = OwnSession(lab.sink, lab.clock, "host")
    for step_ms in (1_000, 2 * SUSPENDED_AFTER_MS, 10_000_000, 1_000):
        lab.clock.now_ms += step_ms
        lab.store.write(SessionOpen(b"another session!", "shop", "host", 1, lab.clock.now_ms, 0))
        lab.store.checkpoint()
        own.record(selfmetrics.SERIES, 5.0)
        own.write()
        lab.second()
    own.close()


def test_nothing_is_kept_of_a_session_that_the_store_has_forgotten(lab: Lab) -> None:
    """Its process was killed: it never says goodbye, is suspended, and forgotten when it was idle for long."""
    for number in range(5):
        lab.open(number)
        lab.clock.now_ms += WINDOW_MS
    for _ in range(SUSPENDED_AFTER_MS // 1_000 + 2):
        lab.clock.now_ms += 1_000
        lab.second()
    lab.clock.now_ms += 120_000
    assert len(lab.sink._sessions) == 5
    lab.store.write(SessionOpen(b"another session!", "shop", "host", 1, lab.clock.now_ms, 0))
    lab.store.checkpoint()
    lab.second()
    assert [*lab.sink._sessions] == [b"another session!"]

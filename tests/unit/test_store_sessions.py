"""Who sends to the store: sessions, their definitions, their worker slots and their accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from failing_store import Lab
from store_lab import BEGIN_MS, Producer, begin, refused_definition, resolve

from obsagent._native.codec import BodyWriter
from obsagent.head.accounts import Accounts, SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.state import UnknownSession
from obsagent.head.store import Store
from obsagent.limits import SESSION_IDLE_LIMIT_MS, WINDOW_MS
from obsagent.samples import Kind


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def counter_body(number: int, increments: int) -> bytes:
    writer = BodyWriter()
    writer.put_counter(number, increments, float(increments))
    return writer.take()


def test_samples_of_series_that_are_refused_or_unknown_are_rejected(lab: Lab) -> None:
    session = lab.producer.session
    lab.store.write(Define(session, [refused_definition(7, "much")]))
    for sequence, number in enumerate((7, 8), start=1):
        body = counter_body(number, 5)
        now = lab.clock.now_ms
        lab.store.write(Frame(session, sequence, 1, now, now + 100, SessionAccounts(5 * sequence), body))
    total = lab.store.status()["accounts"]["total"]
    assert total == Accounts(observed=10, rejected_frame=10).as_dict()
    assert lab.store.status()["series"]["refused"] == {"much": 1}


def test_definitions_that_cannot_be_refuse_their_samples_and_nothing_else(lab: Lab) -> None:
    wild = lab.store.series.resolve("wild", Kind.HISTOGRAM, {}, scale=99)
    assert wild is not None
    rows = [DefinedSeries(7, wild.id, wild), DefinedSeries(-1, wild.id), DefinedSeries(1 << 40, 0)]
    lab.store.write(Define(lab.producer.session, rows))
    writer = BodyWriter()
    writer.put_run(7, [1.0, 2.0])
    frame = Frame(lab.producer.session, 1, 1, BEGIN_MS, BEGIN_MS + 9, SessionAccounts(2), writer.take())
    lab.store.write(frame)
    lab.store.sync()
    lab.kill()
    assert lab.store.status()["accounts"]["total"] == Accounts(observed=2, rejected_frame=2).as_dict()
    assert lab.store.status()["corrupt"] == 0


def test_refused_definitions_are_counted_once_across_restarts(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(series_per_metric=2))
    names = [resolve(lab.store, "m", Kind.COUNTER, service="shop", n=str(index)) for index in range(5)]
    lab.store.write(Define(lab.producer.session, [DefinedSeries(10 + i, one.id, one) for i, one in enumerate(names)]))
    lab.send()
    lab.send(lab.clock.now_ms + WINDOW_MS)
    lab.store.checkpoint(lab.clock.now_ms + WINDOW_MS)  # the definitions stay in the journal
    for _ in range(2):
        assert lab.store.view().overflowed == {"m": 3}
        assert Store.open_read_only(lab.directory).view().overflowed == {"m": 3}
        lab.kill()
    lab.store.close()
    lab.open()
    assert lab.store.view().overflowed == {"m": 3}


def test_an_entry_of_a_session_that_nobody_opened_is_refused(lab: Lab) -> None:
    before = lab.store.position()
    with pytest.raises(UnknownSession):
        lab.store.write(Define(b"?" * 16, []))
    assert lab.store.position() == before


def test_worker_slots_are_the_lowest_free_ones(lab: Lab) -> None:
    sessions = lab.store.sessions
    assert sessions.free_worker("shop", "host") == 1
    assert sessions.free_worker("shop", "other") == 0
    assert sessions.free_worker("bank", "host") == 0
    lab.store.write(SessionOpen(b"2" * 16, "shop", "host", 1, BEGIN_MS, 2))
    assert sessions.free_worker("shop", "host") == 1
    sessions.set_state(lab.producer.session, "suspended")
    assert sessions.free_worker("shop", "host") == 0
    sessions.set_state(lab.producer.session, "live")
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    assert sessions.free_worker("shop", "host") == 0
    sessions.set_state(lab.producer.session, "live")
    assert sessions.free_worker("shop", "host") == 0


def test_open_sessions_are_live_after_a_restart_and_closed_ones_are_not(lab: Lab) -> None:
    other = Producer("other", worker=1)
    begin(lab.store, other)
    lab.store.sessions.set_state(other.session, "suspended")
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    for restart in (lab.kill, lambda: (lab.store.close(), lab.open())):
        lab.store.sync()
        restart()
        states = {one["worker"]: one["state"] for one in lab.store.status()["sessions"]}
        assert states == {0: "closed", 1: "live"}


def test_sessions_that_are_idle_for_two_hours_are_forgotten(lab: Lab) -> None:
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    silent = Producer("silent", worker=1)
    begin(lab.store, silent)
    lab.clock.now_ms += SESSION_IDLE_LIMIT_MS
    lab.send(producer=silent)
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 2
    lab.clock.now_ms += 1
    lab.send(producer=silent)
    lab.store.checkpoint()
    assert [one.session for one in lab.store.sessions] == [silent.session]
    lab.store.close()
    lab.open()
    assert [one.session for one in lab.store.sessions] == [silent.session]


def test_a_closed_sessions_last_counters_are_booked(lab: Lab) -> None:
    lab.producer.accounts = SessionAccounts(10, 1, 2, 3, 4)
    lab.store.write(lab.producer.close_entry(BEGIN_MS + 50_000))
    expected = Accounts(10, 0, 1, 2, 3, 4).as_dict()
    for _ in range(2):
        assert lab.store.view().accounts(BEGIN_MS + 45_000, BEGIN_MS + 55_000) == {"shop": expected}
        assert lab.store.view().accounts(BEGIN_MS, BEGIN_MS + 39_000) == {}
        lab.store.sync()
        lab.kill()
    lab.store.checkpoint()
    assert lab.store.view().accounts(BEGIN_MS + 45_000, BEGIN_MS + 55_000) == {"shop": expected}


def test_counters_of_the_accounts_never_fall() -> None:
    account = Accounts(observed=5, dropped_ring=1)
    account.book(SessionAccounts(10, 5, 5, 5, 5), SessionAccounts(13, 4, 6, 7, 8))
    assert account == Accounts(observed=8, dropped_ring=1, dropped_budget=1, dropped_expired=2, rejected_value=3)
    account.add(Accounts(1, 2, 3, 4, 5, 6, 7, 8))
    assert account == Accounts(9, 2, 4, 5, 7, 9, 7, 8)
    assert account.pending == 0
    assert Accounts(observed=36, stored=1, dropped_ring=2, rejected_time=3).pending == 30
    assert Accounts.from_row(account.to_row()) == account


def test_series_numbers_outlive_a_restart(lab: Lab) -> None:
    """A client that stays connected in spirit need not define anew before its next frame."""
    lab.store.close()
    lab.open()
    lab.send()
    assert lab.store.status()["accounts"]["total"]["rejected"]["frame"] == 0
    lab.store.sync()
    lab.check()


def test_a_batch_that_is_sent_twice_is_stored_once(lab: Lab) -> None:
    first = lab.send()
    before = lab.store.position()
    assert lab.store.write(lab.producer.sent[0]) >= first
    assert lab.store.position() == before
    lab.store.sync()
    lab.check()

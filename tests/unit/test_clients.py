"""Who sends samples: live sessions and when they were last heard of, the agent's own apart."""

from pathlib import Path

import pytest
from store_lab import BEGIN_MS, Producer, TurnedClock

from obsagent.head.entries import SessionClose
from obsagent.head.sessions import Clients
from obsagent.head.store import Store


@pytest.fixture
def clock():
    return TurnedClock()


@pytest.fixture
def store(tmp_path: Path, clock):
    opened = Store.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def test_nobody_yet(store):
    assert store.view().clients() == Clients(0, None)
    assert store.view().clients_by_service() == {}


def test_a_session_is_live_until_it_is_suspended_or_closed(store, clock):
    shop, bank = Producer("shop"), Producer("bank", service="bank")
    for producer in (shop, bank):
        store.write(producer.open_entry())
    assert store.view().clients_by_service() == {"shop": Clients(1, BEGIN_MS), "bank": Clients(1, BEGIN_MS)}
    store.sessions.set_state(shop.session, "suspended")
    store.write(SessionClose(bank.session, bank.accounts, BEGIN_MS + 500))
    assert store.view().clients() == Clients(0, BEGIN_MS + 500)


def test_a_heartbeat_is_a_word_too(store, clock):
    shop = Producer("shop")
    store.write(shop.open_entry())
    clock.now_ms += 7_000
    store.heard(shop.session, skew_ms=-30)
    store.heard(shop.session)
    store.heard(b"never seen before")
    assert store.view().clients() == Clients(1, BEGIN_MS + 7_000)
    (session,) = store.status()["sessions"]
    assert (session["last_ms"], session["skew_ms"]) == (BEGIN_MS + 7_000, -30)


def test_the_agents_own_session_is_no_client(store):
    store.write(Producer("own", service="obsagent").open_entry())
    assert store.view().clients() == Clients(0, None)
    assert store.view().clients_by_service()["obsagent"].live == 1


def test_a_store_read_alone_knows_its_sessions(store, tmp_path):
    store.write(Producer("shop").open_entry())
    store.sync()
    alone = Store.open_read_only(tmp_path)
    assert alone.view().clients() == Clients(1, BEGIN_MS)
    assert alone.status()["sessions"][0]["skew_ms"] is None

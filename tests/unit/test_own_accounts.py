"""The accounts as metrics: whatever the store refuses and however often an agent begins, the sums are the totals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts_scenario import Agent, Client, Life

from balance import OWN, flat
from obsagent.receive.own_session import OwnSession
from obsagent.selfmetrics import MESSAGES, SAMPLES, SAMPLES_OBSERVED
from obsagent.wire.frame import MessageKind


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path / "store")
    yield life
    life.agent.store.close()


def told(agent: Agent) -> dict[str, dict[str, int]]:
    """Service → its account, as far as it is not zero, by the counters."""
    accounts: dict[str, dict[str, int]] = {}
    for labels, total in agent.sink.counted(SAMPLES_OBSERVED.name):
        accounts.setdefault(labels["service"], {})["observed"] = int(total)
    for labels, total in agent.sink.counted(SAMPLES.name):
        accounts.setdefault(labels["service"], {})[labels["outcome"]] = int(total)
    return accounts


def shown(agent: Agent) -> dict[str, dict[str, int]]:
    """The same by the status."""
    accounts = agent.store.status()["accounts"]["services"]
    return {name: {key: n for key, n in flat(account).items() if n} for name, account in accounts.items()}


def test_at_any_time_the_counters_are_the_accounts(life: Life) -> None:
    chance = random.Random(4)
    clients = [Client(life, service) for service in ("shop", "bank")]
    for _ in range(60):
        happens = chance.random()
        if happens < 0.6:
            client = chance.choice(clients)
            losses = {"dropped_ring": chance.randint(0, 2), "rejected_value": chance.randint(0, 2)}
            client.count(stored=chance.randint(1, 9), **losses)
            client.batch(client.counts.observed - sum(client.counts[1:]) - getattr(client, "stored", 0))
            client.stored = client.counts.observed - sum(client.counts[1:])  # type: ignore[attr-defined]
        elif happens < 0.75:
            life.agent.full_second()
        elif happens < 0.85:
            life.agent.acknowledge()
            life.agent.kill()
            life.agent = Agent(life.directory, life.clock)
        elif happens < 0.9:
            life.agent.store.checkpoint()
        life.agent.second()
        assert told(life.agent) == shown(life.agent)
    assert told(life.agent)[OWN]["dropped_budget"] > 0


def test_what_an_agent_could_not_write_the_next_one_tells(life: Life) -> None:
    client = Client(life, "shop")
    life.agent.second()
    client.count(stored=5)
    client.batch(5)
    life.agent.acknowledge()
    life.agent.kill()
    life.agent = Agent(life.directory, life.clock)
    assert "shop" not in told(life.agent)
    life.agent.second()
    assert told(life.agent)["shop"] == {"observed": 5, "stored": 5}


def test_a_store_from_before_these_counters_is_told_of_from_its_beginning(life: Life) -> None:
    client = Client(life, "shop")
    client.count(stored=5, dropped_ring=3)
    client.batch(5)
    life.agent.store.close()
    life.agent = Agent(life.directory, life.clock)
    life.agent.second()
    assert told(life.agent)["shop"] == {"observed": 8, "stored": 5, "dropped_ring": 3}


def test_counts_of_a_second_in_which_the_store_was_full_come_later(life: Life) -> None:
    Client(life, "shop").part(MessageKind.HEARTBEAT)
    life.agent.full_second()
    life.agent.full_second()
    life.agent.second()
    ((_, messages),) = life.agent.sink.counted(MESSAGES.name)
    assert messages == life.agent.ingest.messages == 3


def test_a_new_agent_ends_the_session_of_one_that_was_killed(life: Life) -> None:
    """And has its slot: else each restart would make all of the agent's own series anew."""
    for _ in range(3):
        life.agent.second()
        life.agent.acknowledge()
        life.agent.kill()
        life.agent = Agent(life.directory, life.clock)
    life.agent.second()
    own = [each for each in life.agent.store.status()["sessions"] if each["service"] == OWN]
    assert sorted(each["state"] for each in own) == ["closed", "closed", "closed", "live"]
    assert {each["worker"] for each in own} == {0}
    assert [series.labels["worker"] for series in life.agent.store.series if series.metric == MESSAGES.name] == ["0"]


def test_another_hosts_session_is_left_alone(life: Life) -> None:
    other = OwnSession(life.agent.sink, life.clock, "elsewhere")
    other.count(MESSAGES, 1)
    other.write()
    OwnSession(life.agent.sink, life.clock, "host")
    states = {(each["host"], each["state"]) for each in life.agent.store.status()["sessions"]}
    assert states == {("elsewhere", "live"), ("host", "live"), ("host", "closed")}

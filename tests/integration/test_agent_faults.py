"""A whole agent on a disk that fails and under a clock that is set: it says so, loses nothing, and goes on by itself.

Clients are real ones over real sockets; the disk is the seam, so that it can do what a real one rarely does.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import obsagent
from balance import answers_balance, balances, metrics_balance
from integration.threaded_agent import ThreadedAgent, until
from obsagent import upkeep
from obsagent.agent_process import run
from obsagent.errors import StoreError
from obsagent.record.client import Client

MUTATING = {"create", "write", "sync_data", "sync_directory", "rename", "remove", "truncate"}
HOUR_MS = 3_600_000


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_clients: None) -> Iterator[ThreadedAgent]:
    monkeypatch.setattr(upkeep, "FAILED_SYNC_PAUSE_S", 0.1)
    monkeypatch.setattr("obsagent.head.checkpoint_times.RETRY_AFTER_MS", 200)
    agent = ThreadedAgent(tmp_path)
    monkeypatch.setenv("OBSAGENT_ENDPOINT", agent.listen)
    yield agent
    agent.fs.fail_always = set()
    if not agent.agent.failed:
        agent.stop()


def observed(client: Client) -> int:
    return client.counts().observed


def check(agent: ThreadedAgent, **clients: Client) -> None:
    """All is delivered, nothing is wrong any more, and the accounts balance everywhere."""
    for client in clients.values():
        assert client.flush(20).pending == 0
    until(lambda: agent.health == "ok", str(agent.problems))
    status = agent.status()
    balances(status, {service: observed(client) for service, client in clients.items()})
    agent.agent._sink.suspend_silent(0)  # what a heartbeat has said of before the last batch is settled
    until(lambda: settled(agent), "the metrics do not balance")
    answers_balance(agent.status(), agent.query, dict.fromkeys(clients, "step"))
    for service in clients:
        account = agent.status()["accounts"]["services"][service]
        (row,) = agent.query(f"count step service={service} since 365d")["series"]
        assert row["values"]["count"] == account["stored"] == account["observed"]


def settled(agent: ThreadedAgent) -> bool:
    """The agent's next second has told the last changes."""
    try:
        metrics_balance(agent.status(), agent.query)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_nothing(agent: ThreadedAgent, number: int) -> None:
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    step.observe_many([1.0] * 100)
    assert client.flush(20).pending == 0
    agent.fs.errno, agent.fs.short_writes, agent.fs.fail_always = number, True, MUTATING
    step.observe_many([2.0] * 50)
    assert client.flush(1).pending == 50
    until(lambda: agent.health == "failing")
    (problem,) = [each for each in agent.problems if each.startswith("the journal cannot be synced")]
    assert "nothing is acknowledged" in problem
    assert agent.status()["journal"]["unsynced_bytes"] > 0
    balances(agent.status(), {"shop": 150}, pending=None)
    agent.fs.fail_always = set()
    check(agent, shop=client)
    assert agent.count("obsagent_sync_failures") > 0
    assert agent.status()["agent"]["failures"]["sync"] > 0
    client.close()


def test_what_is_applied_and_not_on_disk_is_acknowledged_to_nobody(agent: ThreadedAgent) -> None:
    """Not by a welcome either: a client that begins again would drop what a crash then takes."""
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    step.observe(1.0)
    assert client.flush(20).pending == 0
    agent.fs.fail_always = {"write", "create"}
    step.observe_many([2.0] * 10)
    client.flush(0.5)
    until(lambda: agent.status()["accounts"]["services"]["shop"]["stored"] == 11, "it is applied in memory")
    assert client._sender is not None
    conversation = client._sender._conversation
    conversation._heard_ms = -1e9  # the silence is over for this client: it begins again with hello
    until(lambda: conversation._heard_ms > 0 and conversation.welcomed)
    assert client.flush(0.5).pending == 10
    agent.fs.fail_always = set()
    check(agent, shop=client)
    client.close()


def test_a_checkpoint_that_fails_is_a_degradation_that_acknowledges(agent: ThreadedAgent) -> None:
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    step.observe(1.0)
    assert client.flush(20).pending == 0
    agent.fs.fail_in = "segments"
    agent.clock.set_by_ms += HOUR_MS  # which asks for a checkpoint at once
    until(lambda: agent.status()["agent"]["failures"]["checkpoint"])
    assert agent.health == "degraded"
    assert any(each.startswith("the head cannot be written to a segment: ") for each in agent.problems)
    step.observe(2.0)
    assert client.flush(20).pending == 0
    until(lambda: agent.count("obsagent_checkpoint_failures") > 0)
    agent.fs.fail_in = ""
    until(lambda: not any("segment" in each for each in agent.problems))
    balances(agent.status(), {"shop": 2})
    client.close()


@pytest.mark.parametrize("by_ms", [-3 * HOUR_MS, 3 * HOUR_MS])
def test_a_clock_that_is_set_under_load(agent: ThreadedAgent, by_ms: int) -> None:
    clients = {name: obsagent.connect(service=name) for name in ("shop", "bank")}
    stop = threading.Event()

    def load(client: Client) -> None:
        step = client.histogram("step")
        while not stop.wait(0.002):
            step.observe(1.0)

    threads = [threading.Thread(target=load, args=(client,)) for client in clients.values()]
    for thread in threads:
        thread.start()
    until(lambda: all(client.flush(1).acknowledged > 50 for client in clients.values()))
    agent.clock.set_by_ms += by_ms
    until(lambda: agent.status()["agent"]["last_clock_step"], "the step is noticed")
    before = {name: client.flush(1).acknowledged for name, client in clients.items()}
    until(lambda: all(client.flush(1).acknowledged > before[name] + 100 for name, client in clients.items()))
    stop.set()
    for thread in threads:
        thread.join()
    for client in clients.values():
        assert client.flush(20).pending == 0
    status = agent.status()
    balances(status, {name: observed(client) for name, client in clients.items()})
    for account in status["accounts"]["services"].values():
        assert account["rejected"]["time"] == 0
        assert account["stored"] == account["observed"]
    way = "forward" if by_ms > 0 else "back"
    assert status["agent"]["clock_steps"][way] == 1
    assert any(each.startswith(f"the clock was set {way} by 3h") for each in status["agent"]["problems"])
    assert status["agent"]["health"] == "degraded"
    until(lambda: agent.count("obsagent_clock_steps") == 1)
    until(lambda: agent.status()["last_checkpoint_ms"] is not None, "what was before is checkpointed at once")
    for name, client in clients.items():
        (row,) = agent.query(f"count step service={name} since 5m")["series"]
        assert 100 < row["values"]["count"] <= observed(client)
        client.close()


def test_more_waits_than_may(agent: ThreadedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are not read then; nobody is suspended for not being heard, and the time is counted."""
    monkeypatch.setattr(upkeep, "JOURNAL_UNSYNCED_BYTES_MAX", 2_000)
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    step.observe(1.0)
    assert client.flush(20).pending == 0
    agent.fs.fail_always = {"write", "create"}
    for _ in range(40):
        step.observe(1.0)
        client.flush(0.05)
    until(lambda: agent.status()["agent"]["overloaded_ms"] > 0)
    assert any(each.startswith("clients are not read: ") for each in agent.problems)
    assert {each["state"] for each in agent.status()["sessions"]} == {"live"}
    agent.fs.fail_always = set()
    monkeypatch.undo()
    check(agent, shop=client)
    until(lambda: agent.count("obsagent_overloaded_seconds") > 0)
    client.close()


def test_a_thread_that_dies_ends_the_agent(agent: ThreadedAgent) -> None:
    agent.agent._checkpointer.stop()
    assert agent.agent.failed
    assert agent.health == "failing"
    assert agent.problems == ["the thread obsagent-checkpoint has ended: the agent stops, and its log says why"]
    agent.stop()


def test_an_agent_whose_state_is_no_longer_right_ends(agent: ThreadedAgent) -> None:
    agent.agent._store._broken = "an entry could not be applied (MemoryError()); restart to recover"
    assert agent.agent.failed
    assert agent.health == "failing"
    with pytest.raises(StoreError, match="restart to recover"):
        agent.stop()


def test_an_agent_that_cannot_keep_what_it_has_says_so_when_it_stops(
    agent: ThreadedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = obsagent.connect(service="shop")
    client.histogram("step").observe(1.0)
    assert client.flush(20).pending == 0
    client.close()
    agent.fs.fail_always = MUTATING
    with pytest.raises(StoreError):
        agent.stop()
    agent.fs.fail_always = set()
    agent.start()  # its endpoints and its lock are free, and what was acknowledged is there
    balances(agent.status(), {"shop": 1})


def test_run_ends_with_an_agent_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would under a supervisor: exit code 1, and it is begun again."""

    class Failing:
        failed = True

        def __init__(self, _config: Any, _load_again: Any) -> None:
            self.calls: list[str] = []

        def start(self) -> None:
            self.calls.append("start")

        def stop(self) -> None:
            assert self.calls == ["start"]

    monkeypatch.setattr("obsagent.agent_process.Agent", Failing)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    config: Any = type("Config", (), {"listen": "", "serve": "", "control_endpoint": "", "data": tmp_path})
    assert run(config) == 1

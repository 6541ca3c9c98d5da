"""An event that was acknowledged is in the store once, whatever becomes of the agent and of its clients."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.programs import run_program
from obsagent.errors import PendingSamples
from obsagent.head.store import Store
from obsagent.limits import CLIENT_EVENTS


def events(agent: RunningAgent, name: str | None = None) -> list[Any]:
    """What the store says without the agent: alive or not, its journal is on the disk."""
    return Store.open_read_only(Path(agent.data)).view().events(name)


def versions(agent: RunningAgent) -> list[str]:
    return [event.labels["version"] for event in events(agent, "deploy")]


def test_an_event_is_kept_with_its_labels_and_time(agent: RunningAgent) -> None:
    out = run_program(
        """
        import time, obsagent
        client = obsagent.connect(service="shop", version="3")
        before = time.time_ns() // 1_000_000
        client.event("deploy", version=4, canary=True)
        client.event("reload")
        print(before, client.flush(10))
        """
    )
    assert "pending_events=0, dropped_events=0" in out
    deploy, reload = events(agent)
    host = os.uname().nodename
    assert deploy.labels == {"service": "shop", "host": host, "version": "4", "canary": "True"}
    assert reload.labels == {"service": "shop", "host": host, "version": "3"}
    assert abs(deploy.at_ms - int(out.split()[0])) < 1_000
    status = agent.status()
    assert status["events"]["services"]["shop"] == {"stored": 2, "dropped": 0, "rejected": {"time": 0}}
    assert status["accounts"]["services"].get("shop", {"observed": 0})["observed"] == 0


def test_a_killed_agent_keeps_what_it_acknowledged_and_gets_the_rest_once(agent: RunningAgent) -> None:
    client = obsagent.connect(service="steady")
    for version in range(6):
        client.event("deploy", version=version)
        if version % 2:
            assert client.flush(10).pending_events == 0
            agent.kill()
            assert versions(agent) == [str(each) for each in range(version + 1)]
        elif not agent.running:
            agent.start()
    agent.start()
    client.event("deploy", version="last")
    client.flush(10).raise_if_pending()
    assert agent.stop() == 0
    assert versions(agent) == [*map(str, range(6)), "last"]
    client.close()


def test_events_wait_for_the_agent_and_the_oldest_are_given_up(stopped_agent: RunningAgent) -> None:
    client = obsagent.connect(service="early")
    for version in range(CLIENT_EVENTS + 3):
        client.event("deploy", version=version)
    result = client.flush(0.1)
    assert (result.pending_events, result.dropped_events) == (CLIENT_EVENTS, 3)
    with pytest.raises(PendingSamples, match="1000 events"):
        result.raise_if_pending()
    stopped_agent.start()
    assert client.flush(20).pending_events == 0
    assert versions(stopped_agent) == [str(version) for version in range(3, CLIENT_EVENTS + 3)]
    counted = stopped_agent.status()["events"]["services"]["early"]
    assert (counted["stored"], counted["dropped"]) == (CLIENT_EVENTS, 3)
    client.close()
    client.event("deploy", version="too late")
    assert client.flush(0).dropped_events == 4


def test_a_forked_child_sends_its_own_events_only(agent: RunningAgent) -> None:
    run_program(
        """
        import os, obsagent
        client = obsagent.connect(service="forked")
        client.event("deploy", version="parent")
        if os.fork() == 0:
            client.event("deploy", version="child")
            client.flush(10).raise_if_pending()
            os._exit(0)
        assert os.wait()[1] == 0
        """
    )
    assert sorted(versions(agent)) == ["child", "parent"]

"""What a running agent says of its sessions, its costs and itself, and a probe through all of it."""

from __future__ import annotations

import json

import obsagent
from integration.agents import RunningAgent


def test_a_probe_comes_back(agent: RunningAgent) -> None:
    done = agent.command("status", "--probe", "--agent", agent.serve, "--format", "json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["listen"] == agent.listen
    assert 0 < result["acknowledged_ms"] < result["read_ms"] < 5_000
    again = agent.command("status", "--probe", "--agent", agent.serve)
    assert again.stdout.startswith(f"ok: a sample sent to {agent.listen} was on the agent's disk after ")


def test_a_probe_of_no_agent_fails(stopped_agent: RunningAgent) -> None:
    done = stopped_agent.command("status", "--probe", "--agent", stopped_agent.serve)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no agent is listening at" in done.stderr


def test_sessions_and_series_show_up(agent: RunningAgent) -> None:
    client = obsagent.connect(service="shop", version="7")
    client.counter("hits").inc()
    assert client.flush(10).pending == 0
    status = agent.status()
    (session,) = [each for each in status["sessions"] if each["service"] == "shop"]
    assert (session["version"], session["state"], session["last_applied"]) == ("7", "live", 1)
    assert abs(session["skew_ms"]) < 2_000
    assert status["cost"]["metrics"]["hits"]["series"] == 1
    shown = agent.command("list", "versions", "service=shop", "--agent", agent.serve, "--format", "csv")
    assert shown.stdout == "name,service\n7,shop\n"
    client.close()

"""What a running agent says of its sessions, its costs and itself, and a probe through all of it."""

from __future__ import annotations

import json
import time
import uuid

import obsagent
from integration.agents import RunningAgent
from obsagent.limits import CLIENT_SERIES_PER_METRIC


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


def told_refusals(agent: RunningAgent, wanted: int) -> list[dict[str, object]]:
    """What clients have refused, as soon as it is so much; the client tells it once a second."""
    deadline = time.monotonic() + 20
    while True:
        rows = agent.status()["series"]["refused_labels"]
        if sum(row["refused"] for row in rows) >= wanted or time.monotonic() > deadline:
            return rows
        time.sleep(0.1)


def test_labels_that_a_client_refused_are_named(agent: RunningAgent) -> None:
    client = obsagent.connect(service="shop")
    steps = client.histogram("steps", labels=["request_id"])
    for _ in range(1_000):
        steps.labels(request_id=uuid.uuid4()).observe(0.1)
    assert client.flush(10).pending == 0
    (row,) = told_refusals(agent, 800)
    assert [row[key] for key in ("service", "metric", "label", "reason", "refused")] == [
        "shop",
        "steps",
        "request_id",
        "near-unique",
        800,
    ]
    status = agent.status()
    assert status["cost"]["metrics"]["steps"]["series"] == 201
    assert status["series"]["refused"] == {}
    shown = agent.command("status", "--agent", agent.serve).stdout
    examples = ", ".join(row["examples"])  # type: ignore[arg-type]
    assert (
        "refused by clients: shop: label request_id of steps: nearly every value of it is a new one; 800 times, "
        f"such as {examples}\n"
    ) in shown
    (result,) = agent.query("count steps")["series"]
    assert result["count"] == 1_000
    agent.kill()
    agent.start()
    assert told_refusals(agent, 800)[0]["refused"] == 800
    client.close()
    assert told_refusals(agent, 800)[0]["refused"] == 800


def test_an_agent_with_a_larger_budget_is_served_as_much(stopped_agent: RunningAgent) -> None:
    many = CLIENT_SERIES_PER_METRIC + 100
    configuration = stopped_agent.directory / "obsagent.toml"
    configuration.write_text("series_per_metric = 3000\n")
    agent = stopped_agent.start("--config", str(configuration))
    client = obsagent.connect(service="shop")
    client.counter("hello").inc()
    assert client.flush(10).pending == 0
    hits = client.counter("hits", labels=["customer"])
    for number in range(many):
        hits.labels(customer=f"customer {number}").inc()
    assert client.flush(20).pending == 0
    status = agent.status()
    assert status["cost"]["metrics"]["hits"]["series"] == many
    assert status["series"]["refused_labels"] == []
    client.close()

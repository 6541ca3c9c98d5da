"""The Grafana dashboard's queries, asked of a real Prometheus that scrapes a real agent with a model at work."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from unit.dashboards import queries

server = pytest.importorskip("integration.prometheus_server", reason="the agent has no /metrics yet")

PATIENCE_S = 90.0
MAY_BE_EMPTY = ("Failures and refusals",)
"""What an agent has no series of before something happens."""


def test_every_panel_of_requests_and_of_the_agent_shows_something(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    port = f"127.0.0.1:{server.free_port()}"
    agent = stopped_agent.start("--http", port)
    with server.prometheus(tmp_path / "prometheus", port) as prometheus:
        asked = [each for row in ("Requests", "The agent itself") for each in queries(row)]
        obs = obsagent.connect("fraud")
        missing = [title for title, _ in asked]
        deadline = time.monotonic() + PATIENCE_S
        while missing:  # a rate needs two scrapes with something between
            assert time.monotonic() < deadline, f"{missing} show nothing\n{agent.log.read_text()}"
            serve(obs)
            missing = [title for title, promql in asked if not has_numbers(prometheus.ask(promql), title)]
        obs.close()
    assert agent.stop() == 0


def serve(obs: obsagent.Client) -> None:
    for number in range(20):
        with obs.request("/score", queued_at=time.time() - 0.003) as request:
            request.status = 500 if number % 10 == 0 else 200
    obs.flush(20.0).raise_if_pending()
    time.sleep(0.2)


def has_numbers(result: dict[tuple[tuple[str, str], ...], float], title: str) -> bool:
    return title in MAY_BE_EMPTY or any(not math.isnan(value) for value in result.values())

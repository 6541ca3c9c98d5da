"""The HTTP port of a whole agent: what it is asked is what the other ways in are asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_in_process import config_in, running_agent
from http_lab import Answer, ask

import obsagent
from obsagent import config as configuration
from obsagent.ask import AgentClient
from obsagent.daemon import Agent

WAIT_S = 60.0
QUERY = "/api/v1/obsagent/query"


class Place:
    """A running agent, its configuration file, and one client."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "obsagent.toml"
        self.file.write_text("")
        base = config_in(directory)
        self.words = {"data": base.data, "listen": base.listen, "serve": base.serve, "http": "127.0.0.1:0"}
        self.config = self.load()
        self.agent: Agent

    def load(self) -> configuration.AgentConfig:
        return configuration.load(self.file, **self.words)

    def ask(self, method: str, path: str, **headers: str) -> Answer:
        assert self.agent._http.address is not None
        return ask(self.agent._http.address.port, method, path, None, headers)

    def lines(self, accept: str = "") -> list[str]:
        return self.ask("GET", "/metrics", Accept=accept).body.decode().splitlines()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    with running_agent(made.config, made.load) as made.agent:
        client = obsagent.connect("shop", endpoint=made.config.listen)
        for number in range(40):
            with client.request("/score") as request:
                request.status = 500 if number % 10 == 0 else 200
        client.flush(timeout=WAIT_S).raise_if_pending()
        yield made
        client.close()


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key not in ("from", "to", "covered")}


def test_an_answer_is_that_of_obsagent_query(place: Place) -> None:
    answer = json.loads(place.ask("GET", f"{QUERY}?query=p50,count+latency+by+endpoint").body)
    with AgentClient(place.config.serve) as client:
        assert without_times(answer) == without_times(client.query("p50,count latency by endpoint"))
    assert answer["series"][0]["count"] == 40
    assert list(answer)[:2] == ["query", "metric"]


def test_a_mistake_has_a_caret(place: Place) -> None:
    answer = place.ask("GET", f"{QUERY}?query=p99+latency+by+endpiont")
    error = json.loads(answer.body)["error"]
    assert answer.status == 400
    assert "did you mean `endpoint`?" in error
    assert error.splitlines()[-1].strip() == "^" * len("endpiont")


@pytest.mark.parametrize("report", ["drift", "quality"])
def test_reports_are_those_of_the_commands(place: Place, report: str) -> None:
    model = obsagent.connect("shop", endpoint=place.config.listen).model("fraud", version="4")
    model.features([[1.0], [float("nan")]], names=["amount"])
    obsagent.connect("shop", endpoint=place.config.listen).flush(timeout=WAIT_S).raise_if_pending()
    answer = json.loads(place.ask("GET", f"/api/v1/obsagent/{report}?query=model=fraud+since+1h").body)
    with AgentClient(place.config.serve) as client:
        assert without_times(answer) == without_times(getattr(client, report)("model=fraud since 1h"))
    assert answer["models"][0]["model"] == "fraud"
    wrong = place.ask("GET", f"/api/v1/obsagent/{report}?query=model=fraud+sinze+1h")
    assert wrong.status == 400
    assert "^" in json.loads(wrong.body)["error"].splitlines()[-1]


def test_every_format_says_the_same(place: Place) -> None:
    assert 'obsagent_requests_total{endpoint="/score",' in "".join(place.lines())
    counts = [line for line in place.lines() if line.startswith("obsagent_request_duration_seconds_count")]
    assert [line.rpartition(" ")[2] for line in counts] == ["40"]
    opened = place.lines("application/openmetrics-text")
    assert opened[-1] == "# EOF"
    assert [line for line in opened if line.startswith("obsagent_request_duration_seconds_count")] == counts
    assert any(line.startswith("obsagent_requests_created{") for line in opened)


def test_a_configuration_that_is_refused_changes_nothing(place: Place) -> None:
    place.file.write_text("[metrics.latency]\nscale = 3\n")
    assert json.loads(place.ask("POST", "/-/reload").body)["metrics"] == ["latency"]
    place.file.write_text("[metrics.latency]\nscale = 99\n")
    refused = place.ask("POST", "/-/reload")
    assert refused.status == 400
    assert "metrics.latency.scale: expected a whole number from 0 to 8, got 99" in json.loads(refused.body)["error"]
    assert place.agent._reloads.config.metrics["latency"].scale == 3
    assert place.ask("GET", "/-/healthy").status == 200


def test_reloads_at_once_are_one_after_the_other(place: Place) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(place.ask("POST", "/-/reload").status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


def test_ready_is_whether_anything_is_acknowledged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.ask("GET", "/-/ready").body == b"ready\n"
    monkeypatch.setattr(place.agent._committer.trouble, "error", OSError(28, "No space left on device"))
    answer = place.ask("GET", "/-/ready")
    assert answer.status == 503
    assert b"No space left on device" in answer.body
    assert place.ask("GET", "/-/healthy").status == 200


def test_what_cannot_be_exported_is_a_problem(place: Place) -> None:
    assert place.agent.status()["agent"]["problems"] == []
    place.agent._exporter.left_out = ["a.b: b", "c: d", "e: f", "g: h"]
    (problem,) = place.agent.status()["agent"]["problems"]
    assert problem == "not exported to Prometheus: a.b: b; c: d; e: f and 1 more"

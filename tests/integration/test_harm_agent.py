"""Harm in a whole agent: truths come from a client, and what is to be run gets the evidence, once."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.threaded_agent import until
from obsagent import cli
from obsagent.ask import AgentClient
from obsagent.config import AgentConfig
from obsagent.harm.format import NAME
from obsagent.harm_config import DAY_MS, HarmConfig, RetrainConfig
from obsagent.models_config import ModelConfig
from unit.agent_in_process import config_in, running_agent
from unit.hooks import Hooks, serving

ROWS = 4_000
"""Of a part."""


@pytest.fixture(autouse=True)
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Any, Any]]:
    clients: dict[Any, Any] = {}
    monkeypatch.setattr("obsagent.record.clients._clients", clients)
    yield clients
    for client in clients.values():
        client.close(0)


class Service:
    """A service whose model is wrong as often as it is told; 500 truths come in each minute of two hours."""

    def __init__(self, endpoint: str) -> None:
        self.obs = obsagent.connect(service="shop", endpoint=endpoint)
        self.chance = random.Random(7)
        self.number = 0
        self.now_s = time.time() - 100 * 60

    def serve(self, rows: int, error: float, version: str = "4", **model: Any) -> None:
        truths = [float(self.chance.random() < 0.3) for _ in range(rows)]
        given = [1.0 - truth if self.chance.random() < error else truth for truth in truths]
        self._tell(self.obs.model("fraud", version=version, **model), given, truths)

    def serve_numbers(self, rows: int, error: float) -> None:
        """Of `price`, with normal errors of that standard deviation."""
        truths = [self.chance.gauss(20, 5) for _ in range(rows)]
        self._tell(self.obs.model("price", version="1"), [self.chance.gauss(truth, error) for truth in truths], truths)

    def _tell(self, model: Any, given: list[float], truths: list[float]) -> None:
        rows = len(truths)
        ids = [f"r{self.number + row}" for row in range(rows)]
        self.number += rows
        at = [self.now_s + 60.0 * (row // 500) for row in range(rows)]
        self.now_s = at[-1] + 60.0
        model.predictions(given, ids=ids, at=at)
        until(lambda: not self.obs.flush(1.0).pending, "predictions are not acknowledged")
        for begin in range(0, rows, 500):
            part = slice(begin, begin + 500)
            assert model.truths(ids[part], truths[part], at=at[part]).matched == len(ids[part])


def command(place: Path) -> tuple[str, ...]:
    """Writes each evidence that it gets as a line."""
    text = f"import sys; open({str(place)!r}, 'a').write(sys.stdin.read() + chr(10)); print('begun')"
    return sys.executable, "-c", text


def evidence_in(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def config_for(directory: Path, hooks: Hooks | None = None, **harm: Any) -> AgentConfig:
    told = RetrainConfig(command(directory / "evidence"), hooks.url if hooks else "", 20_000)
    return config_in(directory, models={"fraud": ModelConfig(harm=HarmConfig(**harm), on_retrain=told)})


def harm_of(agent: Any) -> dict[str, Any]:
    return agent.status()["agent"]["harm"]


def seen(agent: Any) -> int:
    """Truths that were judged."""
    return sum(model["truths"] for model in harm_of(agent)["models"])


def largest(client: AgentClient, what: str) -> float:
    return max(row["values"]["max"] for row in client.query(f"max {what}")["series"])


def test_harm_is_recommended_once_with_evidence_through_restarts(tmp_path: Path) -> None:
    with serving(503) as hooks:
        config = config_for(tmp_path, hooks)
        with running_agent(config) as agent:
            service = Service(config.listen)
            service.serve(ROWS, 0.1)
            until(lambda: seen(agent) == ROWS)
            assert harm_of(agent)["episodes"] == []
            service.serve(ROWS, 0.25)
            until(lambda: evidence_in(tmp_path / "evidence") and hooks.calls, "nothing is run")
            until(lambda: harm_of(agent)["episodes"][0]["on_retrain"]["command"]["stage"] == "worked")
            told = harm_of(agent)["episodes"][0]["on_retrain"]["webhook"]
            assert (told["stage"], told["says"]) == ("due", "answered 503 Service Unavailable")
        hooks.codes = [200]
        with running_agent(config) as agent:
            until(lambda: harm_of(agent)["episodes"][0]["on_retrain"]["webhook"]["stage"] == "worked")
            calls = len(hooks.calls)
            service.serve(ROWS, 0.25)
            until(lambda: seen(agent) == 3 * ROWS)
            with AgentClient(config.serve) as client:
                until(lambda: largest(client, "live_risk model=fraud since 1h") > 0.23)
                assert largest(client, "live_risk model=fraud since 1h") == pytest.approx(0.25, abs=0.02)
                until(lambda: largest(client, "harm_evalue since retrain") > 2)
                (event,) = agent._store.view().events("retrain")
        assert event.labels["model"] == "fraud"
        assert event.labels["version"] == "4"
        with running_agent(config):
            time.sleep(1.5)
        assert len(hooks.calls) == calls
        ((key, body),) = {(headers["Idempotency-Key"], body) for headers, body in hooks.calls}
        assert key == event.labels["episode"]
        (evidence,) = evidence_in(tmp_path / "evidence")
        assert json.loads(body) == evidence
    check(evidence)


def check(evidence: dict[str, Any]) -> None:
    named = {name: evidence[name] for name in ("model", "version", "variant", "slice", "loss", "tolerance")}
    assert named == {
        "model": "fraud",
        "version": "4",
        "variant": "live",
        "slice": None,
        "loss": "error",
        "tolerance": 0.02,
    }
    risk, reference = evidence["risk"], evidence["reference"]
    assert reference["source"] == "first truths"
    assert 0.08 < reference["risk"] < 0.12
    assert risk["lower"] < risk["live"] < risk["upper"]
    assert risk["live"] == pytest.approx(0.25, abs=0.05)
    assert risk["lower"] >= evidence["limit"] > reference["upper"]
    assert evidence["difference"] == pytest.approx(risk["live"] - reference["risk"])
    assert evidence["log10_evalue"] > 2
    assert evidence["maturity"]["share"] == 1.0
    assert evidence["since"] <= evidence["raised"]
    assert evidence["false_alarms"]["says"] == "at most one false recommendation in 1y, on average"
    assert evidence["features"] == []


def test_an_episode_ends_when_the_risk_falls_and_the_cool_down_holds(tmp_path: Path) -> None:
    config = config_for(tmp_path, cooldown_ms=DAY_MS)
    with running_agent(config) as agent:
        service = Service(config.listen)
        service.serve(ROWS, 0.1)
        service.serve(ROWS, 0.3)
        until(lambda: harm_of(agent)["episodes"], "nothing is recommended")
        service.serve(2 * ROWS, 0.08)
        until(lambda: harm_of(agent)["episodes"][0]["ended_ms"], "the episode does not end")
        assert "below what is allowed" in harm_of(agent)["episodes"][0]["why"]
        service.serve(ROWS, 0.4)
        until(lambda: harm_of(agent)["models"][0]["is_harmful"])
        until(lambda: seen(agent) == 5 * ROWS)
        assert len(harm_of(agent)["episodes"]) == 1
    assert len(evidence_in(tmp_path / "evidence")) == 1


def test_a_killed_agent_neither_counts_truths_twice_nor_runs_a_command_twice(
    stopped_agent: RunningAgent, tmp_path: Path
) -> None:
    """Killed at moments that nobody has chosen."""
    place, configuration = tmp_path / "evidence", stopped_agent.directory / "obsagent.toml"
    text = f"import sys; open({str(place)!r}, 'a').write(sys.stdin.read() + chr(10))"
    configuration.write_text(f"[models.fraud]\non_retrain.command = {json.dumps([sys.executable, '-c', text])}\n")
    arguments = ("--config", str(configuration), "--http", "off")
    chance = random.Random(3)
    agent = stopped_agent.start(*arguments)
    service = Service(agent.listen)
    for part in range(3):
        service.serve(3_000, 0.1 if part < 1 else 0.3)
        time.sleep(chance.uniform(0.0, 1.3))
        agent.kill()
        agent = stopped_agent.start(*arguments)
    until(lambda: seen_by(agent) == 9_000, "truths are missing, or counted twice")
    until(lambda: evidence_in(place), "nothing is run")
    time.sleep(1.5)
    assert len(evidence_in(place)) == 1
    status = agent.status()["agent"]["harm"]
    assert [episode["ended_ms"] for episode in status["episodes"]] == [0]
    assert agent.stop() == 0
    assert (agent.data / NAME).exists()


def seen_by(agent: RunningAgent) -> int:
    return sum(model["truths"] for model in agent.status()["agent"]["harm"]["models"])


def test_numbers_are_judged_by_squared_errors_against_their_reference(tmp_path: Path) -> None:
    reference = fitted_reference(tmp_path)
    told = ModelConfig(
        reference=reference, harm=HarmConfig(loss="squared"), on_retrain=RetrainConfig(command(tmp_path / "evidence"))
    )
    config = config_in(tmp_path, models={"price": told})
    with running_agent(config) as agent, AgentClient(config.serve, timeout_s=30) as client:
        service = Service(config.listen)
        service.serve_numbers(ROWS, 2.0)
        until(lambda: seen(agent) >= ROWS - 500)
        (metrics,) = (row["metrics"] for row in client.performance("model=price since 1d")["rows"])
        assert metrics["mae"]["reference"]["value"] == pytest.approx(1.6, abs=0.1)
        assert {metrics[name]["verdict"] for name in ("mae", "rmse", "r2")} == {"same"}
        assert harm_of(agent)["episodes"] == []
        service.serve_numbers(ROWS, 4.0)
        until(lambda: evidence_in(tmp_path / "evidence"), "nothing is run")
    (evidence,) = evidence_in(tmp_path / "evidence")
    assert (evidence["model"], evidence["loss"]) == ("price", "squared")
    assert evidence["bound"] == {"error": pytest.approx(8.0, rel=0.05), "source": evidence["reference"]["source"]}
    assert evidence["reference"]["source"].startswith("reference ")
    assert evidence["reference"]["risk"] == pytest.approx(4.0, rel=0.05)
    assert evidence["risk"]["lower"] >= evidence["limit"]


def fitted_reference(directory: Path) -> Path:
    """Of a model whose errors have a standard deviation of 2."""
    chance = random.Random(3)
    rows = [(truth, truth + chance.gauss(0, 2)) for truth in (chance.gauss(20, 5) for _ in range(5_000))]
    (directory / "train.csv").write_text("\n".join(["truth,said", *(f"{truth},{said}" for truth, said in rows)]))
    path = directory / "price.ref"
    names = ["--model", "price", "--truth", "truth", "--prediction", "said", "--out", str(path)]
    assert cli.main(["reference", "fit", str(directory / "train.csv"), *names]) == 0
    return path

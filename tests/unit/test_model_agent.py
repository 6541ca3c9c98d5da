"""Models with a real agent: its rules over the wire, what waits for them, reloads, references, other protocols."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import reference_lab
from agent_in_process import config_in, running_agent

import obsagent
from obsagent.ask import AgentClient
from obsagent.errors import FeatureError
from obsagent.models_config import ModelConfig
from obsagent.reference.reference import Reference
from obsagent.results import Result
from obsagent.samples import Kind

PATIENCE_S = 60.0
FRAUD = ModelConfig(drop=("email",), hash=("card",))


@pytest.fixture(autouse=True)
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clients: dict[Any, Any] = {}
    monkeypatch.setattr("obsagent.record.clients._clients", clients)
    yield
    for client in clients.values():
        client.close(0)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def flushed(obs: Any) -> None:
    until(lambda: not obs.flush(1.0).pending)


def rows(config: Any, text: str) -> list[dict[str, float]]:
    """What each row of an answer says."""
    with AgentClient(config.serve) as agent:
        return [row.values for row in Result(agent.query(text))]


def columns(agent: Any) -> dict[str, dict[str, str]]:
    """Feature → labels of its series in the store."""
    series = agent._store.view().series()
    return {each.labels["feature"]: each.labels for each in series if each.kind is Kind.COLUMN}


def test_what_came_before_the_agent_waits_and_keeps_its_rules(tmp_path: Path) -> None:
    config = config_in(tmp_path, models={"fraud": FRAUD})
    obs = obsagent.connect(service="shop", endpoint=config.listen)
    model = obs.model("fraud", version="4")
    model.features({"amount": 1.0, "email": "a@b.c", "card": 4711})
    assert obs.flush(0.05).pending == 4
    with running_agent(config) as agent:
        flushed(obs)
        assert columns(agent).keys() == {"amount", "card"}
        assert {*columns(agent)["amount"]} == {"model", "version", "variant", "feature", "service", "host"}
        assert obs.flush()[1:] == (0, 0, 0, 0, 0, 0, 0)
        obs.close()
    assert (config.data / "hash.key").stat().st_mode & 0o777 == 0o600


def test_a_reload_brings_other_rules_to_the_clients_that_are_there(tmp_path: Path) -> None:
    config = config_in(tmp_path, models={"fraud": FRAUD})
    later = config_in(tmp_path, models={"fraud": ModelConfig(drop=("amount",))})
    with running_agent(config, lambda: later) as agent:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        model.features({"amount": 1.0})
        flushed(obs)
        before = model.rules
        agent.reload()
        until(lambda: model.rules is not before)
        assert model.rules.drop == {"amount"}
        model.features({"amount": 2.0, "email": "a@b.c"})
        flushed(obs)
        assert columns(agent).keys() == {"amount", "email"}
        assert rows(config, "count feature feature=amount")[0]["count"] == 1
        obs.close()


def test_a_references_bins_are_the_columns(tmp_path: Path) -> None:
    reference = Reference(
        "fraud", features={"amount": reference_lab.number(), "country": reference_lab.category()}, rows=10
    )
    path = tmp_path / "fraud.ref"
    reference.save(path)
    config = config_in(tmp_path, models={"fraud": ModelConfig(reference=path)})
    with running_agent(config) as agent:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        for amount, country in ((0.5, "DE"), (1.5, "DE"), (9.0, "IT")):
            model.features({"amount": amount, "country": country})
        flushed(obs)
        assert columns(agent)["amount"]["reference"] == reference.label
        assert model.rules.features["amount"].edges == reference.features["amount"].edges
        assert model.rules.features["country"].categories == reference.features["country"].categories
        obs.close()


@pytest.mark.parametrize("waits", [False, True])
def test_strictness_waits_for_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    monkeypatch.setenv("OBSAGENT_STRICT", "1")
    config = config_in(tmp_path, models={"fraud": FRAUD})
    with running_agent(config):
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud")
        if waits:
            until(lambda: model.rules is not None)
        model.features({"amount": 1.0, "email": "x"})
        with pytest.raises(FeatureError, match="missing amount"):
            model.features({"email": "x"})
        obs.close()


def test_threads_and_models_that_come_late(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with running_agent(config):
        obs = obsagent.connect(service="shop", endpoint=config.listen)

        def serve(number: int) -> None:
            model = obs.model(f"m{number % 3}", version=str(number))
            for _ in range(50):
                with obs.request("/score", model=model) as request:
                    request.features({"a": 1.0})
                    request.prediction("yes", 0.5)

        threads = [threading.Thread(target=serve, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        flushed(obs)
        found = rows(config, "sum feature_rows,predictions by model")
        assert [row["sum"] for row in found] == [100] * 6
        assert obs.flush()[1:] == (0, 0, 0, 0, 0, 0, 0)
        obs.close()

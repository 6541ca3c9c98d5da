"""What an agent says of records: its status and metrics, what it knows of one request, what commands print of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_in_process import config_in, running_agent

import obsagent
from obsagent import cli
from obsagent.ask import AgentClient, ControlClient
from obsagent.by_id.report import TruthReport
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from obsagent.errors import UsageError
from obsagent.models_config import ModelConfig


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    fraud = ModelConfig(keep_rows=1.0, drop=("email",), horizon_ms=3_600_000)
    return config_in(tmp_path, models={"fraud": fraud})


@pytest.fixture
def agent(config: AgentConfig) -> Iterator[Agent]:
    with running_agent(config) as agent:
        yield agent


@pytest.fixture
def obs(agent: Agent, config: AgentConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    client = obsagent.connect(service="shop", endpoint=config.listen)
    yield client
    client.close()


def served(obs: Any) -> None:
    """One request, its prediction in a slice, its row, and its truth."""
    fraud = obs.model("fraud", version="4")
    with obs.request("/score", id="r-1", model=fraud) as request:
        request.slice(country="DE")
        request.features({"amount": 12.5, "email": "a@b.c", "age": None})
        request.prediction("ok", 0.25)
    obs.flush(10).raise_if_pending()
    assert fraud.truths(["r-1", "r-2"], ["fraud", None]) == TruthReport(matched=1, rejected=1)


def test_one_request_is_known_by_its_id(obs: Any, config: AgentConfig) -> None:
    served(obs)
    with AgentClient(config.serve) as agent:
        known = agent.known("r-1")
        assert agent.known("r-1", "other") == {"id": "r-1", "predictions": [], "truths": [], "rows": []}
        with pytest.raises(UsageError):
            agent.known("x" * 129)
    series = {"model": "fraud", "version": "4", "variant": "live", "slice": {"country": "DE"}}
    times = [known[kind][0].pop("at_ms") for kind in ("predictions", "truths", "rows")]
    assert all(at_ms > 1_600_000_000_000 for at_ms in times)
    assert known == {
        "id": "r-1",
        "predictions": [{**series, "value": "ok", "score": 0.25}],
        "truths": [{"model": "fraud", "value": "fraud"}],
        "rows": [{**series, "features": {"amount": 12.5, "age": None}}],
    }


def test_show_prints_what_is_known(obs: Any, config: AgentConfig, capsys: pytest.CaptureFixture[str]) -> None:
    served(obs)
    assert cli.main(["show", "r-1", "--agent", config.serve]) == 0
    header, prediction, truth, row, *features = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "slice", "predicted", "score", "truth", "when"]
    assert prediction.split()[:5] == ["fraud/4", "country=DE", "ok", "0.25", "fraud"]
    assert truth.startswith("truth of fraud: fraud, known ")
    assert row.startswith("row of fraud/4, ")
    assert [line.split() for line in features] == [["amount", "12.5"], ["age", "(null)"]]
    assert cli.main(["show", "nobody", "--model", "fraud", "--agent", config.serve]) == 1
    assert "nothing is known of nobody by model fraud" in capsys.readouterr().err


def test_a_status_counts_records(obs: Any, agent: Agent, capsys: pytest.CaptureFixture[str], config: Any) -> None:
    assert agent.status()["records"] is None
    fraud = obs.model("fraud", version="4")
    served(obs)
    fraud.prediction(1, id="old", at=1_000_000_000)
    obs.flush(10).raise_if_pending()
    records = agent.status()["records"]
    assert records["predictions"] == {"received": 1, "rejected": 0, "refused": 1, "expired": 0, "evicted": 0}
    assert (records["truths"]["received"], records["truths"]["matched"], records["truths"]["rejected"]) == (1, 1, 0)
    assert (records["rows"], records["dropped"]) == ({"received": 1, "refused": 0}, 0)
    assert cli.main(["status", "--agent", config.serve]) == 0
    out = capsys.readouterr().out
    assert "records    1 prediction (1 refused), 1 truth (1 matched), 1 row\n" in out
    agent._every_second()
    found = agent.query({"text": "sum obsagent_records by kind,became since 1h"})["series"]
    told = {(row["labels"]["kind"], row["labels"]["became"]): row["values"]["sum"] for row in found}
    assert told["predictions", "kept"] == told["predictions", "refused"] == told["truths", "kept"] == 1


def test_forgetting_says_what_there_was(obs: Any, config: AgentConfig, capsys: pytest.CaptureFixture[str]) -> None:
    fraud = obs.model("fraud", version="4")
    fraud.features({"amount": 1.0}, ids="forget-this")
    fraud.prediction(1, id="forget-this")
    obs.flush(10).raise_if_pending()
    found = [path for path in config.data.rglob("*") if path.is_file() and b"forget-this" in path.read_bytes()]
    assert found
    words = ["forget", "--id", "forget-this", "--control", config.control_endpoint]
    assert cli.main([*words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"predictions": 1, "truths": 0, "rows": 1}
    assert cli.main(words) == 0
    assert capsys.readouterr().out == "nothing was known: nothing was forgotten\n"
    found = [path for path in config.data.rglob("*") if path.is_file() and b"forget-this" in path.read_bytes()]
    assert found == []
    assert cli.main(["forget", "--control", config.control_endpoint]) == 2
    with ControlClient(config.control_endpoint) as control, pytest.raises(UsageError):
        control.forget([""])


def test_an_agent_without_records_loads_no_ledger(agent: Agent, config: AgentConfig) -> None:
    assert not (config.data / "ledger").exists()
    assert agent._store.records.view() is None
    with AgentClient(config.serve) as reader, ControlClient(config.control_endpoint) as control:
        assert reader.known("a") == {"id": "a", "predictions": [], "truths": [], "rows": []}
        assert control.forget(["a"]) == {"predictions": 0, "truths": 0, "rows": 0}
    assert "obsagent.ledger.ledger" in sys.modules or not (config.data / "ledger").exists()


def test_a_store_is_asked_without_an_agent(obs: Any, agent: Agent, config: AgentConfig, capsys: Any) -> None:
    """What is only in the journal is known, too; fsck reads the ledger's files."""
    served(obs)
    assert cli.main(["show", "r-1", "--data", str(config.data), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["value"] == "ok"
    agent._store.records.flush()
    assert cli.main(["show", "r-1", "--data", str(config.data), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1
    assert cli.main(["fsck", str(config.data), "--format", "json"]) == 0
    names = {file["name"] for file in json.loads(capsys.readouterr().out)["files"]}
    assert "ledger/manifest" in names
    (run,) = (config.data / "ledger").glob("*.truths.run")
    data = bytearray(run.read_bytes())
    data[len(data) // 2] ^= 1
    run.write_bytes(data)
    assert cli.main(["fsck", str(config.data)]) == 1
    assert f"ledger/{run.name}" in capsys.readouterr().out

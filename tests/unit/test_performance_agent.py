"""Predictions and truths from a client through a real agent to its answers, over the wire and from the store alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_in_process import config_in, running_agent

import obsagent
from obsagent import cli
from obsagent.ask import AgentClient
from obsagent.models_config import ModelConfig
from obsagent.reference import Reference


@pytest.fixture(autouse=True)
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clients: dict[Any, Any] = {}
    monkeypatch.setattr("obsagent.record.clients._clients", clients)
    yield
    for client in clients.values():
        client.close(0)


def made_reference(path: Path) -> Path:
    """Scores mean what they say; of every score one row in as many is a fraud as it says."""
    lines = ["prediction,score,truth"]
    for step in range(100):
        score = (step + 0.5) / 100
        lines += [
            f"{'fraud' if score >= 0.5 else 'fine'},{score},{'fraud' if row < step else 'fine'}" for row in range(100)
        ]
    (path / "train.csv").write_text("\n".join(lines))
    names = ["--prediction", "prediction", "--score", "score", "--truth", "truth"]
    words = ["reference", "fit", str(path / "train.csv"), "--model", "cards", *names, "--out", str(path / "cards.ref")]
    assert cli.main(words) == 0
    return path / "cards.ref"


def test_from_the_client_to_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = made_reference(tmp_path)
    config = config_in(tmp_path, models={"cards": ModelConfig(reference=reference, positive="fraud")})
    with running_agent(config):
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        for version, variant in (("1", "live"), ("2", "shadow")):
            model = obs.model("cards", version=version, variant=variant)
            scores = [(number % 100 + 0.5) / 100 for number in range(300)]
            names = ["fraud" if (score >= 0.5) == (version == "1") else "fine" for score in scores]
            model.predictions(names, scores, ids=[f"c{number}" for number in range(300)])
        assert not obs.flush(30).pending
        truths = ["fraud" if number % 100 >= 50 else "fine" for number in range(200)]
        report = obs.model("cards", version="1").truths([f"c{number}" for number in range(200)], truths)
        assert report.matched == 200
        with AgentClient(config.serve, timeout_s=30) as agent:
            live = agent.performance("model=cards since 1h")
            recall = agent.query("recall,estimated_recall model=cards by version since 1h")
            task = agent.catalogue()["models"][0]
        assert cli.main(["performance", "model=cards", "--exit-match", "--agent", config.serve]) == 3
    assert {row["version"]: row["metrics"]["accuracy"]["value"] for row in live["rows"]} == {"1": 1.0, "2": 0.0}
    assert [row["metrics"]["accuracy"]["verdict"] for row in live["rows"]] == ["better", "worse"]
    assert live["rows"][0]["metrics"]["roc_auc"]["reference"]["value"] == pytest.approx(0.83, abs=0.01)
    assert live["rows"][0]["reference"] == Reference.load(reference).label
    (rival,) = live["rivals"]
    assert (rival["truths"], rival["second_wrong"], rival["better"]) == (200, 200, "first")
    values = {(row["metric"], row["labels"]["version"]): row["values"][row["metric"]] for row in recall["series"]}
    assert (values["recall", "1"], values["recall", "2"]) == (1.0, 0.0)
    assert values["estimated_recall", "1"] == pytest.approx(0.75, abs=0.02)
    assert (task["task"], task["outcomes"]["labels"]["version"]["values"]) == ("two classes", ["1", "2"])
    capsys.readouterr()
    assert cli.main(["performance", "model=cards", "--format", "json", "--data", str(config.data)]) == 0
    stored = json.loads(capsys.readouterr().out)
    assert [row["metrics"]["accuracy"]["value"] for row in stored["rows"]] == [1.0, 0.0]
    assert stored["rows"][0]["reference"] == live["rows"][0]["reference"]


def test_numpy_is_loaded_for_outcomes_alone() -> None:
    code = """
import sys
import obsagent.daemon, obsagent.answer.serve, obsagent.evaluate.performance_report, obsagent.cli.performance
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.testing import Memory
with Memory() as memory:
    answer(parse('p99 latency'), memory._agent.store.view(), 0)
print('numpy' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

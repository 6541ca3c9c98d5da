"""Models of every size and values of every kind, from the client to the report: findings, never failures.

`make scale` gives ten million rows instead of two.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import obsagent
from integration.drift_lab import config_for, reference
from integration.threaded_agent import until
from obsagent.ask import AgentClient
from unit.agent_in_process import running_agent

ROWS = int(os.environ.get("OBSAGENT_SCALE_ROWS", "2000000"))
BATCH = 50_000
MB = 1_000_000


@pytest.fixture(autouse=True)
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clients: dict[Any, Any] = {}
    monkeypatch.setattr("obsagent.record.clients._clients", clients)
    yield
    for client in clients.values():
        client.close(0)


def flushed(obs: Any) -> None:
    until(lambda: not obs.flush(1.0).pending, "not everything is delivered")


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def found_by(client: AgentClient, words: str = "model=fraud since 10m") -> set[tuple[str, str]]:
    return {(each["feature"], each["finding"]) for each in client.quality(words)["findings"]}


def test_millions_of_rows_in_constant_memory(tmp_path: Path) -> None:
    """Client and agent in this process; after a fifth of the rows nothing grows any more."""
    names = ["a", "b", "c", "d"]
    config = config_for(tmp_path, reference(names))
    matrix = np.random.default_rng(1).normal(size=(BATCH, len(names)))
    with running_agent(config), AgentClient(config.serve, 60) as client:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        sizes = []
        for first in range(0, ROWS, BATCH):
            model.features(matrix, names=names)
            flushed(obs)  # or the ring is full, and what it has no room for is lost
            if first % (ROWS // 5) == 0:
                sizes.append(resident())
        assert resident() - sizes[1] < 20 * MB, [size // MB for size in sizes]
        (row,) = client.query("sum feature_rows model=fraud since 10m")["series"]
        assert row["values"]["sum"] == -(-ROWS // BATCH) * BATCH
        (row,) = client.query("distinct model=fraud feature=a since 10m")["series"]
        assert row["values"]["distinct"] == pytest.approx(BATCH, rel=0.07)
        assert found_by(client) <= {("", "duplicates")}  # the same rows again and again


FIT = """
import resource, sys
from obsagent import cli
code = cli.main(["reference", "fit", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(code)
"""


def fitted(directory: Path, rows: int) -> int:
    """The most memory that it takes to fit a reference on so many rows, in a process of its own."""
    data = directory / f"{rows}.npy"
    np.save(data, np.random.default_rng(1).normal(size=(rows, 2)).astype(np.float32))
    words = [str(data), "--model", "fraud", "--out", str(directory / f"{rows}.ref")]
    done = subprocess.run([sys.executable, "-c", FIT, *words], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def test_a_reference_of_millions_of_rows_takes_no_more_memory(tmp_path: Path) -> None:
    assert fitted(tmp_path, ROWS) - fitted(tmp_path, ROWS // 10) < 10 * MB


def test_a_category_of_a_million_different_values(tmp_path: Path) -> None:
    """Memory does not follow them; what goes on is said by how many are different, and how many are new."""
    config = config_for(tmp_path, reference(["amount"]))
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        size = 0
        for first in range(0, 1_000_000, BATCH):
            model.features({"user": [f"user {number}" for number in range(first, first + BATCH)]})
            flushed(obs)
            size = size or resident()
        assert resident() - size < 40 * MB
        (row,) = client.query("distinct model=fraud feature=user since 10m")["series"]
        assert row["values"]["distinct"] > 0
        (row,) = client.query("sum feature_rows model=fraud since 10m")["series"]
        assert row["values"]["sum"] == 1_000_000
        assert found_by(client) == {("amount", "missing_feature"), ("user", "extra_feature")}
        assert client.drift("model=fraud since 10m")["without_reference"]
        refused = agent.status()["series"].get("refused_labels")
        assert refused is not None


def test_a_thousand_features_of_one_row(tmp_path: Path) -> None:
    names = [f"x{number:03}" for number in range(1_000)]
    config = config_for(tmp_path, reference(names[:3]))
    row = dict.fromkeys(names, 0.5)
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        for number in range(60):
            model.features(row)
            if number % 10 == 9:
                flushed(obs)  # or the ring is full, and what it has no room for is lost
        report = client.quality("model=fraud since 10m")
        assert report["models"][0]["features"] == 1_000
        assert {each["finding"] for each in report["findings"]} == {"extra_feature"}
        assert not agent._evaluation.trouble.error


ODD = [
    {"a": float("nan"), "b": 1.0, "c": 1.0},
    {"a": float("inf"), "b": None, "c": 1.0},
    {"a": float("-inf"), "b": 1.0},
    {"a": 1e308, "b": "no number", "c": True, "more": 1},
    {"a": -1e308, "b": b"bytes", "c": 2**70, "more": "text"},
    {"a": 1, "b": [1, 2], "c": {}, 7: object()},
    {},
]


def test_numbers_that_come_as_text_are_a_change_of_type(tmp_path: Path) -> None:
    config = config_for(tmp_path, reference(["a"]))
    with running_agent(config), AgentClient(config.serve, 60) as client:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        for number in range(200):
            model.features({"a": f"{number}", "b": number})
        flushed(obs)
        found = found_by(client)
        assert ("a", "type_change") in found
        assert ("a", "wrong_type") not in found


def test_values_of_every_kind_from_the_client_to_the_findings(tmp_path: Path) -> None:
    config = config_for(tmp_path, reference(["a", "b", "c", "gone"]))
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        obs = obsagent.connect(service="shop", endpoint=config.listen)
        model = obs.model("fraud", version="4")
        for _ in range(40):
            for row in ODD:
                model.features(row)
        flushed(obs)
        found = found_by(client)
        assert {
            *(("a", "nan"), ("a", "infinite"), ("a", "out_of_range"), ("b", "null"), ("b", "wrong_type")),
            *(("c", "wrong_type"), ("c", "missing"), ("gone", "missing_feature"), ("more", "extra_feature")),
        } <= found
        assert client.drift("model=fraud since 10m")["features"]
        state = agent.status()
        assert state["agent"]["malformed"] == 0
        assert not state["agent"]["problems"]
        assert not agent._evaluation.trouble.error

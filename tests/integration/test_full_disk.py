"""A real disk that is full, and one that is read-only.

The agent stops acknowledging, its clients keep what they have, the status says what is wrong; when there is space again
everything is stored once, without a restart, and also if the agent was killed meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import obsagent
from balance import answers_balance, balances, metrics_balance
from integration.agents import RunningAgent
from integration.privileges import read_only, small_disk
from integration.stored import stored_histogram
from integration.threaded_agent import until
from obsagent.record.client import Client

BALLAST_BYTES = 4096


@pytest.fixture
def agent(stopped_agent: RunningAgent, tmp_path: Path) -> Iterator[RunningAgent]:
    """A running agent whose store is on a disk of eight megabytes."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        stopped_agent.data = disk / "data"
        yield stopped_agent.start()
        if stopped_agent.running:
            stopped_agent.kill()


def fill(disk: Path) -> Path:
    """Takes all the space there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(BALLAST_BYTES)):
            pass
    return ballast


def observe_until_stuck(client: Client) -> int:
    """The last page of the journal's file may have some room left; returns what was observed until it is full."""
    step, values = client.histogram("step"), [1.01**number for number in range(1_000)]
    for pieces in range(1, 100):
        step.observe_many(values)
        if client.flush(0.3).pending:
            return pieces * len(values)
    raise AssertionError("the disk is not full")


def problems(agent: RunningAgent) -> list[str]:
    return agent.status()["agent"]["problems"]


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_disk_that_is_full_and_has_space_again(agent: RunningAgent, tmp_path: Path, killed: bool) -> None:
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    step.observe_many([1.0] * 1_000)
    assert client.flush(20).pending == 0
    pid = agent.status()["agent"]["pid"]

    ballast = fill(tmp_path / "disk")
    observed = 1_000 + observe_until_stuck(client)
    acknowledged, pending, *_ = client.flush(0.3)
    assert acknowledged + pending == observed
    late = obsagent.connect(service="late")
    late.histogram("step").observe_many([3.0] * 700)
    assert late.flush(1).pending == 700
    until(lambda: any("No space left on device" in each for each in problems(agent)))
    shown = agent.command("status", "--agent", agent.serve).stdout
    assert "agent      failing: " in shown
    assert "problem: the journal cannot be synced: " in shown
    assert "free space on its file system, and it goes on by itself" in shown
    assert agent.ask("count step service=shop since 1h")["series"][0]["values"]["count"] >= 1_000
    balances(agent.status(), pending=None)

    if killed:
        agent.kill()
        agent.start()  # on the full disk
        assert stored_histogram(agent.data, "step", service="shop").count == acknowledged
        pid = agent.status()["agent"]["pid"]
        assert client.flush(1)[:2] == (acknowledged, pending)
    ballast.unlink()
    assert client.flush(30) == (observed, 0, 0, 0, 0, 0, 0, 0)
    assert late.flush(30) == (700, 0, 0, 0, 0, 0, 0, 0)
    until(lambda: agent.status()["agent"]["health"] == "ok")
    status = agent.status()
    assert status["agent"]["pid"] == pid
    balances(status, {"shop": observed, "late": 700})
    until(lambda: agent.ask("sum obsagent_sync_failures since 1h")["series"][0]["values"]["sum"] > 0)
    metrics_balance(agent.status(), agent.ask)
    answers_balance(agent.status(), agent.ask, {"shop": "step", "late": "step"})

    agent.kill()
    assert stored_histogram(agent.data, "step", service="shop").count == observed
    assert stored_histogram(agent.data, "step", service="late").count == 700
    client.close()
    late.close()


@pytest.mark.parametrize("has_store", [False, True], ids=["empty", "with a store"])
def test_an_agent_does_not_start_where_nothing_can_be_written(
    stopped_agent: RunningAgent, tmp_path: Path, has_store: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if has_store:
        stopped_agent.start()
        assert stopped_agent.stop() == 0
    with read_only(data):
        command = [sys.executable, "-m", "obsagent", "agent", "--data", str(data), "--listen", stopped_agent.listen]
        done = subprocess.run([*command, "--serve", stopped_agent.serve], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{data}" in done.stderr
    assert "Read-only file system: make its file system writable again" in done.stderr
    assert "--data names another directory" in done.stderr


def test_a_disk_that_becomes_read_only_can_be_read(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    """No agent can run there, and the questions are answered all the same."""
    stopped_agent.start()
    client = obsagent.connect(service="shop")
    client.histogram("step").observe_many([1.0] * 10)
    assert client.flush(20).pending == 0
    client.close()
    assert stopped_agent.stop() == 0
    with read_only(stopped_agent.data):
        answer = stopped_agent.query("count step since 1h", alone=True)
        assert answer["series"][0]["values"]["count"] == 10

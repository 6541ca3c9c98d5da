"""One agent a store and an endpoint: a second one is refused and says who is there; readers are not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import obsagent
from integration.agents import RunningAgent


def start(agent: RunningAgent, data: Path, listen: str, serve: str) -> subprocess.CompletedProcess[str]:
    return agent.command("agent", "--data", str(data), "--listen", listen, "--serve", serve)


def test_a_second_agent_on_the_same_store_is_refused(agent: RunningAgent, tmp_path: Path) -> None:
    assert agent.process is not None
    done = start(agent, agent.data, f"ipc://{tmp_path}/other.sock", f"ipc://{tmp_path}/other-query.sock")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"the store {agent.data} is in use by pid {agent.process.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    assert agent.status()["agent"]["pid"] == agent.process.pid


def test_a_second_agent_on_the_same_endpoint_is_refused(agent: RunningAgent, tmp_path: Path) -> None:
    assert agent.process is not None
    for listen, serve in [(agent.listen, f"ipc://{tmp_path}/q.sock"), (f"ipc://{tmp_path}/w.sock", agent.serve)]:
        done = start(agent, tmp_path / "other", listen, serve)
        assert done.returncode == 1
        assert "another agent is listening on " in done.stderr
        assert f"(pid {agent.process.pid})" in done.stderr
        assert "Traceback" not in done.stderr
    client = obsagent.connect(service="shop")
    client.counter("hits").inc()
    assert client.flush(10).pending == 0  # nobody has stolen the first one's sockets
    client.close()


def test_after_the_first_was_killed_another_takes_over(agent: RunningAgent) -> None:
    agent.kill()
    agent.start()
    assert agent.process is not None
    assert agent.status()["agent"]["pid"] == agent.process.pid


def test_readers_are_not_refused(agent: RunningAgent) -> None:
    client = obsagent.connect(service="shop")
    client.counter("hits").inc()
    assert client.flush(10).pending == 0
    assert agent.query("sum hits since 1h", alone=True)["series"][0]["values"]["sum"] == 1
    checked = agent.command("fsck", str(agent.data), "--format", "json")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["sound"]
    client.close()


def test_repair_needs_the_store_to_itself(agent: RunningAgent) -> None:
    assert agent.process is not None
    done = agent.command("fsck", "--repair", str(agent.data))
    assert done.returncode == 1
    assert f"is in use by pid {agent.process.pid}" in done.stderr
    assert agent.stop() == 0
    assert agent.command("fsck", "--repair", str(agent.data)).returncode == 0


def test_an_agent_at_work_is_no_damage(agent: RunningAgent) -> None:
    """Checked again and again while samples are journalled, and once with the agent stopped in the middle."""
    assert agent.process is not None
    client = obsagent.connect(service="shop")
    step = client.histogram("step")
    for number in range(4):
        step.observe_many([float(number)] * 1000)
        done = agent.command("fsck", str(agent.data), "--format", "json")
        assert done.returncode == 0, done.stdout
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        assert agent.command("fsck", str(agent.data)).returncode == 0
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
    client.close()

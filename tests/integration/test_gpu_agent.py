"""An agent that reads GPUs: those of a fake NVML, and a real one where there is one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import need
from obsagent.processes import parent_pid
from unit.nvml_lab import GIB, FakeGpus
from unit.other_user import need_root

CONTAINED = """
import os, socket, sys
import obsagent
assert os.getpid() == 1
socket.sethostname("pod-1")
client = obsagent.connect("contained", endpoint=sys.argv[1])
client.flush(20.0)
print("ready", flush=True)
sys.stdin.read()
client.close()
os._exit(0)
"""
INTERVAL = '[collect.gpu]\ninterval = "1s"\n'


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    """Two healthy boards; agents that start from now on find them."""
    fake = FakeGpus(tmp_path, 2)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "obsagent.toml"
    path.write_text(INTERVAL)
    return path


def last(agent: RunningAgent, query: str) -> dict[tuple[str, ...], float]:
    """Values of labels → the latest value."""
    rows = agent.ask(f"last {query}")["series"]
    return {tuple(row["labels"].values()): row["values"]["last"] for row in rows}


def wait_for(what: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 60
    while not wanted(value := what()):
        assert time.monotonic() < deadline, value
        time.sleep(0.1)
    return value


def gpu_status(agent: RunningAgent) -> dict[str, Any]:
    return agent.status()["agent"]["collectors"]["gpu"]


def test_memory_of_each_gpu_and_of_the_model_that_holds_it(
    stopped_agent: RunningAgent, gpus: FakeGpus, config: Path
) -> None:
    agent = stopped_agent.start("--config", str(config))
    client = obsagent.connect(service="fraud", version="4")
    with client.request("/score"):
        pass
    assert client.flush(10).pending == 0
    gpus.set("1", process=[(os.getpid(), 3 * GIB, 25)])
    by_service = wait_for(lambda: last(agent, "gpu_memory_bytes by gpu,service"), lambda rows: ("1", "fraud") in rows)
    assert by_service == {("0", "host"): 10 * GIB, ("1", "fraud"): 3 * GIB, ("1", "host"): 7 * GIB}
    assert last(agent, "gpu_memory_bytes by gpu") == {("0",): 10 * GIB, ("1",): 10 * GIB}
    assert last(agent, "gpu_memory_bytes by worker") == {("",): 17 * GIB, ("0",): 3 * GIB}
    assert last(agent, "gpu_utilization by gpu") == {("0", "host"): 0.37, ("1",): 0.25, ("1", "host"): 0.37}
    assert agent.query("gpu_power_watts by gpu")["metric"]["unit"] == "watts"
    shown = agent.command("top", "--once", "--agent", agent.serve).stdout.splitlines()
    header, row = shown[-2:]
    assert header.split()[-3:] == ["gpu", "gpu", "mem"]
    assert row.split()[0] == "fraud"
    assert row.split()[-4:] == ["25", "%", "3.22", "GB"]
    client.close()


def test_a_model_in_a_container_is_found_by_the_hosts_pid_of_its_process(
    stopped_agent: RunningAgent, gpus: FakeGpus, config: Path
) -> None:
    need_root()
    agent = stopped_agent.start("--config", str(config))
    spaces = ["--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    command = [need("unshare"), *spaces, sys.executable, "-c", CONTAINED]
    with subprocess.Popen([*command, agent.listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "ready\n"
        pids = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
        (first,) = (pid for pid in pids if parent_pid(pid) == inside.pid)
        gpus.set("0", process=[(first, GIB)])
        rows = wait_for(lambda: last(agent, "gpu_memory_bytes by service"), lambda rows: ("contained",) in rows)
        inside.communicate("", timeout=30)
    assert rows == {("contained",): GIB, ("host",): 19 * GIB}


def test_a_lost_gpu_is_a_trouble_of_the_agent_and_the_other_goes_on(
    stopped_agent: RunningAgent, gpus: FakeGpus, config: Path
) -> None:
    agent = stopped_agent.start("--config", str(config))
    wait_for(lambda: last(agent, "gpu_power_watts by gpu"), lambda rows: len(rows) == 2)
    gpus.set("1", code=15)
    problems = wait_for(lambda: agent.status()["agent"]["problems"], bool)
    assert problems[0].startswith("gpu: GPU 1 (Fake 100, GPU-fake-1): GPU is lost")
    assert agent.status()["agent"]["health"] == "degraded"
    assert f"problem: {problems[0]}" in agent.command("status", "--agent", agent.serve).stdout
    gpus.set("0", power=111_000)
    wait_for(lambda: last(agent, "gpu_power_watts by gpu").get(("0",)), lambda watts: watts == 111.0)
    rounds = gpu_status(agent)["rounds"]
    wait_for(lambda: gpu_status(agent)["rounds"], lambda now: now > rounds + 1)


def test_a_driver_that_hangs_takes_nothing_else_with_it(
    stopped_agent: RunningAgent, gpus: FakeGpus, config: Path
) -> None:
    gpus.set("0", hang="nvmlDeviceGetPowerUsage")
    agent = stopped_agent.start("--config", str(config))
    client = obsagent.connect(service="fraud")
    client.counter("hits").inc()
    assert client.flush(30).pending == 0
    assert gpu_status(agent)["rounds"] == 0
    client.close()
    assert agent.stop() == 0


def test_two_mig_instances_are_two_devices(stopped_agent: RunningAgent, gpus: FakeGpus, config: Path) -> None:
    gpus.set("1", mig=2)
    gpus.set("1:0", memory=(10 * GIB, 7 * GIB, 3 * GIB), process=[(os.getpid(), 2 * GIB)])
    gpus.set("1:1", memory=(20 * GIB, 19 * GIB, GIB))
    agent = stopped_agent.start("--config", str(config))
    client = obsagent.connect(service="fraud")
    rows = wait_for(
        lambda: last(agent, "gpu_memory_bytes by gpu,gpu_instance,service"),
        lambda rows: any("fraud" in labels for labels in rows),
    )
    assert rows == {
        ("0", "", "host"): 10 * GIB,
        ("1", "", "host"): 6 * GIB,
        ("1:0", "7", "fraud"): 2 * GIB,
        ("1:0", "7", "host"): GIB,
        ("1:1", "8", "host"): GIB,
    }
    assert last(agent, "gpu_memory_total_bytes") == {(): 160 * GIB}
    client.close()


def test_without_a_driver_the_status_has_a_note_and_no_problem(stopped_agent: RunningAgent, config: Path) -> None:
    agent = stopped_agent.start("--config", str(config))
    status = wait_for(lambda: gpu_status(agent), lambda status: status["rounds"] or status["error"])
    if not status["note"]:
        pytest.skip("this machine has an NVIDIA driver")
    assert status["note"] == "no NVIDIA driver here (libnvidia-ml.so.1 is not found)"
    assert agent.status()["agent"]["problems"] == []
    (line,) = re.findall("^gpu .*$", agent.command("status", "--agent", agent.serve).stdout, re.MULTILINE)
    assert line.endswith(status["note"])


def test_what_is_switched_off_is_not_read(stopped_agent: RunningAgent, gpus: FakeGpus, config: Path) -> None:
    config.write_text("[collect.gpu]\nenabled = false\n")
    agent = stopped_agent.start("--config", str(config))
    assert "gpu" not in agent.status()["agent"]["collectors"]
    assert gpus.take_calls() == []


def test_a_mistake_in_the_settings_stops_the_start(stopped_agent: RunningAgent, config: Path) -> None:
    config.write_text('[collect.gpu]\nintervall = "1s"\n')
    done = stopped_agent.command("agent", "--data", str(stopped_agent.data), "--config", str(config))
    assert done.returncode == 78
    assert "unknown key collect.gpu.intervall; did you mean collect.gpu.interval?" in done.stderr


def test_a_real_gpu(stopped_agent: RunningAgent, config: Path) -> None:
    agent = stopped_agent.start("--config", str(config))
    status = wait_for(lambda: gpu_status(agent), lambda status: status["rounds"] or status["error"])
    if status["note"]:
        pytest.skip(status["note"])
    total = wait_for(lambda: last(agent, "gpu_memory_total_bytes by gpu"), bool)
    used = last(agent, "gpu_memory_bytes by gpu")
    assert all(GIB < total[gpu] < 1024 * GIB for gpu in total)
    assert all(0 <= used[gpu] <= total[gpu] for gpu in total)
    assert all(5 < celsius < 110 for celsius in last(agent, "gpu_temperature_celsius by gpu").values())
    assert status["error"] == ""

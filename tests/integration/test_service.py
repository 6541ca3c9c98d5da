"""A real agent as a service: told apart by its manager, reloaded by signal, with a log for machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.agents import RunningAgent

PATIENCE_S = 60.0


class Manager:
    """Listens where systemd would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.1)

    def wait_for(self, line: str, count: int = 1) -> None:
        def came() -> bool:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except TimeoutError:
                pass
            return sum(each.startswith(line) for each in self.heard) >= count

        wait_until(came, lambda: f"{line!r} did not come {count} times; heard {self.heard}")

    def close(self) -> None:
        self._socket.close()


def wait_until(happened: Callable[[], bool], says: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, says()
        time.sleep(0.02)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    yield made
    made.close()


def logged(agent: RunningAgent) -> list[dict[str, Any]]:
    return [json.loads(line) for line in agent.log.read_text().splitlines()]


def test_its_manager_hears_of_its_life(stopped_agent: RunningAgent, manager: Manager) -> None:
    config = stopped_agent.directory / "agent.toml"
    config.write_text("")
    agent = stopped_agent.start("--config", str(config))
    manager.wait_for("READY=1")
    assert manager.heard[0] == "STATUS=opening the store"
    manager.wait_for("STATUS=ok")
    manager.wait_for("WATCHDOG=1", 2)
    config.write_text("series_total = 0\n")
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1", 2)
    manager.wait_for("STATUS=degraded: the configuration was not reloaded")
    config.write_text("")
    agent.process.send_signal(signal.SIGHUP)
    manager.wait_for("READY=1", 3)
    manager.wait_for("STATUS=ok", 2)
    assert agent.stop() == 0
    manager.wait_for("STOPPING=1")


def test_a_failed_agent_is_not_reported_alive(manager: Manager) -> None:
    from queue import SimpleQueue

    from obsagent import agent_process
    from obsagent.supervisor import Supervisor

    class Failed:
        failed = True
        condition = "failing"

    agent: Any = Failed()
    agent_process._watch(agent, SimpleQueue(), Supervisor())
    manager._socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        manager._socket.recv(100)


def test_sighup_takes_what_is_right_and_leaves_what_is_wrong(
    stopped_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = stopped_agent.directory / "agent.toml"
    config.write_text('log_format = "json"\n')
    monkeypatch.setenv("OBSAGENT_CONFIG", str(config))
    monkeypatch.setenv("OBSAGENT_DISK_BUDGT", "5GB")
    agent = stopped_agent.start()
    assert agent.process is not None
    config.write_text('log_format = "json"\ndisk_budget = "70MB"\nseries_total = 9\nlog_level = "debug"\n')
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: agent.status()["segments"]["budget_bytes"] == 70_000_000, agent.log.read_text)
    assert agent.status()["agent"]["configuration"]["restart_needed"] == ["series_total"]
    config.write_text('disk_budget = "1KB"\nlog_levl = "info"\n')
    done = agent.command("control", "reload", "--control", f"ipc://{agent.directory}/control.sock")
    assert done.returncode == 78
    assert "agent.toml:1: disk_budget: expected at least" in done.stderr
    assert "agent.toml:2: unknown key log_levl; did you mean log_level?" in done.stderr
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: agent.status()["agent"]["configuration"]["reloads"]["failed"] == 2, agent.log.read_text)
    assert agent.status()["segments"]["budget_bytes"] == 70_000_000
    config.write_text('log_format = "json"\n')
    done = agent.command("control", "reload", "--control", f"ipc://{agent.directory}/control.sock")
    assert (done.returncode, "in force now: disk_budget, log_level" in done.stdout) == (0, True)
    assert agent.stop() == 0
    lines = logged(agent)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    told = {line["message"]: line["level"] for line in lines}
    assert any("OBSAGENT_DISK_BUDGT is set and nothing reads it; did you mean" in message for message in told)
    assert any(message.startswith("reloaded, as SIGHUP asks for: ") for message in told)
    refusals = [message for message in told if "was not reloaded, the one before stays in force" in message]
    assert {told[message] for message in refusals} == {"error"}
    assert lines[-1]["message"] == "stopped"


def test_what_keeps_it_from_starting_is_an_object_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_LOG_FORMAT", "json")
    config = tmp_path / "agent.toml"
    config.write_text("nonsense = 1\nseries_total = 0\n")
    done = RunningAgent.command("agent", "--config", str(config), "--data", str(tmp_path / "data"))
    assert done.returncode == 78
    (said,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (said["level"], said["fields"]) == ("critical", {"exit_code": 78})
    assert said["message"].count("\n") == 1
    text = RunningAgent.command("agent", "--config", str(config), "--log-format", "text")
    assert text.returncode == 78
    assert text.stderr.startswith("obsagent agent: ")


def test_no_secret_is_logged(tmp_path: Path, stopped_agent: RunningAgent) -> None:
    words = ("keys", "new", "web", "--role", "write", "--data", str(stopped_agent.data))
    assert stopped_agent.command(*words, "--output", str(tmp_path / "web.key")).returncode == 0
    agent = stopped_agent.start("--log-format", "json", "--log-level", "debug")
    assert agent.process is not None
    os.kill(agent.process.pid, signal.SIGHUP)
    wait_until(lambda: "reloaded" in agent.log.read_text(), agent.log.read_text)
    agent.stop()
    keys = [tmp_path / "web.key", stopped_agent.data / "keys" / "server.toml"]
    secrets = [path.read_text().split('secret = "')[1].split('"')[0] for path in keys]
    assert all(len(secret) == 40 for secret in secrets)
    assert not any(secret in agent.log.read_text() for secret in secrets)


def test_variables_say_where_everything_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_DATA", str(tmp_path / "store"))
    done = RunningAgent.command("config", "show", "--format", "json")
    assert json.loads(done.stdout)["data"] == {"value": str(tmp_path / "store"), "from": "OBSAGENT_DATA"}
    done = RunningAgent.command("fsck")
    assert f"{tmp_path}/store" in done.stdout + done.stderr
    shown = RunningAgent.command("agent", "--help").stdout
    assert "OBSAGENT_DATA OBSAGENT_LISTEN OBSAGENT_SERVE" in shown

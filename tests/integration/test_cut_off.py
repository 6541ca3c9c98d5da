"""An agent that is stopped, and a network that is cut, for as long as `FAULT_SECONDS` says (`make faults`: a minute).

In the short form clients lose patience early, so that they begin new conversations within seconds too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from balance import answers_balance, balances, metrics_balance
from integration.agents import RunningAgent
from integration.privileges import Network, network
from integration.producers import Produced, Producer
from integration.threaded_agent import until
from obsagent.limits import HEARTBEAT_INTERVAL_MS, MISSED_HEARTBEATS_UNTIL_SUSPENDED

SECONDS = float(os.environ.get("FAULT_SECONDS", "6"))
SUSPENDED_S = HEARTBEAT_INTERVAL_MS * MISSED_HEARTBEATS_UNTIL_SUSPENDED / 1_000
SILENCE_MS = 0 if SECONDS > SUSPENDED_S else 2_000
SERVICES = ("shop", "bank")

pytestmark = pytest.mark.timeout(120 + 2 * SECONDS)


def produce(endpoint: str, prefix: Sequence[str] = ()) -> list[Producer]:
    producers = [Producer(service, endpoint, SILENCE_MS, prefix) for service in SERVICES]
    for producer in producers:
        producer.wait_ready()
    return producers


def check(agent: RunningAgent, producers: list[Producer]) -> dict[str, Produced]:
    """Everything that was observed meanwhile is stored, once, or counted as given up; nothing is wrong any more."""
    ended = {producer.service: producer.end() for producer in producers}
    status = agent.status()
    balances(status, {service: produced.observed for service, produced in ended.items()})
    for service, produced in ended.items():
        account = status["accounts"]["services"][service]
        assert produced.pending == 0
        assert account["stored"] == produced.acknowledged
        assert sum(account["dropped"].values()) == produced.dropped
        assert sum(account["rejected"].values()) == 0
    assert status["agent"]["problems"] == []
    time.sleep(1.5)  # the agent's next second tells the last changes
    metrics_balance(agent.status(), agent.ask)
    answers_balance(agent.status(), agent.ask, dict.fromkeys(SERVICES, "step"))
    return ended


def states(agent: RunningAgent) -> set[str]:
    return {each["state"] for each in agent.status()["sessions"] if each["service"] in SERVICES}


def test_an_agent_that_is_stopped_under_load(agent: RunningAgent) -> None:
    producers = produce(agent.listen)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGSTOP)
    time.sleep(SECONDS)
    agent.process.send_signal(signal.SIGCONT)
    assert states(agent) == {"live"}  # it was not they who were silent
    for produced in check(agent, producers).values():
        assert produced.observed > 100 * SECONDS
        assert produced.dropped == 0
    assert agent.status()["agent"]["clock_steps"] == {"forward": 0, "back": 0}


@pytest.fixture
def wire() -> Iterator[Network]:
    with network() as found:
        yield found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class NetworkAgent(RunningAgent):
    """An agent inside a network; readers ask it through the file system, which no network cuts."""

    def __init__(self, directory: Path, wire: Network) -> None:
        super().__init__(directory)
        self.wire = wire
        self.listen = f"tcp://127.0.0.1:{free_port()}"

    def start(self, *options: str) -> NetworkAgent:
        command = [
            *self.wire.prefix,
            sys.executable,
            "-m",
            "obsagent",
            "agent",
            "--no-collect",
            "--data",
            str(self.data),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", self.listen, "--serve", self.serve, *options], stdout=log, stderr=log
            )
        self.wait_ready()
        return self


def test_a_network_that_is_cut_under_load(
    stopped_agent: RunningAgent, tmp_path: Path, wire: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = NetworkAgent(tmp_path, wire).start()
    try:
        producers = produce(agent.listen, wire.prefix)
        before = agent.status()
        wire.cut()
        time.sleep(1)
        stored = agent.status()["accounts"]["total"]["stored"]
        time.sleep(max(SECONDS - 1, 1))
        cut = agent.status()
        own = cut["accounts"]["services"]["obsagent"]["stored"]
        assert cut["accounts"]["total"]["stored"] - own <= stored  # nothing comes through
        balances(cut, pending=None)
        if SECONDS > SUSPENDED_S + 5:
            assert states(agent) == {"suspended"}
        wire.mend()
        until(lambda: states(agent) == {"live"})
        for service, produced in check(agent, producers).items():
            assert produced.dropped == 0
            assert produced.observed > before["accounts"]["services"][service]["observed"] + 100 * SECONDS
    finally:
        agent.kill()

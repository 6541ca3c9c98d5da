"""An agent in threads of the test's process, with a disk that fails on demand and a clock that can be set."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.clock import SystemClock
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from unit.faulty_fs import FailingFs

PATIENCE_S = 60.0


class SteppedClock:
    """The machine's time, and what was added to the wall clock by whoever set it."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.set_by_ms = 0

    def wall_ms(self) -> int:
        return self._system.wall_ms() + self.set_by_ms

    def monotonic_ms(self) -> int:
        return self._system.monotonic_ms()


class ThreadedAgent:
    """A real agent but for its disk and its clock; clients find it at `listen`."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.fs = FailingFs()
        self.clock = SteppedClock()
        self.listen = f"ipc://{directory}/ingest.sock"
        serve = f"ipc://{directory}/query.sock"
        places = {"data": directory / "data", "listen": self.listen, "serve": serve, "collect": {}}
        self.config = AgentConfig(**{"http": "off", **places, **settings})
        self.start()

    def start(self) -> None:
        self.agent = Agent(self.config, clock=self.clock, fs=self.fs)
        self.agent.start()

    def stop(self) -> None:
        self.agent.stop()

    def status(self) -> dict[str, Any]:
        return self.agent.status()

    def query(self, text: str) -> dict[str, Any]:
        return answer(parse(text), self.agent._store.view(), self.clock.wall_ms() + 1)

    @property
    def problems(self) -> list[str]:
        return self.status()["agent"]["problems"]

    @property
    def health(self) -> str:
        return self.status()["agent"]["health"]

    def count(self, metric: str) -> float:
        """What one of the agent's own counters has come to."""
        rows = self.query(f"sum {metric} since 365d")["series"]
        return sum(row["values"]["sum"] for row in rows)


def until(what: Callable[[], object], why: str = "") -> None:
    """Waits until it is true; fails after a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, why or "it has not come true"
        time.sleep(0.02)

"""A real agent in a process of its own, away from the processor that the measuring thread is pinned to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obsagent.ask import AgentClient
from obsagent.errors import AgentUnreachable

READY_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """Where a running agent listens and keeps its data."""

    directory: Path
    pid: int

    @property
    def listen(self) -> str:
        """Its writers' endpoint."""
        return f"ipc://{self.directory}/ingest.sock"

    @property
    def serve(self) -> str:
        """Its readers' endpoint."""
        return f"ipc://{self.directory}/query.sock"

    @property
    def data(self) -> Path:
        """Its store."""
        return self.directory / "data"


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory with a short path, as the name of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="obs") as directory:
        yield Path(directory)


@contextmanager
def running_agent(directory: Path, *options: str) -> Iterator[RunningAgent]:
    """An agent over `directory/data`, ready to answer. Raises `RuntimeError` with its log if it does not start."""
    log = directory / "agent.log"
    command = [sys.executable, "-m", "obsagent", "agent", "--data", str(directory / "data")]
    command += ["--listen", f"ipc://{directory}/ingest.sock", "--serve", f"ipc://{directory}/query.sock", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        os.sched_setaffinity(process.pid, _other_processors())
        agent = RunningAgent(directory, process.pid)
        _wait_ready(agent, process, log)
        yield agent
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)


def _other_processors() -> set[int]:
    """All but the one that `measure.pinned` takes."""
    allowed = os.sched_getaffinity(0)
    return allowed - {min(allowed)} or allowed


def _wait_ready(agent: RunningAgent, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with AgentClient(agent.serve, timeout_s=0.5) as client:
                client.status()
            return
        except AgentUnreachable:
            time.sleep(0.02)
    raise RuntimeError(f"the agent did not start:\n{log.read_text()}")

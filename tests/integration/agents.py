"""A real agent in a process of its own, which a test may stop, kill and start again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from obsagent.ask import AgentClient
from obsagent.errors import AgentUnreachable

READY_LIMIT_S = 20.0


class RunningAgent:
    """`obsagent agent` on a directory; data and endpoints stay the same over restarts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.listen = f"ipc://{directory}/ingest.sock"
        self.serve = f"ipc://{directory}/query.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "agent.log"

    def start(self, *options: str) -> RunningAgent:
        command = [sys.executable, "-m", "obsagent", "agent", "--data", str(self.data)]
        if "--config" not in options:
            command.append("--no-collect")  # what this machine does is no part of what a test has counted
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", self.listen, "--serve", self.serve, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            with suppress(AgentUnreachable):
                self.status()
                return
            time.sleep(0.02)
        raise AssertionError(f"the agent is not ready after {READY_LIMIT_S} s:\n{self.log.read_text()}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @staticmethod
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "obsagent", *words]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def query(self, text: str, *, alone: bool = False) -> dict[str, Any]:
        """The answer to a query as JSON, from the agent or from its store alone."""
        source = ["--data", str(self.data)] if alone else ["--agent", self.serve]
        done = self.command("query", *text.split(), *source, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def status(self) -> dict[str, Any]:
        """As `obsagent status --format json` prints it."""
        with AgentClient(self.serve) as agent:
            return agent.status()

    def ask(self, text: str, **options: bool) -> dict[str, Any]:
        """The answer to a query, without the command line."""
        with AgentClient(self.serve) as agent:
            return agent.query(text, **options)

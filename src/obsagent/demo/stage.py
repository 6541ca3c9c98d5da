"""The processes of the demo: started in order, watched, and ended in the opposite order, whatever happens."""

from __future__ import annotations

import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from obsagent.demo.flights import YEAR
from obsagent.demo.model import MODEL
from obsagent.errors import AgentUnreachable, ObsagentError

START_TIMEOUT_S = 120.0
POLL_S = 0.1
STOP_TIMEOUT_S = 10.0
LOG_TAIL_LINES = 15
ALL_WORKERS_TIMEOUT_S = 15.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChildFailed(ObsagentError):
    """A process of the demo ended or did not come up; the message has the end of its log."""


@dataclass(frozen=True)
class Child:
    """A running process with its log. It leads a process group, so that its own workers end with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises `ChildFailed` if the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise ChildFailed(f"the {self.name} ended with exit code {code}; {self._log_tail()}")

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = START_TIMEOUT_S) -> None:
        """Ask `ready` until it is true; raises `ChildFailed` when the process ends first or the time is up."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(f"the {self.name} did not come up within {timeout_s:.0f} s; {self._log_tail()}")
            time.sleep(POLL_S)

    def stop(self) -> int:
        """Ask the process to end, make it end if it does not, and return its exit code (negative: a signal)."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # itself, or workers that it left behind
        except ProcessLookupError:
            pass
        return self.process.wait()

    def _log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n    ".join([f"the end of {self.log}:", *lines]) if lines else f"{self.log} is empty"


@contextmanager
def running(name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[Child]:
    """A child process for the length of a `with`. Its own session: Ctrl-C reaches the demo, which ends it in order."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        with signals_held():
            child.stop()


@contextmanager
def signals_held() -> Iterator[None]:
    """A second Ctrl-C does not cut short the ending of a child; that takes a bounded time anyway."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agent_config(reference: Path, evidence: Path, duration_s: float) -> str:
    """The agent's configuration: the model's reference, and that days of 2013 are within its horizon, and kept.

    Retraining is recommended by the days of 2013, too: at most one false recommendation in a year. A day of snow is no
    reason: its risk is above that of other days by less than the tolerance. The cool-down is by the clock on the wall:
    a month of the replay. What a recommendation rests on is kept in the directory `evidence`.
    """
    since = f"{datetime.now(UTC).year - YEAR + 1}y"
    command = [sys.executable, "-m", "obsagent.demo.retrain", str(evidence.resolve())]
    return f"""\
retention = {{ "1h" = "{since}" }}

[models.{MODEL}]
reference = {json.dumps(str(reference.resolve()))}
horizon = "{since}"
positive = "1"
on_retrain = {{ command = {json.dumps(command)} }}

[models.{MODEL}.harm]
loss = "brier"
tolerance = 0.1
false_alarms = "1y"
cooldown = "{math.ceil(duration_s / 12)}s"
"""


@contextmanager
def agent(data: Path, listen: str, serve: str, log: Path, config: Path) -> Iterator[Child]:
    """A real agent on the store at `data`, answering queries."""
    command = [sys.executable, "-m", "obsagent.cli", "agent", "--config", str(config), "--data", str(data)]
    command += ["--listen", listen, "--serve", serve]
    with running("agent", command, log, {}) as child:
        child.wait_until(lambda: agent_answers(serve))
        yield child


@dataclass(frozen=True)
class ModelServer:
    """uvicorn with the demo's app on one version of the model, in several worker processes."""

    child: Child
    port: int
    workers: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_serving(self) -> None:
        """Waits for all workers; raises `ChildFailed` if it ends first."""
        seen: set[int] = set()
        self.child.wait_until(lambda: note_worker(self.port, seen))
        everybody_by = time.monotonic() + ALL_WORKERS_TIMEOUT_S  # a busy machine may keep one from answering: go on
        self.child.wait_until(
            lambda: note_worker(self.port, seen) and (len(seen) >= self.workers or time.monotonic() > everybody_by)
        )


@contextmanager
def model_server(version: str, model: Path, listen: str, port: int, workers: int, log: Path) -> Iterator[ModelServer]:
    """A server that starts with the model in a file; `wait_until_serving` before the first request."""
    command = [sys.executable, "-m", "uvicorn", "obsagent.demo.app:app", "--workers", str(workers)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--http", "httptools"]
    command += ["--log-level", "warning", "--no-access-log"]
    environment = {
        "OMP_NUM_THREADS": "1",  # one row is scored faster by one thread than by two
        "OBSAGENT_ENDPOINT": listen,
        "MODEL_FILE": str(model),
        "MODEL_VERSION": version,
        "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "60",  # on a busy machine the imports take more than its 5 s
    }
    with running(f"model server, version {version},", command, log, environment) as child:
        yield ModelServer(child, port, workers)


def agent_answers(serve: str) -> bool:
    """Whether the agent answers at its readers' endpoint."""
    from obsagent.ask import AgentClient

    try:
        AgentClient(serve, timeout_s=0.5).status()
    except AgentUnreachable:
        return False
    return True


def note_worker(port: int, seen: set[int]) -> bool:
    """Ask whichever worker accepts the connection, and note which one it was; False if none is up yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", "/health")
        seen.add(json.load(connection.getresponse())["pid"])
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""gunicorn and uvicorn with four workers under load: every response that the load counts is stored, once.

Workers are killed and replaced meanwhile. A worker that is killed by SIGKILL may lose its last tenth of a second: it is
killed when it has nothing to do and all it knows is acknowledged.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from integration import served_truths
from integration.agents import RunningAgent
from integration.stored import stored_histogram
from integration.wrk import Counted, Wrk

PATIENCE_S = 90.0
WORKERS = 4
RESPONSES = 250
ERROR_BOUND = 0.00542

GUNICORN = ["gunicorn", "--preload", "--workers", "4", "--config", "python:integration.served_gunicorn", "--bind"]
UVICORN = ["uvicorn", "--workers", "4", "--log-level", "warning", "--port"]


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Server:
    """A server in a process of its own, with its workers."""

    def __init__(self, kind: str, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self.truths = directory / "truths"
        self.truths.mkdir()
        self._log = (directory / "server.log").open("wb")
        words = [*GUNICORN, f"127.0.0.1:{port}", "integration.served_wsgi:timed"]
        if kind == "uvicorn":
            words = [*UVICORN, port, "integration.served_asgi:app"]
        environment = {**os.environ, served_truths.DIRECTORY: str(self.truths)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], stdout=self._log, stderr=self._log, env=environment
        )

    def wait_ready(self) -> None:
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text()
        with suppress(OSError), urlopen(f"{self.url}/score/0", timeout=30) as response:
            return bool(response.read())
        return False

    def workers(self) -> list[psutil.Process]:
        """Its children, without the one that multiprocessing starts to track resources."""
        found = psutil.Process(self.process.pid).children()
        return [each for each in found if "resource_tracker" not in " ".join(_command(each))]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()

    def kill(self) -> None:
        """If the test failed."""
        if self.process.poll() is None:
            children = self.workers()
            self.process.kill()
            self.process.wait()
            for each in children:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self._log.close()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request: pytest.FixtureRequest, agent: RunningAgent, tmp_path: Path) -> Iterator[Server]:
    running = Server(request.param, tmp_path)
    try:
        running.wait_ready()
        yield running
    finally:
        running.kill()


def total(agent: RunningAgent, query: str, stat: str) -> float:
    return sum(row["values"][stat] for row in agent.ask(f"{query} since 1h")["series"])


def load(server: Server, directory: Path, while_it_runs: Callable[[], object] = int) -> Counted:
    wrk = Wrk(directory, server.url, "/score/", RESPONSES)
    try:
        while_it_runs()
        return wrk.end()
    finally:
        wrk.kill()


def replace_one(server: Server, how: signal.Signals) -> None:
    """Ends a worker, and waits until there are four again, without it."""
    victim = server.workers()[0]
    victim.send_signal(how)
    wait_for(lambda: victim not in server.workers() and len(server.workers()) == WORKERS)


def test_every_response_that_the_load_counts_is_stored(server: Server, agent: RunningAgent, tmp_path: Path) -> None:
    wait_for(lambda: total(agent, "last workers", "last") == WORKERS)
    first = load(server, tmp_path)
    assert first == (WORKERS * RESPONSES, 0)
    expected = first.responses + 1  # the server's own first answer
    wait_for(lambda: total(agent, "sum requests", "sum") == expected)

    replace_one(server, signal.SIGKILL)
    second = load(server, tmp_path, lambda: replace_one(server, signal.SIGTERM))
    assert second == (WORKERS * RESPONSES, 0)
    expected += second.responses
    wait_for(lambda: total(agent, "sum requests", "sum") == expected)
    wait_for(lambda: total(agent, "last workers", "last") == WORKERS)
    wait_for(lambda: total(agent, "last in_flight", "last") == 0)
    leave_early(server)
    wait_for(lambda: total(agent, "sum requests status=499", "sum") == 1)
    server.stop()

    found = agent.ask("sum requests by endpoint,status since 1h")["series"]
    sums = {(row["labels"]["endpoint"], row["labels"]["status"]): row["values"]["sum"] for row in found}
    (route,) = {endpoint for endpoint, _ in sums} - {"/stream"}
    assert route in {"/score/<int:item>", "/score/{item:int}"}
    assert sums == {(route, "200"): expected, ("/stream", "499"): 1}
    assert total(agent, "sum errors", "sum") == 0
    _compare_latencies(agent, server.truths, route, expected)


def leave_early(server: Server) -> None:
    """Closes a connection in the middle of a response."""
    with urlopen(f"{server.url}/stream", timeout=60) as response:
        assert response.read(1) == b"x"


def _compare_latencies(agent: RunningAgent, truths: Path, route: str, expected: int) -> None:
    """Each stored quantile lies between the same quantiles of what the app measured within and around."""
    assert agent.stop() == 0
    inner, outer = served_truths.noted(truths)
    assert len(inner) == expected
    stored = stored_histogram(agent.data, "latency", endpoint=route)
    assert stored.count == expected
    for q in (0.01, 0.25, 0.5, 0.9, 0.99, 1.0):
        index = math.ceil(q * expected) - 1
        answered = stored.quantile(q)
        assert inner[index] * (1 - ERROR_BOUND) <= answered <= outer[index] * (1 + ERROR_BOUND), q

"""Debian's Prometheus, started by a test: it scrapes one agent every second, and answers PromQL."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 60.0
CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: obsagent
    honor_labels: true
    static_configs:
      - targets: ["{target}"]
"""


def need(program: str) -> None:
    """Skips the test where a program of Debian's package `prometheus` is missing; CI must have it."""
    if shutil.which(program) is None:
        assert os.environ.get("CI") != "true", f"{program} is missing: apt-get install prometheus"
        pytest.skip(f"{program} is not installed: apt-get install prometheus")


class Prometheus:
    """One that runs."""

    def __init__(self, port: int, log: Path) -> None:
        self._port = port
        self._log = log

    def ask(self, promql: str, at_s: float | None = None) -> dict[tuple[tuple[str, str], ...], float]:
        """The result of an instant query: labels → value."""
        asked = {"query": promql} | ({"time": f"{at_s:.3f}"} if at_s else {})
        url = f"http://127.0.0.1:{self._port}/api/v1/query?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{promql}\n{error.read().decode()}") from None
        rows = answer["data"]["result"]
        return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in rows}

    def one(self, promql: str, at_s: float | None = None) -> float | None:
        """The only value of a result; None if it is empty."""
        found = self.ask(promql, at_s)
        assert len(found) < 2, found
        return next(iter(found.values()), None)

    def exemplars(self, promql: str) -> list[dict[str, Any]]:
        """The exemplars of the last minutes."""
        now = time.time()
        asked = urllib.parse.urlencode({"query": promql, "start": now - 300, "end": now + 10})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query_exemplars?{asked}", timeout=30) as got:
            rows = json.load(got)["data"]
        return [each for row in rows for each in row["exemplars"]]

    def wait(self, promql: str, wanted: Callable[[float | None], bool]) -> None:
        """Until the value of a query is as wanted."""
        deadline = time.monotonic() + WAIT_S
        while not wanted(value := self.one(promql)):
            assert time.monotonic() < deadline, f"{promql}: {value}\n{self._log.read_text()}"
            time.sleep(0.1)

    def is_answering(self) -> bool:
        """Whether it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[Prometheus]:
    """One with native histograms and exemplars that scrapes `target`, HOST:PORT."""
    need("prometheus")
    directory.mkdir()
    config, log = directory / "prometheus.yml", directory / "log"
    config.write_text(CONFIG.format(target=target))
    port = free_port()
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms,exemplar-storage"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--log.level=warn"], stdout=output, stderr=output, start_new_session=True)
    try:
        server = Prometheus(port, log)
        deadline = time.monotonic() + WAIT_S
        while not server.is_answering():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: Any = found.getsockname()[1]
        return int(port)

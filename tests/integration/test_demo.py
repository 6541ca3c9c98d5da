"""`obsagent demo` as a user runs it: for five seconds, cut short, with a process that dies, with a taken port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import obsagent
from obsagent.by_id.codec import ids_of
from obsagent.clock import SystemClock
from obsagent.head.read_only import ReadOnlyStore
from obsagent.ledger.sources import Masks, find_newest
from obsagent.ledger.tables import PREDICTIONS, TRUTHS
from unit.demo_data import need_demo_packages
from unit.documented import CONSOLE, DEMO_BEGINS, README, recorded_demo

need_demo_packages()

from sklearn.metrics import roc_auc_score  # noqa: E402 - of the packages just checked

from obsagent.demo.flights import NEVER_ARRIVED, YEAR, Flights, load_flights  # noqa: E402
from obsagent.demo.model import MODEL  # noqa: E402

START_LIMIT_S = 120.0
END_LIMIT_S = 40.0
REPLAYING = "ask it yourself meanwhile"
NUMBER = re.compile(r"[±+-]?\d[\d,.:–]*(?: ?(?:[nµm]?s|min|h|[kMG]?B|%))?\b")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory for all, so that flights and model are prepared once."""
    return tmp_path_factory.mktemp("demo")


class Demo:
    """A running `obsagent demo`, with its output in files."""

    def __init__(self, data: Path, directory: Path, *options: str) -> None:
        self.sockets = directory / "tmp"
        self.sockets.mkdir()
        self.out, self.errors = directory / "stdout", directory / "stderr"
        environment = {**os.environ, "TMPDIR": str(self.sockets), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment.pop("OBSAGENT_AGENT", None)
        with self.out.open("wb") as out, self.errors.open("wb") as errors:
            command = [sys.executable, "-m", "obsagent.cli", "demo", "--data", str(data), *options]
            self.process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        self.seen: list[psutil.Process] = []

    def wait_until_replaying(self) -> None:
        wait_for(lambda: REPLAYING in self.errors.read_text() or self.process.poll() is not None, START_LIMIT_S)
        assert self.process.poll() is None, self.errors.read_text()
        self.seen = psutil.Process(self.process.pid).children(recursive=True)
        assert len(self.seen) >= 3  # the agent and two of uvicorn, which may have workers

    def child(self, word: str) -> psutil.Process:
        """The first child that has a word on its command line."""
        return next(child for child in psutil.Process(self.process.pid).children() if word in child.cmdline())

    def ended(self, limit_s: float = END_LIMIT_S) -> int:
        """The exit code; nothing that the demo started may be left."""
        code = self.process.wait(limit_s)
        alive = [process for process in self.seen if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert not alive
        assert list(self.sockets.iterdir()) == []
        return code

    def stop_everything(self) -> None:
        for process in [*self.seen, psutil.Process(self.process.pid)] if self.process.poll() is None else self.seen:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()


def wait_for(condition: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def start(data: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos and makes sure that none is left, whatever the test does."""
    started: list[Demo] = []
    with tempfile.TemporaryDirectory(prefix="demo-") as short:  # the path of a socket has at most 107 bytes

        def start_one(*options: str) -> Demo:
            started.append(Demo(data, Path(short), *options))
            return started[-1]

        yield start_one
        for demo in started:
            demo.stop_everything()


def query_store(data: Path, *words: str) -> dict:
    command = [sys.executable, "-m", "obsagent.cli", "query", *words, "--data", str(data / "store"), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def masked(text: str) -> list[str]:
    """Its lines, with every number and its unit as #, without marks of significance and verdicts, columns closed up.

    What not every run has is left out: flights that the machine is too slow for, requests that the chance of few
    seconds lets the replay forget a field of, and recommendations to retrain.
    """
    varying = r"left out, evenly| 422\b|^\d +\d{4}-\d\d-\d\d +\d{4}-|^it never was$"
    lines = [line for line in text.strip().splitlines() if not re.search(varying, line)]
    lines = [re.sub(r"[▁-█](?:[▁-█ ]*[▁-█])?", "▁", line) for line in lines]  # the heights of bars
    lines = [re.sub(r"×(\d[\d.]*)", r"+\1 %", line) for line in lines]  # how a large change is said
    unmarked = (
        re.sub(r" · (?:\*|no change) beyond the error bounds| \*| +(?:worse|better)$", "", line) for line in lines
    )
    return [" ".join(NUMBER.sub("#", line).split()) for line in unmarked]


class Kept:
    """What a store has of each flight, by its index: the version that scored it (empty: none), its score, a truth."""

    def __init__(self, store: Path, flights: Flights) -> None:
        view = ReadOnlyStore(store, SystemClock()).records()
        keys = view._hasher.keys(MODEL, ids_of([str(index) for index in range(len(flights))]))
        order = np.lexsort([keys.lo, keys.hi])
        places, sources = np.argsort(order), view._sources
        is_scored, block = find_newest(PREDICTIONS, sources[PREDICTIONS], keys.take(order), Masks())
        is_told, _ = find_newest(TRUTHS, sources[TRUTHS], keys.take(order), Masks())
        versions = np.array([series.version for series in view.series()])
        self.version = np.where(is_scored, versions[block["series"]], "")[places]
        self.score, self.is_told = block["score"][places], is_told[places]


def check_performance(data: Path) -> None:
    """What the agent says of each month is what scikit-learn says of the same flights; no truth is missing."""
    flights = load_flights()
    kept, months, has_landed = Kept(data / "store", flights), flights.months(), flights.late != NEVER_ARRIVED
    assert np.array_equal(kept.is_told, (kept.version != "") & has_landed)
    for month in range(1, 13):
        span = f"from {YEAR}-{month:02d}-01 to {YEAR + month // 12}-{month % 12 + 1:02d}-01"
        rows = obsagent.query(f"roc_auc model={MODEL} by version {span}", data=data / "store").answer["series"]
        versions = [row["labels"]["version"] for row in rows]
        assert versions == sorted({*kept.version[months == month]} - {""})
        assert ("1" if month < 7 else "2") in versions
        for row in rows:
            scored = (months == month) & (kept.version == row["labels"]["version"])
            known = scored & has_landed
            assert row["maturity"]["predictions"] == np.count_nonzero(scored)
            assert row["maturity"]["truths"] == np.count_nonzero(known)
            if len({*flights.late[known]}) == 2:
                bound = row["error_bound"]["roc_auc"]  # 0 where no bin has both late flights and others
                expected = roc_auc_score(flights.late[known], kept.score[known])
                assert row["values"]["roc_auc"] == pytest.approx(expected, abs=(bound and bound["absolute"]) + 1e-9)


def test_five_seconds_of_it(data: Path, start: Callable[..., Demo]) -> None:
    demo = start("--duration", "5")
    demo.wait_until_replaying()
    assert demo.ended(limit_s=90.0) == 0, demo.errors.read_text()
    out = demo.out.read_text()

    [counted] = re.findall(r"^The agent counted ([\d,]+) requests: every one\.$", out, re.MULTILINE)
    requests = int(counted.replace(",", ""))
    assert requests > 200
    assert re.search(r"^  0 failed\.$", out, re.MULTILINE)
    [first, *_] = re.findall(r"^\$ obsagent .*$", out, re.MULTILINE)
    assert first == "$ obsagent query p99 latency by endpoint"
    assert re.search(r"^/score  +[\d.]+ (ms|s|µs)\b", out, re.MULTILINE)
    assert re.search(r"^/score_batch  +[\d.]+ (ms|s|µs)\b", out, re.MULTILINE)
    assert "nothing lost" in out
    assert f"--data {data / 'store'}" in out
    [shown] = [block for block in CONSOLE.findall(README.read_text()) if block.startswith(DEMO_BEGINS)]
    assert len(masked(shown)) > 30
    assert masked(shown) == masked(recorded_demo(shown, out.replace(str(data), "obsagent-data")))

    answer = query_store(data, "count", "requests", "since", "1h")
    assert [row["values"]["count"] for row in answer["series"]] == [requests]
    assert not any(answer["losses"]["dropped"].values())
    assert answer["losses"]["pending"] == 0
    check_performance(data)


def test_ctrl_c_ends_everything_in_order(start: Callable[..., Demo]) -> None:
    demo = start("--duration", "120", "--workers", "1")
    demo.wait_until_replaying()
    time.sleep(0.5)
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 130
    assert demo.errors.read_text().rstrip().endswith("interrupted; the model servers and the agent have ended")
    assert "Traceback" not in demo.errors.read_text()


@pytest.mark.parametrize(("word", "name"), [("agent", "agent"), ("uvicorn", "model server, version 1,")])
def test_a_process_that_dies_ends_the_demo_and_is_named(start: Callable[..., Demo], word: str, name: str) -> None:
    demo = start("--duration", "120", "--workers", "1")
    demo.wait_until_replaying()
    demo.child(word).kill()
    assert demo.ended() == 1
    assert f"obsagent demo: the {name} ended with exit code -9" in demo.errors.read_text()
    assert "Traceback" not in demo.errors.read_text()


def test_a_port_that_is_taken_is_named(start: Callable[..., Demo]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        demo = start("--duration", "5", "--port", str(listener.getsockname()[1]))
        assert demo.ended(limit_s=START_LIMIT_S) == 1
    assert "the model server, version 1, ended with exit code" in demo.errors.read_text()
    assert "address already in use" in demo.errors.read_text().lower()

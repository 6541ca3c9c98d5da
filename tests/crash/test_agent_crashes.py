"""An agent that is killed again and again under three producers, with a ledger outside of it.

Each producer observes a known row of values, counts by known amounts and tells of numbered events, in order: what is
stored of each must at any time be exactly the first of them, between those acknowledged and those sent, no bucket
different, nothing twice; and everything once the last flush reports nothing pending.

Most times the agent dies by its own hand at a chosen call of the file system (see `killing_fs.py`), else whenever it
happens. The choice follows from CRASH_SEED; CRASH_CYCLES says how often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crash import agent_program, producer
from crash.budgets import room
from crash.killing_fs import KillPoint, deal, not_hit
from crash.rows import Ledger, Row, counted
from obsagent._native.codec import Groups
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS
from obsagent.sketches import LogHist

PRODUCERS = 3
CYCLES = int(os.environ.get("CRASH_CYCLES", "20"))
SEED = int(os.environ.get("CRASH_SEED", "11"))
RATE = 25.0
READY_LIMIT_S = 60.0
REACHED_LIMIT_S = 8.0
STOP_LIMIT_S = 60.0
FOREVER_MS = 1 << 60


class Stored(NamedTuple):
    """What a store holds of one producer."""

    values: LogHist
    increments: int
    total: float
    events: list[str]


class Crashing:
    """The agent and its producers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.since_ms = time.time_ns() // 1_000_000
        self.stop_file = directory / "stop"
        self.ledgers = [Ledger(directory / f"ledger-{number}") for number in range(PRODUCERS)]
        self.rows = [Row(number) for number in range(PRODUCERS)]
        self.log = (directory / "log").open("ab")
        self.producers = [self._produce(number) for number in range(PRODUCERS)]
        self.outcomes: Counter[str] = Counter()
        self.died_at: Counter[str] = Counter()

    def _produce(self, number: int) -> subprocess.Popen[bytes]:
        words = [number, f"ipc://{self.directory}/ingest.sock", self.directory / f"ledger-{number}", self.stop_file]
        return subprocess.Popen([sys.executable, producer.__file__, *map(str, words)], stderr=self.log)

    def start(self, point: KillPoint | None = None) -> subprocess.Popen[bytes]:
        """An agent; ready, or dead already."""
        words = [
            self.directory,
            self.since_ms,
            RATE,
            room(self.directory / "data" / "segments"),
            *filter(None, [point]),
        ]
        command = [sys.executable, agent_program.__file__, *map(str, words)]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        assert agent.stdout is not None
        with watchdog(agent, READY_LIMIT_S):
            said = agent.stdout.readline()
        assert said == b"ready\n" or (point is not None and agent.wait() == -signal.SIGKILL), self.said()
        return agent

    def run_to(self, point: KillPoint, limit_s: float) -> None:
        """Run the agent until it dies at a point, or is killed because it does not come by."""
        agent = self.start(point)
        if point.work == "closing" and agent.poll() is None:
            agent.send_signal(signal.SIGTERM)
        try:
            code = agent.wait(limit_s)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
            self.outcomes["killed because it did not come by its point"] += 1
        else:
            self.outcomes["died at its point" if code else "ended before its point"] += 1
            self.died_at[f"{point.work}.{point.call}"] += code == -signal.SIGKILL
            assert code in (0, -signal.SIGKILL), self.said()

    def run_for(self, seconds: float) -> None:
        """Run the agent for some time, and kill it wherever it is."""
        agent = self.start()
        time.sleep(seconds)
        agent.kill()
        agent.wait()
        self.outcomes["killed at a random moment"] += 1

    def check(self) -> list[Stored]:
        """What is stored lies between what is acknowledged and what is sent, and is exactly the first of it."""
        before = [ledger.read() for ledger in self.ledgers]
        store = Store.open_read_only(self.directory / "data")
        status, view = store.status(), store.view()
        assert view.tiers.begins(TIER_WINDOWS_MS[-1]) < 0, "there was too little room for the coarsest tier"
        assert status["corrupt"] == 0
        found = [self._stored(view, number) for number in range(PRODUCERS)]
        for number, (stored, acknowledged, ledger) in enumerate(zip(found, before, self.ledgers, strict=True)):
            sent = ledger.read()
            assert acknowledged.acknowledged <= stored.values.count + stored.increments
            assert stored.values.count <= sent.values
            assert stored.increments <= sent.increments
            assert stored.values.buckets() == self.rows[number].first(stored.values.count).buckets()
            assert stored.total == counted(stored.increments)
            assert acknowledged.acknowledged_events <= len(stored.events) <= sent.events
            assert stored.events == [str(event + 1) for event in range(len(stored.events))]
            self._check_accounts(status, number, stored)
        return found

    def _check_accounts(self, status: dict, number: int, stored: Stored) -> None:
        account = status["accounts"]["services"].get(f"producer-{number}")
        if account is None:
            assert stored.values.count == stored.increments == 0
            return
        assert account["stored"] == account["observed"] == stored.values.count + stored.increments
        assert not any(account["dropped"].values())
        assert not any(account["rejected"].values())

    def _stored(self, view: View, number: int) -> Stored:
        """From the windows, in some tier; the totals, which a head block carries on, say the same."""
        own = [each for each in view.series() if each.labels["service"] == f"producer-{number}"]
        ids = {each.metric: each.id for each in own if each.metric in ("row", "steps")}  # the agent measures more of it
        windows, totals = (Groups({ids[name]: index for index, name in enumerate(ids)}, 2) for _ in range(2))
        view.collect(0, FOREVER_MS, windows)
        view.collect_totals(totals)
        places = {name: index for index, name in enumerate(ids)}
        row, steps = places.get("row"), places.get("steps")
        values, in_total = (histogram_of(groups, row) for groups in (windows, totals))
        assert values.buckets() == in_total.buckets()
        assert not values.count or (values.min, values.max) == (in_total.min, in_total.max)
        count = (0, 0.0) if steps is None else windows.counter(steps)
        assert count == ((0, 0.0) if steps is None else totals.counter(steps))
        told = [event.labels["number"] for event in view.events() if event.labels["service"] == f"producer-{number}"]
        return Stored(values, *count, told)

    def finish(self) -> list[Stored]:
        """The last agent lives until every producer has been told that all of it is on disk."""
        agent = self.start()
        self.stop_file.touch()
        assert [each.wait(STOP_LIMIT_S) for each in self.producers] == [0] * PRODUCERS, self.said()
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(STOP_LIMIT_S) == 0, self.said()
        return self.check()

    def said(self) -> str:
        return (self.directory / "log").read_text()[-4_000:]

    def end(self) -> None:
        for process in self.producers:
            process.kill()
            process.wait()
        self.log.close()


def histogram_of(groups: Groups, index: int | None) -> LogHist:
    encoded = None if index is None else groups.histogram(index)
    return LogHist() if encoded is None else LogHist._from_compact(encoded)


class watchdog:
    """Kills a process that does not say anything for too long."""

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        self._timer = threading.Timer(limit_s, process.kill)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Crashing]:
    one = Crashing(tmp_path)
    yield one
    one.end()


@pytest.mark.timeout(60 + 30 * CYCLES)
def test_kills_lose_and_double_nothing(crashing: Crashing) -> None:
    chance = random.Random(SEED)
    points = deal(chance)
    for cycle in range(CYCLES):
        point = next(points) if cycle % 5 else None
        try:
            if point is not None:
                crashing.run_to(point, REACHED_LIMIT_S)
            else:
                crashing.run_for(chance.uniform(0.0, 0.8))
            crashing.check()
        except BaseException as error:
            error.add_note(f"cycle {cycle} of CRASH_SEED={SEED}: {point or 'killed at a random moment'}")
            raise
    for number, stored in enumerate(crashing.finish()):
        sent = crashing.ledgers[number].read()
        assert sent.finished
        assert (stored.values.count, stored.increments) == (sent.values, sent.increments)
        assert sent.acknowledged == sent.values + sent.increments
        assert len(stored.events) == sent.events == sent.acknowledged_events
    print(f"\nCRASH_SEED={SEED}: {dict(crashing.outcomes)}, {dict(sorted(crashing.died_at.items()))}")
    check_tiers(Store.open_read_only(crashing.directory / "data").view())
    assert CYCLES < 20 or not not_hit(+crashing.died_at)


def check_tiers(view: View) -> None:
    """The finer ones have expired in part; the coarsest has everything."""
    kept = {window_ms: len(view.tiers.chosen(window_ms)) for window_ms in TIER_WINDOWS_MS}
    begins = [view.tiers.begins(window_ms) for window_ms in TIER_WINDOWS_MS]
    print(f"blocks that answer, by window: {kept}; tiers are whole from {begins} on")
    assert begins[0] > begins[1] > begins[2]
    assert begins[2] < 0

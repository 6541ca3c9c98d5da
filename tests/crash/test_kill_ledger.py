"""A store that is killed at chosen calls of the file system, and at random moments; and a ledger outside the process.

After each kill the store is read without an agent: acknowledged ⊆ stored ⊆ sent, nothing twice, in no window a bucket
different from what the stored frames add up to. Tiny limits make checkpoints, journal files and segment files come
and go, and compact them, all the time. (`test_agent_crashes.py` does the same to a whole agent, whose windows nobody
outside can know.)
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from crash import writer as sender
from crash.budgets import BIN_MS, maintain, say_what_is_missing, tiny
from crash.killing_fs import KillPoint, deal, present
from obsagent._native.codec import Groups, SeriesMap, Window
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View

SESSIONS = 3
CYCLES = int(os.environ.get("CRASH_CYCLES", "20"))
SEED = int(os.environ.get("CRASH_SEED", "7"))
REACHED_LIMIT_S = 3.0
WRITER = Path(sender.__file__)
SERIES = [(str(session), metric) for session in range(SESSIONS) for metric in sender.METRICS]


class Ledger:
    """What was sent at most, and what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = [0] * SESSIONS
        self.stored = [0] * SESSIONS
        self.known = [0] * SESSIONS
        self.truth: dict[int, Window] = {}

    def run_and_kill(self, directory: Path, seed: int, point: KillPoint | None, after_s: float) -> int:
        """Returns 1 if the process has killed itself at the point, 0 if it was killed after some time."""
        first = [acknowledged + 1 for acknowledged in self.acknowledged]  # the rest is sent again
        command = [sys.executable, str(WRITER), str(directory), str(seed), str(point or "-"), *map(str, first)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            assert point is not None
            assert process.wait() == -signal.SIGKILL
        killer = threading.Timer(after_s, process.kill)
        killer.start()
        lines = process.stdout.read().splitlines(keepends=True)
        process.wait()
        reached = killer.is_alive()
        killer.cancel()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                session, sequence = map(int, line.split())
                self.acknowledged[session] = max(self.acknowledged[session], sequence)
        return int(reached)

    def check(self, store: Store | ReadOnlyStore) -> None:
        status = store.status()
        assert status["corrupt"] == 0
        stored = {session["worker"]: session["last_applied"] for session in status["sessions"]}
        self.stored = [stored.get(session, 0) for session in range(SESSIONS)]
        for session in range(SESSIONS):
            assert self.acknowledged[session] <= self.stored[session]
        total = status["accounts"]["total"]
        assert total["observed"] == total["stored"] == sum(map(sender.observed, self.stored))
        self.check_events(store)
        self.check_buckets(store)

    def check_events(self, store: Store | ReadOnlyStore) -> None:
        """Each session's events up to its last one, once, and at least those sent before its last stored frame."""
        last = {session["worker"]: session["last_event"] for session in store.status()["sessions"]}
        expected = [sender.event(session, n) for session, count in last.items() for n in range(1, count + 1)]
        assert sorted(store.view().events(), key=repr) == sorted(expected, key=repr)
        for session, stored in enumerate(self.stored):
            assert stored // sender.FRAMES_PER_EVENT <= last.get(session, 0)

    def check_buckets(self, store: Store | ReadOnlyStore) -> None:
        """Window by window and series by series, against windows filled from the stored frames alone."""
        self.extend_truth()
        if not self.truth:
            return
        view = store.view()
        ids = {(one.labels["session"], one.metric): one.id for one in view.series()}
        first, last = min(self.truth), max(self.truth)
        steps = first, BIN_MS, (last - first) // BIN_MS + 1
        wanted = Groups({index: index for index in range(len(SERIES))}, len(SERIES), *steps)
        found = Groups({ids[key]: index for index, key in enumerate(SERIES) if key in ids}, len(SERIES), *steps)
        for start, window in self.truth.items():
            window.collect(wanted, start)
        view.collect(first, last + BIN_MS, found)
        for place in itertools.product(range(len(SERIES)), range(steps[2])):
            assert found.samples(*place) == wanted.samples(*place), place
            assert found.histogram(*place) == wanted.histogram(*place), place
            assert found.counter(*place) == wanted.counter(*place), place
        self.check_totals(view, ids)

    def extend_truth(self) -> None:
        """By the frames that have come to be stored since the last time."""
        for session in range(SESSIONS):
            numbers = SeriesMap()
            for number, (metric, kind) in enumerate(sender.METRICS.items()):
                numbers.set(number, SERIES.index((str(session), metric)), kind)
            for sequence in range(self.known[session] + 1, self.stored[session] + 1):
                at_ms = sender.frame_ms(sequence)
                window = self.truth.setdefault(at_ms - at_ms % BIN_MS, Window())
                window.apply(sender.frame_body(session, sequence)[0], numbers, at_ms + 100 + sequence % 50)
            assert self.stored[session] >= self.known[session]
            self.known[session] = self.stored[session]

    def check_totals(self, view: View, ids: dict[tuple[str, str], int]) -> None:
        """Everything that was ever stored, which the heads of segment files carry on."""
        totals = Groups(dict.fromkeys(ids.values(), 0), 1)
        view.collect_totals(totals)
        everything = Groups(dict.fromkeys(range(len(SERIES)), 0), 1)
        for window in self.truth.values():
            window.collect(everything)
        assert (totals.samples(0), totals.histogram(0)) == (everything.samples(0), everything.histogram(0))
        assert totals.counter(0) == everything.counter(0)


@pytest.mark.timeout(60 + 10 * CYCLES)
def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    say_what_is_missing()
    chance = random.Random(SEED)
    points = deal(chance, without=["closing"])
    ledger = Ledger()
    reached: Counter[str] = Counter()
    for cycle in range(CYCLES):
        point = next(points) if cycle % 4 else None
        after_s = REACHED_LIMIT_S if point else chance.uniform(0.0, 0.12)
        try:
            died = ledger.run_and_kill(tmp_path / "store", cycle, point, after_s)
            ledger.check(Store.open_read_only(tmp_path / "store"))
        except BaseException as error:
            error.add_note(f"cycle {cycle} of CRASH_SEED={SEED}: {point or 'killed at a random moment'}")
            raise
        reached[point.work if point else "random moments"] += died or point is None
    print(f"\nCRASH_SEED={SEED}: died at {dict(reached)} of {CYCLES}")
    store = Store.open(tmp_path / "store", budgets=tiny())
    ledger.check(store)
    status = store.status()
    assert sum(ledger.acknowledged) > 100
    assert store.view().blocks[-1].header.sequence > CYCLES
    assert status["segments"]["files"] > 1
    assert status["segments"]["compacted"] > 0
    maintain(store, sender.frame_ms(max(ledger.stored)))
    ledger.check(store)
    store.close()
    ledger.check(Store.open_read_only(tmp_path / "store"))
    assert {*present()} - {"closing"} <= {*reached} or CYCLES < 20

"""SIGKILL at random points, and a ledger outside the process that knows what was acknowledged.

After each kill the store is read twice, without an agent and by the next one, and both times:
acknowledged ⊆ stored ⊆ sent, nothing twice, no bucket different from what the stored frames add up to.
Tiny limits make checkpoints, journal files and segment files come and go, and compact them, all the time.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import writer as sender

from obsagent._native.codec import Groups, SeriesMap, Window
from obsagent.clock import window_start
from obsagent.head.store import ReadOnlyStore, Store

SESSIONS = 3
CYCLES = 20
WRITER = Path(sender.__file__)


class Ledger:
    """What was sent at most, and what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = [0] * SESSIONS
        self.stored = [0] * SESSIONS

    def run_and_kill(self, directory: Path, seed: int, after_s: float) -> None:
        first = [acknowledged + 1 for acknowledged in self.acknowledged]  # the rest is sent again
        command = [sys.executable, str(WRITER), str(directory), str(seed), *map(str, first)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGKILL)
        lines = process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                session, sequence = map(int, line.split())
                self.acknowledged[session] = max(self.acknowledged[session], sequence)

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
        view = store.view()
        ids = {(one.labels["session"], one.metric): one.id for one in view.series()}
        if not ids:
            return
        truth: dict[int, Window] = {}
        for session in range(SESSIONS):
            numbers = SeriesMap()
            for number, (metric, kind) in enumerate(sender.METRICS.items()):
                numbers.set(number, ids[str(session), metric], kind)
            for sequence in range(1, self.stored[session] + 1):
                at_ms = sender.frame_ms(sequence)
                body, _ = sender.frame_body(session, sequence)
                window = truth.setdefault(window_start(at_ms), Window())
                window.apply(body, numbers, at_ms + 100 + sequence % 50)
        for start, window in truth.items():
            wanted, found = groups_of(ids), groups_of(ids)
            window.collect(wanted)
            view.collect(start, start + 1, found)
            for index in range(len(ids)):
                assert found.samples(index) == wanted.samples(index), (start, index)
                assert found.histogram(index) == wanted.histogram(index), (start, index)
                assert found.counter(index) == wanted.counter(index), (start, index)
        covered = view.collect(0, 1 << 60, groups_of(ids))
        assert covered.windows == len(truth)


def groups_of(ids: dict[tuple[str, str], int]) -> Groups:
    return Groups({series_id: index for index, series_id in enumerate(ids.values())}, len(ids))


def test_twenty_kills(tmp_path: Path) -> None:
    chance = random.Random(7)
    ledger = Ledger()
    for cycle in range(CYCLES):
        ledger.run_and_kill(tmp_path / "store", cycle, chance.uniform(0.0, 0.12))
        ledger.check(Store.open_read_only(tmp_path / "store"))
    store = Store.open(tmp_path / "store", budgets=sender.TINY)
    ledger.check(store)
    status = store.status()
    assert sum(ledger.acknowledged) > 100
    assert store.view().blocks[-1].header.sequence > CYCLES
    assert status["segments"]["files"] > 1
    assert status["segments"]["compacted"] > 0
    while store.maybe_compact(0):
        ledger.check(store)
    store.close()
    ledger.check(Store.open_read_only(tmp_path / "store"))

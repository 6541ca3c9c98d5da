"""A store that is killed at chosen calls of the file system, and at random moments; and a ledger outside the process.

After each kill the store is read without an agent: acknowledged ⊆ stored ⊆ sent, nothing twice, in no window a bucket
different from what the stored frames add up to, in no tier, as long as that keeps it. Tiny limits make checkpoints,
journal files and segment files come and go, compact them, roll them up, merge them and let them expire, all the time.
(`test_agent_crashes.py` does the same to a whole agent, whose windows nobody
outside can know.)
"""

from __future__ import annotations

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
from crash.budgets import maintain, tiny
from crash.kept_windows import check_totals, check_windows, first_kept
from crash.killing_fs import KillPoint, deal, not_hit
from obsagent._native.codec import SeriesMap, Window
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View
from obsagent.limits import EVENTS_TOTAL, TIER_WINDOWS_MS, WINDOW_MS

SESSIONS = 3
CYCLES = int(os.environ.get("CRASH_CYCLES", "20"))
SEED = int(os.environ.get("CRASH_SEED", "7"))
REACHED_LIMIT_S = 3.0
LATE_MS = 3 * WINDOW_MS
FOREVER_MS = 1 << 60
WRITER = Path(sender.__file__)
SERIES = [(str(session), metric) for session in range(SESSIONS) for metric in sender.METRICS]


class Ledger:
    """What was sent at most, and what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = [0] * SESSIONS
        self.stored = [0] * SESSIONS
        self.known = [0] * SESSIONS
        self.truth: dict[int, Window] = {}
        self.observed: Counter[int] = Counter()

    def run_and_kill(self, directory: Path, seed: int, point: KillPoint | None, after_s: float) -> int:
        """Returns 1 if the process has killed itself at the point, 0 if it was killed after some time."""
        first = [acknowledged + 1 for acknowledged in self.acknowledged]  # the rest is sent again
        words = [sender.sent_ms(max(1, *self.stored)), *first]  # no clock goes back behind what is stored
        command = [sys.executable, str(WRITER), str(directory), str(seed), str(point or "-"), *map(str, words)]
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
        """Each session's events up to its last one, once, and at least those sent before its last stored frame.

        Of more than a store keeps the newest are there.
        """
        last = {session["worker"]: session["last_event"] for session in store.status()["sessions"]}
        found = Counter(map(repr, store.view().events()))
        assert set(found.values()) <= {1}
        assert len(found) == min(EVENTS_TOTAL, sum(last.values()))
        for session, count in last.items():
            kept = [repr(sender.event(session, n)) in found for n in range(1, count + 1)]
            assert kept == sorted(kept)
        for session, stored in enumerate(self.stored):
            assert stored // sender.FRAMES_PER_EVENT <= last.get(session, 0)

    def check_buckets(self, store: Store | ReadOnlyStore) -> None:
        """Window by window and series by series, against windows filled from the stored frames alone."""
        self.extend_truth()
        if not self.truth:
            return
        view = store.view()
        ids = {(one.labels["session"], one.metric): one.id for one in view.series()}
        found = {ids[key]: index for index, key in enumerate(SERIES) if key in ids}
        true = {index: index for index in range(len(SERIES))}
        check_windows(view, self.truth, found, true)
        check_totals(view, self.truth, found, true)
        self.check_accounts(view)
        self.check_kept(view)

    def check_accounts(self, view: View) -> None:
        """Of the windows that are kept, and of no other."""
        begin_ms = min(first_kept(view, self.truth, window_ms) for window_ms in TIER_WINDOWS_MS)
        expected = sum(count for start, count in self.observed.items() if start >= begin_ms)
        assert sum(account["observed"] for account in view.accounts(begin_ms, FOREVER_MS).values()) == expected

    def check_kept(self, view: View) -> None:
        """Nothing expires before its time; what is late by three windows is in a later file."""
        now_ms = max(self.truth) + WINDOW_MS
        for window_ms in TIER_WINDOWS_MS:
            oldest_ms = now_ms - tiny().retention_of(window_ms)
            assert view.tiers.begins(window_ms) <= max(min(self.truth), oldest_ms) + 2 * window_ms + LATE_MS

    def extend_truth(self) -> None:
        """By the frames that have come to be stored since the last time."""
        for session in range(SESSIONS):
            numbers = SeriesMap()
            for number, (metric, kind) in enumerate(sender.METRICS.items()):
                numbers.set(number, SERIES.index((str(session), metric)), kind)
            for sequence in range(self.known[session] + 1, self.stored[session] + 1):
                at_ms = sender.frame_ms(sequence)
                window = self.truth.setdefault(at_ms - at_ms % WINDOW_MS, Window())
                self.observed[at_ms - at_ms % WINDOW_MS] += sender.observed(1)
                window.apply(sender.frame_body(session, sequence)[0], numbers, at_ms + 100 + sequence % 50)
            assert self.stored[session] >= self.known[session]
            self.known[session] = self.stored[session]


@pytest.mark.timeout(60 + 10 * CYCLES)
def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
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
        reached[f"{point.work}.{point.call}" if point else "random moments"] += died or point is None
    print(f"\nCRASH_SEED={SEED}: died at {dict(sorted(reached.items()))} of {CYCLES}")
    store = Store.open(tmp_path / "store", budgets=tiny())
    ledger.check(store)
    status = store.status()
    assert sum(ledger.acknowledged) > 100
    assert store.view().blocks[-1].header.sequence > CYCLES
    assert status["segments"]["files"] > 1
    assert status["segments"]["compacted"] > 0
    tiers = store.view().tiers
    begins = [max(0, tiers.begins(window_ms) - min(ledger.truth)) // 1000 for window_ms in TIER_WINDOWS_MS]
    print(f"of {(max(ledger.truth) - min(ledger.truth)) // 1000} s the tiers are whole from {begins} s on")
    assert begins[0] > 0
    assert CYCLES < 20 or begins[1] > 0
    maintain(store, sender.sent_ms(max(ledger.stored)))
    ledger.check(store)
    store.close()
    ledger.check(Store.open_read_only(tmp_path / "store"))
    assert CYCLES < 20 or not not_hit(reached, without=["closing"])

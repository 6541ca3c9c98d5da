"""A store whose segment files are many and small, for the tests of compaction."""

from __future__ import annotations

import random
from pathlib import Path

from faulty_fs import FailingFs
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, check_store, make_body, resolve

from obsagent.clock import window_start
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind
from obsagent.segment.catalog import scan_directory
from obsagent.segment.recover import BlockRef

SMALL = Budgets(segment_file_bytes=3_000, frame_bytes=400)
WINDOWS = 14


class Lab:
    """A store with several segment files, windows in memory, and one producer."""

    def __init__(self, directory: Path, fs: FailingFs | None = None, budgets: Budgets = SMALL) -> None:
        self.directory = directory
        self.budgets = budgets
        self.clock = TurnedClock(window_start(BEGIN_MS))
        self.producer = Producer("p")
        directory.mkdir(exist_ok=True)
        self.fs = fs or FailingFs()
        self.open()
        chance = random.Random(9)
        begin(self.store, self.producer, list(Kind))
        more = [resolve(self.store, f"n_{kind.word}", kind, service="shop") for kind in Kind]
        self.producer.defined += more
        self.store.write(self.producer.define_all())
        for _ in range(WINDOWS):
            for late in (0, 2 * WINDOW_MS):
                at_ms = max(window_start(BEGIN_MS), self.clock.now_ms - late)
                body = make_body(enumerate(self.producer.defined), chance)
                self.store.write(self.producer.frame(at_ms, *body))
            self.clock.now_ms += WINDOW_MS
            self.store.checkpoint(self.clock.now_ms - WINDOW_MS)
        self.store.sync()

    def open(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def abandon(self) -> None:
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "segments").iterdir())

    def compact_all(self) -> int:
        count = 0
        self.store.maybe_retire(self.clock.now_ms)
        while self.store.maybe_compact(self.clock.now_ms):
            count += 1
        return count

    def check(self) -> None:
        check_store(self.store, [self.producer])
        check_store(Store.open_read_only(self.directory, clock=self.clock), [self.producer])

    @property
    def ids(self) -> list[int]:
        return [series.id for series in self.producer.defined]

    @property
    def starts(self) -> range:
        return range(window_start(BEGIN_MS), self.clock.now_ms + WINDOW_MS, WINDOW_MS)


def blocks_in(path: Path) -> list[BlockRef]:
    return [block for block in scan_directory(path.parent).blocks if block.path == path]

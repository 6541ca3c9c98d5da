"""A store on a file system that can fail, for the tests of the store."""

from __future__ import annotations

import random
from pathlib import Path

from faulty_fs import FailingFs
from store_lab import Producer, TurnedClock, begin, check_store, make_body

from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.samples import Kind


class Lab:
    """A store on a file system that can fail, a clock to turn, and one producer."""

    make_fs: type[FailingFs] = FailingFs

    def __init__(self, directory: Path, budgets: Budgets | None = None) -> None:
        self.directory = directory
        self.budgets = budgets or Budgets()
        self.clock = TurnedClock()
        self.chance = random.Random(1)
        self.producer = Producer("p")
        self.open()
        begin(self.store, self.producer, list(Kind))

    def open(self) -> None:
        self.fs = self.make_fs()
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def send(self, at_ms: int | None = None, producer: Producer | None = None, lost: int = 0) -> int:
        producer = producer or self.producer
        body, samples = make_body(enumerate(producer.defined), self.chance)
        return self.store.write(producer.frame(at_ms or self.clock.now_ms, body, samples, lost))

    def check(self) -> None:
        check_store(self.store, [self.producer])
        check_store(Store.open_read_only(self.directory, clock=self.clock), [self.producer])

    def kill(self) -> None:
        self.store._store_lock.release()
        self.open()

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.directory / folder).iterdir())

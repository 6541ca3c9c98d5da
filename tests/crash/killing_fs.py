"""A file system that kills its process at a chosen call of a chosen work of the store.

A point is `WORK.CALL#N:WHEN`, such as `compaction.rename#1:after`: the process sends itself SIGKILL before or after
the N-th time that this work makes this call, or, with `during`, when a write has taken half of its bytes.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from obsagent.fs import Buffer, Fs
from obsagent.head import upkeep
from obsagent.head.store import Store
from obsagent.segment.rollup import RollUp
from obsagent.segment.writer import SegmentWriter

OFTEN = ("write", "sync_data")
MAKES_A_FILE = ("create", "write", "sync_data", "rename", "sync_directory")


class Work(NamedTuple):
    """What a store does to files: which function does it, and which calls it makes."""

    owner: Any
    function: str
    calls: Sequence[str]


WORKS = {
    "recovery": Work(Store, "_begin", MAKES_A_FILE),
    "sync": Work(Store, "sync", MAKES_A_FILE),
    "checkpoint": Work(Store, "checkpoint", ("write", "sync_data", "remove")),
    "seal": Work(SegmentWriter, "begin_file", MAKES_A_FILE),
    "compaction": Work(Store, "maybe_compact", MAKES_A_FILE),
    "roll-up": Work(Store, "maybe_roll_up", MAKES_A_FILE),
    "merge": Work(upkeep, "roll_up", MAKES_A_FILE),
    "retention": Work(Store, "maybe_retire", ("remove", "sync_directory")),
    "closing": Work(Store, "close", ("create", "write", "sync_data", "rename", "remove")),
}
"""A work within another counts as itself, but recovery and closing are one piece. To begin a segment file is to seal
the one before; to begin a journal file is a part of a sync. A merge is a roll-up within one tier.
"""

WHOLE_WORKS = ("recovery", "closing")


class KillPoint(NamedTuple):
    """Where a process kills itself."""

    work: str
    call: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"{self.work}.{self.call}#{self.nth}:{self.when}"

    @classmethod
    def parse(cls, text: str) -> KillPoint:
        where, when = text.split(":")
        call, nth = where.split("#")
        return cls(*call.split("."), int(nth), when)


def deal(chance: random.Random, without: Sequence[str] = ()) -> Iterator[KillPoint]:
    """Points without end: each round visits every work and one rename, in random order, and in the long run every call
    of every work.
    """
    works = [work for work in WORKS if work not in without]
    renaming = [work for work in works if "rename" in WORKS[work].calls]
    waiting: dict[str, list[str]] = {work: [] for work in works}
    while True:
        for turn in chance.sample([*works, "rename"], len(works) + 1):
            work = chance.choice(renaming) if turn == "rename" else turn
            calls = WORKS[work].calls
            waiting[work] = waiting[work] or chance.sample(calls, len(calls))
            call = turn if turn == "rename" else waiting[work].pop()
            nth = 1 + min(int(chance.expovariate(0.2 if work == "sync" and call in OFTEN else 1.5)), 20)
            yield KillPoint(work, call, nth, chance.choice(["before", "after", *["during"] * (call == "write")]))


def not_hit(died_at: Counter[str], without: Sequence[str] = ()) -> list[str]:
    """The works, and rename, at which no process has died; `died_at` counts `WORK.CALL`."""
    hit = {name for where in died_at for name in where.split(".")}
    return [name for name in (*WORKS, "rename") if name not in hit and name not in without]


class KillingFs(Fs):
    """Kills the process at `point`; without one it is the real file system."""

    def __init__(self, point: KillPoint | None) -> None:
        self._point = point
        self._seen: Counter[tuple[str, str]] = Counter()
        self._works = threading.local()

    def watch(self) -> None:
        """From now on it is known which work is being done, in every store of this process."""
        for name, work in WORKS.items():
            setattr(work.owner, work.function, self._saying(name, getattr(work.owner, work.function)))

    def _saying(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            outer = self._work
            is_other = outer in WHOLE_WORKS or (name == "merge" and not is_merge(arguments[0]))
            self._works.now = outer if is_other else name
            try:
                return function(*arguments, **named)
            finally:
                self._works.now = outer

        return call

    @property
    def _work(self) -> str:
        return getattr(self._works, "now", "")

    @contextmanager
    def _around(self, call: str) -> Iterator[bool]:
        """Around a call; True if the process is to die in its midst."""
        self._seen[self._work, call] += 1
        here = self._work, call, self._seen[self._work, call]
        when = self._point.when if self._point is not None and self._point[:3] == here else ""
        if when == "before":
            die()
        yield when == "during"
        if when == "after":
            die()

    def create(self, path: Path) -> int:
        with self._around("create"):
            return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        with self._around("write") as half:
            if half:
                whole = b"".join(buffers)
                super().write(descriptor, [whole[: len(whole) // 2]], offset)
                die()
            return super().write(descriptor, buffers, offset)

    def sync_data(self, descriptor: int) -> None:
        with self._around("sync_data"):
            super().sync_data(descriptor)

    def sync_directory(self, directory: Path) -> None:
        with self._around("sync_directory"):
            super().sync_directory(directory)

    def rename(self, source: Path, target: Path) -> None:
        with self._around("rename"):
            super().rename(source, target)

    def remove(self, path: Path) -> None:
        with self._around("remove"):
            super().remove(path)


def is_merge(what: RollUp) -> bool:
    """True for a roll-up of files that have such windows already."""
    return what.blocks[0].path.name.endswith(f".{what.window_ms // 1000}s.segment")


def die() -> None:
    """At once, without any cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)

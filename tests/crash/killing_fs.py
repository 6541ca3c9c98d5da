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
from obsagent.head.store import Store

WORKS = {
    "recovery": "_begin",
    "sync": "sync",
    "checkpoint": "checkpoint",
    "compaction": "maybe_compact",
    "roll-up": "maybe_roll_up",
    "retention": "maybe_retire",
    "closing": "close",
}
"""What a store does to files, and the method that does it; one that it does not have is left out."""

MAKES_A_FILE = ("create", "write", "sync_data", "rename", "sync_directory")
CALLS = {
    "recovery": ("create", "write", "sync_data", "sync_directory", "rename"),
    "sync": MAKES_A_FILE,
    "checkpoint": (*MAKES_A_FILE, "remove"),
    "compaction": (*MAKES_A_FILE, "remove"),
    "roll-up": (*MAKES_A_FILE, "remove"),
    "retention": ("remove",),
    "closing": ("create", "write", "sync_data", "rename", "remove"),
}
OFTEN = ("write", "sync_data")


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


def present(works: dict[str, str] | None = None) -> list[str]:
    """The works that the store of this tree does."""
    return [work for work, method in (works or WORKS).items() if hasattr(Store, method)]


def deal(chance: random.Random, without: Sequence[str] = ()) -> Iterator[KillPoint]:
    """Points without end: each round visits every work, in random order, and in the long run every call of it."""
    works = [work for work in present() if work not in without]
    waiting: dict[str, list[str]] = {work: [] for work in works}
    while True:
        for work in chance.sample(works, len(works)):
            waiting[work] = waiting[work] or chance.sample(CALLS[work], len(CALLS[work]))
            call = waiting[work].pop()
            nth = 1 + min(int(chance.expovariate(0.2 if work == "sync" and call in OFTEN else 1.5)), 20)
            yield KillPoint(work, call, nth, chance.choice(["before", "after", *["during"] * (call == "write")]))


class KillingFs(Fs):
    """Kills the process at `point`; without one it is the real file system."""

    def __init__(self, point: KillPoint | None) -> None:
        self._point = point
        self._seen: Counter[tuple[str, str]] = Counter()
        self._works = threading.local()

    def watch(self) -> None:
        """From now on the store's methods say which work is being done, in every store of this process."""
        for work, method in WORKS.items():
            if hasattr(Store, method):
                setattr(Store, method, self._saying(work, getattr(Store, method)))

    def _saying(self, work: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            outer = self._work
            self._works.now = work
            try:
                return method(*arguments, **named)
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


def die() -> None:
    """At once, without any cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)

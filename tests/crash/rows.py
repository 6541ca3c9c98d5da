"""The known rows of a producer: what it observes, counts and tells of, by number alone."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from obsagent.sketches import LogHist

CHUNK = 1_000


def chunk(producer: int, number: int) -> np.ndarray:
    """The values `number * CHUNK` to `(number + 1) * CHUNK` of a producer's row."""
    return np.random.default_rng([producer, number]).lognormal(-4, 1, CHUNK)


def increment(number: int) -> int:
    """By how much a producer's counter grows the `number`-th time, from 0."""
    return number % 7 + 1


def counted(times: int) -> int:
    """What the counter says when it has grown so often."""
    whole, rest = divmod(times, 7)
    return whole * 28 + rest * (rest + 1) // 2


class Row:
    """The first values of a producer's row as a histogram that grows; it is asked for ever more of them."""

    def __init__(self, producer: int) -> None:
        self._producer = producer
        self._hist = LogHist()
        self._count = 0

    def first(self, count: int) -> LogHist:
        """The histogram of the first `count` values."""
        assert count >= self._count
        while self._count < count:
            number, begin = divmod(self._count, CHUNK)
            piece = chunk(self._producer, number)[begin : begin + count - self._count]
            self._hist.add_many(piece)
            self._count += len(piece)
        return self._hist


class Sent(NamedTuple):
    """What a producer has sent and what was acknowledged, of the samples and of the events."""

    acknowledged: int = 0
    values: int = 0
    increments: int = 0
    acknowledged_events: int = 0
    events: int = 0
    finished: int = 0


class Ledger:
    """A small file that a producer rewrites in place; it outlives everyone."""

    FIELDS = struct.Struct("<6Q")

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(self.FIELDS.pack(*Sent()))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self.FIELDS.size)

    def write(self, sent: Sent) -> None:
        self._memory[:] = self.FIELDS.pack(*sent)

    def read(self) -> Sent:
        return Sent(*self.FIELDS.unpack(self._memory))

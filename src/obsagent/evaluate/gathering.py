"""Counts of long times, read piece by piece: a look whose time is over ends, and the next one goes on from there.

A day of a thousand features, or the week before one, takes longer to read than a look may take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import add
from typing import TypeAlias

from obsagent.evaluate.counts import Bins
from obsagent.evaluate.family import ChartKey

HOUR_MS = 3_600_000
PIECE_MAX_MS = 64 * HOUR_MS
PIECE_S = 0.1
"""A piece that was read in less is followed by one of twice its length; a slower one by an hour."""

Read: TypeAlias = Callable[[int, int], dict[ChartKey, Bins]]
"""The counts of the windows between two times."""


class Budget:
    """The time of one stream in one look, on a clock of seconds that only goes forward."""

    def __init__(self, clock: Callable[[], float], until: float) -> None:
        """`until` is on that clock."""
        self._clock = clock
        self._until = until
        self._piece_ms = HOUR_MS

    @property
    def is_over(self) -> bool:
        """True if nothing more is to be begun."""
        return self._clock() > self._until

    def read(self, read: Read, from_ms: int, to_ms: int) -> tuple[dict[ChartKey, Bins], int]:
        """Reads a piece that begins then, and where it ends: with an hour, or before `to_ms`."""
        end_ms = min(to_ms, from_ms - from_ms % HOUR_MS + self._piece_ms)
        began = self._clock()
        counts = read(from_ms, end_ms)
        is_quick = self._clock() - began < PIECE_S
        self._piece_ms = min(2 * self._piece_ms, PIECE_MAX_MS) if is_quick else HOUR_MS
        return counts, end_ms


@dataclass(slots=True)
class Gathering:
    """The counts from one time to another, as far as they have been read."""

    from_ms: int
    to_ms: int
    counts: dict[ChartKey, Bins] = field(default_factory=dict)
    read_to_ms: int = 0

    def __post_init__(self) -> None:
        """Nothing has been read."""
        self.read_to_ms = self.from_ms

    def go_on(self, read: Read, budget: Budget) -> bool:
        """Reads on, one piece at least; True if all has been read."""
        while self.read_to_ms < self.to_ms:
            piece, self.read_to_ms = budget.read(read, self.read_to_ms, self.to_ms)
            add_up(self.counts, piece)
            if budget.is_over:
                break
        return self.read_to_ms >= self.to_ms


def add_up(into: dict[ChartKey, Bins], more: dict[ChartKey, Bins]) -> None:
    """Adds counts, chart by chart."""
    for key, bins in more.items():
        known = into.get(key)
        into[key] = bins if known is None else list(map(add, known, bins))

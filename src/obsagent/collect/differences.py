"""What totals have grown by from one round to the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import NamedTuple


class Grown(NamedTuple):
    """By how much, in how long."""

    by: float
    in_s: float

    @property
    def per_second(self) -> float:
        """The mean rate."""
        return self.by / self.in_s


class Differences:
    """Remembers the last total of each key. What is not asked for in a round is forgotten at the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: dict[Hashable, tuple[float, float]] = {}
        self._now: dict[Hashable, tuple[float, float]] = {}

    def begin(self) -> None:
        """A new round."""
        self._before, self._now = self._now, {}

    def of(self, key: Hashable, total: float) -> Grown | None:
        """None at first sight, and where a total has fallen: it has begun anew."""
        at_s = self._clock()
        before = self._before.get(key)
        self._now[key] = total, at_s
        if before is None or total < before[0] or at_s <= before[1]:
            return None
        return Grown(total - before[0], at_s - before[1])

"""Streams of truths for those who judge harm, without a ledger."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import Known
from obsagent.harm.feed import Arrivals, Arrived, Predicted
from obsagent.harm.judge import Found, Judge
from obsagent.harm.state import State
from obsagent.harm.track import MOMENT_MS, SETTLE_MS
from obsagent.harm_config import HarmConfig

BEGIN_MS = 1_767_254_400_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LIVE = Judged("fraud", "4", "live")
TOGETHER = 100
"""Truths of a row."""


def no_reference(*_: str) -> Known | None:
    return None


class Stream:
    """Truths of one model, `rate` in an hour, read by whoever asks for those behind a position: a `Feed`."""

    def __init__(self, seed: int = 1, rate: int = 10_000) -> None:
        self.chance = random.Random(seed)
        self.rate = rate
        self.now_ms = float(BEGIN_MS)
        self.rows: list[tuple[int, Arrived]] = []
        self.made: dict[Judged, list[int]] = {}
        """When each version predicted."""
        self.synced = 1 << 60
        self.is_there = True

    def add(
        self,
        count: int,
        risk: float,
        judged: Judged = LIVE,
        slice_: Mapping[str, str] | None = None,
        draw: Callable[[random.Random], float] | None = None,
    ) -> None:
        """So many truths, of which that share is wrong; with `draw` they are errors of numbers."""
        for _ in range(count // TOGETHER):
            self.now_ms += TOGETHER / self.rate * HOUR_MS
            at_ms = int(self.now_ms)
            if draw is None:
                errors = sum(self.chance.random() < risk for _ in range(TOGETHER))
                sums = (errors, float(errors), float(errors), float(errors))
            else:
                losses = [draw(self.chance) for _ in range(TOGETHER)]
                sums = (0, sum(losses), *(sum(loss**power for loss in losses) for power in (2, 4)))
            arrived = Arrived(judged, slice_ or {}, draw is None, at_ms, TOGETHER, *sums)
            self.rows.append((10 * len(self.rows), arrived))
            self.made.setdefault(judged, []).append(at_ms)

    def arrivals(self, after_position: int) -> Arrivals:
        found = [(position, row) for position, row in self.rows if after_position < position < self.synced]
        return Arrivals([row for _, row in found], found[-1][0] if found else after_position)

    def predicted(self, model: str, from_ms: int, to_ms: int) -> dict[Judged, Predicted]:
        found = {}
        for judged, times in self.made.items():
            count = TOGETHER * sum(from_ms <= at_ms < to_ms for at_ms in times)
            if judged.model == model and count:
                found[judged] = Predicted(count, count)
        return found


class Bench:
    """A judge and its stream."""

    def __init__(self, references: Any = no_reference, seed: int = 1, **config: Any) -> None:
        self.stream = Stream(seed)
        self.config = HarmConfig(**config)
        self.judge = Judge(State(), lambda _: self.config, references)

    @property
    def state(self) -> State:
        return self.judge.state

    def add(self, count: int, risk: float, judged: Judged = LIVE, **more: Any) -> Found:
        self.stream.add(count, risk, judged, **more)
        return self.look()

    def look(self) -> Found:
        """Everything that has come, to the end of its moment."""
        arrivals = self.stream.arrivals(self.state.position)
        over_ms = int(self.stream.now_ms) + MOMENT_MS + SETTLE_MS
        found = self.judge.take(arrivals, over_ms)
        found.ended += self.judge.look(self.stream, int(self.stream.now_ms))
        return found

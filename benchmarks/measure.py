"""Timing by turns: every arm runs once in each round, so that a drifting clock or a busy neighbour hits all alike."""

from __future__ import annotations

import gc
import os
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

CALLS_PER_LOOP = 20  # unrolled, so that the loop around them costs next to nothing
NS = 1e9


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `rounds` turns of each arm, about `round_s` seconds each."""

    rounds: int
    round_s: float
    quick: bool = False

    def size(self, full: int, quick: int) -> int:
        """The amount of work that suits the effort."""
        return quick if self.quick else full


FULL = Effort(rounds=21, round_s=0.02)
QUICK = Effort(rounds=5, round_s=0.005, quick=True)


@dataclass(frozen=True, slots=True)
class Arm:
    """Something to measure: `run(n)` does it n times, each time `units` units of work."""

    name: str
    run: Callable[[int], object]
    units: int = 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median and quartiles of the ratios of the single rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def exact(cls, ratio: float) -> Ratio:
        """The ratio of things that were counted, not timed."""
        return cls(ratio, ratio, ratio)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a unit of work took, one figure a round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def ns(self) -> float:
        """The median of the rounds, in nanoseconds."""
        return self.median * NS

    def over(self, reference: Timing) -> Ratio:
        """How many times as long as the reference, round by round."""
        return ratio_of(self.seconds, reference.seconds)


def ratio_of(numerators: Iterable[float], denominators: Iterable[float]) -> Ratio:
    """Ratios of pairs that were measured next to each other."""
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Ratio(median, low, high)


def calls(name: str, statement: str, **names: Any) -> Arm:
    """An arm that executes a statement such as `observe(value)`; the names in it are local variables."""
    setup = "; ".join(f"{local} = given[{local!r}]" for local in names) or "pass"
    body = "\n".join([statement] * CALLS_PER_LOOP)
    timer = timeit.Timer(body, setup, globals={"given": names})
    return Arm(name, timer.timeit, CALLS_PER_LOOP)


def repeating(function: Callable[..., object], *arguments: Any) -> Callable[[int], None]:
    """What an arm runs: one call after the other, where a call is long enough for the loop not to matter."""

    def run(repeats: int) -> None:
        for _ in range(repeats):
            function(*arguments)

    return run


def interleave(arms: Sequence[Arm], effort: Effort, clock: Callable[[], float] = time.perf_counter) -> list[Timing]:
    """Runs the arms by turns, pinned and without garbage collection; one timing an arm, in the same order.

    `clock` may be `time.thread_time`, for work of one thread that waits for nothing: what others take is left out.
    """
    with pinned(), no_collection():
        repeats = [_repeats(arm, effort.round_s, clock) for arm in arms]
        rounds = [[_once(arm, n, clock) for arm, n in zip(arms, repeats, strict=True)] for _ in range(effort.rounds)]
    return [Timing(arm.name, seconds) for arm, seconds in zip(arms, zip(*rounds, strict=True), strict=True)]


def _repeats(arm: Arm, round_s: float, clock: Callable[[], float]) -> int:
    """How often the arm must run to take about `round_s`; the runs that find out warm it up."""
    repeats = 1
    while (seconds := _once(arm, repeats, clock) * repeats * arm.units) < round_s / 2:
        repeats *= max(2, min(10, int(round_s / 2 / max(seconds, 1e-9))))
    return repeats


def _once(arm: Arm, repeats: int, clock: Callable[[], float]) -> float:
    began = clock()
    arm.run(repeats)
    return (clock() - began) / (repeats * arm.units)


@contextmanager
def pinned() -> Iterator[None]:
    """Keeps this thread on one processor; threads that run already, and processes, stay where they like."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def no_collection() -> Iterator[None]:
    """Switches the garbage collector off."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

"""Moving the marks: what expires, what is to become coarser, and what must go because the disk's budget is spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from obsagent.ledger.alive import HOUR_MS, Alive
from obsagent.ledger.manifest import Marks
from obsagent.ledger.names import NO_TIME_MS, Names
from obsagent.ledger.run import Run
from obsagent.ledger.settings import LedgerSettings
from obsagent.ledger.tables import PREDICTIONS, row_count
from obsagent.limits import LEDGER_ARRIVALS_MS, LEDGER_MERGE_ROWS

EVICTED_BEYOND = 0.1
"""Of the budget: beyond what is over it, so that the next flush need not come back for as little."""


class Flushes:
    """When the journal had come how far: by that arrivals grow old, whatever time they are of."""

    def __init__(self, known: Iterable[Iterable[int]] = ()) -> None:
        """Nothing, or what `pack` gave."""
        self._known = [(int(at_ms), int(position)) for at_ms, position in known]

    def add(self, now_ms: int, position: int) -> None:
        """All that the journal has before a position had come by now; one an hour is enough."""
        if not self._known or now_ms - self._known[-1][0] >= HOUR_MS:
            self._known.append((now_ms, position))

    def drop_before(self, before_ms: int) -> int:
        """The position before which all had come by then; what says less than that is forgotten."""
        old = [position for at_ms, position in self._known if at_ms <= before_ms]
        self._known = self._known[max(len(old) - 1, 0) :]
        return old[-1] if old else 0

    def pack(self) -> list[list[int]]:
        """As the manifest keeps it."""
        return [[*each] for each in self._known]


def moved(marks: Marks, now_ms: int, names: Names, settings: LedgerSettings, flushes: Flushes) -> Marks:
    """The marks as they are now; none ever moves back."""
    old = (*marks.cutoffs_ms, *[NO_TIME_MS] * (len(names.models) - len(marks.cutoffs_ms)))
    horizons = (settings.horizon_ms(model.name) for model in names.models)
    cutoffs = (max(before, now_ms - horizon) for before, horizon in zip(old, horizons, strict=True))
    minute, hour, outcomes = ((now_ms - kept_ms) // HOUR_MS * HOUR_MS for kept_ms in settings.retention_ms())
    return Marks(
        tuple(cutoffs),
        max(marks.minute_before_ms, minute),
        max(marks.hour_before_ms, hour),
        max(marks.outcomes_before_ms, outcomes),
        max(marks.arrivals_before, flushes.drop_before(now_ms - LEDGER_ARRIVALS_MS)),
    )


def evicted(alive: Alive, runs: Iterable[Run], budget: int) -> tuple[Marks, int]:
    """The marks without as many of the oldest open predictions as are over a budget of bytes; and how many they are.

    Raises DamagedRun.
    """
    runs = [*runs]
    over = sum(run.bytes * alive.share(run) for run in runs) - budget
    predictions = [run for run in runs if run.table is PREDICTIONS and run.rows]
    if over <= 0 or not predictions:
        return alive.marks, 0
    before_ms = _older_than(alive, predictions, over + EVICTED_BEYOND * budget)
    cutoffs = tuple(max(cutoff, before_ms) for cutoff in alive.marks.cutoffs_ms)
    return replace(alive.marks, cutoffs_ms=cutoffs), sum(_count_open(alive, run, before_ms) for run in predictions)


def _older_than(alive: Alive, runs: Iterable[Run], size: float) -> int:
    """The time before which there are so many bytes of open predictions, by a sample."""
    times, weights = [], []
    for run in runs:
        sample = alive.sample(run)
        own = sample["at_ms"][sample["at_ms"] >= alive.cutoffs_ms(PREDICTIONS, sample)]
        times.append(own)
        weights.append(np.full(len(own), run.bytes / row_count(sample)))
    sorted_by_time = np.argsort(all_times := np.concatenate(times))
    older = np.cumsum(np.concatenate(weights)[sorted_by_time])
    index = min(int(np.searchsorted(older, size)), len(older) - 1)
    return int(all_times[sorted_by_time[index]]) + 1 if index >= 0 else NO_TIME_MS


def _count_open(alive: Alive, run: Run, before_ms: int) -> int:
    count = 0
    for begin in range(0, run.rows, LEDGER_MERGE_ROWS):
        end = min(begin + LEDGER_MERGE_ROWS, run.rows)
        block = {name: run.column(name, begin, end) for name in ("at_ms", "series")}
        is_open = block["at_ms"] >= alive.cutoffs_ms(PREDICTIONS, block)
        count += int((is_open & (block["at_ms"] < before_ms)).sum())
    return count

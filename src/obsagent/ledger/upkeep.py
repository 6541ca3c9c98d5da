"""Keeping the runs few, and free of what does not count any more: one bounded step at a time.

Runs of one level are merged four at a time into one of the next, always neighbours in age, so that a key is looked for
in few runs and what came last is still known. A run is written anew alone when much of it has expired, when its windows
should be coarser, or when it holds what was forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from obsagent.ledger.alive import Alive
from obsagent.ledger.disk import Disk
from obsagent.ledger.merge import write_merged
from obsagent.ledger.names import Names
from obsagent.ledger.run import DamagedRun, Run
from obsagent.ledger.sources import Masks, Sources, matches
from obsagent.ledger.tables import TABLES, Table
from obsagent.limits import LEDGER_MERGED_RUNS, LEDGER_STEP_S

EXPIRED_SHARE = 0.1
"""A run of which so much has expired is written anew."""
COARSER_LAG_MS = 86_400_000
"""Windows may stay finer than they should be for so long, so that a run is not written anew at every flush."""


@dataclass(slots=True)
class Merge:
    """One that goes on."""

    inputs: tuple[Run, ...]
    number: int
    newest: int
    level: int
    alive: Alive
    steps: Iterator[None]


class Upkeep:
    """Does what is most needed first."""

    def __init__(self, disk: Disk, sources: Sources, names: Names) -> None:
        """Nothing goes on yet."""
        self._disk = disk
        self._sources = sources
        self._names = names
        self._merge: Merge | None = None

    def step(self) -> tuple[bool, Masks]:
        """Works for about `LEDGER_STEP_S`: whether there is more to do, and what is now forgotten for good.

        Raises OSError; what was begun is then begun anew.
        """
        if self._disk.has_lost:
            self._disk.commit([])
        try:
            if self._merge is None:
                self._merge = self._next_merge()
            if self._merge is None:
                return False, self._all_forgotten()
            self._go_on(self._merge)
        except DamagedRun as error:
            self.abandon()
            self._disk.lose(error.run, str(error))
        except BaseException:
            self.abandon()
            raise
        return True, Masks()

    def abandon(self) -> None:
        """What goes on is given up; nothing of it is left."""
        if self._merge is not None:
            self._merge.steps.close()  # type: ignore[attr-defined]
            self._merge = None

    def _go_on(self, merge: Merge) -> None:
        until = time.monotonic() + LEDGER_STEP_S
        for _ in merge.steps:
            if time.monotonic() >= until:
                return
        self._merge = None
        table = merge.inputs[0].table
        path = self._disk.path(merge.number, table)
        run, entry = self._disk.opened(path, merge.number, merge.newest, merge.level, merge.alive.marks)
        if not set(merge.inputs) <= set(self._sources.runs):  # one of them was lost meanwhile
            self._disk.remove(path)
        elif run.rows == 0:
            self._disk.commit([], merge.inputs)
            self._disk.remove(path)
        else:
            self._disk.commit([(run, entry)], merge.inputs)

    def _alive(self) -> Alive:
        """By what the manifest says: what was applied since may have to be applied again."""
        return Alive(self._disk.manifest.marks, self._disk.masks, self._names.models_of_series())

    def _next_merge(self) -> Merge | None:
        alive = self._alive()
        self._drop_dead(alive)
        for table in TABLES:
            runs = [*self._sources.each_run(table)]
            chosen = _forgetful(runs, alive) or self._full_level(runs) or self._outdated(runs, alive)
            if chosen:
                return self._begin(table, chosen, alive)
        return None

    def _begin(self, table: Table, inputs: Sequence[Run], alive: Alive) -> Merge:
        number = self._disk.numbers(1)
        levels = [self._disk.entry(run).level for run in inputs]
        level = max(levels) + (len(inputs) > 1)
        steps = write_merged(self._disk.fs, self._disk.path(number, table), table, inputs, alive)
        return Merge(tuple(inputs), number, inputs[-1].newest, level, alive, steps)

    def _drop_dead(self, alive: Alive) -> None:
        dead = [run for run in self._sources.runs if alive.is_dead(run)]
        if dead:
            self._disk.commit([], dead)

    def _full_level(self, runs: Sequence[Run]) -> Sequence[Run]:
        """The oldest of the lowest level that has enough runs; runs of one level are neighbours."""
        levels = [self._disk.entry(run).level for run in runs]
        for level in sorted(set(levels)):
            if levels.count(level) >= LEDGER_MERGED_RUNS:
                first = levels.index(level)
                return runs[first : first + LEDGER_MERGED_RUNS]
        return ()

    def _outdated(self, runs: Sequence[Run], alive: Alive) -> Sequence[Run]:
        for run in runs:
            is_too_fine = alive.is_too_fine(run, self._disk.entry(run), COARSER_LAG_MS)
            if is_too_fine or alive.share(run) <= 1 - EXPIRED_SHARE:
                return (run,)
        return ()

    def _all_forgotten(self) -> Masks:
        """Nothing is left of what was forgotten: nothing needs to be hidden any more."""
        done, self._disk.masks = self._disk.masks, Masks()
        if done.forgotten:
            self._disk.commit([], state={**self._disk.manifest.state, "forgotten": []})
        return done


def _forgetful(runs: Sequence[Run], alive: Alive) -> Sequence[Run]:
    """A run that holds something that was forgotten. Raises DamagedRun."""
    for run in runs:
        if run.table.is_keyed and alive.masks.forgotten:
            keys = alive.masks.keys_of(run)
            if len(keys.hi) and len(matches(run, keys, Masks())[0]):
                return (run,)
    return ()

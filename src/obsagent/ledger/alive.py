"""Which rows still count, and how coarse their windows are by now: what merging leaves out, and makes coarser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsagent.ledger.keys import Keys
from obsagent.ledger.manifest import Marks, RunEntry
from obsagent.ledger.names import NO_TIME_MS
from obsagent.ledger.run import Run
from obsagent.ledger.sources import Masks, Source
from obsagent.ledger.tables import ARRIVALS, OUTCOMES, TRUTHS, Array, Block, Rule, Table, take
from obsagent.limits import TIER_WINDOWS_MS

SAMPLED_ROWS = 4_096
MINUTE_MS, HOUR_MS = TIER_WINDOWS_MS[1:]


@dataclass(frozen=True, slots=True)
class Alive:
    """By marks and masks that stand in the manifest: a replay must find what it found before."""

    marks: Marks
    masks: Masks
    models_of_series: Array

    def cutoffs_ms(self, table: Table, block: Block) -> Array | int:
        """Of each row the time before which such rows do not count; arrivals are told by their positions."""
        if table in OUTCOMES:
            return self.marks.outcomes_before_ms
        cutoffs = np.array([*self.marks.cutoffs_ms, NO_TIME_MS], "i8")
        models = block["model"] if table is TRUTHS else self.models_of_series[block["series"]]
        return cutoffs[np.minimum(models, len(cutoffs) - 1)]

    def rows(self, source: Source, block: Block) -> Block:
        """Those of some rows of a source that count, in windows as coarse as they should be by now."""
        table = source.table
        if table is ARRIVALS:
            is_alive = block["position"] >= self.marks.arrivals_before
        else:
            is_alive = block[table.time] >= self.cutoffs_ms(table, block)
        if table.is_keyed and self.masks.forgotten:
            is_alive &= ~self.masks.hidden(source, Keys(block["hi"], block["lo"]))
        if table.rule is Rule.ADD:
            is_alive &= np.any([block[name] != 0 for name in table.rest], axis=0)
        alive = block if is_alive.all() else take(block, is_alive)
        return {**alive, "window_ms": self.coarser(alive["window_ms"])} if table in OUTCOMES else alive

    def coarser(self, windows: Array) -> Array:
        """The windows that hold these windows."""
        width = np.where(windows < self.marks.minute_before_ms, MINUTE_MS, 1)
        width[windows < self.marks.hour_before_ms] = HOUR_MS
        coarse: Array = windows - windows % width
        return coarse

    def share(self, run: Run) -> float:
        """How much of a run still counts, by a sample of its rows. Raises DamagedRun."""
        if run.rows == 0:
            return 0.0
        if run.table is ARRIVALS:
            return 1 - self._expired_arrivals(run) / run.rows
        block = self.sample(run)
        return float((block[run.table.time] >= self.cutoffs_ms(run.table, block)).mean())

    def sample(self, run: Run) -> Block:
        """The times and series, or models, of some rows, evenly over a run. Raises DamagedRun."""
        rows = np.unique(np.linspace(0, run.rows - 1, SAMPLED_ROWS).astype(np.int64))
        return {name: run.take(name, rows) for name in (run.table.time, "model" if run.table is TRUTHS else "series")}

    def _expired_arrivals(self, run: Run) -> int:
        return int(run.lower_bound(np.array([self.marks.arrivals_before], "i8"))[0])

    def is_dead(self, run: Run) -> bool:
        """True if no row of a run can still count. Raises DamagedRun."""
        if run.table in OUTCOMES:
            return bool(run.last_ms < self.marks.outcomes_before_ms)
        if run.table is ARRIVALS:
            return self._expired_arrivals(run) == run.rows
        return bool(run.last_ms < min(self.marks.cutoffs_ms, default=NO_TIME_MS))

    def is_too_fine(self, run: Run, entry: RunEntry, lag_ms: int) -> bool:
        """True if the windows of a run have been due to be coarser for so long, and it has such windows."""
        return run.table in OUTCOMES and any(
            due_ms - max(done_ms, run.first_ms) > lag_ms
            for due_ms, done_ms in (
                (self.marks.minute_before_ms, entry.minute_before_ms),
                (self.marks.hour_before_ms, entry.hour_before_ms),
            )
        )

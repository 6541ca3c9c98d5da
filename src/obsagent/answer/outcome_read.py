"""Reading of the ledger for a plan: one read, its arrays cut by row of the answer and by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from obsagent.answer.outcomes import NONE, Ledger
from obsagent.answer.ranges import Span
from obsagent.answer.select import Group, Key
from obsagent.limits import OUTCOME_STEPS

Block: TypeAlias = Mapping[str, Any]
"""Arrays of one length by the name of a column."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of one length, the first from `first_ms`."""

    first_ms: int
    step_ms: int
    count: int

    @classmethod
    def over(cls, span: Span, window_ms: int) -> Grid:
        """As many steps as tell well enough when truths are missing, of whole windows."""
        first_ms = span.read_from_ms - span.read_from_ms % window_ms
        width_ms = max(span.to_ms - first_ms, 1)
        step_ms = -(-width_ms // (OUTCOME_STEPS * window_ms)) * window_ms
        return cls(first_ms, step_ms, -(-width_ms // step_ms))


@dataclass(frozen=True, slots=True)
class Part:
    """What was counted of one row in some steps: the columns of `obsagent.answer.outcomes.Outcomes`."""

    counts: Block
    class_sums: Block
    number_sums: Block

    @property
    def predictions(self) -> int:
        """All predictions with ids."""
        return int(self.counts["count"][self.counts["truth"] == NONE].sum())

    @property
    def truths(self) -> int:
        """Those with a truth."""
        return int(self.counts["count"][self.counts["truth"] != NONE].sum())


class Reading:
    """Outcomes of a time by row and step."""

    def __init__(self, ledger: Ledger, groups: Sequence[Group], span: Span, grid: Grid) -> None:
        """Reads them; `groups` are the rows."""
        self.grid = grid
        self.models = ledger.models()
        self._span = span
        self._places = {group.key: place for place, group in enumerate(groups)}
        numbers = {series.id: place for place, group in enumerate(groups) for series in group.series}
        place_of = np.full(max(numbers, default=0) + 1, -1, dtype=np.int64)
        place_of[list(numbers)] = list(numbers.values())
        found = ledger.outcomes(sorted(numbers), grid.first_ms, span.to_ms, grid.step_ms)
        self._counts, self._class_sums, self._number_sums = (
            _Cut(block, place_of, grid) for block in (found.counts, found.class_sums, found.number_sums)
        )

    @property
    def covered(self) -> Span | None:
        """From the first step with predictions to the last one, within what was asked; None without any."""
        begins = self._counts.block["window_ms"]
        if not len(begins):
            return None
        return Span(
            max(int(begins.min()), self._span.read_from_ms),
            min(int(begins.max()) + self.grid.step_ms, self._span.to_ms),
        )

    def part(self, key: Key, steps: range) -> Part:
        """What was counted of a row in steps that follow each other."""
        first = self._places[key] * self.grid.count
        places = first + steps.start, first + steps.stop
        return Part(self._counts.part(*places), self._class_sums.part(*places), self._number_sums.part(*places))

    def maturities(self, key: Key) -> tuple[Any, Any]:
        """Of a row, by step: predictions, and those of them with a truth."""
        counts = self.part(key, range(self.grid.count)).counts
        steps = (counts["window_ms"] - self.grid.first_ms) // self.grid.step_ms
        is_all = counts["truth"] == NONE
        every, joined = (
            np.bincount(steps[chosen], counts["count"][chosen], self.grid.count) for chosen in (is_all, ~is_all)
        )
        return every, joined


class _Cut:
    """A block sorted by cell: the rows of the answer, and in each its steps."""

    def __init__(self, block: Block, place_of: Any, grid: Grid) -> None:
        step = (block["window_ms"] - grid.first_ms) // grid.step_ms
        cell = place_of[block["series"]] * grid.count + step
        order = np.argsort(cell, kind="stable")
        self.block = {name: values[order] for name, values in block.items()}
        self._cell = cell[order]

    def part(self, first: int, last: int) -> Block:
        """The rows of cells in [first, last)."""
        start, end = np.searchsorted(self._cell, [first, last])
        return {name: values[start:end] for name, values in self.block.items()}

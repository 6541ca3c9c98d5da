"""What answers and reports ask of a ledger: `obsagent.answer.outcomes.Ledger`, of a view and the settings."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from obsagent.ledger.names import LedgerSeries
from obsagent.ledger.pairs import Pairs
from obsagent.ledger.settings import Gap, LedgerSettings
from obsagent.ledger.tables import OUTCOMES, Block, Table, concatenated, row_count
from obsagent.ledger.view import LedgerView


class AskedModel(NamedTuple):
    """A model, as far as its predictions and the settings tell."""

    name: str
    task: str
    classes: tuple[str, ...]
    """By code."""
    positive: str
    """Empty while that is not known."""
    negative: str
    """The other one of two classes; empty of more, and while that is not known."""


class AskedOutcomes(NamedTuple):
    """Columns of the tables of outcomes, in their order; FORMAT.md defines them."""

    counts: Block
    class_sums: Block
    number_sums: Block


class AskedLedger:
    """One moment of a ledger."""

    def __init__(self, view: LedgerView, settings: LedgerSettings) -> None:
        """What the settings say now counts, whatever they said when predictions came."""
        self._view = view
        self._settings = settings

    def models(self) -> list[AskedModel]:
        """Every model with predictions that carry ids."""
        return [
            AskedModel(
                model.name,
                model.task(self._settings),
                tuple(model.classes),
                model.positive(self._settings) or "",
                model.negative(self._settings) or "",
            )
            for model in self._view.models()
        ]

    def series(self) -> list[LedgerSeries]:
        """Every series, whenever it was predicted."""
        return self._view.series()

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows from that time on."""
        return self._view.window_ms_from(from_ms)

    def outcomes(self, numbers: Collection[int], from_ms: int, to_ms: int, step_ms: int = 0) -> AskedOutcomes:
        """Of some series, what was predicted in windows that begin in `[from_ms, to_ms)`, added up by step.

        Read step by step: however many windows there are, memory holds those of one.
        """
        begins = range(from_ms, to_ms, step_ms or max(to_ms - from_ms, 1))
        return AskedOutcomes(*(self._by_step(table, numbers, begins, to_ms) for table in OUTCOMES))

    def _by_step(self, table: Table, numbers: Collection[int], begins: range, to_ms: int) -> Block:
        blocks = (
            self._view.counted(table, numbers, begin, min(begin + begins.step, to_ms), as_one=True) for begin in begins
        )
        return concatenated(table, [block for block in blocks if row_count(block)])

    def gaps(self) -> list[Gap]:
        """The times of which outcomes are lost; ask after reading."""
        names = {table.name for table in OUTCOMES}
        return [gap for gap in self._view.gaps if gap.table in names]

    def pairs(self, first: Collection[int], second: Collection[int], from_ms: int, to_ms: int) -> Pairs:
        """What two sides made of the same requests."""
        return self._view.pairs(first, second, from_ms, to_ms)

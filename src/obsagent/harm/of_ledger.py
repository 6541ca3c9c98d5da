"""The ledger as the feed of truths: what came behind a position, and is on the journal's disk.

The ledger adds up what one batch brought to one series. What belongs to one second of a series is added up further, so
that it costs the same whether truths come one by one or by thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from obsagent.answer.outcomes import CLASSIFICATION, OutcomeSeries
from obsagent.evaluate.state import Judged
from obsagent.harm.feed import Arrivals, Arrived, Predicted
from obsagent.limits import HARM_ARRIVALS

TOGETHER_MS = 1_000


class View(Protocol):
    """What the ledger holds at one moment: `obsagent.ledger.view.LedgerView`."""

    def series(self) -> Sequence[OutcomeSeries]:
        """All that ever predicted; a number is the index."""
        ...

    def arrivals(self, after_position: int = -1) -> Any:
        """Arrays `position series at_ms count errors loss loss_squared loss_fourth`, by position."""
        ...

    def outcomes(self, numbers: Iterable[int], from_ms: int, to_ms: int, step_ms: int = 0) -> Sequence[Any]:
        """Outcomes of some series, with `predictions` and `joined`."""
        ...


@dataclass(slots=True)
class _Sum:
    count: int = 0
    errors: int = 0
    loss: float = 0.0
    loss_squared: float = 0.0
    loss_fourth: float = 0.0
    at_ms: int = 0


class LedgerFeed:
    """Implements `obsagent.harm.feed.Feed`."""

    def __init__(self, view: Callable[[], View | None], synced: Callable[[], int]) -> None:
        """`synced` is the position up to which the journal is on disk: what lies behind may be lost, and come again."""
        self._view = view
        self._synced = synced

    @property
    def is_there(self) -> bool:
        """True once there is a ledger."""
        return self._view() is not None

    def arrivals(self, after_position: int) -> Arrivals:
        """What came behind a position of the journal and cannot be lost any more."""
        synced = self._synced()  # before the view, so that the view has all of it
        view = self._view()
        if view is None:
            return Arrivals((), after_position)
        columns = view.arrivals(after_position)
        end = _end(columns.position, synced)
        if not end:
            return Arrivals((), after_position)
        rows = [*_summed(view.series(), columns, end)]
        return Arrivals(rows, int(columns.position[end - 1]), end == len(columns.position))

    def predicted(self, model: str, from_ms: int, to_ms: int) -> Mapping[Judged, Predicted]:
        """How much each version and variant of a model has predicted in a time."""
        view = self._view()
        numbers: dict[Judged, list[int]] = {}
        for each in view.series() if view else ():
            if each.model == model:
                numbers.setdefault(Judged(each.model, each.version, each.variant), []).append(each.number)
        found = {}
        for judged, of_judged in numbers.items():
            assert view is not None
            (outcomes,) = view.outcomes(of_judged, from_ms, to_ms)
            if outcomes.predictions:
                found[judged] = Predicted(outcomes.predictions, outcomes.joined)
        return found


def _end(positions: Any, synced: int) -> int:
    """How many rows are taken: of batches that are on disk, not too many, and of the last one all."""
    end = int(positions.searchsorted(synced, "left"))
    if end > HARM_ARRIVALS:
        end = int(positions.searchsorted(positions[HARM_ARRIVALS], "right"))
    return min(end, len(positions))


def _summed(series: Sequence[OutcomeSeries], columns: Any, end: int) -> Iterable[Arrived]:
    names = ("series", "at_ms", "count", "errors", "loss", "loss_squared", "loss_fourth")
    values = zip(*(getattr(columns, name)[:end].tolist() for name in names), strict=True)
    sums: dict[tuple[int, int], _Sum] = {}
    for number, at_ms, count, errors, loss, loss_squared, loss_fourth in values:
        added = sums.setdefault((at_ms // TOGETHER_MS, number), _Sum())
        added.count += count
        added.errors += errors
        added.loss += loss
        added.loss_squared += loss_squared
        added.loss_fourth += loss_fourth
        added.at_ms = max(added.at_ms, at_ms)
    for (_, number), added in sorted(sums.items()):
        yield _arrived(series[number], added)


def _arrived(series: OutcomeSeries, added: _Sum) -> Arrived:
    judged = Judged(series.model, series.version, series.variant)
    is_class = series.task == CLASSIFICATION
    sums = added.count, added.errors, added.loss, added.loss_squared, added.loss_fourth
    return Arrived(judged, series.slice, is_class, added.at_ms, *sums)

"""Which of two versions of a model is wrong where the other is right, on requests that both predicted.

Rows are read stretch by stretch of the key, so that memory is bounded however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from obsagent.ledger.alive import Alive
from obsagent.ledger.format import FENCE_ROWS, OTHER
from obsagent.ledger.names import Model, Names, class_name
from obsagent.ledger.settings import CLASSIFICATION
from obsagent.ledger.sources import Source
from obsagent.ledger.tables import PREDICTIONS, TRUTHS, Array, Block, Table, normal, row_count, take
from obsagent.limits import LEDGER_MERGE_ROWS, WINDOW_MS


@dataclass(frozen=True, slots=True)
class Pairs:
    """Of each request the newest prediction of either side; losses are 1 for a wrong class, and |error| of numbers."""

    rows: int = 0
    first_wrong: int = 0
    """Of classes, those that only the first side got wrong."""
    second_wrong: int = 0
    difference: float = 0.0
    """Σ of the second side's loss less the first's."""
    difference_squared: float = 0.0

    def plus(self, other: Pairs) -> Pairs:
        """Of both."""
        return Pairs(*(getattr(self, name) + getattr(other, name) for name in Pairs.__slots__))


def pairs_of(
    sources: Mapping[Table, Sequence[Source]], alive: Alive, names: Names, sides: Array, span_ms: tuple[int, int]
) -> Pairs:
    """`sides` says of each series 1 for the first side, 2 for the second, 0 for neither. Raises DamagedRun."""
    total = Pairs()
    model = next((names.known_model(series.model) for series in names.series if sides[series.number]), None)
    if model is None:
        return total
    is_class = np.array([series.task == CLASSIFICATION for series in names.series], bool)
    for predictions, truths in _stretches(sources, alive):
        inside = _in_windows(predictions["at_ms"], span_ms) & (sides[predictions["series"]] > 0)
        made = take(predictions, inside)
        if row_count(made) and row_count(truths):
            total = total.plus(_compared(model, made, truths, sides[made["series"]], is_class[made["series"]]))
    return total


def _in_windows(at_ms: Array, span_ms: tuple[int, int]) -> Array:
    windows = at_ms - at_ms % WINDOW_MS
    inside: Array = (windows >= span_ms[0]) & (windows < span_ms[1])
    return inside


def _stretches(sources: Mapping[Table, Sequence[Source]], alive: Alive) -> Iterator[tuple[Block, Block]]:
    """Predictions and truths with keys of one stretch, those that count."""
    every = [*sources[PREDICTIONS], *sources[TRUTHS]]
    if not every:
        return
    fences = np.sort(np.concatenate([source.fences for source in every]))
    bounds = np.unique(fences[:: LEDGER_MERGE_ROWS // FENCE_ROWS][1:])
    for stretch in range(len(bounds) + 1):
        yield (
            _rows(PREDICTIONS, sources[PREDICTIONS], alive, bounds, stretch),
            _rows(TRUTHS, sources[TRUTHS], alive, bounds, stretch),
        )


def _rows(table: Table, sources: Sequence[Source], alive: Alive, bounds: Array, stretch: int) -> Block:
    blocks = []
    for source in sources:
        begin = int(source.lower_bound(bounds[stretch - 1 : stretch])[0]) if stretch else 0
        end = int(source.lower_bound(bounds[stretch : stretch + 1])[0]) if stretch < len(bounds) else source.rows
        if begin < end:
            blocks.append(alive.rows(source, source.slice(begin, end)))
    return normal(table, blocks)


def _compared(model: Model, made: Block, truths: Block, sides: Array, is_class: Array) -> Pairs:
    """Predictions of both sides and truths, sorted by key.

    Keys are compared by their first 64 bits, the others must be the same then: of two ids that differ in these alone,
    which happens once in a blue moon, one does not count.
    """
    first, second = (_newest(made, sides == side) for side in (1, 2))
    both, of_first, of_second = _common(made["hi"][first], made["hi"][second])
    at_truth = np.flatnonzero(np.diff(truths["hi"], append=~truths["hi"][-1:]))  # the last of each
    _, at_both, found = _common(both, truths["hi"][at_truth])
    one, other, known = first[of_first[at_both]], second[of_second[at_both]], at_truth[found]
    lows = made["lo"][one], made["lo"][other], truths["lo"][known]
    is_same = (lows[0] == lows[1]) & (lows[0] == lows[2])
    one, other, told = one[is_same], other[is_same], take(truths, known[is_same])
    losses = [_losses(model, take(made, rows), told, is_class[rows]) for rows in (one, other)]
    difference = losses[1] - losses[0]
    difference = difference[~np.isnan(difference)]
    return Pairs(
        len(difference),
        int((difference < 0).sum()),
        int((difference > 0).sum()),
        float(difference.sum()),
        float(np.square(difference).sum()),
    )


def _common(one: Array, other: Array) -> tuple[Array, Array, Array]:
    """What two ascending arrays without equals have in common, and where it stands in either."""
    return np.intersect1d(one, other, assume_unique=True, return_indices=True)


def _newest(made: Block, mask: Array) -> Array:
    """Of each key the row of the newest prediction, by key; of two as new the one that came last."""
    rows = np.flatnonzero(mask)
    order = rows[np.lexsort((made["at_ms"][rows], made["hi"][rows]))]
    found: Array = order[np.flatnonzero(np.diff(made["hi"][order], append=~made["hi"][order][-1:]))]
    return found


def _losses(model: Model, made: Block, truths: Block, is_class: Array) -> Array:
    """NaN where a truth says nothing to a prediction."""
    codes, numbers = _as_codes(model, truths), _as_numbers(model, truths)
    wrong = (made["value"] != codes).astype(np.float64)
    losses: Array = np.where(is_class, wrong, np.abs(made["value"] - numbers))
    return losses


def _as_codes(model: Model, truths: Block) -> Array:
    """What truths are as classes: a number is called as a class is that has its name."""
    codes: Array = truths["value"].copy()
    place = {name: code for code, name in enumerate(model.classes)}
    rows = np.flatnonzero(truths["is_class"] == 0)
    codes[rows] = [place.get(class_name(value), OTHER) for value in truths["value"][rows].tolist()]
    return codes


def _as_numbers(model: Model, truths: Block) -> Array:
    numbers: Array = truths["value"].copy()
    rows = np.flatnonzero(truths["is_class"])
    numbers[rows] = model.numbers_of_codes(truths["value"][rows])
    return numbers

"""What a view answers with: counts and sums of outcomes over a stretch of time, ready for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsagent.ledger.format import ERROR_BIN_MAX, NONE, NUMBER
from obsagent.ledger.names import Model
from obsagent.ledger.settings import CLASSIFICATION
from obsagent.ledger.tables import CLASS_SUMS, COUNTS, NUMBER_SUMS, Array, Block, Table
from obsagent.limits import LEDGER_SCORE_BINS

OTHER_NAME = "(other)"
"""What stands for all classes beyond those that a model has room for."""
SCORE_SUMS = tuple(CLASS_SUMS.rest)


@dataclass(frozen=True, slots=True)
class ClassOutcomes:
    """Of predicted classes. C is the number of `classes`, B that of score bins, 1,024."""

    classes: tuple[str, ...]
    """All that were predicted, or were the case, in the time that was asked for, sorted."""
    confusion: Array
    """i64 (C, C): predictions with a truth, by truth and predicted class."""
    scores: Array
    """i64 (C, B): of those the scored ones, by truth and score bin; bin b holds scores from b/B to below (b+1)/B, the
    last one 1 too."""
    score_sums: Mapping[str, Array]
    """Of those, by truth and predicted class (C, C): `count` (i64), sums of `score`, `score_squared`, `log_score`
    (ln s) and `log_rest` (ln(1 − s)), with s kept 2⁻⁵² away from 0 and 1."""
    predicted: Array
    """i64 (C,): all predictions, with a truth or without."""
    all_scores: Array
    """i64 (C, B): of those the scored ones, by predicted class and score bin."""


@dataclass(frozen=True, slots=True)
class NumberOutcomes:
    """Of predicted numbers; an error is the prediction less the truth."""

    count: int = 0
    """Predictions with a truth."""
    error: float = 0.0
    """Σ e"""
    absolute: float = 0.0
    """Σ |e|"""
    squared: float = 0.0
    """Σ e²"""
    relative_count: int = 0
    """Those whose truth is not 0."""
    relative: float = 0.0
    """Of those Σ |e / truth|"""
    truth: float = 0.0
    """Σ truth"""
    truth_squared: float = 0.0
    """Σ truth²"""
    error_bins: Array | None = None
    """i64 (8193,): errors by bin; `outcomes.error_of_bin` says the error of bin index − 4096."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of the predictions of some series from `from_ms` to before `to_ms`."""

    from_ms: int
    to_ms: int
    resolution_ms: int
    """The widest window in it: at its ends that much may be counted to the neighbours. 0 if it is empty."""
    predictions: int
    """All that carry an id."""
    joined: int
    """Those whose truth has come."""
    classes: ClassOutcomes | None
    """None if no series predicts classes."""
    numbers: NumberOutcomes | None
    """None if no series predicts numbers."""

    @property
    def maturity(self) -> float:
        """The share of predictions whose truth has come; NaN without predictions."""
        return self.joined / self.predictions if self.predictions else float("nan")


def outcomes_of(
    model: Model, tasks: set[str], blocks: Mapping[Table, Block], span_ms: tuple[int, int], resolution_ms: int
) -> Outcomes:
    """Adds up the rows of one stretch of time; all series are of one model."""
    counts = blocks[COUNTS]
    is_prediction = counts["truth"] == NONE
    is_class = counts["predicted"] != NUMBER
    return Outcomes(
        *span_ms,
        resolution_ms,
        int(counts["count"][is_prediction].sum()),
        int(counts["count"][~is_prediction].sum()),
        _classes(model, blocks, is_prediction, is_class) if CLASSIFICATION in tasks else None,
        _numbers(blocks, is_prediction, is_class) if tasks - {CLASSIFICATION} else None,
    )


def _classes(model: Model, blocks: Mapping[Table, Block], is_prediction: Array, is_class: Array) -> ClassOutcomes:
    counts, sums = blocks[COUNTS], blocks[CLASS_SUMS]
    of_joined, of_all = is_class & ~is_prediction, is_class & is_prediction
    present = np.unique(np.concatenate([counts["predicted"][is_class], counts["truth"][of_joined]]))
    names = {int(code): model.name_of(int(code)) or OTHER_NAME for code in present}
    codes = sorted(names, key=lambda code: names[code])
    place = np.zeros(NONE + 1, np.int64)
    place[codes] = np.arange(len(codes))
    size, bins = len(codes), LEDGER_SCORE_BINS
    truth, predicted = place[counts["truth"]], place[counts["predicted"]]
    has_score = counts["bin"] >= 0

    def added(mask: Array, shape: tuple[int, ...], *index: Array) -> Array:
        total = np.zeros(shape, "i8")
        np.add.at(total, tuple(each[mask] for each in index), counts["count"][mask])
        return total

    sums_at = place[sums["truth"]], place[sums["predicted"]]
    return ClassOutcomes(
        tuple(names[code] for code in codes),
        added(of_joined, (size, size), truth, predicted),
        added(of_joined & has_score, (size, bins), truth, counts["bin"]),
        {name: _summed((size, size), sums_at, sums[name]) for name in SCORE_SUMS},
        added(of_all, (size,), predicted),
        added(of_all & has_score, (size, bins), predicted, counts["bin"]),
    )


def _summed(shape: tuple[int, ...], index: tuple[Array, ...], values: Array) -> Array:
    total = np.zeros(shape, values.dtype)
    np.add.at(total, index, values)
    return total


def _numbers(blocks: Mapping[Table, Block], is_prediction: Array, is_class: Array) -> NumberOutcomes:
    counts, sums = blocks[COUNTS], blocks[NUMBER_SUMS]
    mask = ~is_class & ~is_prediction
    bins = np.zeros(2 * ERROR_BIN_MAX + 1, "i8")
    np.add.at(bins, counts["bin"][mask].astype(np.int64) + ERROR_BIN_MAX, counts["count"][mask])
    fields: dict[str, Any] = {name: sums[name].sum().item() for name in NUMBER_SUMS.rest}
    return NumberOutcomes(**fields, error_bins=bins)

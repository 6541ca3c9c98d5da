"""What comes of predictions and truths: rows of counts and sums, to be added, or taken back with a weight of −1.

The definitions of all columns stand in FORMAT.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsagent.ledger.format import (
    ERROR_BIN_MAX,
    ERROR_BINS_PER_OCTAVE,
    ERROR_OCTAVE_MIN,
    NO_BIN,
    NONE,
    NUMBER,
)
from obsagent.ledger.tables import CLASS_SUMS, COUNTS, NUMBER_SUMS, Array, Block, Table
from obsagent.limits import LEDGER_SCORE_BINS, WINDOW_MS

EPSILON = float(np.finfo(np.float64).eps)
"""Scores are kept this far from 0 and 1 before their logarithm is taken, as scikit-learn does it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Predictions with the truths that belong to them; of all, classes are codes."""

    at_ms: Array
    series: Array
    value: Array
    score: Array
    truth: Array
    weight: Array
    """+1 to add, −1 to take back."""

    def where(self, mask: Array) -> Joined:
        """Some of them."""
        return Joined(*(getattr(self, name)[mask] for name in Joined.__slots__))


def of_predictions(predictions: Block, *, is_class: bool) -> dict[Table, Block]:
    """That they were made: what counts in maturity, and what performance is estimated from."""
    rows = len(predictions["at_ms"])
    scores = predictions["score"]
    bins = score_bins(scores) if is_class else np.zeros(rows, "i2")
    predicted = predictions["value"].astype("u2") if is_class else np.full(rows, NUMBER, "u2")
    cell = _cell(predictions["at_ms"], predictions["series"], predicted, np.full(rows, NONE, "u2"))
    return {COUNTS: {**cell, "bin": bins, "count": np.ones(rows, "i8")}}


def of_classes(joined: Joined) -> dict[Table, Block]:
    """That classes were predicted, and what was the case."""
    cell = _cell(joined.at_ms, joined.series, joined.value.astype("u2"), joined.truth.astype("u2"))
    counts = {**cell, "bin": score_bins(joined.score), "count": joined.weight}
    has_score = ~np.isnan(joined.score)
    scores, weight = joined.score[has_score], joined.weight[has_score].astype("f8")
    inside = np.clip(scores, EPSILON, 1 - EPSILON)
    sums = {
        **{name: values[has_score] for name, values in cell.items()},
        "count": joined.weight[has_score],
        "score": weight * scores,
        "score_squared": weight * scores**2,
        "log_score": weight * np.log(inside),
        "log_rest": weight * np.log1p(-inside),
    }
    return {COUNTS: counts, CLASS_SUMS: sums}


def of_numbers(joined: Joined) -> dict[Table, Block]:
    """That numbers were predicted, and how far off they were."""
    both = np.full(len(joined.value), NUMBER, "u2")
    cell = _cell(joined.at_ms, joined.series, both, both)
    error, weight = joined.value - joined.truth, joined.weight.astype("f8")
    has_ratio = joined.truth != 0
    ratio = np.abs(np.divide(error, joined.truth, out=np.zeros_like(error), where=has_ratio))
    sums = {
        **{name: cell[name] for name in NUMBER_SUMS.key},
        "count": joined.weight,
        "error": weight * error,
        "absolute": weight * np.abs(error),
        "squared": weight * error**2,
        "relative_count": joined.weight * has_ratio,
        "relative": weight * ratio,
        "truth": weight * joined.truth,
        "truth_squared": weight * joined.truth**2,
    }
    return {COUNTS: {**cell, "bin": error_bins(error), "count": joined.weight}, NUMBER_SUMS: sums}


def arrivals(joined: Joined, position: int, at_ms: int, positive: int | None, *, is_class: bool) -> Block:
    """How wrong the predictions were whose first truth has come, as one row of each series, to be added up."""
    if is_class:
        errors = joined.value != joined.truth
        loss = errors.astype("f8")
        if positive is not None:
            brier = (joined.score - (joined.truth == positive)) ** 2
            loss = np.where(np.isnan(joined.score), loss, brier)
    else:
        errors = np.zeros(len(joined.value), bool)
        loss = np.abs(joined.value - joined.truth)
    counts = np.bincount(joined.series)
    series = np.flatnonzero(counts)
    squares = loss**2
    return {
        "position": np.full(len(series), position, "i8"),
        "series": series.astype("u4"),
        "at_ms": np.full(len(series), at_ms, "i8"),
        "count": counts.take(series),
        "errors": np.bincount(joined.series, errors).take(series).astype("i8"),
        "loss": np.bincount(joined.series, loss).take(series),
        "loss_squared": np.bincount(joined.series, squares).take(series),
        "loss_fourth": np.bincount(joined.series, squares**2).take(series),
    }


def _cell(at_ms: Array, series: Array, predicted: Array, truth: Array) -> Block:
    windows = at_ms - at_ms % WINDOW_MS
    return {"window_ms": windows, "series": series, "predicted": predicted, "truth": truth}


def score_bins(scores: Array) -> Array:
    """The bin of each score; of those that are missing `NO_BIN`."""
    is_missing = np.isnan(scores)
    bins = (np.where(is_missing, 0, scores) * LEDGER_SCORE_BINS).astype("i2")
    return np.where(is_missing, NO_BIN, np.minimum(bins, LEDGER_SCORE_BINS - 1)).astype("i2")


def error_bins(errors: Array) -> Array:
    """The bin of each error: its sign, and 32 bins an octave of its size; 0 for what is below 2⁻⁶⁴."""
    size = np.maximum(np.abs(errors), 2.0 ** (ERROR_OCTAVE_MIN - 1))
    bins: Array = np.floor((np.log2(size) - ERROR_OCTAVE_MIN) * ERROR_BINS_PER_OCTAVE) + 1
    signed: Array = np.sign(errors) * np.clip(bins, 0, ERROR_BIN_MAX)
    return signed.astype("i2")


def error_of_bin(bins: Array) -> Array:
    """The error in the middle of each bin: 2·lo·hi/(lo+hi) of its bounds, as a histogram's quantile is."""
    low: Array = 2.0 ** ((np.abs(bins) - 1) / ERROR_BINS_PER_OCTAVE + ERROR_OCTAVE_MIN)
    high = low * 2.0 ** (1 / ERROR_BINS_PER_OCTAVE)
    middle: Array = np.sign(bins) * 2 * low * high / (low + high)
    return middle

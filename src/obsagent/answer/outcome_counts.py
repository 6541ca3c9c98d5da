"""From the ledger's arrays to the counts that `obsagent.performance` measures."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from obsagent.answer.outcome_metrics import CLASSES, NUMBERS, predicts
from obsagent.answer.outcome_read import Block, Part
from obsagent.answer.outcomes import ERROR_OCTAVES, NO_BIN, NONE, OutcomeModel
from obsagent.limits import CLASSES_MAX, SCORE_BINS
from obsagent.performance import BinaryCounts, ClassCounts, RegressionSums, error_bins

Counts: TypeAlias = BinaryCounts | ClassCounts | RegressionSums

CELLS = SCORE_BINS + 1
SUMS = ("score", "score_squared", "log_score", "log_rest")
OTHERS = "(others)"
NOBODY = "(none)"
"""Fills up the classes of a model that knows one only; what nobody names does not count."""
OCTAVES_LESS = ERROR_OCTAVES - error_bins.OCTAVES
"""The ledger counts errors in the same bins, and in some that are smaller and larger."""


def counts_of(part: Part, model: OutcomeModel) -> Counts:
    """What was counted of a model, as its task has it."""
    task = predicts(model)
    if task == NUMBERS:
        return numbers_of(part)
    return classes_of(part, model) if task == CLASSES else binary_of(part, model)


def binary_of(part: Part, model: OutcomeModel) -> BinaryCounts:
    """Of a model with two classes; rows whose truth is neither are left out."""
    counts, sums = _told_apart(part.counts, model), _told_apart(part.class_sums, model)
    is_positive = _positive_codes(model)
    is_all = counts["truth"] == NONE
    predicted, truth = is_positive[counts["predicted"]], is_positive[counts["truth"]]
    cells = (truth * 2 + predicted) * CELLS + _score_bins(counts)  # what has no truth counts as negative: 0 or 1
    joint, every = (
        np.bincount(cells[chosen], counts["count"][chosen], 4 * CELLS).astype(np.int64).reshape(2, 2, CELLS)
        for chosen in (~is_all, is_all)
    )
    added = np.zeros((2, len(SUMS)))
    known = sums["truth"] != NONE
    np.add.at(added, is_positive[sums["truth"][known]], np.stack([sums[name][known] for name in SUMS], axis=-1))
    return BinaryCounts.from_arrays(joint, added, every[0])


def of_neither(part: Part, model: OutcomeModel) -> int:
    """How many truths name neither of a model's two classes."""
    return int(part.counts["count"][_other_codes(model)[part.counts["truth"]]].sum())


def classes_of(part: Part, model: OutcomeModel) -> ClassCounts:
    """Of a model with any number of classes; those beyond what the ledger tells apart are one."""
    names, counts = names_of(model), _told_apart(part.counts, model)
    known = counts["truth"] != NONE
    others = names.index(OTHERS)
    predicted, truth = (np.minimum(counts[name][known].astype(np.int64), others) for name in ("predicted", "truth"))
    size = len(names)
    cells = np.bincount(truth * size + predicted, counts["count"][known], size * size)
    return ClassCounts.from_arrays(cells.reshape(size, size), names)


def names_of(model: OutcomeModel) -> list[str]:
    """The names of classes by code; the last one is of all that have no code, or one beyond what can be measured."""
    return [*model.classes[: CLASSES_MAX - 1], OTHERS, *([NOBODY] if not model.classes else [])]


def classes_by_score(part: Part, model: OutcomeModel) -> Any:
    """How many predictions of each class, (class, 1024), have a score in each bin, with a truth or without."""
    counts = part.counts
    scored = (counts["truth"] == NONE) & (counts["bin"] != NO_BIN)
    names = names_of(model)
    predicted = np.minimum(counts["predicted"][scored].astype(np.int64), names.index(OTHERS))
    size = len(names)
    cells = np.bincount(predicted * SCORE_BINS + counts["bin"][scored], counts["count"][scored], size * SCORE_BINS)
    return cells.reshape(size, SCORE_BINS)


def numbers_of(part: Part) -> RegressionSums:
    """Of a model that predicts numbers."""
    sums = {name: values.sum().item() for name, values in part.number_sums.items()}
    known = (part.counts["truth"] != NONE) & (part.counts["bin"] != NO_BIN)
    return RegressionSums.from_arrays(
        sums["count"],
        (sums["error"], sums["absolute"], sums["squared"]),
        (sums["truth"], sums["truth_squared"]),
        (sums["relative_count"], sums["relative"]),
        bins=(_error_codes(part.counts["bin"][known]), part.counts["count"][known]),
    )


def _positive_codes(model: OutcomeModel) -> Any:
    """By code: 1 of the positive class, 0 of all others."""
    found = np.zeros(NONE + 1, dtype=np.int64)
    found[[code for code, name in enumerate(model.classes) if name == model.positive]] = 1
    return found


def _other_codes(model: OutcomeModel) -> Any:
    """By code: whether it is of neither class, where two are known."""
    found = np.zeros(NONE + 1, dtype=bool)
    if model.negative:
        found[:NONE] = True
        found[[code for code, name in enumerate(model.classes) if name in (model.positive, model.negative)]] = False
    return found


def _told_apart(block: Block, model: OutcomeModel) -> Block:
    """Of two known classes what is of one of them; of more, all."""
    if not model.negative:
        return block
    is_other = _other_codes(model)
    is_told = ~(is_other[block["truth"]] | is_other[block["predicted"]])
    return {name: column[is_told] for name, column in block.items()}


def _score_bins(counts: Block) -> Any:
    bins = counts["bin"].astype(np.int64)
    return np.where(bins == NO_BIN, SCORE_BINS, bins)


def _error_codes(bins: Any) -> Any:
    """The ledger's bins of errors as `error_bins` numbers them."""
    less = OCTAVES_LESS * error_bins.PER_OCTAVE
    size = np.clip(np.abs(bins.astype(np.int64)) - less, 0, error_bins.LAST)
    return np.copysign(size, bins).astype(np.int64)

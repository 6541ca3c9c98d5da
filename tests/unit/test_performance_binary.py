"""Metrics of two classes, beside scikit-learn's of the same rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from performance_lab import OF_CLASSES, OF_SCORES, metrics
from performance_rows import binary_rows

from obsagent.errors import PerformanceError
from obsagent.limits import REFERENCE_SCORE_BINS, SCORE_BINS
from obsagent.performance import BinaryCounts
from obsagent.performance.bins import bin_of
from obsagent.performance.curves import harmonic
from obsagent.reference.joint import JointCounter

CERTAIN = {"accuracy", "mcc", "log_loss", "brier", "roc_auc", "average_precision", "calibration_error"}


def counted(truths: Any, predicted: Any, scores: Any = None, **named: Any) -> BinaryCounts:
    counts = BinaryCounts(**named)
    counts.update(truths, predicted, scores)
    return counts


@pytest.mark.parametrize("size", [3, 30, 5_000])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_scikit_learns_within_the_bound_of_the_bins(seed: int, size: int) -> None:
    truths, predicted, scores = binary_rows(seed, size)
    truths[:2] = 0, 1
    found = counted(truths, predicted, scores).measures()
    for name, function in OF_CLASSES.items():
        if found[name].value is not None:
            assert found[name].value == pytest.approx(function(truths, predicted), abs=1e-12), name
            assert found[name].bound == 0
    for name, function in OF_SCORES.items():
        value = found[name].value
        assert value is not None
        assert abs(value - function(truths, scores)) <= found[name].bound + 1e-12, name


def test_scores_that_bins_hold_apart_lose_nothing() -> None:
    truths, predicted, scores = binary_rows(5, 4_000, digits=2)
    found = counted(truths, predicted, scores).measures()
    for name, function in OF_SCORES.items():
        assert found[name].value == pytest.approx(function(truths, scores), abs=1e-12)


def test_the_bound_is_reached_by_the_worst_and_the_best_order_in_a_bin() -> None:
    inside = np.array([0.5001, 0.5002, 0.5003, 0.5004])
    for truths in ([0, 0, 1, 1], [1, 1, 0, 0]):
        found = counted(truths, [1] * 4, inside).measure("roc_auc")
        assert found.value == 0.5
        assert abs(found.value - metrics.roc_auc_score(truths, inside)) == found.bound == 0.5
    best = counted([0, 0, 1, 1], [1] * 4, inside).measure("average_precision")
    assert best.value is not None
    assert metrics.average_precision_score([0, 0, 1, 1], inside) - best.value == pytest.approx(best.bound)


def test_calibration_error_is_the_textbooks() -> None:
    truths, predicted, scores = binary_rows(6, 20_000)
    found = counted(truths, predicted, scores).measure("calibration_error")
    groups = (scores * 16).astype(int)
    sums = [abs(scores[groups == at].sum() - truths[groups == at].sum()) for at in range(16)]
    assert found.value is not None
    assert abs(found.value - sum(sums) / len(scores)) <= found.bound


UNDEFINED = [
    ([0, 0], [0, 0], {"precision", "recall", "f1", "mcc", "roc_auc", "average_precision"}),
    ([1, 1], [1, 1], {"specificity", "mcc", "roc_auc"}),
    ([0, 1], [0, 0], {"precision", "mcc"}),
    ([0, 0], [1, 0], {"recall", "mcc", "roc_auc", "average_precision"}),
    ([], [], {"precision", "recall", "f1", "specificity"} | CERTAIN),
]


@pytest.mark.parametrize(("truths", "predicted", "undefined"), UNDEFINED)
def test_what_is_undefined_says_why(truths: list[int], predicted: list[int], undefined: set[str]) -> None:
    scores = np.array(predicted) * 0.5 + 0.25
    found = counted(truths, predicted, scores).measures()
    assert {name for name, each in found.items() if each.value is None} == undefined
    assert all(bool(each.why) == (each.value is None) for each in found.values())


def test_without_scores_their_metrics_are_undefined_and_the_others_are_not() -> None:
    found = counted([0, 1, 1], [0, 1, 0], [None, math.nan, None]).measures()
    assert {name for name, each in found.items() if each.value is None} == CERTAIN - {"accuracy", "mcc"}


def test_scores_of_another_range_rank_and_are_no_probabilities() -> None:
    truths, predicted, scores = binary_rows(7, 3_000)
    margins = np.log(scores / (1 - scores))
    found = counted(truths, predicted, margins, low=-8, high=8).measures()
    auc = found["roc_auc"]
    assert auc.value is not None
    assert abs(auc.value - metrics.roc_auc_score(truths, margins)) <= auc.bound
    assert "no probabilities" in found["log_loss"].why
    assert counted([0, 1], [0, 1], [-1e60, 9.0], low=-8, high=8).measure("roc_auc").value == 1


def test_certain_scores_are_clipped_as_scikit_learn_clips_them() -> None:
    truths, scores = np.array([1, 0, 1, 0]), np.array([0.0, 1.0, 1.0, 0.0])
    found = counted(truths, [0, 1, 1, 0], scores).measure("log_loss").value
    assert found == pytest.approx(metrics.log_loss(truths, scores), rel=1e-12)


def test_the_share_of_predictions_with_a_truth_is_the_maturity() -> None:
    counts = BinaryCounts()
    assert counts.maturity is None
    counts.update_predictions([0, 1, 1], [0.1, 0.9, 0.8])
    counts.update([1], [1], [0.9])
    assert counts.maturity == 0.25
    assert counts.predictions.sum() == 4


def test_counts_of_others_measure_alike() -> None:
    truths, predicted, scores = binary_rows(8, 1_000)
    counts = counted(truths, predicted, scores)
    again = BinaryCounts.from_arrays(counts.joint, counts.sums, counts.predictions)
    assert again.measures() == counts.measures()
    middles = BinaryCounts.from_arrays(counts.joint).measures()
    for name in ("log_loss", "brier"):
        assert middles[name].value == pytest.approx(counts.measure(name).value, abs=1e-3)
    assert middles["roc_auc"] == counts.measure("roc_auc")


def test_scores_are_in_the_bins_of_a_reference() -> None:
    assert SCORE_BINS == REFERENCE_SCORE_BINS
    scores = np.concatenate([np.random.default_rng(1).random(2_000), np.linspace(0, 1, 101), [0.0, 1.0]])
    counter = JointCounter(["0", "1"], ["0", "1"], (0.0, 1.0))
    assert bin_of(scores).tolist() == [counter._score_bin(score) for score in scores.tolist()]


WRONG = [
    (([0, 2], [0, 1], None), "0 or 1"),
    (([0, 1], [0], None), "2 rows are expected"),
    (([0, 1], [0, 1], [0.5]), "2 rows are expected"),
    (([0, 1], [0, 1], [0.5, 1.5]), "give low= and high="),
    (([0, 1], [0, 1], [0.5, 1e200]), "squares"),
    (([0, None], [0, 1], None), "NaN, infinity or None"),
    ((["no", "yes"], [0, 1], None), "numbers are expected"),
    (([[0, 1]], [[0, 1]], None), "one dimension"),
]


@pytest.mark.parametrize(("rows", "message"), WRONG)
def test_wrong_rows_are_refused_and_nothing_is_counted(rows: tuple[Any, Any, Any], message: str) -> None:
    counts = BinaryCounts()
    with pytest.raises(PerformanceError, match=message):
        counts.update(*rows)
    assert not counts.joint.any()
    assert not counts.sums.any()


def test_wrong_arrays_are_refused() -> None:
    joint = np.zeros((2, 2, 1025), dtype=np.int64)
    for wrong in (joint[:, :, 1:], joint - 1, joint + 0.5, joint + 1e300):
        with pytest.raises(PerformanceError, match="joint"):
            BinaryCounts.from_arrays(wrong)
    with pytest.raises(PerformanceError, match="fewer than have a truth"):
        BinaryCounts.from_arrays(joint + 1, predictions=joint[0])
    with pytest.raises(PerformanceError, match="low to a higher high"):
        BinaryCounts(1.0, 1.0)
    with pytest.raises(PerformanceError, match="different ranges"):
        BinaryCounts().merge(BinaryCounts(0.0, 2.0))
    with pytest.raises(PerformanceError, match="no binary metric is called 'auc'; there are accuracy"):
        BinaryCounts().measure("auc")
    with pytest.raises(PerformanceError, match="a confidence"):
        counted([0, 1], [0, 1]).measure("accuracy", 1.0)


def test_harmonic_numbers_are_right_small_and_large() -> None:
    upto = np.array([0.0, 1.0, 2.0, 64.0, 65.0, 10_000.0])
    exact = [math.fsum(1 / each for each in range(1, int(n) + 1)) for n in upto]
    assert harmonic(upto) == pytest.approx(exact, abs=1e-12)

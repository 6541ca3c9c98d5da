"""CBPE and label shift: what NannyML estimates, and errors that are as large as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performance_rows import binary_rows

from obsagent.errors import PerformanceError
from obsagent.performance import CBPE, BinaryCounts, ClassCBPE, bbse
from obsagent.performance.bins import bin_of, middles
from obsagent.performance.calibration import Calibration

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "performance" / "nannyml.json").read_text())
AGREE = 5e-4


def place(hundredths: int) -> int:
    return int(bin_of(np.array([hundredths / 100]))[0])


def filled(shape: tuple[int, ...], counts: list[list[int]]) -> Any:
    """Counts of [score, predicted, truth or nothing, rows] as (truth, predicted, bin)."""
    found = np.zeros(shape, dtype=np.int64)
    for score, *classes, rows in counts:
        found[(*classes[::-1], place(score))] += rows
    return found


@pytest.mark.parametrize("case", GOLDEN["binary"], ids=lambda case: case["name"])
def test_two_classes_are_estimated_as_nannyml_does(case: dict[str, Any]) -> None:
    estimator = CBPE(BinaryCounts.from_arrays(filled((2, 2, 1025), case["reference"])))
    for chunk in case["chunks"]:
        found = estimator.estimate(filled((2, 1024), chunk["counts"]))
        values = {name: found[name].value for name in chunk["values"]}
        assert values == pytest.approx(chunk["values"], abs=AGREE)
        assert found.keys() - values.keys() == {"brier"}


@pytest.mark.parametrize("case", GOLDEN["many"], ids=lambda case: case["name"])
def test_many_classes_are_estimated_close_to_nannyml(case: dict[str, Any]) -> None:
    """It sees every class's probability, ours only the predicted one's: they differ by less than a standard error."""
    estimator = ClassCBPE(filled((3, 3, 1024), case["reference"]), ["a", "b", "c"])
    for chunk in case["chunks"]:
        found = estimator.estimate(filled((3, 1024), chunk["counts"]))
        for name, wanted in chunk["values"].items():
            each = found[name if name == "accuracy" else f"{name}_macro"]
            assert each.value is not None
            assert each.standard_error is not None
            assert abs(each.value - wanted) < min(0.002, each.standard_error)


def test_estimates_are_off_by_their_standard_errors() -> None:
    """300 references and samples of two classes: the deviations have a spread of 1, and a mean of 0."""
    deviations = []
    for seed in range(300):
        reference, current = BinaryCounts(), BinaryCounts()
        reference.update(*binary_rows(seed, 3_000))
        current.update(*binary_rows(10_000 + seed, 1_000))
        found = CBPE(reference).estimate(current)
        deviations.append(
            [(each.value - current.measure(name).value) / each.standard_error for name, each in found.items()]
        )
    assert np.abs(np.mean(deviations, axis=0)).max() < 0.25
    assert np.abs(np.std(deviations, axis=0) - 1).max() < 0.15


def test_gradients_are_those_of_small_steps() -> None:
    from obsagent.performance.cbpe_measures import MEASURES, OF_PROBABILITIES

    chance = np.random.default_rng(2)
    probabilities = np.sort(chance.random(1024))
    rows = chance.integers(0, 9, (2, 1024)).astype(float)
    for measure in (MEASURES | OF_PROBABILITIES).values():
        value, gradient, _ = measure(rows, probabilities)
        for at in (0, 300, 1023):
            both = rows[:, at]
            stepped = probabilities.copy()
            stepped[at] += 1e-6
            step = (measure(rows, stepped)[0] - value) / 1e-6
            assert float(both @ gradient[:, at]) == pytest.approx(step, abs=1e-6)


def test_calibration_is_scikit_learns_isotonic_regression() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic").IsotonicRegression(out_of_bounds="clip")
    chance = np.random.default_rng(3)
    rows = chance.integers(0, 12, 1024) * (chance.random(1024) < 0.3)
    positives = chance.binomial(rows, np.linspace(0.1, 0.8, 1024))
    seen = rows > 0
    isotonic.fit(middles()[seen], positives[seen] / rows[seen], sample_weight=rows[seen])
    found = Calibration(rows - positives, positives)
    assert found.probabilities == pytest.approx(isotonic.predict(middles()), abs=1e-9)
    assert found.rows.sum() == rows.sum()


def test_predictions_come_in_three_forms() -> None:
    truths, predicted, scores = binary_rows(4, 2_000)
    counts = BinaryCounts()
    counts.update(truths, predicted, scores)
    estimator = CBPE.from_arrays(counts.scores)
    found = estimator.estimate(counts)
    assert estimator.estimate(counts.predictions[:, :1024]) == found
    assert estimator.estimate(counts.predictions.sum(axis=0)[:1024], threshold=0.5) == found
    assert estimator.estimate(counts.scores.sum(axis=0), threshold=0.9)["recall"].value < found["recall"].value  # type: ignore[operator]


def test_the_brier_score_of_calibrated_scores_is_what_they_leave_open() -> None:
    """Of perfectly calibrated scores s it is the mean of s(1 - s); of scores that are too high by d, d² more."""
    chance = np.random.default_rng(7)
    scores = chance.random(400_000) * 0.8
    for shift in (0.0, 0.2):
        counts = BinaryCounts()
        counts.update((chance.random(len(scores)) < scores).astype(int), (scores > 0.5).astype(int), scores + shift)
        found = CBPE(counts).estimate(counts)["brier"]
        assert found.value == pytest.approx(np.mean(scores * (1 - scores)) + shift**2, abs=0.002)
        assert found.value == pytest.approx(counts.measure("brier").value, abs=0.0005)


def test_scores_need_not_be_probabilities() -> None:
    truths, predicted, scores = binary_rows(6, 2_000)
    margins, counts, plain = scores * 16 - 8, BinaryCounts(-8.0, 8.0), BinaryCounts()
    counts.update(truths, predicted, margins)
    plain.update(truths, predicted, scores)
    found = CBPE.from_arrays(counts.scores, -8.0, 8.0)
    assert found.estimate(counts) == CBPE(counts).estimate(counts)
    assert found.estimate(counts.scores.sum(axis=0), threshold=0.0) == found.estimate(counts)
    assert "brier" not in found.estimate(counts)
    assert found.estimate(counts)["roc_auc"].value == pytest.approx(CBPE(plain).estimate(plain)["roc_auc"].value)


def test_what_cannot_be_estimated_says_why() -> None:
    estimator = CBPE.from_arrays(np.ones((2, 1024)))
    assert {each.why for each in estimator.estimate(BinaryCounts()).values()} == {"there is no prediction with a score"}
    none = estimator.estimate(np.arange(1024), threshold=2.0)
    assert none["precision"].why
    assert none["recall"].value == 0
    with pytest.raises(PerformanceError, match="no truth of a prediction with a score"):
        CBPE(BinaryCounts())
    with pytest.raises(PerformanceError, match="another range"):
        estimator.estimate(BinaryCounts(0.0, 2.0))
    with pytest.raises(PerformanceError, match="shape"):
        estimator.estimate([1, 2])
    joint = np.zeros((3, 3, 1024), dtype=np.int64)
    with pytest.raises(PerformanceError, match="no truth of a prediction"):
        ClassCBPE(joint, "abc")
    with pytest.raises(PerformanceError, match="two classes"):
        ClassCBPE(joint[:1, :1], "a")
    joint[:2, :2, 500] = 5
    assert ClassCBPE(joint, "abc").estimate(np.ones((3, 1024)))["accuracy"].why == "the reference never predicted 'c'"
    assert ClassCBPE(joint, "abc").estimate(joint[0])["accuracy"].value == 0.5


def test_label_shift_is_found_with_the_errors_that_it_says() -> None:
    chance = np.random.default_rng(5)
    before, after = np.array([0.7, 0.2, 0.1]), np.array([0.4, 0.35, 0.25])
    confused = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7]])
    weights, shares = [], []
    for _ in range(400):
        truths = chance.multinomial(3_000, before)
        reference = [chance.multinomial(rows, row) for rows, row in zip(truths, confused, strict=True)]
        found = bbse(reference, chance.multinomial(2_000, after @ confused))
        weights.append([(e.value - w) / e.standard_error for e, w in zip(found.weights, after / before, strict=True)])
        shares.append([(e.value - w) / e.standard_error for e, w in zip(found.shares, after, strict=True)])
    for deviations in (weights, shares):
        assert np.abs(np.mean(deviations, axis=0)).max() < 0.2
        assert np.abs(np.std(deviations, axis=0) - 1).max() < 0.12


def test_label_shift_without_information_says_why() -> None:
    assert "do not tell" in bbse([[50, 50], [50, 50]], [1, 3]).shares[0].why
    assert "never the truth" in bbse([[50, 50], [0, 0]], [1, 3]).weights[1].why
    for wrong in ([[1, 2]], [[1]], [[0, 0], [0, 0]]):
        with pytest.raises(PerformanceError):
            bbse(wrong, [1] * len(wrong))
    with pytest.raises(PerformanceError, match="of predictions now"):
        bbse([[5, 1], [1, 5]], [0, 0])

"""CBPE by every class's probability: what NannyML estimates, and errors that are as large as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obsagent.errors import PerformanceError
from obsagent.performance import CBPE, BinaryCounts, ClassCounts, ProbabilityCBPE
from obsagent.performance.bins import bin_of
from obsagent.performance.probability_measures import MEASURES, Expected

FOLDER = Path(__file__).parents[1] / "golden" / "performance"
GOLDEN = json.loads((FOLDER / "nannyml_probabilities.json").read_text())
PUBLISHED = json.loads((FOLDER / "nannyml.json").read_text())["many"][0]["chunks"]
AGREE = 2e-5
SIZE = 3


def reference() -> Any:
    """Counts by bin, (class, 2, 1024)."""
    found = np.zeros((SIZE, 2, 1024), dtype=np.int64)
    for at, cells in enumerate(GOLDEN["reference"]):
        for hundredths, is_truth, rows in cells:
            found[at, is_truth, bin_of(np.array([hundredths / 100]))[0]] += rows
    return found


def rows_of(chunk: dict[str, Any]) -> tuple[list[str], Any]:
    """Names of predicted classes, and probabilities."""
    first, second, predicted, rows = np.array(chunk["counts"]).T
    probabilities = np.stack([first, second, 100 - first - second], axis=1) / 100
    return [GOLDEN["names"][at] for at in np.repeat(predicted, rows)], np.repeat(probabilities, rows, axis=0)


def named(metric: str) -> str:
    return metric if metric == "accuracy" else f"{metric}_macro"


@pytest.mark.parametrize("chunk", GOLDEN["chunks"], ids=lambda chunk: str(len(chunk["counts"])))
def test_many_classes_are_estimated_as_nannyml_does(chunk: dict[str, Any]) -> None:
    for told in chunk["values"]:
        left = [GOLDEN["names"][at] for at in told["left"]]
        found = ProbabilityCBPE(reference(), GOLDEN["names"], left).estimate(*rows_of(chunk))
        assert {name: found[named(name)].value for name in told["values"]} == pytest.approx(told["values"], abs=AGREE)


def test_what_nannyml_published_is_what_it_says_of_one_class_left_as_it_is() -> None:
    """That of nannyml.json, made elsewhere. Calibrating this one too moves its values by .0015, as its own do."""
    for at, chunk in enumerate(GOLDEN["chunks"]):
        wanted = PUBLISHED[3 * at]["values"]
        (one_left,) = (told["values"] for told in chunk["values"] if told["left"] == [1])
        assert {name: one_left[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
        found = ProbabilityCBPE(reference(), GOLDEN["names"]).estimate(*rows_of(chunk))
        assert {name: found[named(name)].value for name in wanted} == pytest.approx(wanted, abs=0.0015)


def drawn(seed: int, rows: int) -> tuple[Any, Any, Any]:
    """Truths, predictions and probabilities that are too sure."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 1.3, (rows, SIZE))
    given, right = (np.exp(logits * slope) for slope in (1.0, 0.8))
    given /= given.sum(axis=1, keepdims=True)
    right /= right.sum(axis=1, keepdims=True)
    truths = (chance.random(rows)[:, None] > np.cumsum(right, axis=1)).sum(axis=1).clip(0, SIZE - 1)
    return truths, given.argmax(axis=1), given


def realized(truths: Any, predicted: Any, probabilities: Any) -> dict[str, float]:
    """The metrics, once truths are known."""
    counts = ClassCounts(range(SIZE))
    counts.update(truths, predicted)
    found = {name: each.value for name, each in counts.measures().items()}
    for name in ("specificity", "roc_auc", "average_precision"):
        of_classes = []
        for at in range(SIZE):
            of_class = BinaryCounts()
            of_class.update(truths == at, predicted == at, probabilities[:, at])
            of_classes.append(of_class.measure(name).value)
        found[f"{name}_macro"] = np.mean(of_classes)
    return found


def test_estimates_are_off_by_their_standard_errors() -> None:
    """60 references and samples: the spread of the deviations is 1; isotonic regression is a little too hopeful.

    That is as of NannyML; with fewer rows of the reference it is more.
    """
    deviations = []
    for seed in range(60):
        truths, _, given = drawn(seed, 20_000)
        now, predicted, probabilities = drawn(1_000 + seed, 1_000)
        found = ProbabilityCBPE.of_rows(truths, given, range(SIZE)).estimate(predicted, probabilities)
        wanted = realized(now, predicted, probabilities)
        deviations.append([(each.value - wanted[name]) / each.standard_error for name, each in found.items()])
    assert np.abs(np.mean(deviations, axis=0)).max() < 0.4
    assert np.abs(np.std(deviations, axis=0) - 1).max() < 0.25


def test_slopes_are_those_of_small_steps() -> None:
    _, predicted, probabilities = drawn(3, 40)
    expected = Expected(predicted, bin_of(probabilities), probabilities)
    for name, measure in MEASURES.items():
        value, slopes, _ = measure(expected)
        for row, at in ((0, 0), (7, 1), (31, 2)):
            stepped = probabilities.copy()
            stepped[row, at] += 1e-6
            stepped[row, at - 1] -= 1e-6
            step = (measure(Expected(predicted, expected.bins, stepped))[0] - value) / 1e-6
            assert slopes[row, at] - slopes[row, at - 1] == pytest.approx(step, abs=1e-6), name


def test_rows_and_counts_of_them_are_the_same() -> None:
    truths, predicted, probabilities = drawn(4, 2_000)
    counted = np.zeros((SIZE, 2, 1024), dtype=np.int64)
    for half in (slice(0, 700), slice(700, None)):
        bins = bin_of(probabilities[half])
        for at in range(SIZE):
            np.add.at(counted[at], ((truths[half] == at).astype(int), bins[:, at]), 1)
    whole = ProbabilityCBPE.of_rows(truths, probabilities, range(SIZE)).estimate(predicted, probabilities)
    assert ProbabilityCBPE(counted, range(SIZE)).estimate(predicted, probabilities) == whole


def test_two_classes_are_estimated_as_by_the_score_of_one() -> None:
    truths, _, probabilities = drawn(5, 3_000)
    is_first = probabilities[:, 0]
    two = np.stack([1 - is_first, is_first], axis=1)
    counts = BinaryCounts()
    counts.update(truths == 0, is_first >= 0.5, is_first)
    found = ProbabilityCBPE.of_rows(truths == 0, two, [False, True]).estimate(is_first >= 0.5, two)
    assert found["accuracy"].value == pytest.approx(CBPE(counts).estimate(counts)["accuracy"].value, abs=1e-3)
    assert found["roc_auc_macro"].value == pytest.approx(CBPE(counts).estimate(counts)["roc_auc"].value, abs=1e-3)


def test_what_cannot_be_estimated_says_why() -> None:
    truths, _, probabilities = drawn(6, 500)
    estimator = ProbabilityCBPE.of_rows(truths, probabilities, range(SIZE))
    assert {each.why for each in estimator.estimate([], np.zeros((0, SIZE))).values()} == {
        "there is no prediction with a score"
    }
    sure = estimator.estimate([0, 0], np.zeros((2, SIZE)))
    assert sure["accuracy"].value is not None  # no class is more probable than another
    only = ProbabilityCBPE.of_rows([0, 0], [[1.0, 0.0], [1.0, 0.0]], range(2)).estimate([0], [[1.0, 0.0]])
    assert only["roc_auc_macro"].why == "truths of one class only are expected"
    for wrong, says in (
        (lambda: estimator.estimate([7], probabilities[:1]), "there is no class 7"),
        (lambda: estimator.estimate([0], probabilities[:2]), "shape"),
        (lambda: estimator.estimate([0], [[1.5, 0.0, 0.0]]), "from 0 to 1"),
        (lambda: estimator.estimate([0], [[np.nan, 0.0, 0.0]]), "NaN"),
        (lambda: ProbabilityCBPE(np.zeros((3, 2, 1024)), range(3)), "no truth of a prediction"),
        (lambda: ProbabilityCBPE(np.ones((3, 1024)), range(3)), "shape"),
        (lambda: ProbabilityCBPE(np.ones((1, 2, 1024)), [0]), "different names"),
        (lambda: ProbabilityCBPE(np.ones((3, 2, 1024)), range(3), [5]), "there is no class 5"),
    ):
        with pytest.raises(PerformanceError, match=says):
            wrong()

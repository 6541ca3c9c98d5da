"""Metrics of many classes, beside scikit-learn's of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from performance_lab import metrics, quiet

from obsagent.errors import PerformanceError
from obsagent.limits import CLASSES_MAX
from obsagent.performance import ClassCounts
from obsagent.performance.class_measures import mean_over_classes

NAMES = ["ant", "bee", "cat", "dog"]
AVERAGED = [(which, average) for which in ("precision", "recall", "f1") for average in ("macro", "micro", "weighted")]


def rows(seed: int, size: int) -> tuple[Any, Any, Any]:
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet([2.0, 1.0, 0.5, 0.1], size)
    truths = np.array([chance.choice(NAMES, p=each) for each in probabilities])
    return truths, np.array(NAMES)[probabilities.argmax(axis=1)], probabilities


@pytest.mark.parametrize("size", [1, 4, 12, 2_000])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_scikit_learns(seed: int, size: int) -> None:
    truths, predicted, probabilities = rows(seed, size)
    counts = ClassCounts(NAMES)
    counts.update(truths, predicted, probabilities)
    for which, average in AVERAGED:
        peer = getattr(metrics, f"{which}_score")
        wanted = quiet(peer, truths, predicted, average=average, zero_division=np.nan)
        value = counts.measure(f"{which}_{average}").value
        assert value == pytest.approx(0.0 if np.isnan(wanted) else wanted, abs=1e-12), (which, average)
    assert counts.measure("accuracy").value == pytest.approx(metrics.accuracy_score(truths, predicted))
    assert counts.measure("log_loss").value == pytest.approx(metrics.log_loss(truths, probabilities, labels=NAMES))
    if (mcc := counts.measure("mcc")).value is not None:
        assert mcc.value == pytest.approx(metrics.matthews_corrcoef(truths, predicted), abs=1e-12)


def test_a_class_alone_is_measured_against_the_others() -> None:
    truths, predicted, _ = rows(9, 500)
    counts = ClassCounts(NAMES)
    counts.update(truths.tolist(), predicted)
    found = counts.of_class("bee")
    assert found["precision"].value == metrics.precision_score(truths == "bee", predicted == "bee")
    assert found["recall"].value == metrics.recall_score(truths == "bee", predicted == "bee")
    assert found["f1"].value == pytest.approx(metrics.f1_score(truths == "bee", predicted == "bee"))
    assert "never predicted" in ClassCounts(NAMES).of_class("dog")["precision"].why


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("which", ["precision", "recall", "f1"])
def test_gradients_are_those_of_small_steps(which: str, weighted: bool) -> None:
    cells = np.array([[40.0, 3, 2], [5, 30, 1], [0, 4, 9]])
    value, gradient = mean_over_classes(cells, which, weighted)
    for at in np.ndindex(3, 3):
        stepped = cells.copy()
        stepped[at] += 1e-5
        step = (mean_over_classes(stepped, which, weighted)[0] - value) / 1e-5
        assert gradient[at] == pytest.approx(step, abs=1e-6)


def test_without_rows_and_without_probabilities_metrics_say_why() -> None:
    assert {each.why for each in ClassCounts(NAMES).measures().values()} == {
        "there is no truth yet",
        "no probabilities were given",
    }
    counts = ClassCounts([0, 1])
    counts.update([0, 1], [0, 1])
    assert counts.measure("log_loss").why
    assert counts.measure("f1_macro").value == 1


def test_wrong_classes_are_refused() -> None:
    counts = ClassCounts(NAMES)
    wrong: list[tuple[tuple[Any, ...], str]] = [
        ((["ant"], ["eel"]), "no class 'eel'"),
        ((["ant", "bee"], ["ant"]), "2 truths and 1 predictions"),
        ((["ant"], ["ant"], [[0.5, 0.5]]), r"shape \(1, 4\)"),
        ((["ant"], ["ant"], [[2.0, 0.0, 0.0, 0.0]]), "from 0 to 1"),
    ]
    for given, message in wrong:
        with pytest.raises(PerformanceError, match=message):
            counts.update(*given)
    assert not counts.rows
    for names in (["ant"], ["ant", "ant"], range(CLASSES_MAX + 1)):
        with pytest.raises(PerformanceError, match="different names"):
            ClassCounts(names)
    with pytest.raises(PerformanceError, match="different classes"):
        counts.merge(ClassCounts(NAMES[::-1]))

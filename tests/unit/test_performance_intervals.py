"""Confidence intervals hold the truth about as often as they say, in samples whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from performance_rows import binary_rows

from obsagent.performance import BinaryCounts, ClassCounts, RankingSums, RegressionSums
from obsagent.performance.intervals import wilson

SAMPLES = 300
CONFIDENCE = 0.9
CHANCE = 4 * (CONFIDENCE * (1 - CONFIDENCE) / SAMPLES) ** 0.5  # four standard errors of the share that is held


def shares_held(whole: Any, samples: list[Any]) -> dict[str, float]:
    """How often each metric's interval holds the value of all rows, which is as good as the truth."""
    truth = {name: each.value for name, each in whole.measures().items()}
    held = dict.fromkeys(truth, 0)
    for sample in samples:
        for name, each in sample.measures(CONFIDENCE).items():
            held[name] += each.low - 1e-12 <= truth[name] <= each.high + 1e-12
    return {name: count / len(samples) for name, count in held.items()}


def test_of_two_classes() -> None:
    whole, samples = BinaryCounts(), []
    for seed in range(SAMPLES):
        rows = binary_rows(100 + seed, 600)
        samples.append(BinaryCounts())
        samples[-1].update(*rows)
        whole.merge(samples[-1])
    held = shares_held(whole, samples)
    biased = held.pop("calibration_error")  # never 0 by chance alone, as its docstring says
    assert biased > CONFIDENCE - 0.15
    assert all(abs(share - CONFIDENCE) < CHANCE for share in held.values()), held


def test_of_many_classes() -> None:
    chance = np.random.default_rng(3)
    names = ["a", "b", "c"]
    confused = np.array([[0.5, 0.06, 0.04], [0.03, 0.15, 0.02], [0.04, 0.06, 0.1]])
    whole = ClassCounts.from_arrays((confused * 1e9).round(), names)
    samples = [
        ClassCounts.from_arrays(chance.multinomial(500, confused.ravel()).reshape(3, 3), names) for _ in range(SAMPLES)
    ]
    names_of = [name for name in whole.measures() if name != "log_loss"]
    for name in names_of:
        truth = whole.measure(name).value
        found = [sample.measure(name, CONFIDENCE) for sample in samples]
        share = np.mean([each.low <= truth <= each.high for each in found])
        assert abs(share - CONFIDENCE) < CHANCE, (name, share)


def test_of_numbers_and_rankings() -> None:
    chance = np.random.default_rng(4)
    whole, samples = RegressionSums(), []
    ranked, lists = RankingSums((3,)), []
    for _ in range(SAMPLES):
        truths = chance.gamma(5, 2, 400) + 1
        samples.append(RegressionSums())
        samples[-1].update(truths, truths + chance.normal(0.2, 1, 400))
        whole.merge(samples[-1])
        lists.append(RankingSums((3,)))
        lists[-1].update(chance.integers(0, 3, (200, 6)), chance.random((200, 6)))
        ranked.merge(lists[-1])
    held = shares_held(whole, samples)
    assert held.pop("r2") > CONFIDENCE - 0.1  # for truths that are as normal as these are, as its docstring says
    for quantile in ("error_p50", "error_p90", "error_p99"):
        assert held.pop(quantile) > CONFIDENCE - CHANCE  # wider by their bins
    held |= shares_held(ranked, lists)
    assert all(abs(share - CONFIDENCE) < CHANCE for share in held.values()), held


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (3, 7), (50, 50), (10**9, 10**12)])
def test_wilson_solves_its_equation(successes: int, trials: int) -> None:
    share = successes / trials
    for end in wilson(successes, trials, 0.95):
        assert 0 <= end <= 1
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.959963984540054 * (end * (1 - end) / trials) ** 0.5, rel=1e-4)


def test_perfect_models_have_intervals_too() -> None:
    counts = BinaryCounts()
    counts.update([0] * 20 + [1] * 10, [0] * 20 + [1] * 10, [0.2] * 20 + [0.8] * 10)
    for name in ("accuracy", "recall", "roc_auc", "average_precision"):
        found = counts.measure(name)
        assert found.value == found.high == 1
        assert found.low is not None
        assert 0.6 < found.low < 0.9

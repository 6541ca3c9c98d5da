"""Alarms over time: the detectors' rules, their states, and the rate of false alarms that they promise."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from obsagent.drift import ESR, DriftError, DyadicESR, Null, e_bh

BINS = 16
OBSERVATIONS = 2_000


def test_r_is_the_sum_of_the_evidence_since_every_start() -> None:
    values = [0.5, 2.0, 3.0, 0.25, 4.0, 1.0]
    detector = ESR(alpha=1e-6)
    for count in range(1, len(values) + 1):
        detector.update(math.log(values[count - 1]))
        expected = sum(math.prod(values[start:count]) for start in range(count))
        assert math.exp(detector.log_r) == pytest.approx(expected)


def test_an_alarm_is_r_of_one_over_alpha_and_the_next_window_begins_anew() -> None:
    detector = ESR(alpha=0.01)
    assert [detector.update(math.log(9.0)) for _ in range(4)] == [False, False, True, False]  # 9, 90, 819, 9
    assert detector.windows == 4
    assert math.exp(detector.log_r) == pytest.approx(9.0)


def test_since_is_when_the_change_most_likely_began() -> None:
    detector = ESR()
    for log_e in [-0.5] * 20 + [1.0, 1.5, -0.2, 2.0]:
        detector.update(log_e)
    assert detector.since == 4


def test_evidence_that_no_float_holds_is_an_alarm_or_none() -> None:
    detector = ESR()
    assert detector.update(5_000.0)
    assert detector.update(math.inf)
    assert not detector.update(-math.inf)
    assert not detector.update(-5_000.0)
    assert not detector.update(0.0)
    with pytest.raises(DriftError, match="NaN"):
        detector.update(math.nan)


def test_the_rate_is_said_in_windows_and_days() -> None:
    null = Null([10, 10])
    for detector in (ESR(alpha=1 / 8640), DyadicESR(null, alpha=1 / 8640)):
        assert detector.average_run_length == pytest.approx(8640)
        assert detector.days_between_false_alarms(10) == pytest.approx(1)
        assert detector.days_between_false_alarms(3600) == pytest.approx(360)
        assert detector.false_alarm_rate() == "at most one false alarm in 8,640 windows, on average"
        assert detector.false_alarm_rate(10).endswith("(1 days)")
        with pytest.raises(DriftError, match="seconds"):
            detector.days_between_false_alarms(0)
    for alpha in (0, -1, 1.1, math.nan):
        with pytest.raises(DriftError, match="rate"):
            ESR(alpha)
        with pytest.raises(DriftError, match="rate"):
            DyadicESR(null, alpha)
    for levels in (0, 33):
        with pytest.raises(DriftError, match="levels"):
            DyadicESR(null, levels=levels)


def reference_and_truth(chance: np.random.Generator, size: int) -> tuple[Any, Any]:
    truth = chance.dirichlet(np.full(BINS, 20.0))
    return chance.multinomial(size, truth), truth


def shifted(truth: Any, divergence: float) -> Any:
    """The same distribution, tilted by a slope over the bins, so that KL(truth ‖ it) is as asked."""
    slope = np.linspace(-1, 1, len(truth))
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        q = truth * np.exp(middle * slope)
        q /= q.sum()
        low, high = (middle, high) if (truth * np.log(truth / q)).sum() < divergence else (low, middle)
    return q


def test_an_alarm_on_twenty_features_that_do_not_change_is_as_rare_as_promised() -> None:
    chance = np.random.default_rng(30)
    pairs = [reference_and_truth(chance, 200_000) for _ in range(20)]
    nulls = [Null(reference) for reference, _ in pairs]
    alpha, windows = 0.05, 1_000
    counts = [chance.multinomial(OBSERVATIONS, truth, windows) for _, truth in pairs]
    detectors = [ESR(alpha / len(pairs)) for _ in pairs]
    windows_with_any = {"e-BH": 0, "e-SR": 0, "three sigma": 0, "p < .05": 0}
    for window in range(windows):
        logs = [null.log_e_value(of[window].tolist()) for null, of in zip(nulls, counts, strict=True)]
        windows_with_any["e-BH"] += bool(e_bh(logs, alpha, log=True))
        alarms = [each.update(log_e) for each, log_e in zip(detectors, logs, strict=True)]
        windows_with_any["e-SR"] += any(alarms)
        statistics = [_pearson(reference, of[window]) for (reference, _), of in zip(pairs, counts, strict=True)]
        windows_with_any["three sigma"] += max(statistics) > BINS - 1 + 3 * math.sqrt(2 * (BINS - 1))
        windows_with_any["p < .05"] += max(statistics) > 24.996  # of 15 degrees of freedom
    shares = {rule: count / windows for rule, count in windows_with_any.items()}
    assert shares["e-BH"] <= alpha
    assert shares["e-SR"] <= alpha
    assert shares["p < .05"] > 0.5  # what is not calibrated for twenty features alarms in most windows
    assert shares["three sigma"] > alpha


def _pearson(reference: Any, current: Any) -> float:
    expected = reference / reference.sum() * current.sum()
    return float(((current - expected) ** 2 / expected).sum())


def test_a_run_is_as_long_as_promised_where_nothing_changes_on_all_levels() -> None:
    chance = np.random.default_rng(31)
    reference, truth = reference_and_truth(chance, 100_000)
    null, alarms, windows = Null(reference), 0, 0
    for _ in range(4):
        detector = DyadicESR(null, alpha=0.01, levels=8)
        for counts in chance.multinomial(500, truth, 1_500):
            alarms += detector.update(counts.tolist())
            windows += 1
    assert alarms <= windows * 0.01


def test_natural_variation_within_its_concentration_keeps_the_rate_on_all_levels() -> None:
    chance = np.random.default_rng(32)
    reference, truth = reference_and_truth(chance, 10**6)
    detector = DyadicESR(Null(reference, kappa0=400), alpha=0.01, levels=8)
    shares = chance.dirichlet(truth * 400, 2_000)
    assert sum(detector.update(chance.multinomial(OBSERVATIONS, each).tolist()) for each in shares) <= 20


@pytest.mark.parametrize("divergence", [0.001, 0.01, 0.1, 0.5])
def test_planted_shifts_are_found_however_small(divergence: float) -> None:
    chance = np.random.default_rng(33)
    reference, truth = reference_and_truth(chance, 10**6)
    detector = DyadicESR(Null(reference), alpha=1e-4)
    for counts in chance.multinomial(OBSERVATIONS, truth, 64):
        assert not detector.update(counts.tolist())
    now = shifted(truth, divergence)
    assert (truth * np.log(truth / now)).sum() == pytest.approx(divergence, rel=1e-6)
    delay = next(delay for delay in range(1, 1_000) if detector.update(chance.multinomial(OBSERVATIONS, now).tolist()))
    assert delay <= {0.001: 128, 0.01: 12, 0.1: 1, 0.5: 1}[divergence]


def test_the_block_says_of_how_many_windows_the_evidence_is() -> None:
    reference = [10**6] * BINS
    sudden, slow = DyadicESR(Null(reference)), DyadicESR(Null(reference))
    assert sudden.update([300, 100] * (BINS // 2))
    assert sudden.block == 1
    while not slow.update([2_040, 1_960] * (BINS // 2)):
        assert slow.windows < 200
    assert slow.block > 1


@pytest.mark.parametrize("levels", [1, 6])
def test_a_detector_goes_on_from_its_state_as_if_nothing_had_been(levels: int) -> None:
    chance = np.random.default_rng(34)
    reference, truth = reference_and_truth(chance, 100_000)
    null = Null(reference)
    through, restarted = DyadicESR(null, 1e-3, levels=levels), DyadicESR(null, 1e-3, levels=levels)
    plain, plain_restarted = ESR(1e-3), ESR(1e-3)
    alarms = 0
    for window in range(200):
        if window % 20 == 0:  # ten restarts
            state = json.loads(json.dumps(restarted.to_state(), allow_nan=False))
            restarted = DyadicESR.from_state(state, null)
            assert restarted.to_state() == through.to_state() == state
            state = json.loads(json.dumps(plain_restarted.to_state(), allow_nan=False))
            plain_restarted = ESR.from_state(state)
            assert plain_restarted.to_state() == plain.to_state() == state
        counts = chance.multinomial(500, shifted(truth, 0.02) if window > 100 else truth).tolist()
        alarm, log_e = through.update(counts), null.log_e_value(counts)
        assert restarted.update(counts) == alarm
        assert plain_restarted.update(log_e) == plain.update(log_e)
        alarms += alarm
    assert alarms >= 1


def test_what_is_no_state_is_refused() -> None:
    null = Null([10, 10])
    plain, dyadic = ESR().to_state(), DyadicESR(null).to_state()
    for gone in plain:
        with pytest.raises(DriftError, match="no state of an ESR"):
            ESR.from_state({key: value for key, value in plain.items() if key != gone})
    for gone in dyadic:
        with pytest.raises(DriftError, match="no state of a DyadicESR"):
            DyadicESR.from_state({key: value for key, value in dyadic.items() if key != gone}, null)
    with pytest.raises(DriftError, match="no state"):
        ESR.from_state({**plain, "log_r": "nan"})
    moved = DyadicESR(null)
    moved.update([3, 4])
    with pytest.raises(DriftError, match="other bins"):
        DyadicESR.from_state(moved.to_state(), Null([10, 10, 10]))


def test_wrong_counts_change_nothing() -> None:
    detector = DyadicESR(Null([10, 10]))
    detector.update([1, 2])
    before = detector.to_state()
    for wrong in ([1], [1, -1], [math.nan, 1]):
        with pytest.raises(DriftError):
            detector.update(wrong)
    assert detector.to_state() == before

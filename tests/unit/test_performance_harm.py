"""Harm, risk at every moment and pairs of models: rates of false decisions that are kept, and true ones that come."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from obsagent.errors import PerformanceError
from obsagent.performance import HarmDetector, RiskBounds, disagreements, paired_test, risk_interval, risk_upper
from obsagent.performance.harm import BETS

RISK = 0.1


def recommended(detector: HarmDetector, errors: Any, rows: int) -> list[int]:
    """At which batches a recommendation came."""
    return [at for at, each in enumerate(errors.tolist()) if detector.update(each, rows)]


@pytest.mark.parametrize("rows", [1, 100])
def test_a_stable_stream_brings_no_recommendation(rows: int) -> None:
    """At the very limit, where false ones are most likely: of 10⁶ truths, of which 1 % of the streams may have one."""
    detector = HarmDetector(RISK)
    errors = np.random.default_rng(1).binomial(rows, RISK, 10_000)
    assert not recommended(detector, errors, rows)
    assert detector.rows == rows * len(errors)


def test_the_stated_rate_is_kept_where_false_recommendations_are_frequent() -> None:
    """alpha = 1/200: at most alpha × T of streams of T = 100 truths have one by then."""
    chance = np.random.default_rng(2)
    alarms = 0
    for _ in range(400):
        alarms += bool(recommended(HarmDetector(RISK, alpha=1 / 200), chance.binomial(5, RISK, 20), 5))
    assert 0 < alarms / 400 <= 0.5
    detector = HarmDetector(RISK, alpha=1 / 200)
    found = recommended(detector, chance.binomial(1, RISK, 20_000), 1)
    assert 0 < len(found) <= 20_000 / 200


@pytest.mark.parametrize(("increase", "most"), [(0.02, 20_000), (0.05, 4_000), (0.1, 1_500)])
def test_harm_is_found_as_fast_late_as_early(increase: float, most: int) -> None:
    delays = []
    for before in (0, 500):
        detector = HarmDetector(RISK, tolerance=0.005)
        chance = np.random.default_rng(3)
        assert not recommended(detector, chance.binomial(100, RISK, before), 100)
        errors = chance.binomial(100, RISK + increase, most // 100).tolist()
        delays.append(100 * (1 + next(at for at, each in enumerate(errors) if detector.update(each, 100))))
        harm = detector.harm
        assert harm is not None
        assert RISK + increase > harm.lower >= harm.limit == pytest.approx(RISK + 0.005)
        assert harm.risk == pytest.approx(RISK + increase, abs=0.03)
        assert harm.rows <= delays[-1] + 2_000
        assert json.dumps(harm.to_state())
    assert max(delays) < 2 * min(delays) + 300


def test_a_recommendation_begins_anew() -> None:
    detector = HarmDetector(RISK)
    assert detector.update(60, 100)
    assert detector.harm is not None
    assert not detector.update(10, 100)
    assert detector.harm is None
    assert detector.log_evidence < math.log(200)
    assert not detector.update(0, 0)


def test_losses_between_0_and_1_are_as_good() -> None:
    chance = np.random.default_rng(4)
    detector = HarmDetector(0.25)
    assert not any(detector.update(float(each.sum()), 100) for each in chance.beta(1, 3, (300, 100)))
    assert any(detector.update(float(each.sum()), 100) for each in chance.beta(1, 2, (100, 100)))


def test_a_state_goes_on_where_it_was() -> None:
    chance = np.random.default_rng(5)
    detector = HarmDetector.of_reference(100, 1_000, tolerance=0.01, alpha=1e-6)
    assert detector.reference_risk_upper == risk_upper(100, 1_000, 0.95)
    for errors in chance.binomial(50, 0.2, 40).tolist():
        state = json.loads(json.dumps(detector.to_state()))
        assert len(json.dumps(state)) < 60 * BETS * 2
        again = HarmDetector.from_state(state)
        assert again.update(errors, 50) == detector.update(errors, 50)
        assert again.to_state() == detector.to_state()
        assert again.harm == detector.harm
    for name, wrong in [("alpha", 2), ("log_r", [0.0]), ("stretch", "x"), ("rows", None), ("tolerance", -1)]:
        with pytest.raises(PerformanceError):
            HarmDetector.from_state(state | {name: wrong})
    with pytest.raises(PerformanceError, match="no state of a HarmDetector"):
        HarmDetector.from_state({})


def test_the_rate_is_told_in_days() -> None:
    detector = HarmDetector(RISK, alpha=1e-8)
    assert detector.average_run_length == 1e8
    text = "at most one false recommendation in 100,000,000 truths, on average"
    assert detector.false_alarm_rate() == text
    assert detector.false_alarm_rate(100_000) == f"{text} (1e+03 days)"
    with pytest.raises(PerformanceError, match="truths a day"):
        detector.false_alarm_rate(0)


def test_wrong_losses_and_limits_are_refused() -> None:
    detector = HarmDetector(RISK)
    for losses, rows in [(2, 1), (-1, 1), (math.nan, 1), (1, 1.5)]:
        with pytest.raises(PerformanceError, match="from 0 to 1 a row"):
            detector.update(losses, rows)  # type: ignore[arg-type]
    assert detector.rows == 0
    for upper, tolerance in [(0.9, 0.1), (-0.1, 0.5), (0.0, 0.0), (math.nan, 0.1)]:
        with pytest.raises(PerformanceError, match="a risk is from 0 to 1"):
            HarmDetector(upper, tolerance)
    with pytest.raises(PerformanceError, match="alpha"):
        HarmDetector(RISK, alpha=0)


def test_bounds_hold_at_every_moment() -> None:
    """200 streams, looked at after every fifth truth: fewer than alpha of them are ever outside of their bounds."""
    chance, alpha = np.random.default_rng(6), 0.1
    outside = 0
    for _ in range(200):
        losses = np.cumsum(chance.random(300) < RISK)
        looks = zip(losses[::5].tolist(), range(1, 301, 5), strict=True)
        outside += any(not low <= RISK <= high for low, high in (risk_interval(*each, alpha) for each in looks))
    assert outside / 200 <= alpha


def test_bounds_close_in_and_add_up() -> None:
    bounds, other = RiskBounds(0.05), RiskBounds(0.05)
    assert bounds.interval() == (0.0, 1.0)
    assert bounds.risk is None
    bounds.update(10, 100)
    other.update(90, 900)
    wide = bounds.interval()
    bounds.merge(other)
    low, high = bounds.interval()
    assert wide[0] < low < 0.1 < high < wide[1]
    assert bounds.risk == 0.1
    assert high - low < 0.08
    assert risk_interval(0, 50, 0.05)[0] == 0
    assert risk_interval(50, 50, 0.05)[1] == 1
    assert 0.9 < risk_interval(10**8, 10**8, 0.05)[0] < 1
    with pytest.raises(PerformanceError, match="alpha"):
        RiskBounds(1.0)


def test_the_bound_of_a_reference_holds_at_one_look_and_is_closer() -> None:
    errors = np.random.default_rng(8).binomial(400, RISK, 500).tolist()
    held = sum(risk_upper(each, 400, 0.9) >= RISK for each in errors) / len(errors)
    assert 0.9 <= held < 0.995
    assert 0.1 < risk_upper(100, 1_000, 0.95) < risk_interval(100, 1_000, 0.05)[1]
    assert risk_upper(0, 0, 0.95) == 1
    assert risk_upper(5, 5, 0.95) == 1
    assert risk_upper(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100))
    with pytest.raises(PerformanceError):
        risk_upper(2, 1, 0.95)


def test_pairs_are_mcnemars_exact_test() -> None:
    binomtest = pytest.importorskip("scipy.stats").binomtest
    for first, second in [(0, 0), (0, 1), (3, 3), (10, 2), (30, 60), (3_000, 3_200), (0, 5_000), (40_000, 40_500)]:
        wanted = binomtest(first, first + second).pvalue if first + second else 1.0
        found = paired_test(first, second, first + second + 10)
        assert found.p_value == pytest.approx(wanted, rel=1e-7, abs=1e-300)
        assert found.difference == (second - first) / (first + second + 10)


def test_pairs_looked_at_all_the_time_keep_their_rate() -> None:
    chance, alpha = np.random.default_rng(7), 0.1
    alarms = peeked = 0
    for _ in range(200):
        first = np.cumsum(chance.random(300) < 0.5)
        found = [paired_test(int(wrong), at - int(wrong), at) for at, wrong in enumerate(first, 1) if at % 5 == 0]
        alarms += min(each.anytime_p_value for each in found) <= alpha
        peeked += min(each.p_value for each in found) <= alpha
    assert alarms / 200 <= alpha < peeked / 200
    assert paired_test(100, 200, 1_000).anytime_p_value < 1e-4


def test_pairs_are_counted_from_rows() -> None:
    assert disagreements([0, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]) == (1, 2, 4)
    empty = paired_test(0, 0, 0)
    assert (empty.difference, empty.p_value, empty.anytime_p_value) == (None, 1.0, pytest.approx(1.0))
    with pytest.raises(PerformanceError, match="one of each a row"):
        disagreements([0, 1], [0], [1, 1])
    with pytest.raises(PerformanceError, match="too many"):
        paired_test(3, 3, 5)

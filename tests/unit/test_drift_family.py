"""Charts and families: what raises an alarm, since when, when it ends, and how seldom it is false."""

import math
import random

import pytest

from obsagent.drift import Null
from obsagent.evaluate.chart import NOTHING, Chart, log_add
from obsagent.evaluate.family import ChartKey, Evidence, Family
from obsagent.evaluate.levels import HOUR, WINDOW
from obsagent.evaluate.settings import Settings

STEP_MS = WINDOW.window_ms


def key(number):
    return ChartKey(f"x{number}", "1a2b3c4d")


def judge(family, number, log_es, *, alpha=0.05, run_length=1_000.0, samples=100):
    evidence = {key(feature): Evidence(log_e, samples) for feature, log_e in enumerate(log_es)}
    return family.judge(evidence, number * STEP_MS, (number + 1) * STEP_MS, alpha=alpha, run_length=run_length)


def test_a_chart_sums_the_evidence_since_every_moment():
    chart = Chart()
    log_es = [0.5, -1.0, 0.25, 2.0, -0.125]
    for number, log_e in enumerate(log_es):
        chart.update(log_e, number, number + 1, 10)
    sums = [sum(log_es[begin:]) for begin in range(len(log_es))]
    assert chart.log_r == pytest.approx(math.log(sum(map(math.exp, sums))))
    assert chart.log_m == pytest.approx(max(sums))
    assert chart.since_ms == 3  # what was before is too little to be a beginning
    assert (chart.count, chart.last_ms, chart.last_log_e, chart.samples) == (5, 5, -0.125, 10)


def test_logarithms_add_where_numbers_would_overflow():
    assert log_add(5_000.0, 4_999.0) == pytest.approx(5_000.0 + math.log1p(math.exp(-1)))
    assert log_add(NOTHING, 0.0) == 0.0
    assert log_add(NOTHING, NOTHING) == NOTHING
    chart = Chart()
    for number in range(3):
        chart.update(1e6, number, number + 1, 1)
    assert chart.log_r == pytest.approx(3e6)


def test_one_clear_window_raises_one_alarm_for_that_feature_alone():
    family = Family(WINDOW)
    for number in range(5):
        assert judge(family, number, [-0.5] * 20) == ([], [])
    raised, ended = judge(family, 5, [40.0, *[-0.5] * 19])
    assert [(alarm.feature, alarm.since_ms, alarm.raised_ms) for alarm in raised] == [("x0", 5 * STEP_MS, 6 * STEP_MS)]
    assert not ended
    assert [name.feature for name, chart in family.charts.items() if chart.flagged] == ["x0"]
    assert judge(family, 6, [40.0, *[-0.5] * 19]) == ([], [])  # it goes on: that is no second one
    assert family.alarms[key(0)].seen_ms == 7 * STEP_MS


def test_slow_evidence_adds_up_and_the_alarm_says_where_it_began():
    family = Family(WINDOW)
    raised = []
    for number in range(60):
        log_e = -0.4 if number < 30 else 0.6
        raised += judge(family, number, [log_e, -0.4])[0]
    (alarm,) = raised
    assert 30 * STEP_MS <= alarm.since_ms <= 34 * STEP_MS
    assert 40 * STEP_MS < alarm.raised_ms < 50 * STEP_MS


def test_an_alarm_ends_after_quiet_windows_and_may_come_again():
    family = Family(WINDOW)
    (first,), _ = judge(family, 0, [40.0])
    ended = []
    for number in range(1, WINDOW.quiet + 1):
        assert not ended
        ended = judge(family, number, [-1.0])[1]
    assert ended == [first]
    assert first.ended_ms == (WINDOW.quiet + 1) * STEP_MS
    assert not family.alarms
    (again,), _ = judge(family, 20, [40.0])
    assert again.since_ms == 20 * STEP_MS


def test_windows_without_a_feature_say_nothing_about_it():
    family = Family(WINDOW)
    judge(family, 0, [2.0, 0.0])
    before = family.charts[key(0)].log_r
    for number in range(1, 50):
        family.judge({key(1): Evidence(-0.5, 50)}, number, number + 1, alpha=0.05, run_length=100.0)
    assert family.charts[key(0)].log_r == before


def test_charts_of_features_that_are_gone_are_forgotten_with_their_alarms():
    family = Family(HOUR)
    judge(family, 0, [40.0, -1.0])
    judge(family, 100, [-1.0])
    family.forget(50 * STEP_MS)
    assert list(family.charts) == [key(0)]
    family.forget(500 * STEP_MS)
    assert not family.charts
    assert not family.alarms


def counts_of(chance, shares, total):
    counts = [0.0] * len(shares)
    for index in chance.choices(range(len(shares)), shares, k=total):
        counts[index] += 1
    return counts


def test_twenty_features_without_drift_stay_within_both_rates():
    """Over 1,000 windows: those in which anything stands out, and the alarms."""
    chance = random.Random(20)
    shares = [1 / 16] * 16
    nulls = [Null(counts_of(chance, shares, 50_000)) for _ in range(20)]
    family, alpha, standing_out, alarms, windows = Family(WINDOW), 0.05, 0, 0, 1_000
    for number in range(windows):
        log_es = [null.log_e_value(counts_of(chance, shares, 40)) for null in nulls]
        alarms += len(judge(family, number, log_es, alpha=alpha, run_length=10_000.0, samples=40)[0])
        standing_out += any(chart.flagged for chart in family.charts.values())
    assert standing_out <= alpha * windows
    assert alarms <= 1


def test_the_rate_is_said_in_days_and_shared_by_the_levels():
    settings = Settings(days=30)
    assert settings.rate == "at most one false alarm in 30 days"
    assert Settings(days=1).rate == "at most one false alarm in 1 day"
    alone = [settings.run_length(level) * level.window_ms / 86_400_000 for level in (WINDOW, HOUR)]
    assert alone == pytest.approx([90.0, 90.0])  # of three levels, each once in 90 days

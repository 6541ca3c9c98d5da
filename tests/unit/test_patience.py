"""A clock that is suddenly far ahead makes nothing old, unless it stays there."""

from __future__ import annotations

from obsagent.head.patience import HOLD_MS, STEP_MS, PatientClock

NOON = 1_700_000_000_000
YEAR = 365 * 86_400_000


def test_a_clock_that_goes_evenly_is_believed() -> None:
    clock = PatientClock(NOON - 5_000)
    for second in range(0, 10_000_000, 5_000):
        assert clock.believe(NOON + second + second // 1_000, 77 + second) == NOON + second + second // 1_000


def test_a_step_ahead_counts_when_it_has_held_for_an_hour() -> None:
    clock = PatientClock(NOON)
    assert clock.believe(NOON, 0) == NOON
    for passed in range(5_000, HOLD_MS, 5_000):
        assert clock.believe(NOON + YEAR + passed, passed) == NOON + passed
    assert clock.believe(NOON + YEAR + HOLD_MS + 5_000, HOLD_MS + 5_000) == NOON + YEAR + HOLD_MS + 5_000


def test_a_step_that_is_taken_back_leaves_nothing() -> None:
    clock = PatientClock(NOON)
    clock.believe(NOON, 0)
    for passed in range(5_000, HOLD_MS // 2, 5_000):
        clock.believe(NOON + YEAR + passed, passed)
    for passed in range(HOLD_MS // 2, 2 * HOLD_MS, 5_000):
        assert clock.believe(NOON + passed, passed) == NOON + passed


def test_several_steps_each_start_the_hour_again() -> None:
    clock = PatientClock(NOON)
    clock.believe(NOON, 0)
    clock.believe(NOON + YEAR, 1_000)
    assert clock.believe(NOON + 2 * YEAR, HOLD_MS - 1_000) == NOON + HOLD_MS - 1_000
    assert clock.believe(NOON + 2 * YEAR + HOLD_MS, 2 * HOLD_MS - 2_000) == NOON + 2 * HOLD_MS - 2_000
    assert clock.believe(NOON + 2 * YEAR + HOLD_MS, 2 * HOLD_MS - 1_000) == NOON + 2 * YEAR + HOLD_MS


def test_a_clock_that_is_set_back_is_believed() -> None:
    clock = PatientClock(NOON)
    clock.believe(NOON, 0)
    assert clock.believe(NOON - YEAR, 5_000) == NOON - YEAR


def test_an_agent_that_was_away_waits_an_hour_before_it_believes_that_all_is_old() -> None:
    clock = PatientClock(NOON)
    assert clock.believe(NOON + YEAR, 9_000) == NOON
    assert clock.believe(NOON + YEAR + HOLD_MS, 9_000 + HOLD_MS) == NOON + YEAR + HOLD_MS


def test_a_store_that_is_new_has_no_past() -> None:
    assert PatientClock(None).believe(NOON, 5) == NOON
    assert STEP_MS < HOLD_MS

"""The agent's clock: delays do not move it, real steps do."""

from __future__ import annotations

from obsagent.record.agent_clock import AGREEING_ANSWERS, TOLERANCE_MS, AgentClock


def test_small_differences_are_left_alone() -> None:
    clock = AgentClock(1000.0)
    assert not clock.welcome(1000.0 + TOLERANCE_MS, 0.0)
    assert not clock.hear(1000.0 - TOLERANCE_MS, 0.0)
    assert clock.offset_ms == 1000.0


def test_the_welcome_is_believed() -> None:
    clock = AgentClock(1000.0)
    assert clock.welcome(500.0, 0.0)
    assert clock.offset_ms == 500.0


def test_a_larger_offset_is_believed_at_once() -> None:
    clock = AgentClock(1000.0)
    assert clock.hear(3000.0, 100.0)
    assert clock.offset_ms == 2900.0


def test_delayed_answers_do_not_set_the_clock_back() -> None:
    clock = AgentClock(1000.0)
    for _ in range(20):
        for _ in range(AGREEING_ANSWERS - 1):
            assert not clock.hear(200.0, 0.0)
        assert not clock.hear(1000.0, 0.0)
    assert clock.offset_ms == 1000.0


def test_a_clock_that_went_back_is_followed() -> None:
    clock = AgentClock(1000.0)
    changes = [clock.hear(400.0 + answer, 0.0) for answer in range(AGREEING_ANSWERS)]
    assert changes == [False] * (AGREEING_ANSWERS - 1) + [True]
    assert clock.offset_ms == 400.0 + AGREEING_ANSWERS - 1

"""Properties of generations: whatever comes when, the times are those of the arrivals and the tokens add up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import obsagent
from obsagent.testing import Memory

repeatable = settings(max_examples=40, deadline=None, derandomize=True)

PAUSES_S = st.floats(0, 10)
ARRIVALS = st.lists(st.tuples(PAUSES_S, st.integers(0, 5)), max_size=12)
ENDS = st.sampled_from(["ok", "error", "cancelled"])


def in_ns(seconds: float) -> object:
    """Within the nanoseconds that a dozen times are rounded to."""
    return pytest.approx(seconds, rel=1e-9, abs=2e-8)


@repeatable
@given(ARRIVALS, PAUSES_S, ENDS, st.none() | st.integers(0, 40))
def test_times_are_those_of_the_arrivals(
    arrivals: list[tuple[float, int]], rest_s: float, end: str, reported: int | None
) -> None:
    with Memory() as memory:
        generation = obsagent.connect(service="chat").generation("llama-3").start()
        now_s, at_s, counted = 0.0, [], 0
        for pause_s, count in arrivals:
            memory.clock.advance(pause_s)
            now_s += pause_s
            generation.token(count)
            counted += count
            at_s += [now_s] if count else []
        memory.clock.advance(rest_s)
        now_s += rest_s
        generation.tokens(output=reported)
        {"ok": generation.end, "error": generation.fail, "cancelled": generation.cancel}[end]()
        tokens = counted if reported is None else reported
        has_time_per_token = end == "ok" and tokens > 1 and (len(at_s) > 1 or (len(at_s) == 1 and reported is not None))

        assert memory.count("generations", status=end) == 1
        assert memory.sum("generation_duration") == in_ns(now_s)
        assert memory.count("time_to_first_token") == len(at_s[:1])
        assert memory.sum("time_to_first_token") == in_ns(sum(at_s[:1]))
        assert memory.count("inter_token_latency") == max(len(at_s) - 1, 0)
        assert memory.sum("inter_token_latency") == in_ns(at_s[-1] - at_s[0] if at_s else 0.0)
        assert memory.sum("tokens_out") == tokens
        assert memory.count("time_per_output_token") == has_time_per_token
        if has_time_per_token:
            assert memory.sum("time_per_output_token") == in_ns((now_s - at_s[0]) / (tokens - 1))
        assert memory.count("tokens_per_second") == (end == "ok" and tokens > 0 and round(now_s * 1e9) > 0)
        assert memory.last("generations_in_flight") == 0


@repeatable
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_a_clock_that_goes_back_makes_nothing_negative(steps: list[int]) -> None:
    with Memory() as memory:
        generation = obsagent.connect(service="chat").generation("llama-3").start()
        for step in steps:
            memory.clock._advanced_s += step
            generation.token()
        generation.end("stop")
        memory.clock._advanced_s += 100  # what the store is asked with
        for metric in ("time_to_first_token", "inter_token_latency", "time_per_output_token", "generation_duration"):
            least = memory.quantile(metric, 0.0)
            assert least is None or least >= 0.0

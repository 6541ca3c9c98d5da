import pytest

from obsagent.demo.pace import REMAINDER, Pace


def drive(pace: Pace, step_s: float, limit: int) -> list[int]:
    """Takes at most `limit` flights every `step_s` seconds until there are none left."""
    taken, elapsed_s = [], 0.0
    while not pace.finished:
        elapsed_s += step_s
        taken += pace.take(limit, elapsed_s)
    return taken


def test_a_fast_machine_takes_every_flight_once_and_in_order() -> None:
    pace = Pace(10_000, duration_s=60.0)
    assert drive(pace, step_s=0.05, limit=128) == list(range(10_000))
    assert (pace.taken, pace.skipped) == (10_000, 0)


def test_flights_are_taken_when_they_are_due() -> None:
    pace = Pace(1_000, duration_s=10.0)
    assert pace.take(128, elapsed_s=1.0) == range(100)
    assert pace.backlog(elapsed_s=1.0) == 0
    assert pace.backlog(elapsed_s=1.5) == 50


def test_one_flight_may_be_ahead_of_its_time() -> None:
    pace = Pace(1_000, duration_s=10.0)
    assert pace.take(128, elapsed_s=0.0) == range(1)
    assert pace.backlog(elapsed_s=0.0) == -1


@pytest.mark.parametrize("capacity_share", [0.9, 0.5, 0.1])
def test_a_slow_machine_ends_in_time_with_fewer_flights_spread_over_all(capacity_share: float) -> None:
    count, duration_s, step_s = 300_000, 60.0, 0.02
    pace = Pace(count, duration_s)
    limit = int(count * capacity_share / duration_s * step_s)
    elapsed_s, taken = 0.0, []
    while not pace.finished:
        elapsed_s += step_s
        taken += pace.take(limit, elapsed_s)
    assert elapsed_s < duration_s + (REMAINDER / limit + 2) * step_s
    assert taken == sorted(set(taken))
    assert pace.taken == len(taken)
    assert pace.taken + pace.skipped == count
    assert len(taken) > 0.9 * capacity_share * count
    for quarter in range(4):
        share = sum(quarter * count // 4 <= index < (quarter + 1) * count // 4 for index in taken) / len(taken)
        assert 0.15 < share < 0.4


def test_what_is_left_at_the_end_is_thinned_not_awaited() -> None:
    pace = Pace(100_000, duration_s=10.0)
    taken = drive(pace, step_s=10.0, limit=128)
    assert len(taken) <= REMAINDER
    assert pace.position == 100_000


def test_a_finished_pace_hands_out_nothing() -> None:
    pace = Pace(10, duration_s=1.0)
    drive(pace, step_s=0.5, limit=100)
    assert len(pace.take(100, elapsed_s=2.0)) == 0
    assert pace.taken == 10

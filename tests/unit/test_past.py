"""What windows are compared with of their own past: read once, in pieces, and never for longer than a look may take."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from obsagent.evaluate.counts import Bins, collect, expects, streams_of
from obsagent.evaluate.evaluator import Evaluator, Look
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.gathering import HOUR_MS, Budget, Gathering, Read
from obsagent.evaluate.past import PARTS, Past
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import Judged, State
from unit.feature_lab import LABEL, Lab

BEGIN_MS = 1_767_254_400_000
WINDOW_MS = 10_000
DAY_MS = 24 * HOUR_MS
FRAUD = Judged("fraud", "4", "live")
AMOUNT = ChartKey("amount", LABEL)
NEVER = Budget(lambda: 0.0, 1.0)


def ticking() -> Budget:
    """Over after every piece."""
    return Budget(map(float, itertools.count()).__next__, 0.0)


class Reading:
    """Reads of what a lab has stored, and which times they were of."""

    def __init__(self, lab: Lab) -> None:
        (stream,) = streams_of(lab.view.series()).values()
        self.spans: list[tuple[int, int]] = []
        self.whole: Read = lambda from_ms, to_ms: collect(lab.view, stream, from_ms, to_ms, expects(lab))

    def __call__(self, from_ms: int, to_ms: int) -> dict[ChartKey, Bins]:
        self.spans.append((from_ms, to_ms))
        return dict(self.whole(from_ms, to_ms))


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    lab.learn_numbers("amount")
    return lab


def fill(lab: Lab, hours: int, each: int = 1, mean: Callable[[int], float] = lambda _: 0.0, count: int = 60) -> None:
    for hour in range(0, hours, each):
        lab.numbers("amount", BEGIN_MS + hour * HOUR_MS, lab.normal(count, mean(hour)))


def test_counts_that_are_read_in_pieces_are_those_of_the_whole(lab: Lab) -> None:
    fill(lab, 100)
    read = Reading(lab)
    gathering = Gathering(BEGIN_MS + 1_800_000, BEGIN_MS + 90 * HOUR_MS)
    budget, looks = ticking(), 1
    while not gathering.go_on(read, budget):
        looks += 1
    assert looks == 90  # the clock ticks a second a call: an hour each
    assert gathering.counts == read.whole(gathering.from_ms, gathering.to_ms)
    assert read.spans[0][0] == gathering.from_ms
    assert read.spans[-1][1] == gathering.to_ms
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(read.spans))


def test_quick_pieces_grow_so_that_a_year_is_not_read_by_the_hour(lab: Lab) -> None:
    read = Reading(lab_with_a_sample(lab))
    assert Gathering(BEGIN_MS, BEGIN_MS + 365 * DAY_MS).go_on(read, NEVER)
    assert len(read.spans) < 365 * 24 / 60 + 10


def lab_with_a_sample(lab: Lab) -> Lab:
    fill(lab, 1)
    return lab


def test_a_past_is_brought_forward_and_no_sample_is_read_twice(lab: Lab) -> None:
    fill(lab, 400)
    read, past = Reading(lab), Past(DAY_MS)
    for hour in range(48, 400, 5):
        at_ms = BEGIN_MS + hour * HOUR_MS
        assert past.advance(read, at_ms, NEVER)
        found = sum(past.taken.counts[AMOUNT])
        assert 24 * 60 <= found <= (24 + 24 // PARTS) * 60
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(read.spans))
    assert read.spans[0][0] == BEGIN_MS + DAY_MS


def test_a_past_of_another_time_is_read_anew(lab: Lab) -> None:
    fill(lab, 400)
    read, past = Reading(lab), Past(DAY_MS)
    for hour in (100, 300, 200):
        at_ms = BEGIN_MS + hour * HOUR_MS
        assert past.advance(read, at_ms, NEVER)
        assert past.taken.counts == read.whole(at_ms - DAY_MS, at_ms)


def test_what_is_compared_with_is_seldom_taken_anew_once_there_is_much(lab: Lab) -> None:
    fill(lab, 10)
    read, past = Reading(lab), Past(DAY_MS)
    taken = set()
    for window in range(9 * 360):
        past.advance(read, BEGIN_MS + window * WINDOW_MS, NEVER)
        taken.add(past.taken.from_ms)
    assert 10 <= len(taken) <= 16  # after 1, 2, 4, … 32 minutes, then by the hour


@pytest.mark.parametrize("is_hour_of_week", [False, True])
def test_a_past_whose_reading_takes_many_looks_is_the_same(lab: Lab, is_hour_of_week: bool) -> None:
    fill(lab, 24 * 30, each=3)
    at_ms = BEGIN_MS + 29 * DAY_MS
    read, slow = Reading(lab), Past(21 * DAY_MS, is_hour_of_week=is_hour_of_week)
    quick = Past(21 * DAY_MS, is_hour_of_week=is_hour_of_week)
    assert quick.advance(read, at_ms, NEVER)
    looks = 0
    while not slow.advance(read, at_ms, ticking()):
        looks += 1
        assert not slow.taken.counts  # half a past is none
        assert looks < 1_000
    assert looks > 20
    assert slow.taken.counts.keys() == quick.taken.counts.keys()
    assert list(slow.taken.counts[AMOUNT]) == pytest.approx(list(quick.taken.counts[AMOUNT]))


class Ticks:
    """A clock that goes on at each glance."""

    def __init__(self, tick_s: float) -> None:
        self.now_s, self.tick_s = BEGIN_MS / 1000, tick_s

    def __call__(self) -> float:
        self.now_s += self.tick_s
        return self.now_s


def looked(lab: Lab, settings: Settings, tick_s: float, now_ms: int) -> tuple[State, list[Look]]:
    """Looks until nothing is left over, and once more when nothing has come for long."""
    clock = Ticks(tick_s)
    evaluator = Evaluator(State(), lab, lambda _: settings, monotonic=clock)
    looks: list[Look] = []
    for _ in range(2):
        looks.append(evaluator.look(lab.view, now_ms, budget_s=2.0))
        while looks[-1].is_behind:
            assert len(looks) < 2_000
            looks.append(evaluator.look(lab.view, now_ms, budget_s=2.0))
        clock.now_s += 3_600
    return evaluator.state, looks


@pytest.mark.parametrize("against", ["reference", "rolling", "hour-of-week"])
def test_short_looks_find_what_one_long_look_finds(lab: Lab, against: str) -> None:
    """Hours and days, with slices, whose windows and pasts take many looks to read."""
    for hour in range(24 * 12):
        mean = 0.0 if hour < 24 * 9 else 1.2
        lab.numbers("amount", BEGIN_MS + hour * HOUR_MS, lab.normal(60, mean), country="DE" if hour % 2 else "FR")
    settings = dataclasses.replace(Settings(days=0.5), against=against, past_ms=7 * DAY_MS)
    now_ms = BEGIN_MS + 12 * DAY_MS + 400_000
    whole, few = looked(lab, settings, 0.0, now_ms)
    parts, looks = looked(lab, settings, 0.7, now_ms)
    assert len(few) == 2
    assert len(looks) > 20
    assert parts.families(FRAUD)["1h"].charts == whole.families(FRAUD)["1h"].charts
    assert parts.families(FRAUD)["1d"].charts == whole.families(FRAUD)["1d"].charts
    once = Counter((each.feature, each.slice) for each in whole.totals.elements())
    assert once["amount", ""] == 1
    assert Counter((each.feature, each.slice) for each in parts.totals.elements()) == once

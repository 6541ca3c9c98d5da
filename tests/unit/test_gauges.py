"""Gauges of several workers become one value, by the rule that the instrument asked for."""

from __future__ import annotations

import math

import pytest

from obsagent.receive.gauges import FRESH_MS, Reading, combine, group, readings_of
from obsagent.samples import Kind, Series

READINGS = [Reading(4.0, 10), Reading(1.0, 30), Reading(7.0, 20)]


@pytest.mark.parametrize(("across", "value"), [("sum", 12.0), ("max", 7.0), ("min", 1.0), ("mean", 4.0), ("last", 1.0)])
def test_each_rule(across: str, value: float) -> None:
    assert combine(across, READINGS) == value


def test_nan_is_no_reading_and_infinity_is_one() -> None:
    assert combine("sum", [Reading(math.nan, 1), Reading(2.0, 1)]) == 2.0
    assert math.isnan(combine("max", [Reading(math.nan, 1)]))
    assert combine("sum", [Reading(math.inf, 1), Reading(2.0, 1)]) == math.inf
    assert math.isnan(combine("sum", [Reading(math.inf, 1), Reading(-math.inf, 1)]))


def test_workers_of_one_service_group_and_others_do_not() -> None:
    def series(number: int, **labels: str) -> Series:
        return Series(number, "queue_depth", Kind.GAUGE, labels)

    one = series(1, service="a", host="x", worker="0")
    two = series(2, service="a", host="y", worker="0")
    other = series(3, service="b", host="x", worker="0")
    assert sorted(map(len, group([one, two, other]).values())) == [1, 2]


def test_a_combined_series_is_no_reading_of_itself() -> None:
    own = Series(1, "queue_depth", Kind.GAUGE, {"service": "a", "host": "x", "worker": "0"})
    combined = Series(2, "queue_depth", Kind.GAUGE, {"service": "a"})
    assert list(group([own, combined]).values()) == [[own]]


def test_a_stale_reading_is_left_out() -> None:
    members = [Series(1, "g", Kind.GAUGE), Series(2, "g", Kind.GAUGE), Series(3, "g", Kind.GAUGE)]
    last = {1: (5.0, 1000), 2: (6.0, 1000 + FRESH_MS)}
    assert readings_of(members, last.get, 1001 + FRESH_MS) == [Reading(6.0, 1000 + FRESH_MS)]

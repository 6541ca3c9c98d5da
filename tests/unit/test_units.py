import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.cli.units import MISSING, format_age, format_number, format_quantity, format_share, format_value


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (1.5e-9, "1.50 ns"),
        (2.5e-10, "0.250 ns"),
        (1.234e-6, "1.23 µs"),
        (0.0123, "12.3 ms"),
        (0.99996, "1.00 s"),
        (0.9994, "999 ms"),
        (1, "1 s"),
        (59.96, "60.0 s"),
        (90.0, "1.50 min"),
        (7200, "2 h"),
        (-0.0123, "-12.3 ms"),
    ],
)
def test_seconds(seconds, shown):
    assert format_quantity(seconds, "seconds") == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0s"), (0.25, "250ms"), (245, "4m5s"), (math.inf, MISSING)])
def test_ages(seconds, shown):
    assert format_age(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.50 kB"), (2e9, "2 GB"), (999_999, "1.00 MB")]
)
def test_bytes(count, shown):
    assert format_quantity(count, "bytes") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (24310, "24,310"),
        (24310.0, "24,310"),
        (1234.5, "1,234"),
        (99.96, "100"),
        (0.931, "0.931"),
        (0.00012345, "0.000123"),
        (1.5e-7, "1.5e-07"),
        (2.5e17, "2.5e+17"),
        (-3.14159, "-3.14"),
        (math.nan, MISSING),
        (math.inf, MISSING),
    ],
)
def test_numbers(value, shown):
    assert format_number(value) == shown


def test_a_rate_is_per_second_and_keeps_the_unit_of_what_a_counter_counts():
    assert format_value(1.5e6, "rate", "bytes", "counter") == "1.50 MB/s"
    assert format_value(812.3, "rate", "seconds", "histogram") == "812/s"


def test_a_count_has_no_unit_but_the_sum_of_a_counter_has():
    assert format_value(24310, "count", "seconds", "histogram") == "24,310"
    assert format_value(2e9, "count", "bytes", "counter") == "2 GB"


def test_null_is_a_dash():
    assert format_value(None, "p99", "seconds", "histogram") == MISSING


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (0.993, "99.3 %"),
        (0.99973, "99.97 %"),
        (0.999999, "99.9999 %"),
        (0.99999973, "99.99997 %"),
        (0.0042, "0.420 %"),
        (1.25, "125 %"),
    ],
)
def test_a_share_is_a_percentage_that_never_rounds_to_the_whole(share, shown):
    assert format_share(share) == shown


@given(st.floats(min_value=0.9, max_value=1.0, exclude_max=True))
def test_no_share_below_the_whole_is_shown_as_the_whole(share):
    assert not format_share(share).startswith("100") or share * 100 == 100


@pytest.mark.parametrize("stat", ["under 250ms", "over 1s", "ratio", "error_rate"])
def test_shares_have_no_unit_of_the_metric(stat):
    assert format_value(0.25, stat, "seconds", "histogram") == "25 %"


def test_a_metric_that_is_a_ratio_is_shown_in_percent_but_not_how_many_or_how_old():
    assert format_value(0.93, "p50", "ratio", "histogram") == "93 %"
    assert format_value(12, "count", "ratio", "histogram") == "12"
    assert format_value(0.5, "rate", "ratio", "histogram") == "0.500/s"
    assert format_value(93.0, "p50", "percent", "gauge") == "93 %"


@pytest.mark.parametrize(("seconds", "shown"), [(0.25, "250ms"), (4.2, "4s"), (5_400.0, "1h30m"), (math.inf, MISSING)])
def test_an_age_is_a_duration(seconds, shown):
    assert format_value(seconds, "age", "seconds", "histogram") == shown
    assert format_value(seconds, "age", "ratio", "gauge") == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1500, "milliseconds", "1.50 s"),
        (2, "h", "2 h"),
        (90, "min", "1.50 h"),
        (1.5, "MB", "1.50 MB"),
        (0, "us", "0 s"),
    ],
)
def test_other_units_of_time_and_size_are_shown_by_the_same_steps(value, unit, shown):
    assert format_quantity(value, unit) == shown
    assert format_value(value, "stddev", unit, "histogram") == shown

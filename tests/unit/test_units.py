import math

import pytest

from obsagent.cli.units import MISSING, format_number, format_quantity, format_value


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

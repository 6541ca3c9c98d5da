import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.answer.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("90s", 90_000),
        ("15m", 900_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("1h1m1s1ms", 3_661_001),
        ("0h5m", 300_000),
    ],
)
def test_durations(text, milliseconds):
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "-5m", "5M", "5min", "5m3", "1e3s", "0s", "0.0001ms", "٥m", "9" * 13 + "s"]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


def test_suggestions():
    with pytest.raises(ValueError, match="did you mean `2h30m`"):
        parse_duration("2hours30minutes")
    with pytest.raises(ValueError, match="did you mean `300s`"):
        parse_duration("300")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0ms"),
        (-5, "0ms"),
        (250, "250ms"),
        (12_345, "12s"),
        (5_400_000, "1h30m"),
        (3_600_500, "1h"),
        (3_605_000, "1h"),
        (8 * 86_400_000, "1w1d"),
    ],
)
def test_format_shows_the_two_units_that_matter(milliseconds, text):
    assert format_duration(milliseconds) == text


@given(st.integers(1, 10**12))
def test_formatting_loses_less_than_a_sixtieth(milliseconds):
    shown = parse_duration(format_duration(milliseconds))
    assert 0 <= milliseconds - shown <= max(1000, milliseconds / 7)

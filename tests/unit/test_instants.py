"""Points in time, in any zone, on days that are 23 and 25 hours long."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from obsagent.answer.instants import midnight_ms, parse_instant
from obsagent.answer.zones import local_time, zone_of
from obsagent.errors import ProtocolError

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOW_MS = ms("2026-01-31T10:30:00+01:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-01-31T10:30:00+01:00"),
        ("9:05", "2026-01-31T09:05:00+01:00"),
        ("10:30", "2026-01-31T10:30:00+01:00"),
        ("10:31", "2026-01-30T10:31:00+01:00"),
        ("09:05:07.25", "2026-01-31T09:05:07.250+01:00"),
        ("09:05Z", "2026-01-31T09:05:00Z"),
        ("09:45Z", "2026-01-30T09:45:00Z"),
        ("2026-01-30", "2026-01-30T00:00:00+01:00"),
        ("2026-01-30T23:59", "2026-01-30T23:59:00+01:00"),
        ("2026-01-30T23:59Z", "2026-01-30T23:59:00Z"),
        ("2026-01-30T23:59:01-05:00", "2026-01-30T23:59:01-05:00"),
        ("2026-01-30 9:00", "2026-01-30T09:00:00+01:00"),
        ("2025-07-01T12:00", "2025-07-01T12:00:00+02:00"),
    ],
)
def test_times_are_local_unless_they_say_otherwise(text, expected):
    assert parse_instant(text).resolve(NOW_MS, BERLIN) == ms(expected)


def test_a_time_of_day_after_another_is_the_first_one():
    start_ms = ms("2026-01-30T22:00:00+01:00")
    assert parse_instant("02:00").resolve_after(start_ms, NOW_MS, BERLIN) == ms("2026-01-31T02:00:00+01:00")
    assert parse_instant("23:00").resolve_after(start_ms, NOW_MS, BERLIN) == ms("2026-01-30T23:00:00+01:00")
    assert parse_instant("now").resolve_after(start_ms, NOW_MS, BERLIN) == NOW_MS


def test_days_that_change_the_clock():
    spring_ms, autumn_ms = ms("2026-03-29T12:00:00+02:00"), ms("2026-10-25T12:00:00+01:00")
    assert spring_ms - midnight_ms(spring_ms, BERLIN) == 11 * 3_600_000
    assert autumn_ms - midnight_ms(autumn_ms, BERLIN) == 13 * 3_600_000
    assert midnight_ms(autumn_ms, BERLIN, 1) == ms("2026-10-24T00:00:00+02:00")
    assert parse_instant("02:30").resolve(autumn_ms, BERLIN) == ms("2026-10-25T02:30:00+02:00")  # the first of two


def test_without_a_zone_times_are_this_machines(monkeypatch):
    local = datetime.fromtimestamp(NOW_MS / 1000).astimezone()
    assert parse_instant(f"{local:%H:%M}").resolve(NOW_MS, None) == NOW_MS - local.second * 1000
    assert local_time(NOW_MS, None) == local


@pytest.mark.parametrize("text", ["", "5m", "9:5", "2026-1-1", "2026-01-31T", "14:05 Z", "yesterday", "٠٩:٠٠"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="expected a time such as 14:05"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["25:00", "10:61", "2026-02-30", "2026-13-01T10:00"])
def test_times_that_do_not_exist(text):
    with pytest.raises(ValueError, match="there is no such time"):
        parse_instant(text)


def test_zones_by_name_and_by_offset():
    assert zone_of("Europe/Berlin") == BERLIN
    assert datetime(2026, 1, 1, tzinfo=zone_of("+05:30")).astimezone(UTC).hour == 18
    for name in ("Europe/Atlantis", "../etc/passwd", "/etc/passwd", "+99:99", "", "x" * 100, "\0"):
        with pytest.raises(ProtocolError, match="is not known here"):
            zone_of(name)

"""Points in time as people write them: `14:05`, `2026-01-31`, `2026-01-31T14:05:30`, `14:05Z`, `now`.

Without a zone a time is the reader's local time. A time of day is one of the last 24 hours.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

EXPECTED = "expected a time such as 14:05, 2026-01-31 or 2026-01-31T14:05 (add Z for UTC)"

_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BOTH = re.compile(rf"{_DATE.pattern}[T ]{_CLOCK.pattern}")


class Instant(NamedTuple):
    """A time as it was written. `day` is None for a time of day, both are None for `now`."""

    text: str
    day: date | None = None
    clock: time | None = None

    def resolve(self, now_ms: int, zone: tzinfo | None) -> int:
        """Milliseconds since the epoch: of times of day the latest that is not after now."""
        if self.clock is None:
            return now_ms
        if self.day is not None:
            return epoch_ms(datetime.combine(self.day, self.clock), zone)
        today = datetime.fromtimestamp(now_ms / 1000).astimezone(self.clock.tzinfo or zone).date()
        at_ms = epoch_ms(datetime.combine(today, self.clock), zone)
        if at_ms <= now_ms:
            return at_ms
        return epoch_ms(datetime.combine(today - timedelta(days=1), self.clock), zone)

    def resolve_after(self, start_ms: int, now_ms: int, zone: tzinfo | None) -> int:
        """As `resolve`, but of times of day the first that is after `start_ms`."""
        if self.clock is None or self.day is not None:
            return self.resolve(now_ms, zone)
        day = datetime.fromtimestamp(start_ms / 1000).astimezone(self.clock.tzinfo or zone).date()
        at_ms = epoch_ms(datetime.combine(day, self.clock), zone)
        if at_ms > start_ms:
            return at_ms
        return epoch_ms(datetime.combine(day + timedelta(days=1), self.clock), zone)


def parse_instant(text: str) -> Instant:
    """The time; raises `ValueError`, which says what was expected."""
    if text == "now":
        return Instant(text)
    try:
        if _CLOCK.fullmatch(text):
            return Instant(text, None, time.fromisoformat(text if text[2] == ":" else f"0{text}"))
        if _DATE.fullmatch(text):
            return Instant(text, date.fromisoformat(text), time())
        if _BOTH.fullmatch(text):
            day, clock = text[:10], text[11:]
            return Instant(text, date.fromisoformat(day), time.fromisoformat(clock if clock[2] == ":" else f"0{clock}"))
    except ValueError as error:
        raise ValueError(f"there is no such time: {error}") from None
    raise ValueError(EXPECTED)


def midnight_ms(now_ms: int, zone: tzinfo | None, days_ago: int = 0) -> int:
    """The start of the reader's day."""
    today = datetime.fromtimestamp(now_ms / 1000).astimezone(zone).date()
    return epoch_ms(datetime.combine(today - timedelta(days=days_ago), time()), zone)


def epoch_ms(at: datetime, zone: tzinfo | None) -> int:
    """Milliseconds since the epoch of a time that may lack its zone; of one that a clock shows twice, the first."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone) if zone is not None else _local(at)
    return round(at.timestamp() * 1000)


def _local(at: datetime) -> datetime:
    """This machine's time; at the ends of the calendar, of which no machine knows an offset, UTC."""
    try:
        return at.astimezone()
    except (ValueError, OverflowError):
        return at.replace(tzinfo=UTC)


def iso_utc(at_ms: int) -> str:
    """`2026-01-31T09:12:07.250Z`."""
    whole = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"

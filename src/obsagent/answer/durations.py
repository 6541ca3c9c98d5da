"""Durations as people write them: `90s`, `1h30m`, `500ms`, `1.5d`."""

from __future__ import annotations

import re

UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
UNITS = "ms, s, m, h, d or w"

LONG_UNITS = {
    "ms": ("msec", "msecs", "millis", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
    "d": ("day", "days"),
    "w": ("wk", "wks", "week", "weeks"),
}
_SHORT_UNIT = {long: short for short, longs in LONG_UNITS.items() for long in longs}

_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_LONG_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)")


def parse_duration(text: str) -> int:
    """Milliseconds; raises `ValueError` (says what was expected) unless `text` is a duration above zero."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"expected a duration such as 90s, 15m or 1h30m (units: {UNITS}){_suggestion(text)}")
    total_ms = round(sum(float(number) * UNIT_MS[unit] for number, unit in _PART.findall(text)))
    if total_ms <= 0:
        raise ValueError("expected a duration above zero")
    return total_ms


def _suggestion(text: str) -> str:
    """What `5min` or `300` was probably meant to be."""
    if text.isdecimal() and text.isascii() and len(text) <= 12:
        return f"; did you mean `{text}s`?"
    short = _LONG_PART.sub(lambda part: part[1] + _SHORT_UNIT.get(part[2], part[2]), text.lower())
    return f"; did you mean `{short}`?" if _WHOLE.fullmatch(short) else ""


def format_duration(duration_ms: int) -> str:
    """The two largest units that matter: `1h30m`, `12s`, `250ms`."""
    if duration_ms < 1_000:
        return f"{max(0, duration_ms)}ms"
    remaining_ms = duration_ms - duration_ms % 1_000
    parts: list[str] = []
    for unit in ("w", "d", "h", "m", "s"):
        count, remaining_ms = divmod(remaining_ms, UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and not count):
            break
    return "".join(parts)

"""Single values of the configuration: how they are written, read, and shown where they are wrong.

Whoever has keys of its own (collectors, scraped servers, models) reads them by these, and knows nothing of the others.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from obsagent import limits
from obsagent.errors import ConfigError, printable

UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
DURATION_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
DURATION_PATTERN = re.compile(r"(\d+)([smhdwy])")
KEY_CHARACTERS_SHOWN = 80
BYTES_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


class Wrong:
    """Collects what is wrong with several keys, so that all of it can be said at once."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Within it a `ConfigError` is kept instead of raised."""
        try:
            yield
        except ConfigError as error:
            self.messages += error.args

    def raise_if_any(self) -> None:
        """Raises `ConfigError` with all of it."""
        if self.messages:
            raise ConfigError(*self.messages)


def shown(value: object) -> str:
    """The beginning of a value that was not expected, in one line."""
    return printable(reprlib.repr(value))


def shown_key(key: str) -> str:
    """The beginning of a key, in one line."""
    return printable(key[:KEY_CHARACTERS_SHOWN])


def parse_bytes(key: str, value: object) -> int:
    """A number of bytes, written as an integer or as text with a unit (`"128MB"`); raises `ConfigError`."""
    size: float = 0
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str):
        match = BYTES_PATTERN.fullmatch(value)
        size = float(match[1]) * UNITS[match[2]] if match and match[2] in UNITS else 0
    if 1 <= size <= limits.CONFIG_SIZE_MAX:
        return int(size)
    raise ConfigError(f'{key}: expected a size such as 134217728 or "128MB", got {shown(value)}')


def as_size(size: int) -> str:
    """A number of bytes as the configuration writes it, in the largest unit that divides it."""
    units = ((unit, factor) for unit, factor in UNITS.items() if size % factor == 0)
    unit, factor = max(units, key=lambda each: each[1])
    return f"{size // factor}{unit}"


def parse_text(key: str, value: object) -> str:
    """Text that is not empty; raises `ConfigError`."""
    if isinstance(value, str) and value and "\0" not in value:
        return value
    raise ConfigError(f"{key}: expected text in quotes, got {shown(value)}")


def parse_word(key: str, value: object, words: tuple[str, ...]) -> str:
    """One of some words; raises `ConfigError`."""
    if isinstance(value, str) and value in words:
        return value
    raise ConfigError(f"{key}: expected one of {', '.join(words)}, got {shown(value)}")


def parse_flag(key: str, value: object) -> bool:
    """`true` or `false`; raises `ConfigError`."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{key}: expected true or false, got {shown(value)}")


def parse_count(key: str, value: object) -> int:
    """How many series there may be; raises `ConfigError`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= limits.SERIES_ID_MAX:
        return value
    raise ConfigError(f"{key}: expected a whole number above zero, at most {limits.SERIES_ID_MAX}, got {shown(value)}")


def parse_duration(key: str, value: object) -> int:
    """A time in ms, written with units (`"48h"`, `"1h30m"`); raises `ConfigError`."""
    parts = DURATION_PATTERN.findall(value) if isinstance(value, str) else []
    if parts and "".join(number + unit for number, unit in parts) == value:
        total_ms = sum(int(number) * DURATION_UNITS_MS[unit] for number, unit in parts)
        if total_ms > 0:
            return total_ms
    raise ConfigError(f'{key}: expected a time such as "48h", "14d" or "1y", got {value!r}')


def as_duration(duration_ms: int) -> str:
    """A time as the configuration writes it, in the largest unit that divides it: 48 hours as `2d`."""
    units = [(unit, ms) for unit, ms in DURATION_UNITS_MS.items() if unit != "w" and duration_ms % ms == 0]
    unit, size = max(units or [("ms", 1)], key=lambda each: each[1])
    return f"{duration_ms // size}{unit}"


def parse_table(place: str, table: object, known: Mapping[str, Callable[[str, object], Any]]) -> dict[str, Any]:
    """The value of every key of a table, by what parses each; raises `ConfigError` with all that is wrong."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: expected a table with {', '.join(known)}, got {shown(table)}")
    values: dict[str, Any] = {}
    wrong = Wrong()
    for key, value in table.items():
        with wrong.noted():
            if key not in known:
                raise ConfigError(_unknown_key(key, list(known), f"{place}."))
            values[key] = known[key](f"{place}.{key}", value)
    wrong.raise_if_any()
    return values


def refuse_unknown(table: Mapping[str, object], known: list[str], prefix: str = "") -> None:
    """Raises `ConfigError` with a message for each key that is not known, and the nearest one that is."""
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ConfigError(*(_unknown_key(key, known, prefix) for key in unknown))


def _unknown_key(key: str, known: list[str], prefix: str) -> str:
    near = difflib.get_close_matches(shown_key(key), known, 1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {prefix}{shown_key(key)}; {hint}"

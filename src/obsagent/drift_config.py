"""How a model is judged for drift: `[models.NAME.drift]` of the configuration, and what holds where it is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from obsagent.config_values import Wrong, parse_duration, shown, shown_key
from obsagent.errors import ConfigError

DAY_MS = 86_400_000
REFERENCE, ROLLING, HOUR_OF_WEEK = "reference", "rolling", "hour-of-week"
AGAINST = (REFERENCE, ROLLING, HOUR_OF_WEEK)


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """Of one model, for each of its versions and variants."""

    alpha: float = 0.05
    """The share that may be wrong of the features that stand out in a window."""
    false_alarms: int = 30 * DAY_MS
    """At most one false alarm in so many ms, on average."""
    tolerance: float = 0.0
    """The divergence (KL, nats) up to which a change is none."""
    against: str = REFERENCE
    """What a window is compared with: the reference, the `past` before it, or the same hour of the weeks in that."""
    past: int = 7 * DAY_MS
    """How far (ms) the past goes back."""


def parse_drift(place: str, table: object) -> DriftConfig:
    """The table of one model; raises `ConfigError` with all that is wrong."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: expected a table with {', '.join(KEYS)}, got {shown(table)}")
    values: dict[str, Any] = {}
    wrong = Wrong()
    for key, value in table.items():
        with wrong.noted():
            if key not in KEYS:
                raise ConfigError(f"unknown key {place}.{shown_key(key)}; known keys: {', '.join(KEYS)}")
            values[key] = KEYS[key](f"{place}.{key}", value)
    wrong.raise_if_any()
    if values.get("against") == HOUR_OF_WEEK:
        values.setdefault("past", 28 * DAY_MS)
        if values["past"] < 7 * DAY_MS:
            raise ConfigError(f'{place}.past: hours of the week need a week at least, such as "28d"')
    return DriftConfig(**values)


def _alpha(place: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise ConfigError(f"{place}: expected a share between 0 and 1 such as 0.05, got {shown(value)}")


def _tolerance(place: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 10:
        return float(value)
    raise ConfigError(f"{place}: expected a divergence in nats such as 0.01, at most 10, got {shown(value)}")


def _against(place: str, value: object) -> str:
    if isinstance(value, str) and value in AGAINST:
        return value
    raise ConfigError(f"{place}: expected {', '.join(AGAINST[:-1])} or {AGAINST[-1]}, got {shown(value)}")


def _past(place: str, value: object) -> int:
    past_ms = parse_duration(place, value)
    if not 3_600_000 <= past_ms <= 366 * DAY_MS:
        raise ConfigError(f'{place}: expected from "1h" to "366d", got {shown(value)}')
    return past_ms


def _false_alarms(place: str, value: object) -> int:
    every_ms = parse_duration(place, value)
    if not 3_600_000 <= every_ms <= 3_660 * DAY_MS:
        raise ConfigError(f'{place}: expected a time between two false alarms from "1h" to "10y", got {shown(value)}')
    return every_ms


KEYS: dict[str, Callable[[str, object], Any]] = {
    "alpha": _alpha,
    "false_alarms": _false_alarms,
    "tolerance": _tolerance,
    "against": _against,
    "past": _past,
}

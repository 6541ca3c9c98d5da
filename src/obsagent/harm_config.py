"""When a model is said to do harm, `[models.NAME.harm]`, and what is run then, `[models.NAME] on_retrain`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from obsagent import limits
from obsagent.config_values import parse_duration, parse_table, parse_word, shown
from obsagent.errors import ConfigError

DAY_MS = 86_400_000
ERROR, BRIER, ABSOLUTE, SQUARED = LOSSES = ("error", "brier", "absolute", "squared")
SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class HarmConfig:
    """Of one model, for each of its versions and variants."""

    KEYS: ClassVar[Mapping[str, tuple[str]]] = {
        "tolerance": ("tolerance",),
        "false_alarms": ("false_alarms_ms",),
        "cooldown": ("cooldown_ms",),
        "loss": ("loss",),
        "bound": ("bound",),
    }

    tolerance: float = 0.02
    """How much the risk may be above the reference's: a mean loss a row of classes; of numbers a share of that."""
    false_alarms_ms: int = 365 * DAY_MS
    """At most one false recommendation in so long, on average."""
    cooldown_ms: int = 7 * DAY_MS
    """After a recommendation there is none for so long."""
    loss: str = ""
    """What a row's loss is; empty is `error` of classes, and `absolute` of numbers."""
    bound: float = 0.0
    """Of numbers: an error that is larger counts as one of this size; 0: as the reference, or the first truths, say."""


@dataclass(frozen=True, slots=True)
class RetrainConfig:
    """What is run once when retraining is recommended: a command, a webhook that is called, or both."""

    KEYS: ClassVar[Mapping[str, tuple[str]]] = {"command": ("command",), "url": ("url",), "timeout": ("timeout_ms",)}

    command: tuple[str, ...] = ()
    """The program and its arguments; no shell reads them."""
    url: str = ""
    timeout_ms: int = limits.RETRAIN_TIMEOUT_MS
    """For the command as a whole, and for each attempt to call the webhook."""


def parse_harm(place: str, table: object) -> HarmConfig:
    """The table of one model; raises `ConfigError` with all that is wrong."""
    values = parse_table(place, table, HARM_KEYS)
    return HarmConfig(**{HarmConfig.KEYS[key][0]: value for key, value in values.items()})


def parse_on_retrain(place: str, value: object) -> RetrainConfig:
    """A command or an address as text, or a table with either or both; raises `ConfigError` with all that is wrong."""
    if isinstance(value, str):
        return RetrainConfig(url=_url(place, value)) if _is_url(value) else RetrainConfig(_command(place, value))
    if not isinstance(value, dict):
        raise ConfigError(
            f'{place}: expected a command such as "/usr/local/bin/retrain fraud", an address such as '
            f'"https://ci.example/retrain", or a table with {", ".join(RETRAIN_KEYS)}, got {shown(value)}'
        )
    values = parse_table(place, value, RETRAIN_KEYS)
    if "command" not in values and "url" not in values:
        raise ConfigError(f"{place}: expected a command, a url, or both")
    return RetrainConfig(**{RetrainConfig.KEYS[key][0]: each for key, each in values.items()})


def _tolerance(place: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise ConfigError(
        f"{place}: expected how much risk may be added, from 0 to below 1, such as 0.02, got {shown(value)}"
    )


def _false_alarms(place: str, value: object) -> int:
    every_ms = parse_duration(place, value)
    if not DAY_MS <= every_ms <= 36_600 * DAY_MS:
        raise ConfigError(
            f'{place}: expected a time between two false recommendations from "1d" to "100y", got {shown(value)}'
        )
    return every_ms


def _cooldown(place: str, value: object) -> int:
    cooldown_ms = parse_duration(place, value)
    if cooldown_ms > 366 * DAY_MS:
        raise ConfigError(f'{place}: expected at most "366d", got {shown(value)}')
    return cooldown_ms


def _bound(place: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and limits.HARM_BOUND_MIN <= value <= limits.HARM_BOUND_MAX:  # type: ignore[operator]  # a number
        return float(value)  # type: ignore[arg-type]
    raise ConfigError(
        f"{place}: expected the size from which on an error counts no more, above 0, such as 50.0, got {shown(value)}"
    )


def _loss(place: str, value: object) -> str:
    return parse_word(place, value, LOSSES)


def _command(place: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise ConfigError(f"{place}: {shown(value)} cannot be taken apart: {error}") from None
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value) or not value[0]:
        raise ConfigError(f'{place}: expected a program and its arguments such as ["retrain", "fraud"]')
    if any("\0" in each for each in value) or sum(map(len, value)) > limits.RETRAIN_COMMAND_CHARACTERS_MAX:
        raise ConfigError(
            f"{place}: expected at most {limits.RETRAIN_COMMAND_CHARACTERS_MAX} characters, none of them NUL"
        )
    return tuple(value)


def _is_url(text: str) -> bool:
    return text.lower().startswith(SCHEMES)


def _url(place: str, value: object) -> str:
    try:
        url = urlsplit(value) if isinstance(value, str) and _is_url(value) and value.isprintable() else None
        usable = url is not None and bool(url.hostname) and url.port != 0 and " " not in url.geturl()
    except ValueError:
        usable = False
    if not usable or url is None:
        raise ConfigError(f'{place}: expected an address such as "https://ci.example/retrain", got {shown(value)}')
    if "@" in url.netloc:
        raise ConfigError(f"{place}: no password belongs into an address; let a command call it")
    return url._replace(path=url.path or "/", fragment="").geturl()


def _timeout(place: str, value: object) -> int:
    timeout_ms = parse_duration(place, value)
    if timeout_ms > limits.RETRAIN_TIMEOUT_MAX_MS:
        raise ConfigError(
            f'{place}: expected at most "{limits.RETRAIN_TIMEOUT_MAX_MS // 3_600_000}h", got {shown(value)}'
        )
    return timeout_ms


HARM_KEYS: dict[str, Callable[[str, object], Any]] = {
    "tolerance": _tolerance,
    "false_alarms": _false_alarms,
    "cooldown": _cooldown,
    "loss": _loss,
    "bound": _bound,
}
RETRAIN_KEYS: dict[str, Callable[[str, object], Any]] = {"command": _command, "url": _url, "timeout": _timeout}

"""What the configuration says of the GPUs: `[collect.gpu]`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields

from obsagent.config import parse_duration, shown, shown_key
from obsagent.errors import ConfigError
from obsagent.limits import COLLECT_INTERVAL_MAX_MS

PLACE = "collect.gpu"
KEYS = ("enabled", "interval")


@dataclass(frozen=True, slots=True)
class GpuSettings:
    """Whether GPUs are read, and how often (ms, from the beginning of a round to that of the next)."""

    enabled: bool = True
    interval_ms: int = 5_000

    @classmethod
    def from_mapping(cls, table: object) -> GpuSettings:
        """The settings of a table; raises `ConfigError`."""
        if not isinstance(table, Mapping):
            raise ConfigError(f"{PLACE}: expected a table such as [{PLACE}]")
        for key in table:
            _refuse_unknown(str(key))
        enabled = table.get("enabled", cls.enabled_by_default())
        if not isinstance(enabled, bool):
            raise ConfigError(f"{PLACE}.enabled: expected true or false, got {shown(enabled)}")
        return cls(enabled, _interval_ms(table["interval"])) if "interval" in table else cls(enabled)

    @classmethod
    def enabled_by_default(cls) -> bool:
        """What holds where nothing is said."""
        return next(bool(each.default) for each in fields(cls) if each.name == "enabled")


def _refuse_unknown(key: str) -> None:
    if key not in KEYS:
        near = difflib.get_close_matches(shown_key(key), KEYS, 1)
        hint = f"did you mean {PLACE}.{near[0]}?" if near else f"known keys: {', '.join(KEYS)}"
        raise ConfigError(f"unknown key {PLACE}.{shown_key(key)}; {hint}")


def _interval_ms(value: object) -> int:
    interval_ms = parse_duration(f"{PLACE}.interval", value)
    if interval_ms > COLLECT_INTERVAL_MAX_MS:
        raise ConfigError(f"{PLACE}.interval: expected at most {COLLECT_INTERVAL_MAX_MS // 1000}s, got {shown(value)}")
    return interval_ms

"""The agent's configuration: defaults, a TOML file, and what the command line says on top.

Every key is optional; an unknown key is an error that names the nearest one that exists.
"""

from __future__ import annotations

import difflib
import os
import re
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsagent import limits
from obsagent.endpoints import default_control, default_listen, default_serve
from obsagent.errors import ConfigError, UsageError, printable
from obsagent.http_address import default_http, parse_http

if TYPE_CHECKING:
    from obsagent.collect.scrape_settings import ScrapeSettings

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
TIERS = ("10s", "1m", "1h")
"""The names of the tiers, in the order of `limits.TIER_WINDOWS_MS`."""
KEY_CHARACTERS_SHOWN = 80
BYTES_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def default_data() -> Path:
    """Where the store lies: `$XDG_DATA_HOME/obsagent`, else `~/.local/share/obsagent`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "obsagent"


@dataclass(frozen=True, slots=True)
class MetricConfig:
    """What a metric's series are told: `[metrics.NAME]`."""

    scale: int = 6


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything the agent needs to know to start."""

    data: Path = field(default_factory=default_data)
    listen: str = field(default_factory=default_listen)
    serve: str = field(default_factory=default_serve)
    control: str = ""
    socket_group: str = ""
    keys: Path | None = None
    require_keys: bool = False
    http: str | None = field(default_factory=default_http)
    """HOST:PORT, or `off`; None where nobody asked: then a default that may be taken."""
    http_token: Path | None = None
    """The file of the token that is asked for at the HTTP port."""
    series_per_metric: int = limits.SERIES_PER_METRIC
    series_total: int = limits.SERIES_TOTAL
    head_budget: int = limits.HEAD_BYTES
    disk_budget: int = limits.DISK_BYTES
    retention: tuple[int, ...] = limits.TIER_RETENTION_MS
    """How long (ms) each tier is kept, in the order of `limits.TIER_WINDOWS_MS`."""
    metrics: Mapping[str, MetricConfig] = field(default_factory=dict)
    collect: Mapping[str, Any] = field(default_factory=lambda: _parse_collect("collect", {}))
    """Name of a collector → its settings (`obsagent.collect.registry`); one that is not named is off."""
    scrape: tuple[ScrapeSettings, ...] = ()
    """Pages of servers that are not ours."""

    @property
    def control_endpoint(self) -> str:
        """Where those connect who change the agent: by default beside the readers' socket."""
        return self.control or default_control(self.serve, self.listen)

    @property
    def keys_directory(self) -> Path:
        """Where the keys of the agent and of its clients lie: by default in the store's directory."""
        return self.keys or self.data / "keys"


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


def _parse_text(key: str, value: object) -> str:
    if isinstance(value, str) and value and "\0" not in value:
        return value
    raise ConfigError(f"{key}: expected text in quotes, got {shown(value)}")


def _parse_http(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f'{key}: expected HOST:PORT such as "127.0.0.1:9464", or "off", got {shown(value)}')
    try:
        parse_http(value)
    except UsageError as error:
        raise ConfigError(str(error)) from None
    return value


def _parse_flag(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{key}: expected true or false, got {value!r}")


def _parse_count(key: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= limits.SERIES_ID_MAX:
        return value
    raise ConfigError(f"{key}: expected a whole number above zero, at most {limits.SERIES_ID_MAX}, got {shown(value)}")


def _parse_metrics(key: str, value: object) -> dict[str, MetricConfig]:
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: expected tables such as [metrics.latency]")
    metrics = {}
    for name, table in value.items():
        place = f"{key}.{shown_key(name)}"
        if not isinstance(table, dict):
            raise ConfigError(f"{place}: expected a table with scale = 0 … 8")
        _refuse_unknown(table, ["scale"], f"{place}.")
        scale = table.get("scale", 6)
        if type(scale) is not int or not limits.SCALE_MIN <= scale <= limits.SCALE_MAX:
            raise ConfigError(f"{place}.scale: expected a whole number from 0 to 8, got {shown(scale)}")
        metrics[name] = MetricConfig(scale)
    return metrics


def _parse_collect(key: str, value: object) -> dict[str, Any]:
    from obsagent.collect.registry import parse  # the collectors know best what they can be told

    return parse(key, value)


def _parse_scrape(key: str, value: object) -> tuple[ScrapeSettings, ...]:
    from obsagent.collect.scrape_settings import parse_scrape

    return parse_scrape(key, value)


def _parse_disk_budget(key: str, value: object) -> int:
    size = parse_bytes(key, value)
    if size < limits.DISK_BYTES_MIN:
        raise ConfigError(f"{key}: expected at least {limits.DISK_BYTES_MIN // 10**6}MB, got {value!r}")
    return size


def parse_duration(key: str, value: object) -> int:
    """A time in ms, written with units (`"48h"`, `"1h30m"`); raises `ConfigError`."""
    parts = DURATION_PATTERN.findall(value) if isinstance(value, str) else []
    if parts and "".join(number + unit for number, unit in parts) == value:
        total_ms = sum(int(number) * DURATION_UNITS_MS[unit] for number, unit in parts)
        if total_ms > 0:
            return total_ms
    raise ConfigError(f'{key}: expected a time such as "48h", "14d" or "1y", got {value!r}')


def _parse_retention(key: str, value: object) -> tuple[int, ...]:
    """The tiers that the table names; the others keep their defaults."""
    if not isinstance(value, dict):
        raise ConfigError(f'{key}: expected a table such as {{ "10s" = "48h", "1m" = "14d", "1h" = "1y" }}')
    _refuse_unknown(value, list(TIERS), f"{key}.")
    given = {name: parse_duration(f"{key}.{name}", each) for name, each in value.items()}
    kept = [given.get(name, default) for name, default in zip(TIERS, limits.TIER_RETENTION_MS, strict=True)]
    if kept[0] < limits.RETENTION_MIN_MS:
        raise ConfigError(f"{key}.10s: expected at least {limits.RETENTION_MIN_MS // 60_000}m")
    for (finer, finer_ms), (coarser, coarser_ms) in pairwise(zip(TIERS, kept, strict=True)):
        if coarser_ms < finer_ms:
            raise ConfigError(f"{key}: windows of {coarser} must be kept at least as long as those of {finer}")
    return tuple(kept)


PARSERS = {
    "data": lambda key, value: Path(_parse_text(key, value)),
    "listen": _parse_text,
    "serve": _parse_text,
    "control": _parse_text,
    "socket_group": _parse_text,
    "keys": lambda key, value: Path(_parse_text(key, value)),
    "require_keys": _parse_flag,
    "http": _parse_http,
    "http_token": lambda key, value: Path(_parse_text(key, value)),
    "series_per_metric": _parse_count,
    "series_total": _parse_count,
    "head_budget": parse_bytes,
    "disk_budget": _parse_disk_budget,
    "retention": _parse_retention,
    "metrics": _parse_metrics,
    "collect": _parse_collect,
    "scrape": _parse_scrape,
}


def _refuse_unknown(table: Mapping[str, object], known: list[str], prefix: str = "") -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(shown_key(key), known, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key {prefix}{shown_key(key)}; {hint}")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(limits.CONFIG_BYTES_MAX + 1)
    if len(data) > limits.CONFIG_BYTES_MAX:
        raise ConfigError(f"larger than {limits.CONFIG_BYTES_MAX} bytes")
    return data.decode()


def load(path: Path | None = None, **overrides: Any) -> AgentConfig:
    """The configuration of `path` (a TOML file, optional) with `overrides` on top; None overrides nothing.

    Raises `ConfigError` for a file that cannot be read, is no TOML, or holds an unknown key or a wrong value.
    """
    known = [each.name for each in fields(AgentConfig)]
    values: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(_read(path))
            _refuse_unknown(table, known)
            values = {key: PARSERS[key](key, value) for key, value in table.items()}
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, numbers of too many digits, deep nesting
            raise ConfigError(f"{path}: not TOML: {printable(str(error))}") from None
    given = {key: value for key, value in overrides.items() if value is not None}
    return replace(AgentConfig(**values), **given)

"""The agent's configuration: the command line wins over the environment, that over a TOML file, that over the defaults.

Every key is optional; an unknown key is an error that names the nearest one that exists. All that is wrong is said at
once, each with the line or the variable in which it stands.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent import environment, limits
from obsagent.config_values import (
    Wrong,
    as_duration,
    parse_bytes,
    parse_count,
    parse_duration,
    parse_flag,
    parse_text,
    parse_word,
    refuse_unknown,
    shown,
    shown_key,
)
from obsagent.endpoints import check_endpoint, default_control, default_listen, default_serve
from obsagent.errors import ConfigError, UsageError, printable
from obsagent.http_address import parse_http
from obsagent.toml_lines import lines_of, nearest

if TYPE_CHECKING:
    from obsagent.collect.scrape_settings import ScrapeSettings
    from obsagent.models_config import ModelConfig

TIERS = ("10s", "1m", "1h")
"""The names of the tiers, in the order of `limits.TIER_WINDOWS_MS`."""
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


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
    http: str | None = None
    """HOST:PORT, or `off`; None where nobody asked: then a default that may be taken."""
    http_token: Path | None = None
    """The file of the token that is asked for at the HTTP port."""
    http_certificate: Path | None = None
    http_key: Path | None = None
    """With both the HTTP port speaks TLS."""
    series_per_metric: int = limits.SERIES_PER_METRIC
    series_total: int = limits.SERIES_TOTAL
    head_budget: int = limits.HEAD_BYTES
    disk_budget: int = limits.DISK_BYTES
    ledger_budget: int = limits.LEDGER_DISK_BYTES
    retention: tuple[int, ...] = limits.TIER_RETENTION_MS
    """How long (ms) each tier is kept, in the order of `limits.TIER_WINDOWS_MS`."""
    log_format: str = "text"
    log_level: str = "info"
    metrics: Mapping[str, MetricConfig] = field(default_factory=dict)
    collect: Mapping[str, Any] = field(default_factory=lambda: _parse_collect("collect", {}))
    """Name of a collector → its settings (`obsagent.collect.registry`); one that is not named is off."""
    scrape: tuple[ScrapeSettings, ...] = ()
    """Pages of servers that are not ours."""
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    """Name of a model → how it is watched."""

    @property
    def control_endpoint(self) -> str:
        """Where those connect who change the agent: by default beside the readers' socket."""
        return self.control or default_control(self.serve, self.listen)

    @property
    def keys_directory(self) -> Path:
        """Where the keys of the agent and of its clients lie: by default in the store's directory."""
        return self.keys or self.data / "keys"


def _parse_http(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f'{key}: expected HOST:PORT such as "127.0.0.1:9464", or "off", got {shown(value)}')
    try:
        parse_http(value)
    except UsageError as error:
        raise ConfigError(str(error)) from None
    return value


def _parse_endpoint(key: str, value: object) -> str:
    try:
        return check_endpoint(parse_text(key, value))
    except UsageError as error:
        raise ConfigError(f"{key}: {error}") from None


def _parse_metrics(key: str, value: object) -> dict[str, MetricConfig]:
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: expected tables such as [metrics.latency]")
    metrics = {}
    wrong = Wrong()
    for name, table in value.items():
        with wrong.noted():
            metrics[name] = _parse_metric(f"{key}.{shown_key(name)}", table)
    wrong.raise_if_any()
    return metrics


def _parse_metric(place: str, table: object) -> MetricConfig:
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: expected a table with scale = 0 … 8")
    refuse_unknown(table, ["scale"], f"{place}.")
    scale = table.get("scale", 6)
    if type(scale) is not int or not limits.SCALE_MIN <= scale <= limits.SCALE_MAX:
        raise ConfigError(f"{place}.scale: expected a whole number from 0 to 8, got {shown(scale)}")
    return MetricConfig(scale)


def _parse_collect(key: str, value: object) -> dict[str, Any]:
    from obsagent.collect.registry import parse  # the collectors know best what they can be told

    return parse(key, value)


def _parse_scrape(key: str, value: object) -> tuple[ScrapeSettings, ...]:
    from obsagent.collect.scrape_settings import parse_scrape

    return parse_scrape(key, value)


def _parse_models(key: str, value: object) -> dict[str, ModelConfig]:
    from obsagent.models_config import parse_models

    return parse_models(key, value)


def _parse_disk_budget(key: str, value: object) -> int:
    size = parse_bytes(key, value)
    if size < limits.DISK_BYTES_MIN:
        raise ConfigError(f"{key}: expected at least {limits.DISK_BYTES_MIN // 10**6}MB, got {value!r}")
    return size


def _parse_retention(key: str, value: object) -> tuple[int, ...]:
    """The tiers that the table names; the others keep their defaults."""
    if not isinstance(value, dict):
        raise ConfigError(f'{key}: expected a table such as {{ "10s" = "48h", "1m" = "14d", "1h" = "1y" }}')
    refuse_unknown(value, list(TIERS), f"{key}.")
    given, wrong = {}, Wrong()
    for name, each in value.items():
        with wrong.noted():
            given[name] = parse_duration(f"{key}.{name}", each)
    wrong.raise_if_any()
    kept = [given.get(name, default) for name, default in zip(TIERS, limits.TIER_RETENTION_MS, strict=True)]
    if kept[0] < limits.RETENTION_MIN_MS:
        raise ConfigError(f"{key}.10s: expected at least {limits.RETENTION_MIN_MS // 60_000}m")
    for (finer, finer_ms), (coarser, coarser_ms) in pairwise(zip(TIERS, kept, strict=True)):
        if coarser_ms < finer_ms:
            raise ConfigError(f"{key}: windows of {coarser} must be kept at least as long as those of {finer}")
    return tuple(kept)


PARSERS = {
    "data": lambda key, value: Path(parse_text(key, value)),
    "listen": _parse_endpoint,
    "serve": _parse_endpoint,
    "control": _parse_endpoint,
    "socket_group": parse_text,
    "keys": lambda key, value: Path(parse_text(key, value)),
    "require_keys": parse_flag,
    "http": _parse_http,
    "http_token": lambda key, value: Path(parse_text(key, value)),
    "http_certificate": lambda key, value: Path(parse_text(key, value)),
    "http_key": lambda key, value: Path(parse_text(key, value)),
    "series_per_metric": parse_count,
    "series_total": parse_count,
    "head_budget": parse_bytes,
    "disk_budget": _parse_disk_budget,
    "ledger_budget": parse_bytes,
    "retention": _parse_retention,
    "log_format": lambda key, value: parse_word(key, value, LOG_FORMATS),
    "log_level": lambda key, value: parse_word(key, value, LOG_LEVELS),
    "metrics": _parse_metrics,
    "collect": _parse_collect,
    "scrape": _parse_scrape,
    "models": _parse_models,
}


class Mistake(NamedTuple):
    """One thing that is wrong, and where: in a variable, or in a line of the file if that is known."""

    says: str
    source: str
    line: int | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.says}"


class Reading(NamedTuple):
    """What was read: the configuration, or mistakes, and where each key of it comes from."""

    config: AgentConfig | None
    mistakes: list[Mistake]
    origins: dict[str, str]
    """`FILE:LINE`, a variable's name, or an option's, by key (tables with dots); the others have their defaults."""


def scalars() -> dict[str, object]:
    """Every key that has one value, and so a variable, with its default; keys of tables are written with dots.

    `control` is not among them: OBSAGENT_CONTROL says where `obsagent control` looks.
    """
    defaults = AgentConfig()
    found = {key: value for each in fields(defaults) for key, value in leaves(each.name, getattr(defaults, each.name))}
    return {
        key: value
        for key, value in found.items()
        if not isinstance(value, (Mapping, tuple)) and environment.variable_of(key) not in environment.CLIENTS
    }


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A key of the configuration or, if its value is a table, the keys of that, with values as the file has them."""
    if key == "retention":
        yield from ((f"{key}.{tier}", as_duration(kept)) for tier, kept in zip(TIERS, value, strict=True))
    elif isinstance(value, Mapping) or is_dataclass(value):
        for name, each in members(value):
            yield from leaves(f"{key}.{name}", each)
    else:
        yield key, value


def members(table: Any) -> list[tuple[str, Any]]:
    """Names and values within a table: a mapping, or settings, whose `KEYS`, if they have any, name their fields."""
    if isinstance(table, Mapping):
        return list(table.items())
    named = getattr(table, "KEYS", None) or {each.name: (each.name,) for each in fields(table)}
    return [(key, _as_in_file(name, getattr(table, name))) for key, (name, *_) in named.items()]


def _as_in_file(name: str, value: Any) -> Any:
    return as_duration(value) if name.endswith("_ms") and isinstance(value, int) else value


def read(path: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Reading:
    """Reads everything and judges all of it; `overrides` (None overrides nothing) are the command line's."""
    environ = os.environ if environ is None else environ
    path = path or (Path(environ[environment.CONFIG_FILE]) if environ.get(environment.CONFIG_FILE) else None)
    table: dict[str, Any] = {}
    origins: dict[str, str] = {}
    mistakes: list[Mistake] = []
    if path is not None:
        try:
            text = _read(path)
            table = tomllib.loads(text)
            origins = {key: f"{path}:{line}" for key, line in lines_of(text).items()}
        except OSError as error:
            mistakes.append(Mistake(f"cannot be read: {error.strerror}", str(path)))
        except ConfigError as error:
            mistakes.append(Mistake(str(error), str(path)))
        except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, numbers of too many digits, deep nesting
            mistakes.append(Mistake(f"not TOML: {printable(str(error))}", str(path)))
    try:
        for key, value in environment.values_from(environ, scalars()).items():
            _put(table, key, value)
            origins[key] = environment.variable_of(key)
    except ConfigError as error:
        mistakes += [Mistake(message.partition(": ")[2], message.partition(": ")[0]) for message in error.args]
    values, wrong = _parsed(table)
    mistakes += [placed(message, origins, path) for message in wrong.messages]
    given = {key: value for key, value in overrides.items() if value is not None}
    origins |= {key: f"--{key.replace('_', '-')}" for key in given}
    return Reading(None if mistakes else replace(AgentConfig(**values), **given), mistakes, origins)


def _put(table: dict[str, Any], key: str, value: object) -> None:
    """Sets a key of a table; nothing where the file has something else in that table's place, which is refused."""
    *outer, inner = key.split(".")
    for name in outer:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return
    table[inner] = value


def _parsed(table: dict[str, Any]) -> tuple[dict[str, Any], Wrong]:
    known = [each.name for each in fields(AgentConfig)]
    values: dict[str, Any] = {}
    wrong = Wrong()
    with wrong.noted():
        refuse_unknown(table, known)
    for key in table:
        if key in known:
            with wrong.noted():
                values[key] = PARSERS[key](key, table[key])
    return values, wrong


def placed(message: str, origins: dict[str, str], path: Path | None = None) -> Mistake:
    """The message with the place of the key that it begins with."""
    key = message.removeprefix("unknown key ").split(" ")[0].rstrip(":;")
    numbered = re.match(rf"{re.escape(key)} (\d+)\b", message)  # the tables of an array, as people count them
    origin = nearest(f"{key}.{int(numbered[1]) - 1}" if numbered else key, origins) or ""
    if origin.startswith(environment.PREFIX):
        return Mistake(message.removeprefix(f"{key}: "), origin)
    source, _, line = origin.rpartition(":")
    return Mistake(message, source, int(line)) if origin else Mistake(message, str(path or "environment"))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(limits.CONFIG_BYTES_MAX + 1)
    if len(data) > limits.CONFIG_BYTES_MAX:
        raise ConfigError(f"larger than {limits.CONFIG_BYTES_MAX} bytes")
    return data.decode()


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> AgentConfig:
    """The configuration of `path` (a TOML file, optional), the environment and `overrides`; None overrides nothing.

    Raises `ConfigError` for a file that cannot be read, is no TOML, or holds unknown keys or wrong values, with a
    message for each.
    """
    config, mistakes, _ = read(path, environ, **overrides)
    if config is None:
        raise ConfigError(*map(str, mistakes))
    return config

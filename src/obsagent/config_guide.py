"""What each key of the configuration means, and all of them as a file: `obsagent init`, `obsagent config show`.

The file's keys and defaults come from `AgentConfig`, so that only the sentences here can be forgotten; a test sees that
none is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from obsagent import environment
from obsagent.config import DURATION_UNITS_MS, TIERS, UNITS, AgentConfig, MetricConfig, scalars

LIVE = frozenset({"metrics", "retention", "disk_budget", "head_budget", "log_format", "log_level"})
"""The keys that a reload brings into force; the others need a restart."""

SAYS = {
    "data": "Where the store lies.",
    "listen": "Where models connect: ipc://PATH or tcp://HOST:PORT. They look at OBSAGENT_ENDPOINT.",
    "serve": "Where `obsagent query` and other readers connect. They look at OBSAGENT_AGENT.",
    "control": "Where `obsagent control` connects; by default beside the readers' socket.",
    "socket_group": "A group, by name or number, whose members may use the sockets; by default only this user may.",
    "keys": "Where the keys for tcp lie (`obsagent keys`); by default in the store.",
    "require_keys": "Ask for keys on 127.0.0.1 too.",
    "series_per_metric": 'How many series a metric may have; more of them share one, {overflow="true"}.',
    "series_total": "How many series there may be in all.",
    "head_budget": "How much memory windows may take before they are written into segments early.",
    "disk_budget": "How much disk the store may take. It beats the retention: the oldest, finest windows go first.",
    "retention": "How long windows of 10 seconds, a minute and an hour are kept.",
    "log_format": "How the agent logs on stderr: text, or json with an object a line.",
    "log_level": "What it logs: debug, info, warning or error, and what is worse.",
    "metrics": "The scale of a metric's histograms, 0 to 8: 6 means a relative error of 0.54 %, each step halves it.",
}
"""A sentence for every key."""

EXAMPLES = {
    "control": '"ipc:///run/obsagent/control.sock"',
    "socket_group": '"obsagent"',
    "keys": '"/etc/obsagent/keys"',
    "metrics": "[metrics.latency]\nscale = 7",
}
"""What stands in the file for keys that have no default to show."""

HEAD = """\
# Configuration of the obsagent agent: obsagent agent --config FILE
#
# Every key is optional. What begins with # and no space is a key with its default: remove the # to set it.
# `obsagent config check FILE` checks this file; `obsagent control reload`, or SIGHUP, brings it into force.
# The command line wins over variables such as OBSAGENT_DATA, they over this file.
"""


def commented(config: AgentConfig | None = None) -> str:
    """A configuration file that changes nothing: every key with its meaning and its default, commented out."""
    config = config or AgentConfig()
    plain, tables = [], []
    for each in fields(config):
        text = EXAMPLES.get(each.name) or written(each.name, getattr(config, each.name))
        block = [f"# {SAYS[each.name]}"] if each.name in SAYS else []
        block += [f"# {_when(each.name)}"]
        if text.startswith("["):
            tables.append("\n".join([*block, *(f"#{line}" for line in text.splitlines())]))
        else:
            plain.append("\n".join([*block, f"#{each.name} = {text}"]))
    return "\n\n".join([HEAD.rstrip("\n"), *plain, *tables]) + "\n"


def shown(config: AgentConfig, origins: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key, value as TOML and origin of everything in force; what has no value is left out."""
    for each in fields(config):
        value = getattr(config, each.name)
        if isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, type)):
            for key, inner in _inner(each.name, value):
                yield key, written(key, inner), origins.get(key) or _outer(key, origins)
        elif each.name == "retention":
            for tier, kept in zip(TIERS, value, strict=True):
                key = f"{each.name}.{tier}"
                yield key, json.dumps(as_duration(kept)), origins.get(key) or _outer(key, origins)
        elif value is not None and value != "":
            yield each.name, written(each.name, value), origins.get(each.name, "default")


def variables() -> list[str]:
    """The names of the variables that the agent reads instead of keys."""
    return [environment.variable_of(key) for key in scalars()]


def written(key: str, value: Any) -> str:
    """A value as it would stand in the file behind `key =`, or a whole table that begins with its header."""
    if key == "retention":
        pairs = (f'"{tier}" = {json.dumps(as_duration(kept))}' for tier, kept in zip(TIERS, value, strict=True))
        return f"{{ {', '.join(pairs)} }}"
    if key in ("head_budget", "disk_budget"):
        return json.dumps(as_size(value))
    if is_dataclass(value) and not isinstance(value, type):
        return "\n".join([f"[{key}]", *(f"{name} = {written(f'{key}.{name}', one)}" for name, one in _pairs(value))])
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(written(key, each) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{json.dumps(name)} = {written(key, each)}' for name, each in value.items())} }}"
    return json.dumps("" if value is None else str(value), ensure_ascii=False)


def as_duration(duration_ms: int) -> str:
    """A time as the configuration writes it, in the largest unit that divides it: `48h` as `2d`."""
    units = ((unit, ms) for unit, ms in DURATION_UNITS_MS.items() if unit != "w" and duration_ms % ms == 0)
    unit, size = max(units, key=lambda each: each[1])
    return f"{duration_ms // size}{unit}"


def as_size(size: int) -> str:
    """A number of bytes as the configuration writes it, in the largest unit that divides it."""
    units = ((unit, factor) for unit, factor in UNITS.items() if size % factor == 0)
    unit, factor = max(units, key=lambda each: each[1])
    return f"{size // factor}{unit}"


def _when(key: str) -> str:
    said = "A reload brings a change into force" if key in LIVE else "A change needs a restart"
    return f"{said}; {environment.variable_of(key)} sets it too." if key in scalars() else f"{said}."


def _inner(key: str, value: object) -> Iterator[tuple[str, Any]]:
    for name, each in _pairs(value):
        if isinstance(each, MetricConfig):
            yield from _inner(f"{key}.{name}", each)
        else:
            yield f"{key}.{name}", each


def _pairs(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return [(each.name, getattr(value, each.name)) for each in fields(value)]


def _outer(key: str, origins: Mapping[str, str]) -> str:
    """Where a value in an inline table comes from: where that stands, if the file names the key at all."""
    return origins.get(key.rpartition(".")[0], "default")

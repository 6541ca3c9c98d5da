"""What the configuration says of a collector: `[collect.NAME]`, a table for each.

A collector's settings are a dataclass whose `KEYS` say how the table's keys are read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Self

from obsagent.config_values import parse_duration, parse_flag, parse_text, shown, shown_key
from obsagent.errors import ConfigError
from obsagent.limits import COLLECT_INTERVAL_MAX_MS, COLLECT_PATTERNS_MAX

Parse = Callable[[str, object], Any]

INTERVAL_MS = 5_000
"""Half a window, so that each has a reading though rounds drift."""


def parse_interval(place: str, value: object) -> int:
    """A time in ms that is sensible between two rounds; raises `ConfigError`."""
    interval_ms = parse_duration(place, value)
    if interval_ms > COLLECT_INTERVAL_MAX_MS:
        raise ConfigError(f"{place}: expected at most {COLLECT_INTERVAL_MAX_MS // 1000}s, got {shown(value)}")
    return interval_ms


def parse_patterns(place: str, value: object) -> tuple[str, ...]:
    """A list of names with the wildcards `*`, `?` and `[…]`; raises `ConfigError`."""
    if not isinstance(value, list) or len(value) > COLLECT_PATTERNS_MAX:
        raise ConfigError(f'{place}: expected a list of at most {COLLECT_PATTERNS_MAX} names such as ["sd*"]')
    return tuple(parse_text(place, each) for each in value)


def table_of(place: str, value: object, known: list[str]) -> Mapping[str, object]:
    """A table that has no other keys than the `known`; raises `ConfigError`."""
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: expected a table, got {shown(value)}")
    for each in value:
        if each not in known:
            near = difflib.get_close_matches(shown_key(each), known, 1)
            hint = f"did you mean {place}.{near[0]}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key {place}.{shown_key(each)}; {hint}")
    return value


@dataclass(frozen=True, slots=True)
class Names:
    """Which disks, interfaces, mount points are read; by default all but `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def accept(self, name: str) -> bool:
        """True if it is to be read."""
        return (not self.include or _matches(name, self.include)) and not _matches(name, self.exclude)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def names_of(place: str, value: object) -> Names:
    """`{ include = [...], exclude = [...] }`: what is given replaces the default as a whole; raises `ConfigError`."""
    table = table_of(place, value, ["include", "exclude"])
    return Names(**{word: parse_patterns(f"{place}.{word}", each) for word, each in table.items()})


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """What every collector is told."""

    NAME: ClassVar[str] = ""
    KEYS: ClassVar[dict[str, tuple[str, Parse]]] = {
        "enabled": ("enabled", parse_flag),
        "interval": ("interval_ms", parse_interval),
    }
    """Key → the field that it fills, and what reads it."""

    enabled: bool = True
    interval_ms: int = INTERVAL_MS

    @classmethod
    def from_mapping(cls, table: object) -> Self:
        """The settings of a table; raises `ConfigError`."""
        place = f"collect.{cls.NAME}"
        values = {}
        for key, value in table_of(place, table, list(cls.KEYS)).items():
            name, parse = cls.KEYS[key]
            values[name] = parse(f"{place}.{key}", value)
        return cls(**values)


DISKS = Names(exclude=("loop*", "ram*", "zram*", "fd*", "sr*"))
INTERFACES = Names(exclude=("lo", "veth*", "docker*", "br-*", "virbr*", "cni*", "cali*", "flannel*", "tap*"))
"""Left out is what would count twice what others carry."""
FILESYSTEMS = Names()


@dataclass(frozen=True, slots=True)
class HostSettings(CollectorSettings):
    """`[collect.host]`: the machine itself. File systems are named by their mount points."""

    NAME: ClassVar[str] = "host"
    KEYS: ClassVar[dict[str, tuple[str, Parse]]] = CollectorSettings.KEYS | {
        "disks": ("disks", names_of),
        "interfaces": ("interfaces", names_of),
        "filesystems": ("filesystems", names_of),
    }

    disks: Names = DISKS
    interfaces: Names = INTERFACES
    filesystems: Names = FILESYSTEMS


@dataclass(frozen=True, slots=True)
class CgroupSettings(CollectorSettings):
    """`[collect.cgroup]`: the limits that hold for the agent and for each model's process."""

    NAME: ClassVar[str] = "cgroup"


@dataclass(frozen=True, slots=True)
class Matcher:
    """Processes that belong to a service and have no client: all that is given must hold."""

    service: str
    pid_file: str = ""
    name: str = ""
    command: str = ""
    cgroup: str = ""


MATCHER_KEYS = ("pid_file", "name", "command", "cgroup")


def parse_matchers(place: str, value: object) -> tuple[Matcher, ...]:
    """`[[collect.processes.match]]`; raises `ConfigError`."""
    if not isinstance(value, list) or len(value) > COLLECT_PATTERNS_MAX:
        raise ConfigError(f"{place}: expected tables [[{place}]], at most {COLLECT_PATTERNS_MAX}")
    return tuple(_matcher(f"{place}[{index}]", each) for index, each in enumerate(value))


def _matcher(place: str, value: object) -> Matcher:
    table = table_of(place, value, ["service", *MATCHER_KEYS])
    given = {word: parse_text(f"{place}.{word}", each) for word, each in table.items()}
    if "service" not in given:
        raise ConfigError(f'{place}: expected service = "NAME", the service that the processes belong to')
    if len(given) == 1:
        raise ConfigError(f"{place}: expected how to find the processes: one or more of {', '.join(MATCHER_KEYS)}")
    return Matcher(**given)


@dataclass(frozen=True, slots=True)
class ProcessesSettings(CollectorSettings):
    """`[collect.processes]`: the processes of models, found by their sessions and by matchers."""

    NAME: ClassVar[str] = "processes"
    KEYS: ClassVar[dict[str, tuple[str, Parse]]] = CollectorSettings.KEYS | {"match": ("match", parse_matchers)}

    match: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuSettings(CollectorSettings):
    """`[collect.gpu]`: the GPUs, and what the processes of models use of them."""

    NAME: ClassVar[str] = "gpu"

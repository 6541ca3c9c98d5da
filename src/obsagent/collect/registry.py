"""The collectors that there are: a name, what the configuration says of it, and what makes it.

A new collector is one line here; its settings are a class with `enabled`, `interval_ms` and `from_mapping(table)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from obsagent.collect.collector import Collector
from obsagent.collect.settings import CgroupSettings, GpuSettings, HostSettings, ProcessesSettings, table_of
from obsagent.collect.surroundings import Surroundings


class Kind(NamedTuple):
    """A collector's settings, and where its class lies: `module:Class`, called with settings and surroundings."""

    settings: Any
    place: str

    def make(self, settings: Any, surroundings: Surroundings) -> Collector:
        """A collector; what it needs is imported now."""
        module, _, name = self.place.partition(":")
        make: Callable[[Any, Surroundings], Collector] = getattr(import_module(module), name)
        return make(settings, surroundings)


KINDS = {
    "host": Kind(HostSettings, "obsagent.collect.host.collector:HostCollector"),
    "cgroup": Kind(CgroupSettings, "obsagent.collect.cgroup.collector:CgroupCollector"),
    "processes": Kind(ProcessesSettings, "obsagent.collect.processes.collector:ProcessesCollector"),
    "gpu": Kind(GpuSettings, "obsagent.collect.gpu.collector:of_surroundings"),
}


def defaults() -> dict[str, Any]:
    """Every collector as it is where nothing is said of it."""
    return {name: kind.settings() for name, kind in KINDS.items()}


def parse(place: str, value: object) -> dict[str, Any]:
    """`[collect]`: name → settings, of those that are not mentioned the defaults; raises `ConfigError`."""
    table = table_of(place, value, list(KINDS))
    return defaults() | {name: KINDS[name].settings.from_mapping(each) for name, each in table.items()}


def make(settings: Mapping[str, Any], surroundings: Surroundings) -> Iterator[Collector]:
    """The collectors that are on."""
    for name, each in settings.items():
        if each.enabled:
            yield KINDS[name].make(each, surroundings)

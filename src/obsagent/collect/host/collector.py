"""Reads the machine, part after part; a part that fails takes nothing from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from obsagent.collect.collector import Unreadable
from obsagent.collect.host.disks import Disks
from obsagent.collect.host.filesystems import Filesystems
from obsagent.collect.host.memory import Memory
from obsagent.collect.host.network import Network
from obsagent.collect.host.pressure import Pressure
from obsagent.collect.host.processors import Processors
from obsagent.collect.host.temperatures import Temperatures
from obsagent.collect.settings import HostSettings
from obsagent.collect.surroundings import Surroundings
from obsagent.readings import Reading


class Part(Protocol):
    """Reads one part of the machine; raises what it likes after, or instead of, readings."""

    def read(self) -> Iterator[Reading]:
        """One round."""
        ...


class NamedPart(NamedTuple):
    """A part, and what it is called where it fails."""

    name: str
    part: Part


class HostCollector:
    """Implements `obsagent.collect.collector.Collector`."""

    name = HostSettings.NAME

    def __init__(self, settings: HostSettings, surroundings: Surroundings) -> None:
        """Nothing is read before the first round."""
        self.interval_s = settings.interval_ms / 1000
        self._parts = [
            NamedPart("processors", Processors()),
            NamedPart("memory", Memory(surroundings.proc)),
            NamedPart("disks", Disks(settings.disks, surroundings.sys)),
            NamedPart("network", Network(settings.interfaces)),
            NamedPart("pressure", Pressure(surroundings.proc)),
            NamedPart("temperatures", Temperatures()),
            NamedPart("filesystems", Filesystems(settings.filesystems, surroundings.proc)),
        ]

    def collect(self) -> Iterator[Reading]:
        """What can be read; raises `Unreadable` with the parts that cannot."""
        troubles: list[str] = []
        for name, part in self._parts:
            yield from guarded(name, part.read, troubles)
        if troubles:
            raise Unreadable("; ".join(troubles))

    def close(self) -> None:
        """Nothing is held."""


def guarded(name: str, read: Callable[[], Iterator[Reading]], troubles: list[str]) -> Iterator[Reading]:
    """The readings up to the first error, which becomes one of the troubles."""
    try:
        yield from read()
    except Exception as error:  # a driver's file may hold anything: the rest is read all the same
        troubles.append(f"{name}: {error or type(error).__name__}")

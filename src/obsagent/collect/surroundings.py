"""What a collector may know of the agent that it belongs to, and where it finds the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from obsagent.processes import pid_namespace


class ModelSession(NamedTuple):
    """A session that has not ended, on this host: a life of a model's process, or of a client in it.

    `pid` counts within `pid_namespace` (0: not known). `started_ms` is when the client began, by the wall clock: its
    process is older.
    """

    service: str
    worker: int
    version: str
    pid: int
    pid_namespace: int
    started_ms: int

    def labels(self) -> dict[str, str]:
        """Those that the session's own series have, but for `host`."""
        labels = {"service": self.service, "worker": str(self.worker)}
        return {**labels, "version": self.version} if self.version else labels


def uptime_s() -> float:
    """Since the machine began, the time in which it slept included: the clock of which processes have their start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _nobody() -> Iterable[ModelSession]:
    return ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`sessions` may be called in any thread. Tests put recorded trees in the place of `/`."""

    sessions: Callable[[], Iterable[ModelSession]] = _nobody
    root: Path = Path("/")
    pid_namespace: Callable[[], int] = pid_namespace
    uptime_s: Callable[[], float] = uptime_s
    wall_s: Callable[[], float] = time.time

    @property
    def proc(self) -> Path:
        """Where processes are."""
        return self.root / "proc"

    @property
    def sys(self) -> Path:
        """Where devices are."""
        return self.root / "sys"

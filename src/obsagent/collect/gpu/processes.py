"""The processes on a device: how much memory each holds, and how much of its time.

NVML counts in the pids of the host. A process that has no session of its own belongs to the nearest ancestor that has
one: servers run their engines in child processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from obsagent.collect.gpu.library import Api, Code, code_of
from obsagent.collect.gpu.questions import Questions
from obsagent.processes import parent_pid

Owner = tuple[tuple[str, str], ...]
"""Labels of a session, in a fixed order."""
Owners = Mapping[int, Mapping[str, str]]

KINDS = ("Compute", "Graphics", "MPSCompute")
GENERATIONS_MAX = 16
NO_SAMPLES = (0, Code.NOT_FOUND, Code.NO_DATA)
"""pynvml raises even for success where the list of samples is empty."""
PERCENT_MAX = 100
"""Drivers are known to give numbers far beyond for processes that have just begun."""


class Usage(NamedTuple):
    """What the processes of one owner use of one device."""

    memory_bytes: float
    utilization: float | None


def usage_by_owner(
    memory: Mapping[int, int], utilization: Mapping[int, float] | None, owners: Owners
) -> dict[Owner, Usage]:
    """Memory and share of the time by owner; what nobody owns is left out."""
    found: dict[Owner, Usage] = {}
    for pid in {*memory, *(utilization or ())}:
        owner = owner_of(pid, owners)
        if owner is None:
            continue
        before = found.get(owner, Usage(0.0, None if utilization is None else 0.0))
        share = None if utilization is None else (before.utilization or 0.0) + utilization.get(pid, 0.0)
        found[owner] = Usage(before.memory_bytes + memory.get(pid, 0), share)
    return found


def owner_of(pid: int, owners: Owners, parent: Callable[[int], int] = parent_pid) -> Owner | None:
    """The labels of the session of a process, or of its nearest ancestor with one."""
    for _ in range(GENERATIONS_MAX):
        labels = owners.get(pid)
        if labels is not None:
            return tuple(sorted(labels.items()))
        pid = parent(pid)
        if pid <= 1:
            return None
    return None


def memory_by_pid(questions: Questions, uuid: str, handle: Any) -> dict[int, int]:
    """Bytes by process. One that computes and draws is in two lists with all of its memory in both."""
    memory: dict[int, int] = {}
    for kind in KINDS:
        for each in _processes(questions, uuid, handle, kind):
            if each.usedGpuMemory is not None:
                memory[each.pid] = max(memory.get(each.pid, 0), int(each.usedGpuMemory))
    return memory


def _processes(questions: Questions, uuid: str, handle: Any, kind: str) -> list[Any]:
    """Drivers before 510 have the second version of the list only, which has the same fields."""
    for version in ("v3", "v2"):
        read = getattr(questions.api, f"nvmlDeviceGet{kind}RunningProcesses_{version}")
        found = questions.ask(uuid, f"{kind} processes {version}", partial(read, handle))
        if found is not None:
            return list(found)
    return []


class Utilization:
    """Reads the shares of the time that processes have had; drivers tell those since a time (µs since the epoch)."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._seen_us: dict[str, int] = {}

    def by_pid(self, questions: Questions, uuid: str, handle: Any, interval_s: float) -> dict[int, float] | None:
        """A share for each process that had one since the last call; None where the driver cannot tell."""
        since_us = self._seen_us.get(uuid) or int((time.time() - interval_s) * 1e6)
        samples = questions.ask(uuid, "process utilization", lambda: _samples(questions.api, handle, since_us))
        if samples is None:
            return None
        self._seen_us[uuid] = max((each.timeStamp for each in samples), default=since_us)
        newest = sorted((each for each in samples if each.smUtil <= PERCENT_MAX), key=lambda each: each.timeStamp)
        return {each.pid: each.smUtil / 100 for each in newest}


def _samples(api: Api, handle: Any, since_us: int) -> list[Any]:
    """An idle device has none, which NVML calls an error."""
    try:
        return list(api.nvmlDeviceGetProcessUtilization(handle, since_us))
    except api.NVMLError as error:
        if code_of(error) in NO_SAMPLES:
            return []
        raise

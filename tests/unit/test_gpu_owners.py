"""Whose process holds memory of a GPU: the sessions by the pids of their processes."""

from __future__ import annotations

import os
import time

from obsagent.collect.gpu.collector import of_surroundings
from obsagent.collect.settings import GpuSettings
from obsagent.collect.surroundings import ModelSession, Surroundings
from obsagent.processes import parent_pid, pid_namespace


def session(pid: int, service: str, started_s: float) -> ModelSession:
    return ModelSession(service, 3, "7", pid, pid_namespace(), round(started_s * 1000))


def owners(*sessions: ModelSession) -> dict[int, dict[str, str]]:
    collector = of_surroundings(GpuSettings(), Surroundings(sessions=lambda: sessions))
    return {pid: dict(labels) for pid, labels in collector._owners().items()}


def test_a_session_owns_its_process() -> None:
    own = {os.getpid(): {"service": "fraud", "worker": "3", "version": "7"}}
    assert owners(session(os.getpid(), "fraud", time.time())) == own


def test_a_process_that_began_after_the_session_is_another() -> None:
    assert owners(session(os.getpid(), "fraud", time.time() - 1e6)) == {}


def test_of_two_sessions_of_a_process_the_later_one_counts() -> None:
    now = time.time()
    (labels,) = owners(session(os.getpid(), "new", now), session(os.getpid(), "old", now - 0.5)).values()
    assert labels["service"] == "new"


def test_parents() -> None:
    assert parent_pid(os.getpid()) == os.getppid()
    assert parent_pid(1 << 30) == 0

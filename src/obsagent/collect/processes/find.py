"""Which process a session belongs to, and which processes a matcher means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from obsagent.collect.processes.procfs import Identity, Processes
from obsagent.collect.settings import Matcher
from obsagent.collect.surroundings import ModelSession, Surroundings

CLOCKS_APART_S = 5.0
"""By so much the wall clock may have been set between the beginning of a session and now."""


class Sought(NamedTuple):
    """A pid in a pid namespace: who has it is to be found."""

    namespace: int
    pid: int


class Owners:
    """Sessions and their processes. Once found, a process is told from a later one with its pid by its start."""

    def __init__(self, processes: Processes, surroundings: Surroundings) -> None:
        self._processes = processes
        self._surroundings = surroundings
        self._bound: dict[ModelSession, Identity] = {}

    def find(self, sessions: Iterable[ModelSession]) -> Iterator[tuple[ModelSession, Identity]]:
        """Each session with its process, as far as that is visible; one process counts once for a service."""
        sessions = sorted(set(sessions))
        self._bound = {each: who for each, who in self._bound.items() if each in set(sessions)}
        lost = [each for each in sessions if each not in self._bound]
        visible = self._visible({Sought(each.pid_namespace, each.pid) for each in lost})
        for session in lost:
            who = visible.get(Sought(session.pid_namespace, session.pid))
            if who is not None and self._is_older(who, session):
                self._bound[session] = who
        told: set[tuple[str, Identity]] = set()
        for session in sessions:
            who = self._bound.get(session)
            if who is not None and (session.service, who) not in told:
                told.add((session.service, who))
                yield session, who

    def _is_older(self, who: Identity, session: ModelSession) -> bool:
        """A process that began after the session has another's pid."""
        age_s = self._surroundings.wall_s() - session.started_ms / 1000
        return who.start_s <= self._surroundings.uptime_s() - age_s + CLOCKS_APART_S

    def _visible(self, sought: set[Sought]) -> dict[Sought, Identity]:
        here = {0, self._surroundings.pid_namespace()}
        found = {each: self._processes.identity(each.pid) for each in sought if each.namespace in here}
        elsewhere = {each for each in sought if each.namespace not in here}
        if elsewhere:
            found.update(self._in_namespaces(elsewhere))
        return {each: who for each, who in found.items() if who is not None}

    def _in_namespaces(self, sought: set[Sought]) -> Iterator[tuple[Sought, Identity | None]]:
        """Processes of containers below the agent: its own namespace shows them under other pids."""
        namespaces = {each.namespace for each in sought}
        for pid in self._processes.pids():
            namespace = self._processes.pid_namespace(pid)
            if namespace in namespaces:
                try:
                    inner = Sought(namespace, self._processes.inner_pid(pid))
                except OSError:
                    continue
                if inner in sought:
                    yield inner, self._processes.identity(pid)


class Slots:
    """Numbers the processes of a matcher as sessions are numbered: the lowest that is free."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, Identity], int] = {}

    def number(self, service: str, found: list[Identity]) -> Iterator[tuple[int, Identity]]:
        """The worker slots of the processes of a service that live now; those that are gone give theirs back."""
        kept = {key: slot for key, slot in self._slots.items() if key[0] != service or key[1] in found}
        for who in sorted(found, key=lambda each: (each.start_ticks, each.pid)):
            if (service, who) not in kept:
                taken = {slot for (other, _), slot in kept.items() if other == service}
                kept[service, who] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
            yield kept[service, who], who
        self._slots = kept


def matching(matcher: Matcher, processes: Processes) -> list[Identity]:
    """The processes that fulfil all of a matcher; raises `OSError` or `ValueError` for a pid file of no use."""
    pids = [read_pid(matcher.pid_file)] if matcher.pid_file else processes.pids()
    own = os.getpid()
    found = (processes.identity(pid) for pid in pids if pid != own and _fulfils(matcher, processes, pid))
    return [who for who in found if who is not None]


def read_pid(path: str) -> int:
    """The pid in a pid file."""
    text = Path(path).read_text(errors="replace").strip()
    if not text.isdecimal():
        raise ValueError(f"{path}: expected a pid, got {text[:20]!r}")
    return int(text)


def _fulfils(matcher: Matcher, processes: Processes, pid: int) -> bool:
    try:
        if matcher.name and not _has_name(processes, pid, matcher.name):
            return False
        if matcher.command and not fnmatchcase(" ".join(processes.command(pid)), matcher.command):
            return False
        return not matcher.cgroup or any(fnmatchcase(path, matcher.cgroup) for path in processes.cgroups(pid))
    except OSError:  # it has ended, or is hidden (hidepid=)
        return False


def _has_name(processes: Processes, pid: int, pattern: str) -> bool:
    """By the kernel's name, which ends after 15 characters, or by that of the program it was called with."""
    program = processes.command(pid)[0].rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for name in (processes.stat(pid).name, program) if name)

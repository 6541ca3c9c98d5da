"""Whose process is it? The sessions by the pids of their processes, as this machine counts them."""

from __future__ import annotations

from collections.abc import Iterable

from obsagent.head.sessions import Session
from obsagent.processes import began_ms, outer_pids, pid_namespace
from obsagent.selfmetrics import SERVICE

CLOCKS_APART_MS = 5_000
"""A process' beginning is known to the second, and the clock may have been set a little since."""


def owners_of(sessions: Iterable[Session], host: str) -> dict[int, dict[str, str]]:
    """Pid → the labels of its session (service, worker, version), for sessions of this machine that are not closed.

    A process in a container has a pid of its own there, and is looked up by its pid namespace. `host` is this
    machine's name: over tcp a client may be of another one, where the first pid namespace has the same number. One that
    began after its session has only the same pid.
    """
    here = pid_namespace()
    open_sessions = [each for each in sessions if each.state != "closed" and each.service != SERVICE]
    elsewhere = {each.pid_namespace for each in open_sessions} - {here, 0}
    outer = outer_pids(elsewhere) if elsewhere else {}
    owners: dict[int, dict[str, str]] = {}
    for each in sorted(open_sessions, key=lambda session: session.started_ms):  # of a pid used again the last one
        if each.pid_namespace in (here, 0):
            pid = each.pid if each.host == host else None
        else:
            pid = outer.get((each.pid_namespace, each.pid))
        if pid is not None and _is_older(pid, each):
            owners[pid] = _labels(each)
    return owners


def _is_older(pid: int, session: Session) -> bool:
    began = began_ms(pid)
    return began is not None and began <= session.started_ms + CLOCKS_APART_MS


def _labels(session: Session) -> dict[str, str]:
    labels = {"service": session.service, "worker": str(session.worker)}
    return {**labels, "version": session.version} if session.version else labels

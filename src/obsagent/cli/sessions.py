"""The sessions of a status as a table: who sends, and how well the clocks agree."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import MISSING, format_count

SESSIONS_SHOWN = 12
HEADER = ["service", "host", "worker", "pid", "version", "state", "heard", "clock"]
SIDES = [LEFT, LEFT, RIGHT, RIGHT, LEFT, LEFT, RIGHT, RIGHT]


def session_lines(
    sessions: Iterable[dict[str, Any]], width: int | None, *, everything: bool, own_namespace: int = 0
) -> list[str]:
    """The table, its header first; [] without sessions.

    Unless `everything` is wanted, closed sessions are left out and at most a dozen is shown. A pid that counts in
    another pid namespace than `own_namespace`, the agent's, has that namespace's number behind it.
    """
    chosen = [session for session in sessions if everything or session["state"] != "closed"]
    shown = chosen if everything else chosen[:SESSIONS_SHOWN]
    if not shown:
        return []
    lines = aligned(HEADER, [_row(session, own_namespace) for session in shown], SIDES, width)
    hidden = len(chosen) - len(shown)
    return [*lines, f"… and {format_count(hidden)} more: --all"] if hidden else lines


def _row(session: dict[str, Any], own_namespace: int) -> list[str]:
    return [
        session["service"],
        session["host"],
        str(session["worker"]),
        _pid(session, own_namespace),
        session["version"] or MISSING,
        session["state"],
        f"{format_duration(max(0, time.time_ns() // 1_000_000 - session['last_ms']))} ago",
        skew(session["skew_ms"]),
    ]


def _pid(session: dict[str, Any], own_namespace: int) -> str:
    """`4711`, or `1@4026532281` for a process in a container; an agent of before says nothing of namespaces."""
    namespace = session.get("pid_namespace", 0)
    return f"{session['pid']}@{namespace}" if namespace and namespace != own_namespace else str(session["pid"])


def skew(skew_ms: int | None) -> str:
    """How much a client's clock is ahead of the agent's: `+2m5s`, `-40ms`; a dash if it is not known."""
    if skew_ms is None:
        return MISSING
    sign = "+" if skew_ms > 0 else "-" if skew_ms < 0 else ""
    return f"{sign}{format_duration(abs(skew_ms))}"

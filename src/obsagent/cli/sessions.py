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


def session_lines(sessions: Iterable[dict[str, Any]], width: int | None, *, everything: bool) -> list[str]:
    """The table, its header first; [] without sessions.

    Unless `everything` is wanted, closed sessions are left out and at most a dozen is shown.
    """
    chosen = [session for session in sessions if everything or session["state"] != "closed"]
    shown = chosen if everything else chosen[:SESSIONS_SHOWN]
    if not shown:
        return []
    lines = aligned(HEADER, [_row(session) for session in shown], SIDES, width)
    hidden = len(chosen) - len(shown)
    return [*lines, f"… and {format_count(hidden)} more: --all"] if hidden else lines


def _row(session: dict[str, Any]) -> list[str]:
    return [
        session["service"],
        session["host"],
        str(session["worker"]),
        str(session["pid"]),
        session["version"] or MISSING,
        session["state"],
        f"{format_duration(max(0, time.time_ns() // 1_000_000 - session['last_ms']))} ago",
        skew(session["skew_ms"]),
    ]


def skew(skew_ms: int | None) -> str:
    """How much a client's clock is ahead of the agent's: `+2m5s`, `-40ms`; a dash if it is not known."""
    if skew_ms is None:
        return MISSING
    sign = "+" if skew_ms > 0 else "-" if skew_ms < 0 else ""
    return f"{sign}{format_duration(abs(skew_ms))}"

"""The collectors of a status as a table: what the agent reads besides its clients, and whether it can."""

from __future__ import annotations

from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import format_count, format_quantity
from obsagent.errors import printable

HEADER = ["collector", "every", "rounds", "readings", "took", "failures", "now"]
SIDES = [LEFT, *[RIGHT] * 5, LEFT]
FINE = "ok"


def collector_lines(collectors: dict[str, Any], width: int | None) -> list[str]:
    """The table, its header first; [] without collectors."""
    rows = [_row(name, each) for name, each in collectors.items()]
    return aligned(HEADER, rows, SIDES, width) if rows else []


def _row(name: str, collector: dict[str, Any]) -> list[str]:
    return [
        name,
        format_duration(collector["interval_ms"]),
        format_count(collector["rounds"]),
        format_count(collector["readings"]),
        format_quantity(collector["took_ms"], "milliseconds"),
        format_count(collector["failures"]),
        _now(collector),
    ]


def _now(collector: dict[str, Any]) -> str:
    """What is wrong, or why there is nothing to read, or that all is well."""
    return printable(collector["error"] or collector.get("note", "")) or FINE

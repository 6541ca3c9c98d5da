"""The references of a status as a table: what the agent compares models with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import format_count

HEADER = ["reference", "version", "id", "rows", "features", "made", "file"]
SIDES = [LEFT, LEFT, LEFT, RIGHT, RIGHT, LEFT, LEFT]
ANY = "(any)"


def reference_lines(references: list[dict[str, Any]], width: int | None) -> list[str]:
    """The table, its header first; [] without references."""
    rows = [_row(each) for each in references]
    return aligned(HEADER, rows, SIDES, width) if rows else []


def _row(reference: dict[str, Any]) -> list[str]:
    made = datetime.fromtimestamp(reference["created_ms"] / 1000)
    return [
        reference["model"],
        reference["version"] or ANY,
        reference["id"],
        format_count(reference["rows"]),
        format_count(reference["features"]),
        f"{made:%Y-%m-%d %H:%M}",
        reference["file"],
    ]

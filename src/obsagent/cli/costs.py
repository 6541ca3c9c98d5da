"""The cost by metric of a status, and where too many series come from, as text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import MISSING, format_count, format_quantity

METRICS_SHOWN = 8
SIDES = [LEFT, RIGHT, RIGHT, RIGHT]


def cost_lines(cost: dict[str, Any], width: int | None, *, everything: bool) -> list[str]:
    """The table, dearest metrics first, its header first; [] without metrics."""
    metrics = sorted(cost["metrics"].items(), key=lambda item: (-(item[1]["bytes"] or 0), -item[1]["series"], item[0]))
    if not metrics:
        return []
    shown = metrics if everything else metrics[:METRICS_SHOWN]
    rows = [
        [name, *(_count(each[key]) for key in ("series", "samples")), _bytes(each["bytes"])] for name, each in shown
    ]
    lines = aligned(["metric", "series", "samples", "row bytes"], rows, SIDES, width)
    if len(shown) < len(metrics):
        lines.append(f"… and {format_count(len(metrics) - len(shown))} more: --all")
    return [*lines, _since(cost["since_ms"])]


def _since(since_ms: int | None) -> str:
    if since_ms is None:
        return "samples and bytes by metric are counted by a running agent only"
    age = format_duration(max(0, time.time_ns() // 1_000_000 - since_ms))
    return f"written by checkpoints since the agent opened the store {age} ago; bytes before compression"


def _count(count: int | None) -> str:
    return MISSING if count is None else format_count(count)


def _bytes(count: int | None) -> str:
    return MISSING if count is None else format_quantity(count, "bytes")


def culprit_lines(culprits: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each metric with too many series: which label makes them many."""
    for each in culprits:
        line = f"many series: {each['metric']} has {format_count(each['series'])}"
        if each["label"]:
            examples = ", ".join(each["examples"])
            line += f"; its label {each['label']} has {format_count(each['values'])} values, such as {examples}"
        yield line

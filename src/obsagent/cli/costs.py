"""The cost by metric of a status, and where too many series come from, as text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import MISSING, format_count, format_quantity
from obsagent.errors import printable

METRICS_SHOWN = 8
REFUSED_LABELS_SHOWN = 10
REASONS = {
    "near-unique": "nearly every value of it is a new one",
    "length": "its values are too long",
    "metric": "the metric has as many series as it may have in a process",
    "total": "a process has as many series as it may have",
}
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
            examples = _examples(each)
            line += f"; its label {each['label']} has {format_count(each['values'])} values, such as {examples}"
        yield line


def refused_label_lines(refused: list[dict[str, Any]], *, everything: bool) -> Iterator[str]:
    """One line for each label of which clients refuse new values: whose it is, why, how often, and some of them."""
    for each in refused if everything else refused[:REFUSED_LABELS_SHOWN]:
        service, metric, label = (printable(each[key]) for key in ("service", "metric", "label"))
        why = REASONS.get(each["reason"]) or printable(each["reason"])
        line = f"refused by clients: {service}: label {label} of {metric}: {why}; {_times(each['refused'])}"
        yield f"{line}, such as {_examples(each)}" if each["examples"] else line
    if len(refused) > REFUSED_LABELS_SHOWN and not everything:
        yield f"refused by clients: {format_count(len(refused) - REFUSED_LABELS_SHOWN)} more labels: --all"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{format_count(count)} times"


def _examples(each: dict[str, Any]) -> str:
    return ", ".join(map(printable, each["examples"]))

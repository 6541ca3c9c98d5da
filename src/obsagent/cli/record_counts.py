"""What a status says of records (`obsagent.head.records_status`), in two lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from obsagent.cli.units import format_count, format_quantity


def record_lines(records: Mapping[str, Any]) -> Iterator[str]:
    """`records    12,000 predictions, 9,000 truths (8,990 matched, 10 unmatched), 120 rows`, and their bytes."""
    predictions, truths, rows = records["predictions"], records["truths"], records["rows"]
    outcomes = _listed({name: truths[name] for name in truths if name not in ("received", "joined_later")})
    told = [
        f"{_plural(predictions['received'], 'prediction')}{_lost(predictions)}",
        f"{_plural(truths['received'], 'truth')}{outcomes}",
        f"{_plural(rows['received'], 'row')}{_lost(rows)}",
    ]
    yield f"records    {', '.join(told)}"
    dropped = f"; {format_count(records['dropped'])} dropped by clients" if records["dropped"] else ""
    size, memory = (format_quantity(records[key], "bytes") for key in ("bytes", "memory_bytes"))
    yield f"           {size} in files, {memory} in memory{dropped}"


def _plural(count: int, one: str) -> str:
    return f"{format_count(count)} {one}{'' if count == 1 else 's'}"


def _lost(counts: Mapping[str, int]) -> str:
    return _listed({name: count for name, count in counts.items() if name != "received"})


def _listed(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{format_count(count)} {name}" for name, count in counts.items() if count)
    return f" ({told})" if told else ""

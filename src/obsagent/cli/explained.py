"""What `--explain` adds: what was read for the answer, PromQL that asks the same, and remarks."""

from __future__ import annotations

from obsagent.cli.table import joined
from obsagent.cli.units import format_count, format_number, format_quantity
from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def explained(explain: dict[str, Any], width: int | None) -> list[str]:
    """Lines, each below its word."""
    lines = joined(_reads(explain["reads"]), ", ", None if width is None else width - len("read   "))
    shown = [*_titled("read", lines), *_titled("PromQL", [printable(query) for query in explain["promql"]])]
    for note in explain["notes"]:
        shown += _titled(
            "note", joined(printable(note).split(" "), " ", None if width is None else width - len("note   "))
        )
    return shown


def _titled(title: str, lines: list[str]) -> list[str]:
    """The title before the first line, the others below that."""
    return [f"{title if index == 0 else '':<6} {line}" for index, line in enumerate(lines)]


def _reads(reads: dict[str, Any]) -> Iterator[str]:
    for key, one in (("segments", "segment"), ("blocks", "block"), ("frames", "frame")):
        yield _plural(reads[key], one)
    unpacked = f" ({_size(reads['raw_bytes'])} unpacked)" if reads["raw_bytes"] else ""
    yield f"{_size(reads['bytes'])}{unpacked}"
    yield f"{_plural(reads['head_windows'], 'window')} in memory"
    yield f"in {format_number(reads['ms'])} ms"


def _plural(count: int, one: str) -> str:
    return f"{format_count(count)} {one}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return format_quantity(count, "bytes")

"""A catalogue (`obsagent.answer.catalogue`) as entries of one kind, and as text."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from obsagent.cli.table import LEFT, RIGHT, Style, aligned
from obsagent.cli.units import MISSING, format_count

Entry = dict[str, Any]
NAMES_SHOWN = 3


class Column(NamedTuple):
    """A column of a table: its header, the entry's key, and how the value is shown."""

    header: str
    key: str
    show: Callable[[Any], str] = str
    side: str = LEFT


def names(values: Sequence[str]) -> str:
    """`a, b, c and 12 more`."""
    if len(values) > NAMES_SHOWN + 1:
        return f"{', '.join(values[:NAMES_SHOWN])} and {format_count(len(values) - NAMES_SHOWN)} more"
    return ", ".join(values)


def ago(at_ms: int | None) -> str:
    """`12s ago`; a dash for what is not known."""
    if at_ms is None:
        return MISSING
    from obsagent.answer.durations import format_duration

    age_ms = time.time_ns() // 1_000_000 - at_ms
    return "now" if age_ms < 1000 else f"{format_duration(age_ms)} ago"


_NAME = Column("name", "name")
_LAST = Column("last seen", "last_ms", ago, RIGHT)
_COUNT = Column("values", "count", format_count, RIGHT)
_SERVICES = Column("services", "services", names)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "services": (
        _NAME,
        Column("versions", "versions", names),
        Column("hosts", "hosts", names),
        Column("sessions", "sessions", format_count, RIGHT),
        _LAST,
    ),
    "metrics": (
        _NAME,
        Column("kind", "kind"),
        Column("unit", "unit"),
        Column("series", "series", format_count, RIGHT),
        _SERVICES,
        Column("labels", "labels", lambda labels: names(list(labels))),
        _LAST,
    ),
    "labels": (_NAME, _COUNT, Column("such as", "values", names), Column("metrics", "metrics", names)),
    "versions": (Column("version", "name"), Column("service", "service")),
    "values": (Column("value", "name"), Column("metrics", "metrics", names)),
    "models": (
        _NAME,
        Column("versions", "versions", names),
        Column("variants", "variants", names),
        _SERVICES,
        Column("features", "features", format_count, RIGHT),
        Column("predicts", "task", lambda task: task or MISSING),
    ),
    "features": (_NAME, Column("models", "models", names), Column("references", "references", names)),
    "references": (_NAME, Column("models", "models", names), Column("features", "features", format_count, RIGHT)),
    "events": (_NAME, _SERVICES, Column("count", "count", format_count, RIGHT), _LAST),
}
"""Columns by what is listed."""


def entries_of(catalogue: Entry, what: str, label: str | None = None) -> list[Entry]:
    """The entries of one kind of thing, as they go into JSON."""
    if what == "labels":
        return _labels(catalogue)
    if what == "values":
        return _values(catalogue, label or "")
    if what == "versions":
        services = catalogue["services"]
        return [{"name": version, "service": each["name"]} for each in services for version in each["versions"]]
    entries: list[Entry] = catalogue[what]
    return entries


def _labels(catalogue: Entry) -> list[Entry]:
    """Every label over all metrics; `count` is that of the metric which has most values."""
    found: dict[str, Entry] = {}
    for metric in catalogue["metrics"]:
        for name, values in metric["labels"].items():
            label = found.setdefault(name, {"name": name, "count": 0, "values": set(), "metrics": []})
            label["values"].update(values["values"])
            label["count"] = max(label["count"], values["count"], len(label["values"]))
            label["metrics"].append(metric["name"])
    return [{**found[name], "values": sorted(found[name]["values"])} for name in sorted(found)]


def _values(catalogue: Entry, label: str) -> list[Entry]:
    metrics: dict[str, list[str]] = {}
    for metric in catalogue["metrics"]:
        for value in metric["labels"].get(label, {"values": ()})["values"]:
            metrics.setdefault(value, []).append(metric["name"])
    return [{"name": value, "metrics": metrics[value]} for value in sorted(metrics)]


def write_overview(catalogue: Entry, stream: TextIO) -> None:
    """Every kind of thing that there is anything of, each under its name."""
    style = Style(stream)
    kinds = [*COLUMNS, *(pillar for pillar in catalogue if pillar not in COLUMNS)]
    sections = [(kind, entries_of(catalogue, kind)) for kind in kinds if kind != "values"]
    filled = [(kind, entries) for kind, entries in sections if entries]
    for index, (kind, entries) in enumerate(filled):
        print("\n" * (index > 0) + style.bold(kind), file=stream)
        write_table(kind, entries, stream, indent="  ")
    if not filled:
        print("nothing yet: no client has connected", file=stream)


def write_table(what: str, entries: list[Entry], stream: TextIO, indent: str = "") -> None:
    """Aligned columns, the header first."""
    style = Style(stream)
    columns = COLUMNS.get(what, (_NAME, _LAST))
    rows = [[column.show(entry.get(column.key)) for column in columns] for entry in entries]
    width = style.width and style.width - len(indent)
    header, *lines = aligned([column.header for column in columns], rows, [column.side for column in columns], width)
    print(indent + style.dim(header), *(indent + line for line in lines), sep="\n", file=stream)


def write_csv(what: str, entries: list[Entry], stream: TextIO) -> None:
    """One line an entry: text and numbers as they are, several names with spaces between them."""
    columns = COLUMNS.get(what, (_NAME, _LAST))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for entry in entries:
        writer.writerow([_plain(entry.get(column.key)) for column in columns])


def _plain(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list | dict) else value

"""An answer (`obsagent.answer.execute`) as a table or as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TextIO

from obsagent.cli.table import LEFT, RIGHT, Style, aligned
from obsagent.cli.units import format_count, format_value

SEPARATOR = " · "
UNLABELLED = "(none)"

Answer = dict[str, Any]


def write_table(answer: Answer, stream: TextIO) -> None:
    """The rows, and a line that says how good they are."""
    style = Style(stream)
    if not answer["series"]:
        print(answer.get("empty", "no samples"), file=stream)
    else:
        header, *lines = _lines(answer, style.width)
        print(style.bold(header), *lines, sep="\n", file=stream)
        print(file=stream)
    print(style.dim(footer(answer)), file=stream)


def _lines(answer: Answer, width: int | None) -> list[str]:
    rows = answer["series"]
    labels, stats = label_names(rows), stat_names(rows)
    metric = answer["metric"]
    with_samples = bool(labels) and not (metric["kind"] == "histogram" and "count" in stats)
    header = [*labels, *stats, *(["samples"] if with_samples else [])]
    cells = [
        [
            *(row["labels"].get(label) or UNLABELLED for label in labels),
            *(format_value(row["values"].get(stat), stat, metric["unit"], metric["kind"]) for stat in stats),
            *([format_count(row["count"])] if with_samples else []),
        ]
        for row in rows
    ]
    sides = [LEFT] * len(labels) + [RIGHT] * (len(header) - len(labels))
    return aligned(header, cells, sides, width)


def label_names(rows: Iterable[Answer]) -> list[str]:
    """Every label of any row, in the order of first sight."""
    return list(dict.fromkeys(label for row in rows for label in row["labels"]))


def stat_names(rows: Iterable[Answer]) -> list[str]:
    """Every stat of any row, in the order of first sight."""
    return list(dict.fromkeys(stat for row in rows for stat in row["values"]))


def footer(answer: Answer) -> str:
    """`24,310 samples · ±0.54 % · 14:02:10–14:07:10 · nothing lost`, each part only where it says something."""
    return SEPARATOR.join(
        [
            *_counted(answer["series"]),
            *_bound(answer["series"]),
            _time(answer),
            *_losses(answer["losses"]),
        ]
    )


def _counted(rows: list[Answer]) -> Iterator[str]:
    if rows:
        total = sum(row["count"] for row in rows)
        yield f"{format_count(total)} sample{'' if total == 1 else 's'}"
    odd = sum(sum(row.get("not_finite", {}).values()) for row in rows)
    if odd:
        yield f"{format_count(odd)} NaN or infinite"


def _bound(rows: list[Answer]) -> Iterator[str]:
    """The widest relative bound of any value; quantiles are the only inexact ones."""
    bounds = [bound["relative"] for row in rows for bound in row["error_bound"].values() if isinstance(bound, dict)]
    if bounds:
        yield f"±{max(bounds) * 100:.2g} %"


def _time(answer: Answer) -> str:
    covered = answer["covered"]
    if covered is None:
        return "no data in this time"
    start, end = local_time(covered["from"]), local_time(covered["to"])
    if start.date() == end.date() == datetime.now().astimezone().date():
        return f"{start:%H:%M:%S}–{end:%H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S} – {end:%Y-%m-%d %H:%M:%S}"


def local_time(text: str) -> datetime:
    """A time of an answer (UTC) on this machine's clock."""
    return datetime.fromisoformat(text).astimezone()


def _losses(losses: Answer) -> Iterator[str]:
    lost = [
        f"{format_count(count)} {what} ({reason})"
        for what in ("dropped", "rejected")
        for reason, count in losses[what].items()
        if count
    ]
    yield ", ".join(lost) if lost else "nothing lost"
    if losses["pending"]:
        yield f"{format_count(losses['pending'])} pending"
    if losses["overflow_series"]:
        yield f"{format_count(losses['overflow_series'])} series over budget"


def write_csv(answer: Answer, stream: TextIO) -> None:
    """A header and the rows: labels, number of samples, values in base units; null is an empty field."""
    import csv

    rows = answer["series"]
    labels, stats = label_names(rows), stat_names(rows)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*labels, "samples", *stats])
    for row in rows:
        values = (row["values"].get(stat) for stat in stats)
        writer.writerow([*(row["labels"].get(label, "") for label in labels), row["count"], *values])

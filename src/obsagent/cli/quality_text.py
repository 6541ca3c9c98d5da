"""A report on data quality (`obsagent.evaluate.quality_report`) for people, and as CSV."""

from __future__ import annotations

import csv
from typing import Any, TextIO

from obsagent.cli.reports import SEPARATOR, labels_of, name_of
from obsagent.cli.table import FIXED, LEFT, Style, aligned, columns_of, joined
from obsagent.cli.times import Clock
from obsagent.cli.units import format_count
from obsagent.errors import printable

Report = dict[str, Any]
INDENT = " " * 11
LOOKS = 5
"""So many queries to look closer are shown."""

CSV_COLUMNS = (
    *("severity", "finding", "model", "version", "variant", "feature", "labels", "share", "expected", "samples"),
    *("since", "says", "look"),
)


def write(report: Report, stream: TextIO) -> None:
    """The findings, how to look closer, and what was looked at."""
    style = Style(stream)
    clock = Clock("")
    lines = []
    if report["findings"]:
        lines = [*_table(report, style, clock), ""]
        lines += [*(style.dim(line) for line in _looks(report)), ""]
    elif report.get("empty"):
        lines = joined(printable(report["empty"]).split(" "), " ", style.width)
    else:
        lines = ["nothing is wrong with the data"]
    told = joined(_footer(report, clock), SEPARATOR, style.width)
    print(*lines, *(style.dim(line) for line in told), sep="\n", file=stream)


def _table(report: Report, style: Style, clock: Clock) -> list[str]:
    """A line a finding, or where that is too narrow what is wrong below it."""
    several = len({name_of(each) for each in report["findings"]}) > 1
    header = ["severity", *(["model"] if several else []), "feature", "since"]
    sides = [FIXED, *([LEFT] if several else []), LEFT, FIXED]
    rows = [_row(each, several, clock) for each in report["findings"]]
    says = [each["says"] for each in report["findings"]]
    wide = aligned(
        [*header, "what"], [[*row, what] for row, what in zip(rows, says, strict=True)], [*sides, FIXED], None
    )
    if style.width is None or max(map(columns_of, wide)) <= style.width:
        return [style.bold(wide[0]), *wide[1:]]
    first, *others = aligned(header, rows, sides, style.width)
    lines = [style.bold(first)]
    for line, what in zip(others, says, strict=True):
        below = joined(printable(what).split(" "), " ", style.width - len(INDENT))
        lines += [line, *(INDENT + text for text in below)]
    return lines


def _row(finding: Report, several: bool, clock: Clock) -> list[str]:
    feature = " ".join(filter(None, (finding["feature"] or "(all)", labels_of(finding))))
    since = clock.starts([finding["since"]])[0] if finding["since"] else "before"
    return [finding["severity"], *([name_of(finding)] if several else []), feature, since]


def _looks(report: Report) -> list[str]:
    looks = list(dict.fromkeys(each["look"] for each in report["findings"]))
    shown = [f"look closer: {printable(look)}" for look in looks[:LOOKS]]
    return shown if len(looks) <= LOOKS else [*shown, f"… and {len(looks) - LOOKS} more with --format json"]


def _footer(report: Report, clock: Clock) -> list[str]:
    models = report["models"]
    told = [f"{format_count(len(report['findings']))} finding{'' if len(report['findings']) == 1 else 's'}"]
    told += [
        f"{printable(name_of(model))}: {format_count(model['features'])} features"
        + (f" of {format_count(model['rows'])} rows" if model["rows"] else "")
        + ("" if model["reference"] else ", no reference")
        for model in models
    ]
    told += [
        f"{printable(name_of(model))}: dropped as configured: {printable(', '.join(model['dropped']))}"
        for model in models
        if model["dropped"]
    ]
    told.append(clock.span(report["covered"] or report))
    return told


def write_csv(report: Report, stream: TextIO) -> None:
    """One line a finding; times are UTC."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for finding in report["findings"]:
        writer.writerow([{**finding, "labels": labels_of(finding)}.get(name) for name in CSV_COLUMNS])

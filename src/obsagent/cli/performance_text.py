"""A report on performance (`obsagent.evaluate.performance_report`) for people, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TextIO

from obsagent.cli.footer import gaps_text
from obsagent.cli.reports import SEPARATOR, labels_of, name_of
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, aligned, columns_of, joined
from obsagent.cli.times import Clock
from obsagent.cli.units import MISSING, format_count, format_number, format_share
from obsagent.errors import printable

Report = dict[str, Any]

SHARES = frozenset({"mape"})
"""Metrics that are shown as percentages."""
MARKED = ("worse", "better")

CSV_COLUMNS = (
    *("model", "version", "variant", "labels", "task", "predictions", "truths", "maturity", "watermark"),
    *("metric", "value", "low", "high", "bound", "estimate", "estimate_low", "estimate_high", "standard_error"),
    *("reference_id", "reference", "reference_low", "reference_high", "verdict"),
)


class Column(NamedTuple):
    """A column of a table; of those that do not fit the one with the lowest `worth` goes first, 0 never."""

    title: str
    cells: list[str]
    side: str = RIGHT
    worth: int = 0


def write(report: Report, stream: TextIO, *, every: bool = False) -> None:
    """A table for each version, and how versions compare on the same truths.

    With slices one table has one metric, the first one; with `every` there is a table for each.
    """
    style, clock = Style(stream), Clock("")
    lines: list[str] = []
    for block in _blocks(report, style, clock, every):
        lines += [*block, ""]
    if not report["rows"]:
        lines += joined(printable(report["empty"]).split(" "), " ", style.width)
    told = joined(_footer(report, clock), SEPARATOR, style.width)
    print(*lines, *(style.dim(line) for line in told), sep="\n", file=stream)


def _blocks(report: Report, style: Style, clock: Clock, every: bool) -> Iterator[list[str]]:
    for name, members in groupby(report["rows"], key=name_of):
        rows = list(members)
        if not any(row["labels"] for row in rows):
            yield from (_of_version(name, row, style, clock) for row in rows)
            continue
        metrics = list(dict.fromkeys(metric for row in rows for metric in row["metrics"]))
        for metric in metrics if every else metrics[:1]:
            yield [style.bold(printable(name)), *_of_slices(metric, rows, style)]
    if report["rivals"]:
        yield _rivals(report["rivals"], style)


def _of_version(name: str, row: Report, style: Style, clock: Clock) -> list[str]:
    """All metrics of one version, below how much of the truth is known."""
    metrics = row["metrics"]
    first, *others = joined([printable(name), *_known(row, clock)], SEPARATOR, style.width)
    columns = [Column("metric", list(metrics), LEFT), *_columns("now", list(metrics.items()))]
    return [style.bold(first), *(style.bold(line) for line in others), *_table(columns, style)]


def _known(row: Report, clock: Clock) -> Iterator[str]:
    """`4,210 truths of 5,000 predictions (84.2 %)`, and until when they are nearly complete."""
    maturity = row["maturity"]
    counted = f"{format_count(maturity['truths'])} truths of {format_count(maturity['predictions'])} predictions"
    yield f"{counted} ({format_share(maturity['share'])})"
    if row.get("of_neither"):  # agents of before do not say it
        yield f"{format_count(row['of_neither'])} name neither class and are left out"
    if row["watermark"]:
        yield f"nearly complete until {clock.second(row['watermark'])}"


def _of_slices(metric: str, rows: list[Report], style: Style) -> list[str]:
    """One metric of all slices of a version."""
    maturities = [row["maturity"] for row in rows]
    columns = [
        Column("of", [labels_of(row) for row in rows], LEFT),
        *_columns(metric, [(metric, row["metrics"].get(metric)) for row in rows]),
        Column("truths", [format_count(each["truths"]) for each in maturities], worth=3),
        Column("maturity", [format_share(each["share"]) for each in maturities], worth=1),
    ]
    return _table(columns, style)


def _columns(title: str, metrics: Sequence[tuple[str, Report | None]]) -> list[Column]:
    """What is said of metrics, one a line."""
    found = [(name, metric or {}) for name, metric in metrics]
    return [
        Column(title, [_number(name, metric.get("value")) for name, metric in found]),
        Column("95 % interval", [_interval(name, metric) for name, metric in found]),
        Column("estimated", [_estimated(name, metric.get("estimate")) for name, metric in found], worth=2),
        Column("reference", [_number(name, (metric.get("reference") or {}).get("value")) for name, metric in found]),
        Column("", [_mark(metric) for _, metric in found], FIXED),
    ]


def _number(name: str, value: float | None) -> str:
    if value is None:
        return MISSING
    return format_share(value) if name in SHARES else format_number(value)


def _interval(name: str, metric: Report) -> str:
    if metric.get("low") is None or metric.get("high") is None:
        return MISSING
    return f"{_number(name, metric['low'])}–{_number(name, metric['high'])}"


def _estimated(name: str, estimate: Report | None) -> str:
    if estimate is None:
        return MISSING
    return f"{_number(name, estimate['value'])} ±{_number(name, (estimate['high'] - estimate['low']) / 2)}"


def _mark(metric: Report) -> str:
    return metric["verdict"] if metric.get("verdict") in MARKED else ""


def _table(columns: list[Column], style: Style) -> list[str]:
    """The lines; what nothing is said in is left out, as is what does not fit."""
    shown = [each for each in columns if any(cell not in ("", MISSING) for cell in each.cells) or each.side == LEFT]
    while style.width is not None and any(each.worth for each in shown):
        if max(map(columns_of, _aligned(shown, None))) <= style.width:
            break
        shown.remove(min((each for each in shown if each.worth), key=lambda each: each.worth))
    first, *lines = _aligned(shown, style.width)
    return [style.bold(first), *lines]


def _aligned(columns: Sequence[Column], width: int | None) -> list[str]:
    rows = [list(row) for row in zip(*(each.cells for each in columns), strict=True)]
    return aligned([each.title for each in columns], rows, [each.side for each in columns], width)


def _rivals(rivals: list[Report], style: Style) -> list[str]:
    """Two versions a line, on the truths that both have."""
    is_of_classes = any(each["p_value"] is not None for each in rivals)
    columns = [
        Column("first", [name_of({**each, **each["first"]}) for each in rivals], LEFT),
        Column("second", [name_of({**each, **each["second"]}) for each in rivals], LEFT),
        Column("of", [labels_of(each) for each in rivals]),
        Column("truths", [format_count(each["truths"]) for each in rivals], worth=4),
        Column("only first wrong", [_count(each["first_wrong"]) for each in rivals], worth=2),
        Column("only second wrong", [_count(each["second_wrong"]) for each in rivals], worth=1),
        Column(f"second's {'errors' if is_of_classes else '|error|'}", [_difference(each) for each in rivals]),
        Column("p at any time", [_p(each["anytime_p_value"]) for each in rivals], worth=3),
        Column("better", [each["better"] or "may be chance" for each in rivals], FIXED),
    ]
    return [style.bold("on the same truths"), *_table(columns, style)]


def _count(count: int | None) -> str:
    return MISSING if count is None else format_count(count)


def _p(p_value: float | None) -> str:
    return MISSING if p_value is None else f"{p_value:.2g}"


def _difference(rival: Report) -> str:
    """More of the second than of the first: `-1.20 points ±0.9`, or of numbers in their unit."""
    value, low, high = rival["difference"], rival["low"], rival["high"]
    half = (high - low) / 2 if low is not None and high is not None else 0.0
    if rival["p_value"] is None:
        return f"{value:+.3g} ±{half:.2g}"
    return f"{100 * value:+.2f} points ±{100 * half:.2g}"


def _footer(report: Report, clock: Clock) -> list[str]:
    told = []
    if any(metric["reference"] for row in report["rows"] for metric in row["metrics"].values()):
        told.append("worse, better: the intervals of now and of the reference do not touch")
    elif report["rows"]:
        told.append("no reference with truths to compare with")
    told.append(clock.span(report["covered"] or report))
    told += gaps_text(report, clock)
    return told


def write_csv(report: Report, stream: TextIO) -> None:
    """One line a metric of each version and slice; times are UTC."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in report["rows"]:
        for name, metric in row["metrics"].items():
            cells = {**row, **_maturity(row), **metric, "metric": name, "labels": labels_of(row)}
            cells |= {"reference_id": row["reference"], **_flat("estimate", metric), **_flat("reference", metric)}
            writer.writerow([cells.get(column) for column in CSV_COLUMNS])


def _maturity(row: Report) -> Report:
    maturity = row["maturity"]
    return {"predictions": maturity["predictions"], "truths": maturity["truths"], "maturity": maturity["share"]}


def _flat(side: str, metric: Report) -> Report:
    """An estimate or a reference as columns."""
    found = metric[side] or {}
    return {
        side: found.get("value"),
        f"{side}_low": found.get("low"),
        f"{side}_high": found.get("high"),
        **({"standard_error": found.get("standard_error")} if side == "estimate" else {}),
    }

"""An answer as one flat table, a list a column: what pandas, Arrow and the HTML table are made from.

One line for each row of the answer, or for each of its steps. The columns, in this order:

    metric        only if the query names several
    labels        by their names; one that is also another column's name has `_label` behind it
    time          only with `step`: the step's start, ISO 8601 in UTC
    statistics    in base units; with `vs` each is followed by `…_vs` and `…_change`, the difference of the two
    count         samples; with `vs` also `count_vs`; not a second time if the query asks for `count`
    exemplar_…    only with `exemplars`: `value`, `time`, `trace_id`, `request_id` of the line's largest one

What an answer does not have is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "time", "count", "value"]
Answer = dict[str, Any]

COUNT = "count"
EXEMPLAR: dict[str, Kind] = {"value": "value", "time": "time", "trace_id": "text", "request_id": "text"}
"""What is told of an exemplar."""
LABEL_SUFFIX = "_label"


class Line(NamedTuple):
    """A row of the answer, and the part of it that one line of the table shows: the row itself or a step."""

    row: Answer
    part: Answer


class Column(NamedTuple):
    """A column; `stat` is the statistic that its values are of, if they are of one."""

    name: str
    kind: Kind
    values: list[Any]
    stat: str = ""


def lines_of(answer: Answer) -> list[Line]:
    """The lines of the table, in the answer's order."""
    if _has_steps(answer):
        return [Line(row, point) for row in answer["series"] for point in row.get("points", ())]
    return [Line(row, row) for row in answer["series"]]


def columns_of(answer: Answer) -> list[Column]:
    """Every column, each with a value for every line."""
    lines = lines_of(answer)
    measured = [*_measured(answer, lines), *_exemplars(answer, lines)]
    taken = {column.name for column in measured}
    return [*_metric(answer, lines), *_labels(lines, taken), *_time(answer, lines), *measured]


def _has_steps(answer: Answer) -> bool:
    return "step_ms" in answer


def _metric(answer: Answer, lines: list[Line]) -> Iterator[Column]:
    if "metrics" in answer:
        yield Column("metric", "text", [line.row.get("metric") for line in lines])


def _labels(lines: list[Line], taken: set[str]) -> Iterator[Column]:
    for label in dict.fromkeys(label for line in lines for label in line.row["labels"]):
        name = f"{label}{LABEL_SUFFIX}" if label in taken | {"metric", "time"} else label
        yield Column(name, "text", [line.row["labels"].get(label) for line in lines])


def _time(answer: Answer, lines: list[Line]) -> Iterator[Column]:
    if _has_steps(answer):
        yield Column("time", "time", [line.part["from"] for line in lines])


def _measured(answer: Answer, lines: list[Line]) -> Iterator[Column]:
    compares = "vs" in answer and not _has_steps(answer)
    stats = list(dict.fromkeys(stat for line in lines for stat in line.part["values"]))
    for stat in stats:
        yield from _statistic(stat, lines, compares)
    if COUNT not in stats:
        yield Column(COUNT, "count", [line.part["count"] for line in lines], COUNT)
        if compares:
            yield Column(f"{COUNT}_vs", "count", _values(lines, lambda part: _other(part).get("count")), COUNT)


def _exemplars(answer: Answer, lines: list[Line]) -> Iterator[Column]:
    """Of the largest of each line: the answer has it first."""
    if not any("exemplars" in row for row in answer["series"]):
        return
    largest: list[Answer] = [next(iter(line.part.get("exemplars", ())), {}) for line in lines]
    for name, kind in EXEMPLAR.items():
        yield Column(f"exemplar_{name}", kind, [each.get(name) for each in largest], "max")


def _statistic(stat: str, lines: list[Line], compares: bool) -> Iterator[Column]:
    kind: Kind = "count" if stat == COUNT else "value"
    yield Column(stat, kind, _values(lines, lambda part: part["values"].get(stat)), stat)
    if compares:
        yield Column(f"{stat}_vs", kind, _values(lines, lambda part: _other(part).get("values", {}).get(stat)), stat)
        yield Column(f"{stat}_change", kind, _values(lines, lambda part: _change(part, stat)), stat)


def _values(lines: list[Line], of: Callable[[Answer], Any]) -> list[Any]:
    return [of(line.part) for line in lines]


def _other(part: Answer) -> Answer:
    """The side that a line is compared with; empty if nothing is there."""
    return part.get("vs") or {}


def _change(part: Answer, stat: str) -> Any:
    return part.get("change", {}).get(stat, {}).get("absolute")

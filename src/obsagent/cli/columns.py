"""An answer as a grid: what its columns are, and which rows stand on one line."""

from __future__ import annotations

from obsagent.cli.units import format_share, format_value, is_share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Answer = dict[str, Any]
    Cells = dict[str, Answer]

RATIO = "ratio"
BEYOND = {"above": "> ", "below": "≤ "}
"""Types of bounds that are on one side only, and how they are shown."""

UNLABELLED = "(none)"


class Column:
    """One statistic of one metric: where its values are found, and how they read."""

    def __init__(self, metric: Answer, stat: str, title: str, rows: Iterable[Answer]) -> None:
        """`rows` are all that the column will show: a ratio beyond 1 makes no column of percentages."""
        self.metric, self.stat, self.title = metric, stat, title
        self._kind, self._unit = metric["kind"], metric["unit"]
        self.is_share = is_share(stat, self._unit)
        if stat == RATIO:
            self.is_share = all(0 <= value <= 1 for row in rows for value in _values(row, stat))

    def of(self, cells: Cells, side: str = "") -> float | None:
        """The value on a line; of its other `side` (`vs`), if one is named. None: there is none."""
        row: Answer | None = cells.get(self.metric["name"])
        if row is not None and side:
            row = row.get(side)
        value: float | None = None if row is None else row["values"].get(self.stat)
        return value

    def cell(self, cells: Cells, side: str = "") -> str:
        """The value on a line for people: `> 2.5 s` where it is only known to be beyond."""
        row: Answer = cells.get(self.metric["name"]) or {}
        bound = ((row.get(side) or {}) if side else row).get("error_bound", {}).get(self.stat)
        sign = next((BEYOND[type_] for type_ in bound if type_ in BEYOND), "") if isinstance(bound, dict) else ""
        return sign + self.format(self.of(cells, side))

    def format(self, value: float | None) -> str:
        """A value of this column for people."""
        if value is not None and self.stat == RATIO:
            return format_share(value) if self.is_share else format_value(value, "", "", None)
        return format_value(value, self.stat, self._unit, self._kind)


class Line:
    """One set of labels, and what each metric says of it: a row of the answer by the metric's name."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self.cells: Cells = {}

    def points(self) -> dict[str, Cells]:
        """The steps in which any metric has samples, by their start: the same by the metric's name."""
        starts: dict[str, Cells] = {}
        for name, row in self.cells.items():
            for point in row.get("points", ()):
                starts.setdefault(point["from"], {})[name] = point
        return dict(sorted(starts.items()))


def _values(row: Answer, stat: str) -> list[float]:
    """Every value of a statistic in a row: of the whole time, of its steps, of what it is compared with."""
    parts = [row, *row.get("points", ()), row.get("vs") or {}]
    values = (part.get("values", {}).get(stat) for part in parts)
    return [value for value in values if value is not None]


def metrics_of(answer: Answer) -> list[Answer]:
    """The metrics that the query names, with kind and unit."""
    return answer.get("metrics") or [answer["metric"]]


def metric_of(row: Answer, answer: Answer) -> str:
    """The name of the metric that a row is about."""
    name: str = row.get("metric") or answer["metric"]["name"]
    return name


def columns_of_answer(answer: Answer) -> list[Column]:
    """Metric by metric; the statistics of each in the order of first sight."""
    metrics = metrics_of(answer)
    columns = []
    for metric in metrics:
        rows = [row for row in answer["series"] if metric_of(row, answer) == metric["name"]]
        for stat in stat_names(rows):
            columns.append(Column(metric, stat, _title(metric["name"], stat, len(metrics) > 1), rows))
    return columns


def _title(metric: str, stat: str, several: bool) -> str:
    if stat in (RATIO, metric):
        return metric
    return f"{metric} {stat}" if several else stat


def lines_of_answer(answer: Answer) -> list[Line]:
    """One line for each set of labels, in the order of first sight."""
    lines: dict[tuple[tuple[str, str], ...], Line] = {}
    for row in answer["series"]:
        line = lines.setdefault(tuple(sorted(row["labels"].items())), Line(row["labels"]))
        line.cells[metric_of(row, answer)] = row
    return list(lines.values())


def label_names(rows: Iterable[Answer]) -> list[str]:
    """Every label of any row, in the order of first sight."""
    return list(dict.fromkeys(label for row in rows for label in row["labels"]))


def stat_names(rows: Iterable[Answer]) -> list[str]:
    """Every stat of any row, in the order of first sight."""
    return list(dict.fromkeys(stat for row in rows for stat in row["values"]))


def with_samples(answer: Answer, columns: Sequence[Column]) -> bool:
    """False where a column of sample counts would be ambiguous (several metrics) or say a thing twice."""
    if len(metrics_of(answer)) > 1:
        return False
    has_counts = answer["metric"]["kind"] in ("histogram", "classic histogram", "column")
    return not (has_counts and any(column.stat == "count" for column in columns))

"""Tables: how a question's figures are shown, on the terminal and in the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Ratio, Timing


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit and whether this run kept it."""

    text: str
    met: bool

    def __str__(self) -> str:
        return f"{self.text}: {'met' if self.met else '**missed**'}"


def at_most(value: float, limit: float, unit: str) -> Goal:
    """The goal that the value is not above the limit."""
    return Goal(f"≤ {limit:g} {unit}", value <= limit)


def at_least(value: float, limit: float, unit: str) -> Goal:
    """The goal that the value is not below the limit."""
    return Goal(f"≥ {limit:g} {unit}", value >= limit)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured; `here` is what the ratio is made of, for orientation."""

    what: str
    ratio: Ratio | None
    here: str
    goals: tuple[Goal, ...] = ()

    @property
    def missed(self) -> list[str]:
        """The goals that this run missed."""
        return [goal.text for goal in self.goals if not goal.met]


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of text cells, with a remark below it and the goals that were missed."""

    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    note: str = ""
    missed: Sequence[str] = field(default=())

    def markdown(self) -> str:
        """The table as Markdown whose columns line up."""
        rows = [list(self.columns), *map(list, self.cells)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.columns))]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        parts = [f"**{self.title}**", "", lines[0], rule, *lines[1:]]
        return "\n".join([*parts, "", self.note] if self.note else parts)


def comparison(title: str, reference: str, rows: Iterable[Row], note: str = "") -> Table:
    """A table of ratios to one reference."""
    rows = list(rows)
    cells = [[row.what, *_ratio_cells(row.ratio), row.here, ", ".join(map(str, row.goals))] for row in rows]
    missed = [f"{title}: {row.what}, {text}" for row in rows for text in row.missed]
    return Table(title, ["", f"× {reference}", "middle half", "here", "goal"], cells, note, missed)


def _ratio_cells(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    if ratio.low == ratio.high:
        return _figure(ratio.median), ""
    return _figure(ratio.median), f"{_figure(ratio.low)} … {_figure(ratio.high)}"


def _figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def nanoseconds(timing: Timing) -> str:
    """A timing's median for people."""
    return duration(timing.median)


def duration(seconds: float) -> str:
    """A duration with three significant digits and a fitting unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{_figure(seconds * factor)} {unit}"
    return f"{_figure(seconds * 1e9)} ns"


def byte_size(count: float) -> str:
    """Bytes with three significant digits and a fitting unit."""
    for unit, factor in (("MB", 1e6), ("KB", 1e3)):
        if count >= factor:
            return f"{_figure(count / factor)} {unit}"
    return f"{_figure(count)} B"

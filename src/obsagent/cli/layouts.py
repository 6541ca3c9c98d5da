"""How an answer is laid out: a line a set of labels, or a line a step where there is only one such set."""

from __future__ import annotations

from obsagent.cli.columns import UNLABELLED, columns_of_answer, label_names, lines_of_answer, with_samples
from obsagent.cli.outcomes import counts_title, interval_cells, interval_title, judges, maturity_cells
from obsagent.cli.table import FIXED, GAP, LEFT, RIGHT, column_widths, columns_of, in_blocks
from obsagent.cli.units import MISSING, format_count
from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from obsagent.cli.columns import Answer, Cells, Column, Line
    from obsagent.cli.table import Style
    from obsagent.cli.times import Clock

READABLE_LABEL = 20
"""Labels longer than this give way to a sparkline."""

WITH_INTERVAL = 2
"""Columns of a metric of predictions: its value, and between what it lies."""

MATURITY_METRIC = "truth_maturity"

COMPARED = 3
"""Columns that `vs` makes of one: now, then, change."""


class Layout:
    """Blocks of lines, the first of each a header, and what the footer has to say about them."""

    def __init__(self, blocks: list[list[str]], above: str = "", notes: Sequence[str] = ()) -> None:
        """`above` is a line before the first block."""
        self.blocks, self.above, self.notes = blocks, above, notes


class Grid:
    """A table that grows by columns."""

    def __init__(self, line_count: int) -> None:
        self.header: list[str] = []
        self.sides: list[str] = []
        self.rows: list[list[str]] = [[] for _ in range(line_count)]

    def add(self, title: str, cells: Sequence[str], side: str = RIGHT) -> None:
        """One more column, at the right."""
        self.header.append(title)
        self.sides.append(side)
        for row, cell in zip(self.rows, cells, strict=True):
            row.append(cell)

    def blocks(self, width: int | None, together: int = 1) -> list[list[str]]:
        """The lines, in one block or several."""
        return in_blocks(self.header, self.rows, self.sides, width, together)

    def room(self, width: int) -> int:
        """Columns of a terminal of that width that another column could take while the labels stay readable."""
        widths = column_widths([[printable(cell) for cell in row] for row in [self.header, *self.rows]])
        sided = zip(widths, self.sides, strict=True)
        return width - sum(min(cell, READABLE_LABEL) if side == LEFT else cell for cell, side in sided) - self._gaps()

    def _gaps(self) -> int:
        return len(GAP) * len(self.header)


def layout_of(answer: Answer, style: Style, clock: Clock) -> Layout:
    """The layout that suits an answer which has series."""
    columns, lines = columns_of_answer(answer), lines_of_answer(answer)
    stepped = "step_ms" in answer and any(line.points() for line in lines)
    if stepped and len(lines) == 1 and "vs" not in answer:
        return _by_time(answer, columns, lines[0], style, clock)
    return _by_labels(answer, columns, lines, style, stepped)


def _by_labels(answer: Answer, columns: list[Column], lines: list[Line], style: Style, stepped: bool) -> Layout:
    labels = label_names(answer["series"])
    grid = Grid(len(lines))
    for label in labels:
        grid.add(label, [line.labels.get(label) or UNLABELLED for line in lines], LEFT)
    judged = judges(answer["series"])
    for column in columns:
        grid.add(column.title, [column.cell(line.cells) for line in lines])
        if "vs" in answer:
            _add_comparison(answer, column, lines, style, grid)
        elif judged:
            _add_interval(answer, column, [line.cells for line in lines], grid)
    if labels and with_samples(answer, columns):
        _add_samples(answer, [line.cells for line in lines], grid)
    notes = _add_trends(answer, columns[0], lines, style, grid) if stepped else []
    if "vs" not in answer:
        return Layout(grid.blocks(style.width, WITH_INTERVAL if judged else 1), notes=notes)
    from obsagent.cli.changes import legend

    return Layout(grid.blocks(style.width, COMPARED), notes=[*notes, *legend(answer, style)])


def _add_comparison(answer: Answer, column: Column, lines: Sequence[Line], style: Style, grid: Grid) -> None:
    from obsagent.cli.changes import change_cells

    grid.add(answer["vs"]["what"], [column.cell(line.cells, "vs") for line in lines])
    grid.add("change", change_cells(column, lines, style))


def _add_interval(answer: Answer, column: Column, lines: Sequence[Cells], grid: Grid) -> None:
    """Between what a metric of predictions lies."""
    title = interval_title(column, answer["series"])
    if title:
        grid.add(title, interval_cells(column, lines))


def _add_samples(answer: Answer, lines: Sequence[Cells], grid: Grid) -> None:
    """What the numbers are of; of predictions also how many of them have a truth."""
    counts = [_samples(cells) for cells in lines]
    if not judges(answer["series"]):
        grid.add("samples", counts)
        return
    title = counts_title(answer["series"])
    if title not in grid.header:
        grid.add(title, counts)
    if MATURITY_METRIC not in grid.header:
        grid.add("maturity", maturity_cells(lines))


def _samples(cells: dict[str, Answer]) -> str:
    return format_count(sum(part["count"] for part in cells.values()))


def _add_trends(answer: Answer, column: Column, lines: Sequence[Line], style: Style, grid: Grid) -> list[str]:
    """Adds a column of sparklines if there is room for one, and says what its blocks stand for."""
    from obsagent.answer.durations import format_duration
    from obsagent.cli.sparkline import BLOCKS
    from obsagent.cli.trends import CELLS_MAX, Trends

    title = f"{column.title} every {format_duration(answer['step_ms'])}"
    room = CELLS_MAX if style.width is None else grid.room(style.width)
    trends = Trends(answer, column, lines)
    drawn = trends.drawn(room, style) if columns_of(title) <= room else []
    if not drawn:
        return []
    grid.add(title, drawn, FIXED)
    return [f"{BLOCKS[0]} {trends.low} {BLOCKS[-1]} {trends.high}"]


def _by_time(answer: Answer, columns: list[Column], line: Line, style: Style, clock: Clock) -> Layout:
    points = line.points()
    grid = Grid(len(points))
    grid.add("time", clock.starts(list(points)), LEFT)
    cells = list(points.values())
    for column in columns:
        grid.add(column.title, [column.cell(each) for each in cells])
        if judges(answer["series"]):
            _add_interval(answer, column, cells, grid)
    if with_samples(answer, columns):
        _add_samples(answer, cells, grid)
    together = WITH_INTERVAL if judges(answer["series"]) else 1
    return Layout(grid.blocks(style.width, together), _above(answer, columns[0], line, style))


def _above(answer: Answer, column: Column, line: Line, style: Style) -> str:
    """The labels that all lines share, and the first column as a sparkline."""
    from obsagent.cli.trends import CELLS_MAX, Trends

    pieces = [printable(f"{name}={value or MISSING}") for name, value in line.labels.items()]
    trends = Trends(answer, column, [line])
    labelled = f"{trends.low}–{trends.high}"
    taken = sum(columns_of(piece) + len(GAP) for piece in [*pieces, column.title, labelled])
    drawn = trends.drawn(CELLS_MAX if style.width is None else style.width - taken, style)
    return GAP.join([*pieces, *([column.title, *drawn, labelled] if drawn else [])])

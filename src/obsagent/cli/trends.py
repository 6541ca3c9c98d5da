"""A column of an answer over time (`step`): a sparkline for each line, all on one scale."""

from __future__ import annotations

from datetime import datetime

from obsagent.cli.sparkline import BLOCKS, sparkline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from obsagent.cli.columns import Answer, Column, Line
    from obsagent.cli.table import Style

CELLS_MIN = 8
CELLS_MAX = 120


class Axis:
    """The steps of an answer as positions: `steps` of them, the first one at 0."""

    def __init__(self, answer: Answer, starts: Iterable[str]) -> None:
        """`starts` are those of all steps that any line has; at least one."""
        self._step_s: float = answer["step_ms"] / 1000
        seconds = [_seconds(start) for start in starts]
        earliest = min(seconds)
        before = max(0, int((earliest - _seconds(answer["from"])) / self._step_s))
        self._first_s: float = earliest - before * self._step_s
        asked = -int(-(_seconds(answer["to"]) - self._first_s) // self._step_s)
        self.steps = max(asked, self._position(max(seconds)) + 1)

    def _position(self, start_s: float) -> int:
        return round((start_s - self._first_s) / self._step_s)

    def row(self, values: dict[str, float | None]) -> list[float | None]:
        """Values by the start of their step in order, with None where there is none."""
        row: list[float | None] = [None] * self.steps
        for start, value in values.items():
            row[self._position(_seconds(start))] = value
        return row


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Trends:
    """The sparklines of one column."""

    def __init__(self, answer: Answer, column: Column, lines: Sequence[Line]) -> None:
        """At least one of the lines has a step."""
        points = [line.points() for line in lines]
        axis = Axis(answer, [start for line in points for start in line])
        self._rows = [axis.row({start: column.of(cells) for start, cells in line.items()}) for line in points]
        self._values = [value for row in self._rows for value in row if value is not None]
        self._steps = axis.steps
        self._column = column

    @property
    def low(self) -> str:
        """The value of the lowest block, for people."""
        return self._column.format(min(self._values, default=None))

    @property
    def high(self) -> str:
        """The value of the highest block, for people."""
        return self._column.format(max(self._values, default=None))

    def drawn(self, room: int, style: Style) -> list[str]:
        """One sparkline a line, in at most `room` columns; none where they would say nothing or cannot be shown."""
        cells = min(room, self._steps, CELLS_MAX)
        if not self._values or cells < min(CELLS_MIN, self._steps) or not style.shows(BLOCKS):
            return []
        return [sparkline(row, min(self._values), max(self._values), cells) for row in self._rows]

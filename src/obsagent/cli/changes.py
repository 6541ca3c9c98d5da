"""What a comparison (`vs`) found: how much a value has changed, and whether that is more than its error bounds."""

from __future__ import annotations

from obsagent.cli.footer import POINTS
from obsagent.cli.outcomes import judges
from obsagent.cli.units import MISSING, format_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from obsagent.cli.columns import Answer, Column, Line
    from obsagent.cli.table import Style

NEW = "new"
GONE = "gone"
UNCHANGED = "±0 %"

LARGE_RATIO = 2.0
"""From here on `×3.1` says more than `+210 %`."""

RISE, FALL, MARK = "▲", "▼", "*"


def marks_of(style: Style) -> tuple[str, str]:
    """What stands beside a rise and a fall beyond the error bounds."""
    return (RISE, FALL) if style.terminal and style.shows(RISE + FALL) else (MARK, MARK)


def legend(answer: Answer, style: Style) -> list[str]:
    """What the marks mean, or that there are none."""
    found = [change for row in answer["series"] for change in row.get("change", {}).values()]
    bounds = "confidence intervals" if judges(answer["series"]) else "error bounds"
    if any(change["beyond_error"] for change in found):
        return [f"{''.join(dict.fromkeys(marks_of(style)))} beyond the {bounds}"]
    return [f"no change beyond the {bounds}"] if found else []


def change_cells(column: Column, lines: Sequence[Line], style: Style) -> list[str]:
    """A column's changes, line by line; marks stand below each other."""
    marked = [_mark(column, line, style) for line in lines]
    padding = 2 if any(marked) else 0
    return [
        format_change(column, line) + (f" {mark}" if mark else " " * padding)
        for line, mark in zip(lines, marked, strict=True)
    ]


def _mark(column: Column, line: Line, style: Style) -> str:
    change = change_of(column, line)
    if change is None or not change["beyond_error"]:
        return ""
    rise, fall = marks_of(style)
    return rise if change["absolute"] > 0 else fall


def change_of(column: Column, line: Line) -> dict[str, Any] | None:
    """The change of a value; None where a side has none."""
    change: dict[str, Any] | None = line.cells.get(column.metric["name"], {}).get("change", {}).get(column.stat)
    return change


def format_change(column: Column, line: Line) -> str:
    """`+12 %`, `×3.1`, `+0.2 points` of a share, `new` and `gone` where a side has no value."""
    now, then = column.of(line.cells), column.of(line.cells, "vs")
    if now is None:
        return MISSING if then is None else GONE
    if then is None:
        return NEW
    change = change_of(column, line)
    if change is None:
        return MISSING
    absolute, relative = change["absolute"], change["relative"]
    if absolute == 0:
        return UNCHANGED
    if then > 0 and now / then >= LARGE_RATIO:
        return f"×{_two_digits(now / then)}"
    if column.is_share:
        return _signed(absolute * 100, POINTS)
    if relative is None:
        return f"{_sign(absolute)}{column.format(abs(absolute))}"
    return _signed(relative * 100, "%")


def _signed(value: float, what: str) -> str:
    digits = _two_digits(abs(value))
    return UNCHANGED if digits == "0" else f"{_sign(value)}{digits} {what}"


def _sign(value: float) -> str:
    return "-" if value < 0 else "+"


def _two_digits(value: float) -> str:
    """`120`, `12`, `1.2`, `0.12`, `0.01`; what is smaller is 0."""
    if value >= 10:
        return format_number(round(value))
    shown = f"{value:.2f}" if value < 1 else f"{value:.1f}"
    return shown.rstrip("0").rstrip(".") if value < 1 else shown

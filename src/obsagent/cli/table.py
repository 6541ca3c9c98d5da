"""Aligned tables of text for terminals and pipes."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

GAP = "   "
ELLIPSIS = "…"
SHORTEST_CELL = 8

BOLD = "\x1b[1m"
DIM = "\x1b[2m"
PLAIN = "\x1b[0m"

LEFT = "left"
RIGHT = "right"


def columns_of(text: str) -> int:
    """How many columns a terminal uses for `text`."""
    if text.isascii():
        return len(text)
    import unicodedata  # most tables are plain

    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - combining


def printable(text: str) -> str:
    """`text` with what would move the cursor escaped: label values come from anywhere."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def aligned(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    sides: Sequence[str],
    width: int | None = None,
) -> list[str]:
    """Lines, the header first. `sides` says per column `LEFT` or `RIGHT`.

    Beyond `width` the widest left columns are cut in the middle of their values; None cuts nothing.
    """
    cells = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = [max(columns_of(row[index]) for row in cells) for index in range(len(header))]
    if width is not None:
        _shrink(widths, sides, width)
    return [_line(row, widths, sides) for row in cells]


def _shrink(widths: list[int], sides: Sequence[str], width: int) -> None:
    """Takes columns from the widest left-aligned cells until the line fits or they are short."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    flexible = [index for index, side in enumerate(sides) if side == LEFT]
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda index: widths[index])
        if widths[widest] <= SHORTEST_CELL:
            return
        widths[widest] -= 1
        excess -= 1


def _line(row: Sequence[str], widths: Sequence[int], sides: Sequence[str]) -> str:
    padded = []
    for cell, width, side in zip(row, widths, sides, strict=True):
        shown = _cut(cell, width)
        padding = " " * (width - columns_of(shown))
        padded.append(padding + shown if side == RIGHT else shown + padding)
    return GAP.join(padded).rstrip()


def _cut(cell: str, width: int) -> str:
    """Keeps both ends: paths differ at the end, names at the start."""
    if columns_of(cell) <= width:
        return cell
    tail = (width - 1) // 2
    head = width - 1 - tail
    shown = f"{cell[:head]}{ELLIPSIS}{cell[len(cell) - tail :]}"
    while columns_of(shown) > width:
        shown = shown[:-1]
    return shown


class Style:
    """What a stream can show: its width (None: as wide as it gets) and whether it takes colour."""

    def __init__(self, stream: TextIO) -> None:
        """Looks at the stream and at `NO_COLOR`, `TERM`, `COLUMNS`."""
        terminal = stream.isatty()
        self.width = terminal_width(stream) if terminal else None
        self._coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def bold(self, text: str) -> str:
        """For headers."""
        return f"{BOLD}{text}{PLAIN}" if self._coloured else text

    def dim(self, text: str) -> str:
        """For what is said beside the result."""
        return f"{DIM}{text}{PLAIN}" if self._coloured else text


def terminal_width(stream: TextIO | None) -> int:
    """Its columns: what `COLUMNS` says, else what the terminal says, else 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # no stream, no terminal, closed
        return 80

"""Aligned tables of text for terminals and pipes."""

from __future__ import annotations

import os

from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

GAP = "   "
ELLIPSIS = "…"
NARROW = "–…▁▂▃▄▅▆▇█▲▼"
FIRST_COMBINING = "\u0300"
"""Below it no character is wide or has no width of its own; nor has what is drawn here."""

SHORTEST_CELL = 8

BOLD = "\x1b[1m"
DIM = "\x1b[2m"
PLAIN = "\x1b[0m"

LEFT = "left"
RIGHT = "right"
FIXED = "fixed"
"""Sides of columns: labels, numbers, and what is left-aligned like a label but never cut."""


def columns_of(text: str) -> int:
    """How many columns a terminal uses for `text`."""
    if text.isascii() or all(character < FIRST_COMBINING or character in NARROW for character in text):
        return len(text)
    import unicodedata  # hardly any table needs its megabyte

    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - combining


def aligned(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    sides: Sequence[str],
    width: int | None = None,
) -> list[str]:
    """Lines, the header first. `sides` says per column `LEFT`, `RIGHT` or `FIXED`.

    Beyond `width` the widest left columns are cut in the middle of their values; None cuts nothing.
    """
    cells = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = column_widths(cells)
    if width is not None:
        _shrink(widths, sides, width)
    return [_line(row, widths, sides) for row in cells]


def in_blocks(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    sides: Sequence[str],
    width: int | None = None,
    together: int = 1,
) -> list[list[str]]:
    """Tables as `aligned` makes them: more than one where the numbers do not fit beside each other.

    Each has the leading left columns, and as many of the others as fit, `together` columns at a time.
    """
    lines = aligned(header, rows, sides, width)
    if width is None or max(map(columns_of, lines)) <= width:
        return [lines]
    labels = list(range(next((index for index, side in enumerate(sides) if side != LEFT), len(sides))))
    widths = column_widths([[printable(cell) for cell in row] for row in [header, *rows]])
    room = width - sum(min(widths[index], SHORTEST_CELL) + len(GAP) for index in labels) + len(GAP)
    return [
        aligned(
            [header[index] for index in chosen],
            [[row[index] for index in chosen] for row in rows],
            [sides[index] for index in chosen],
            width,
        )
        for chosen in ([*labels, *part] for part in _parts(widths, len(labels), room, together))
    ]


def _parts(widths: Sequence[int], first: int, room: int, together: int) -> list[list[int]]:
    """The columns from `first` on, split into as few runs as fit into `room` columns of a terminal."""
    parts: list[list[int]] = []
    used = 0
    for start in range(first, len(widths), together):
        columns = list(range(start, min(start + together, len(widths))))
        needed = sum(widths[index] + len(GAP) for index in columns)
        if not parts or used + needed > room:
            parts.append([])
            used = 0
        parts[-1] += columns
        used += needed
    return parts


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The widest cell of each column."""
    return [max(map(columns_of, column)) for column in zip(*rows, strict=True)]


def joined(pieces: Iterable[str], separator: str, width: int | None) -> list[str]:
    """The pieces one after the other, in as many lines as `width` asks for."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]}{separator}{piece}" if lines else piece
        if lines and (width is None or columns_of(longer) <= width):
            lines[-1] = longer
        else:
            lines.append(piece)
    return lines


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
    """What a stream can show: its width (None: as wide as it gets), whether it is a terminal and takes colour."""

    def __init__(self, stream: TextIO) -> None:
        """Looks at the stream and at `NO_COLOR`, `TERM`, `COLUMNS`."""
        self.terminal = stream.isatty()
        self.width = terminal_width(stream) if self.terminal else None
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._coloured = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def bold(self, text: str) -> str:
        """For headers."""
        return f"{BOLD}{text}{PLAIN}" if self._coloured else text

    def dim(self, text: str) -> str:
        """For what is said beside the result."""
        return f"{DIM}{text}{PLAIN}" if self._coloured else text

    def shows(self, text: str) -> bool:
        """False if the stream's encoding lacks a character of `text`."""
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True


def terminal_width(stream: TextIO | None) -> int:
    """Its columns: what `COLUMNS` says, else what the terminal says, else 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # no stream, no terminal, closed
        return 80

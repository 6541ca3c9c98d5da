"""Text that is redrawn in place on a terminal: neither flickering nor filling what can be scrolled back."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

UP_LINES = "\x1b[{}F"
HOME = "\x1b[H"
ERASE_LINE = "\x1b[K"
ERASE_BELOW = "\x1b[J"
WRAP_OFF, WRAP_ON = "\x1b[?7l", "\x1b[?7h"

ROWS = 24


class Screen:
    """The lines drawn last, which the next ones take the place of."""

    def __init__(self, stream: TextIO) -> None:
        """Draws nothing yet; `stream` is a terminal once something is drawn."""
        self._stream = stream
        self._drawn = 0
        self._size = os.terminal_size((0, 0))

    def draw(self, lines: Sequence[str]) -> None:
        """Shows as many lines as there is room for, in one write: the terminal has no half of it to show."""
        size = self._terminal_size()
        start = HOME if self._drawn and size != self._size else self._back()
        shown = list(lines)
        rows = max(1, size.lines - 1)  # the cursor stands below
        if len(shown) > rows:
            shown[rows - 1 :] = [f"… {len(lines) - rows + 1} more lines"]
        body = "".join(f"{line}{ERASE_LINE}\n" for line in shown)
        self._stream.write(f"{start}{WRAP_OFF}{body}{ERASE_BELOW}{WRAP_ON}")
        self._stream.flush()
        self._drawn, self._size = len(shown), size

    def leave(self) -> None:
        """Lets the lines stand: what is drawn next comes below them."""
        self._drawn = 0

    def end(self) -> None:
        """Puts the cursor below what was drawn and the `^C` that the terminal has shown there."""
        if self._drawn:
            self._stream.write("\n")
        self._drawn = 0

    def _back(self) -> str:
        return UP_LINES.format(self._drawn) if self._drawn else ""

    def _terminal_size(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._stream.fileno())
        except OSError:
            return os.terminal_size((0, ROWS))

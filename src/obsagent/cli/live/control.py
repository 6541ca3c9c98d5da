"""What the keys of `obsagent top` do to what it shows; knows neither terminal nor agent."""

from __future__ import annotations

from dataclasses import dataclass

NEXT = ("s", ">", "right")
PREVIOUS = ("<", "left")
QUIT = ("q", "Q")

HELP = (
    ("q", "quit (Ctrl-C does too)"),
    ("s  >  →", "sort by the next column"),
    ("<  ←", "sort by the previous column"),
    ("r", "reverse the order"),
    ("/", "show only rows that hold a text; Enter keeps it, Esc drops it"),
    ("e", "one row for each endpoint, or for each service"),
    ("space", "pause, or go on"),
    ("h  ?", "this help"),
)


@dataclass(slots=True)
class Control:
    """The state that keys change. `filter` is a part of a row's names; `typing` is true while it is entered."""

    sort: str = "rate"
    ascending: bool = False
    filter: str = ""
    typing: bool = False
    by_endpoint: bool = False
    paused: bool = False
    help: bool = False
    ended: bool = False

    def press(self, key: str, columns: list[str]) -> None:
        """One key; `columns` are those that can be sorted by, in their order."""
        if self.typing:
            self._type(key)
        elif key in QUIT:
            self.ended = True
        elif key in NEXT or key in PREVIOUS:
            self._move(1 if key in NEXT else -1, columns)
        elif key == "r":
            self.ascending = not self.ascending
        elif key == "/":
            self.typing = True
        elif key == "e":
            self.by_endpoint = not self.by_endpoint
        elif key == " ":
            self.paused = not self.paused
        elif key in ("h", "?"):
            self.help = not self.help
        elif key == "escape":
            self.filter, self.help = "", False

    def _type(self, key: str) -> None:
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing, self.filter = False, ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1:
            self.filter += key

    def _move(self, step: int, columns: list[str]) -> None:
        at = columns.index(self.sort) if self.sort in columns else -1
        self.sort = columns[(at + step) % len(columns)]

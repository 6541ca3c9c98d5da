"""When which row came, roughly: a few marks that grow sparser with age."""

from __future__ import annotations

from collections.abc import Iterable

KEPT = 256
"""So many marks at most."""
OLDER = 192
"""Where there are more every other one of so many is dropped, the oldest ones."""


class Marks:
    """Numbers of rows with the time at which so many had come; both never fall."""

    def __init__(self, marks: Iterable[Iterable[int]] = ()) -> None:
        """Empty, or what `to_plain` gave."""
        self._marks = [(int(rows), int(at_ms)) for rows, at_ms in marks]

    def add(self, rows: int, at_ms: int) -> None:
        """So many rows have come by then."""
        last_ms = self._marks[-1][1] if self._marks else at_ms
        self._marks.append((rows, max(at_ms, last_ms)))
        if len(self._marks) > KEPT:
            self._marks = self._marks[:OLDER:2] + self._marks[OLDER:]

    def after(self, rows: int) -> int:
        """When the first row behind so many came, at the latest; 0 if nobody knows."""
        return next((at_ms for known, at_ms in self._marks if known > rows), 0)

    def to_plain(self) -> list[list[int]]:
        """As JSON takes it."""
        return [list(mark) for mark in self._marks]

"""The series of one instrument with labels: which there are, and which of its labels would make too many.

`labels()` looks a series up in `recent`, without a lock and without counting anything. Every 50 new series `recent` is
emptied (a *turn*), so that a series which is used after that comes by `find` once, where it is noticed that its values
have come back. A program that makes no new series any more pays nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from obsagent.record.near_unique import LabelWatch

TURN_SERIES = 50

Key = tuple[str, ...]


class MetricSeries:
    """Bound series by their label values, in the order of the label names. The registry's lock is its lock."""

    __slots__ = ("_bound", "_has_function", "_is_judged", "_names", "_watches", "before_turn", "overflow", "recent")

    def __init__(
        self,
        label_names: Sequence[str],
        has_function: Callable[[Any], bool],
        *,
        is_judged: bool = True,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`has_function` says of a bound gauge that it calls for its value itself. Unless `is_judged`, no label is."""
        self.recent: dict[Key, Any] = {}
        self.overflow: Any = None
        self.before_turn: Callable[[], object] = self.recent.clear
        self._names = tuple(label_names)
        self._has_function = has_function
        self._is_judged = is_judged
        self._watches = tuple(LabelWatch(clock_s) for _ in self._names)
        self._bound: dict[Key, Any] = {}

    def __len__(self) -> int:
        return len(self._bound) + (self.overflow is not None)

    def find(self, key: Key) -> Any:
        """The bound series, or None if there is none."""
        bound = self._bound.get(key)
        if bound is not None:
            self._see(key)
            self.recent[key] = bound
        return bound

    def refusing_label(self, key: Key) -> str | None:
        """The near-unique label because of which there is to be no such series."""
        for name, watch, value in zip(self._names, self._watches, key, strict=True):
            if not watch.takes(value):
                return name
        return None

    def largest_label(self) -> str:
        """The label with most values."""
        return max(zip(self._names, self._watches, strict=True), key=lambda each: len(each[1]))[0]

    def values_of(self, label: str) -> LabelWatch:
        """What is known of a label's values."""
        return self._watches[self._names.index(label)]

    def add(self, key: Key, bound: Any) -> None:
        """A new series; every 50th is the turn to judge the labels."""
        self._bound[key] = self.recent[key] = bound
        self._see(key)
        if self._is_judged and len(self._bound) % TURN_SERIES == 0:
            self._turn()

    def _see(self, key: Key) -> None:
        for watch, value in zip(self._watches, key, strict=True):
            watch.see(value)

    def _turn(self) -> None:
        self.before_turn()
        self.recent.clear()
        if not any(watch.seems_near_unique() for watch in self._watches):
            return
        self._note_held()
        for watch in self._watches:
            if watch.seems_near_unique():
                watch.refuse_new()

    def _note_held(self) -> None:
        """Values of the series that the program holds, or that are gauges with a function, are in use."""
        counts = _reference_counts(self._bound)
        for (key, bound), count in zip(self._bound.items(), counts, strict=True):
            if count > UNHELD or self._has_function(bound):
                for watch, value in zip(self._watches, key, strict=True):
                    watch.hold(value)


def _reference_counts(bound: Mapping[Key, Any]) -> Iterable[int]:
    return [sys.getrefcount(each) for each in bound.values()]


(UNHELD,) = _reference_counts({(): object()})
"""References to what nobody but such a mapping holds, as `_reference_counts` sees them."""

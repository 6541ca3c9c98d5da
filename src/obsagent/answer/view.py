"""What an answer is made from: the read side of a store, live or not.

`obsagent.head` implements this for a running agent and for a store opened read-only; tests implement it in a
few lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.samples import Series

if TYPE_CHECKING:
    from obsagent._native.codec import Groups


class Coverage(Protocol):
    """Which windows of the asked range the store holds at all, whatever the series."""

    @property
    def first_ms(self) -> int | None:
        """Start of the first window, or None if there is none."""
        ...

    @property
    def last_ms(self) -> int | None:
        """End of the last window, or None if there is none."""
        ...


class View(Protocol):
    """A consistent snapshot. Times are milliseconds since the epoch, UTC."""

    @property
    def overflowed(self) -> Mapping[str, int]:
        """Metric → number of its series that were refused for the budget."""
        ...

    def series(self) -> Iterable[Series]:
        """Every series that the store knows."""
        ...

    def collect(self, from_ms: int, to_ms: int, groups: Groups) -> Coverage:
        """Merges the windows that start in `[window_start(from_ms), to_ms)` into `groups`."""
        ...

    def accounts(self, from_ms: int, to_ms: int) -> Mapping[str, Mapping[str, Any]]:
        """Service → `observed`, `stored`, `dropped{reason}`, `rejected{reason}` of those windows."""
        ...

    def metric_last_ms(self, metric: str) -> int | None:
        """Time of the metric's last sample as far as it is known."""
        ...

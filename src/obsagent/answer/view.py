"""What an answer is made from: the read side of a store, live or not.

`obsagent.head` implements this for a running agent and for a store opened read-only; tests implement it in a
few lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.answer.outcomes import Gap, Ledger
from obsagent.samples import Event, Exemplar, Series

if TYPE_CHECKING:
    from obsagent._native.codec import Groups


class Reads(Protocol):
    """What was read for an answer. Bytes are those stored; raw bytes, those after decompression."""

    @property
    def segments(self) -> int:
        """Files."""
        ...

    @property
    def blocks(self) -> int:
        """Blocks whose index was read."""
        ...

    @property
    def frames(self) -> int:
        """Frames that were decompressed."""
        ...

    @property
    def bytes(self) -> int:
        """Stored bytes."""
        ...

    @property
    def raw_bytes(self) -> int:
        """Bytes after decompression."""
        ...

    @property
    def head_windows(self) -> int:
        """Windows in memory."""
        ...


class Coverage(Protocol):
    """Which windows of the asked range the store holds at all, whatever the series, and what was read of it."""

    @property
    def first_ms(self) -> int | None:
        """Start of the first window, or None if there is none."""
        ...

    @property
    def last_ms(self) -> int | None:
        """End of the last window, or None if there is none."""
        ...

    @property
    def to_ms(self) -> int:
        """Where reading ended: behind the asked range if only windows are kept that reach over its end."""
        ...

    @property
    def reads(self) -> Reads:
        """What was read."""
        ...


class Clients(Protocol):
    """Who sends samples."""

    @property
    def live(self) -> int:
        """Sessions that are alive."""
        ...

    @property
    def last_ms(self) -> int | None:
        """When one of them, or one that has ended, was last heard of; None if it is not known."""
        ...


class View(Protocol):
    """A consistent snapshot. Times are milliseconds since the epoch, UTC."""

    @property
    def overflowed(self) -> Mapping[str, int]:
        """Metric → number of its series that were refused for the budget."""
        ...

    @property
    def ledger(self) -> Ledger | None:
        """What is kept by the ids of requests; None where nothing is."""
        ...

    def series(self) -> Iterable[Series]:
        """Every series that the store knows."""
        ...

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows that must be read for what is kept from that time on."""
        ...

    def collect(self, from_ms: int, to_ms: int, groups: Groups, step_ms: int = 0) -> Coverage:
        """Merges the windows that start in `[window_start(from_ms), to_ms)` into `groups`.

        Longer windows may be read where none of them reaches over the end of a step.
        """
        ...

    def collect_exemplars(
        self, series_ids: Collection[int], from_ms: int, to_ms: int, step_ms: int = 0
    ) -> Sequence[Exemplar]:
        """The largest observation that has an id of each series and window, of the windows that `collect` reads."""
        ...

    def last_samples(self, series_ids: Collection[int], from_ms: int) -> Mapping[int, tuple[int, int]]:
        """Series → start and end of the newest window that holds a sample of it, not before `from_ms`."""
        ...

    def accounts(self, from_ms: int, to_ms: int) -> Mapping[str, Mapping[str, Any]]:
        """Service → `observed`, `stored`, `dropped{reason}`, `rejected{reason}` of those windows."""
        ...

    def gaps(self, from_ms: int, to_ms: int) -> Sequence[Gap]:
        """The gaps that touch those windows, with what was found out by reading them; so ask after that."""
        ...

    def clients(self) -> Clients:
        """The sessions of all services but the agent's own."""
        ...

    def clients_by_service(self) -> Mapping[str, Clients]:
        """The sessions that are remembered, by service, the agent's own included."""
        ...

    def metric_last_ms(self, metric: str) -> int | None:
        """Time of the metric's last sample as far as it is known."""
        ...

    def events(self, name: str | None = None) -> Sequence[Event]:
        """The events, oldest first; of one name, or all."""
        ...

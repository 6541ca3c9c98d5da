"""What a query reads: the windows in memory and the blocks on disk, each sample exactly once.

A view names, at the moment it is made, the window objects of the head, those that a checkpoint has
detached and not yet committed, and the blocks that are committed. Whatever a checkpoint does afterwards,
it moves nothing from one of these to another *inside the view*: a block that is committed later is not in
it, and the windows that it was made from still are. Samples that arrive later may show up in a window.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from obsagent._native.codec import Groups
from obsagent.clock import window_start
from obsagent.errors import StoreError
from obsagent.head.accounts import AccountBook, Accounts
from obsagent.head.events import EventLog
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import Clients, SessionTable
from obsagent.head.state import HeadWindow
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Series
from obsagent.segment import format as layout
from obsagent.segment.gaps import overlapping
from obsagent.segment.reader import BlockReader
from obsagent.segment.recover import BlockRef
from obsagent.segment.tables import Gap


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part of the asked range the store holds: start of the first window, end of the last, how many.

    `reads` is what finding that out has read.
    """

    first_ms: int | None
    last_ms: int | None
    windows: int
    reads: Reads


@dataclass(frozen=True, slots=True)
class Reads:
    """What was read: of segments as `segment.reader.Reads`, and how many windows in memory were merged."""

    segments: int = 0
    blocks: int = 0
    frames: int = 0
    bytes: int = 0
    raw_bytes: int = 0
    head_windows: int = 0


@dataclass(slots=True, eq=False, weakref_slot=True)
class View:
    """A snapshot of a store; made by `Store.view` and `ReadOnlyStore.view`. Times are ms since the epoch."""

    lock: AbstractContextManager[Any]
    table: SeriesTable
    sessions: SessionTable
    windows: Sequence[HeadWindow]
    books: Sequence[AccountBook]
    blocks: tuple[BlockRef, ...]
    last_seen: Mapping[str, int]
    overflowed: Mapping[str, int]
    log: EventLog
    now_ms: int
    reader: BlockReader
    known_gaps: Callable[[], Sequence[Gap]] = list

    def series(self) -> list[Series]:
        """Every series that the store knows."""
        return list(self.table)

    def collect(self, from_ms: int, to_ms: int, groups: Groups) -> Coverage:
        """Merge the windows that start in `[window_start(from_ms), to_ms)` into the groups of their series.

        The coverage is that of the store, whatever series are selected.
        """
        first_ms = window_start(from_ms)
        with _files_that_stay():
            starts, read = self.reader.collect(self.blocks, first_ms, to_ms, groups)
        inside = [window for window in self.windows if first_ms <= window.start_ms < to_ms]
        for window in inside:
            with self.lock:
                window.samples.collect(groups, window.start_ms)
        starts.update(window.start_ms for window in inside)
        reads = Reads(**asdict(read), head_windows=len(inside))
        if not starts:
            return Coverage(None, None, 0, reads)
        return Coverage(min(starts), max(starts) + WINDOW_MS, len(starts), reads)

    def last_samples(self, series_ids: Collection[int], from_ms: int) -> dict[int, int]:
        """Series → end (ms) of the newest window that holds a sample of it, not before `from_ms`.

        Reads backwards from now, until every series is found.
        """
        first_ms = window_start(from_ms)
        wanted = set(series_ids)
        newest: dict[int, int] = {}
        for window in self.windows:
            if window.start_ms >= first_ms:
                with self.lock:
                    found = [series_id for series_id in wanted if series_id in window.samples]
                newest.update((each, max(window.start_ms, newest.get(each, 0))) for each in found)
        with _files_that_stay():
            stored = self.reader.last_windows(self.blocks, wanted, first_ms, newest)
        return {series_id: start_ms + WINDOW_MS for series_id, start_ms in stored.items()}

    def collect_totals(self, groups: Groups) -> None:
        """Merge everything that was ever stored of the selected series into their groups.

        Totals do not depend on what is still kept: a segment file begins with those of all files before.
        """
        with _files_that_stay():
            self.reader.collect_totals(self.blocks[last_head(self.blocks) :], groups)
        for window in self.windows:
            with self.lock:
                window.samples.collect(groups, window.start_ms)

    def accounts(self, from_ms: int, to_ms: int) -> dict[str, dict[str, Any]]:
        """Service → `observed stored pending dropped{reason} rejected{reason}` of the windows in the range."""
        first_ms = window_start(from_ms)
        with _files_that_stay():
            stored = self.reader.accounts(self.blocks, first_ms, to_ms)
        sums = {service: Accounts.from_row(row) for service, row in stored.items()}
        with self.lock:
            for book in self.books:
                for window_ms, service, account in book.items():
                    if first_ms <= window_ms < to_ms:
                        sums.setdefault(service, Accounts()).add(account)
        return {service: account.as_dict() for service, account in sorted(sums.items())}

    def gaps(self, from_ms: int, to_ms: int) -> list[Gap]:
        """The times that touch the windows of the range and of which something acknowledged may be missing.

        What is damaged is often noticed only when it is read: ask after reading.
        """
        return overlapping(self.known_gaps(), window_start(from_ms), to_ms)

    def clients(self) -> Clients:
        """The sessions of all services but the agent's own."""
        return self.sessions.clients()

    def clients_by_service(self) -> dict[str, Clients]:
        """The sessions that are remembered, by service, the agent's own included."""
        return self.sessions.clients_by_service()

    def events(self, name: str | None = None) -> list[Event]:
        """The events of this name, or all, oldest first; labels are the event's own, `service`, `host`, `version`."""
        with self.lock:
            return self.log.named(name)

    def last_window_ms(self) -> int | None:
        """Start of the newest window that holds anything."""
        starts = [window.start_ms for window in self.windows]
        starts += [block.header.last_window_ms for block in self.blocks[-1:]]
        found = [start for start in starts if start >= 0]
        return max(found, default=None)

    def metric_last_ms(self, metric: str) -> int | None:
        """When the last sample of a metric was seen, to the window; None if there never was one."""
        newest = self.last_seen.get(metric)
        ids = self.table.ids_of(metric)
        for window in self.windows:
            with self.lock:
                if any(series_id in window.samples for series_id in ids):
                    newest = max(window.last_sample_ms, newest or 0)
        return newest


@contextmanager
def _files_that_stay() -> Iterator[None]:
    """Raises StoreError if a segment file is gone, which only a reader without a lock can meet."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{error.filename} was replaced while the store was read: ask again") from error


def last_head(blocks: Sequence[BlockRef]) -> int:
    """Index of the last head block, 0 if there is none: where totals begin."""
    for index in range(len(blocks) - 1, -1, -1):
        if blocks[index].header.kind == layout.BLOCK_HEAD:
            return index
    return 0


def last_seen_in(windows: Sequence[HeadWindow], table: SeriesTable) -> dict[str, int]:
    """Metric → time of its last sample in windows that nobody changes any more, to the window."""
    seen: dict[str, int] = {}
    for window in windows:
        found = (table.get(series_id) for series_id in window.samples.series_ids())
        for metric in {series.metric for series in found if series is not None}:
            seen[metric] = max(window.last_sample_ms, seen.get(metric, 0))
    return seen

"""What a query reads: the windows in memory and the blocks on disk, each sample exactly once.

A view names, at the moment it is made, the window objects of the head, those that a checkpoint has
detached and not yet committed, and the blocks that are committed, of all tiers; which of these answer for which
time, `segment/tiers.py` says. Whatever a checkpoint does afterwards,
it moves nothing from one of these to another *inside the view*: a block that is committed later is not in
it, and the windows that it was made from still are. Samples that arrive later may show up in a window.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from obsagent._native.codec import Groups, Window
from obsagent.clock import window_start
from obsagent.errors import StoreError
from obsagent.exemplars import kept_of
from obsagent.head.accounts import AccountBook, Accounts
from obsagent.head.events import EventLog
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import Clients, SessionTable
from obsagent.head.state import HeadWindow
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.samples import Event, Exemplar, Series
from obsagent.segment import format as layout
from obsagent.segment.gaps import overlapping
from obsagent.segment.reader import BlockReader
from obsagent.segment.reader import Reads as BlockReads
from obsagent.segment.recover import BlockRef
from obsagent.segment.tables import Gap
from obsagent.segment.tiers import Piece, Tiers


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part of the asked range the store holds: start of the first window, end of the last, how many.

    `to_ms` is where reading ended: behind the asked range if only windows are kept that reach over its end. `reads`
    is what finding that out has read.
    """

    first_ms: int | None
    last_ms: int | None
    windows: int
    to_ms: int
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


def _no_ledger() -> None:
    """A store without predictions that carry ids."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class View:
    """A snapshot of a store; made by `Store.view` and `ReadOnlyStore.view`. Times are ms since the epoch."""

    lock: AbstractContextManager[Any]
    table: SeriesTable
    sessions: SessionTable
    windows: Sequence[HeadWindow]
    books: Sequence[AccountBook]
    tiers: Tiers
    last_seen: Mapping[str, int]
    overflowed: Mapping[str, int]
    log: EventLog
    now_ms: int
    reader: BlockReader
    known_gaps: Callable[[], Sequence[Gap]] = list
    open_ledger: Callable[[], Any] = _no_ledger
    """Makes what `ledger` says, when it is first asked for."""
    _ledger: Any = field(default=None, init=False)

    @property
    def blocks(self) -> tuple[BlockRef, ...]:
        """The blocks of the 10 s tier, head blocks among them."""
        return self.tiers.blocks

    @property
    def ledger(self) -> Any:
        """What is kept by the ids of requests (`obsagent.answer.outcomes.Ledger`); None where nothing is."""
        if self._ledger is None:
            self._ledger = self.open_ledger()
        return self._ledger

    def series(self) -> list[Series]:
        """Every series that the store knows."""
        return list(self.table)

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows that must be read for what is kept from that time on."""
        return self.tiers.window_ms_from(from_ms)

    def collect(self, from_ms: int, to_ms: int, groups: Groups, step_ms: int = 0) -> Coverage:
        """Merge the windows that start in `[window_start(from_ms), to_ms)` into the groups of their series.

        Longer windows are read where they serve as well: between the ends of the range, and within each step if
        there are steps; and where shorter ones are not kept any more. The coverage is that of the store, whatever
        series are selected.
        """
        pieces = self.tiers.pieces(from_ms, to_ms, step_ms)
        read = BlockReads()
        windows: set[tuple[int, int]] = set()
        for window_ms, begin_ms, end_ms in pieces:
            with _files_that_stay():
                starts = self.reader.collect(self.tiers.chosen(window_ms), begin_ms, end_ms, groups, read)
            starts = {at_ms - at_ms % window_ms for at_ms in starts}  # of what is not rolled up that far yet
            windows.update((at_ms, at_ms + window_ms) for at_ms in starts)
        inside = [window for window in self.windows if any(_holds(piece, window.start_ms) for piece in pieces)]
        for window in inside:
            with self.lock:
                window.samples.collect(groups, window.start_ms)
        windows.update((window.start_ms, window.start_ms + WINDOW_MS) for window in inside)
        reads = Reads(read.segments, read.blocks, read.frames, read.bytes, read.raw_bytes, len(inside))
        read_to_ms = max([to_ms, *(piece.to_ms for piece in pieces[-1:])])
        if not windows:
            return Coverage(None, None, 0, read_to_ms, reads)
        first_ms, last_ms = self._first(min(windows)), self._last(max(windows, key=itemgetter(1)))
        return Coverage(first_ms, last_ms, len(windows), read_to_ms, reads)

    def _first(self, window: tuple[int, int]) -> int:
        """The start of the first of the shortest windows that are kept of those in a longer one.

        An hour was read for an agent that began at its end: what is covered, and rates, do not depend on that.
        """
        start_ms, end_ms = window
        for shorter_ms in self._shorter(window):
            if start_ms < self.tiers.begins(shorter_ms):
                break
            starts = self._windows_within(shorter_ms, start_ms, end_ms)
            start_ms = min(starts, default=start_ms)
            end_ms = start_ms + shorter_ms
        return start_ms

    def _last(self, window: tuple[int, int]) -> int:
        """The end of the last of them."""
        start_ms, end_ms = window
        for shorter_ms in self._shorter(window):
            starts = self._windows_within(shorter_ms, max(start_ms, self.tiers.begins(shorter_ms)), end_ms)
            if not starts:
                break
            start_ms = max(starts)
            end_ms = start_ms + shorter_ms
        return end_ms

    def _shorter(self, window: tuple[int, int]) -> list[int]:
        start_ms, end_ms = window
        return [each for each in reversed(TIER_WINDOWS_MS) if each < end_ms - start_ms]

    def _windows_within(self, window_ms: int, from_ms: int, to_ms: int) -> set[int]:
        """The windows of one tier in a range, by their start, those in memory among them; reads indexes only."""
        with _files_that_stay():
            starts = self.reader.windows(self.tiers.chosen(window_ms), from_ms, to_ms)
        starts.update(each.start_ms for each in self.windows if from_ms <= each.start_ms < to_ms)
        return {start_ms - start_ms % window_ms for start_ms in starts}

    def starts(self, from_ms: int, to_ms: int, step_ms: int) -> list[int]:
        """The multiples of `step_ms` in the range behind which anything is stored, in order; reads indexes only."""
        found: set[int] = set()
        for piece in self.tiers.pieces(from_ms, to_ms, step_ms):
            with _files_that_stay():
                found |= self.reader.windows(self.tiers.chosen(piece.window_ms), piece.from_ms, piece.to_ms)
            found.update(each.start_ms for each in self.windows if _holds(piece, each.start_ms))
        steps = {start_ms - start_ms % step_ms for start_ms in found}
        return sorted(start_ms for start_ms in steps if from_ms <= start_ms < to_ms)

    def last_samples(self, series_ids: Collection[int], from_ms: int) -> dict[int, tuple[int, int]]:
        """Series → start and end (ms) of the newest window that holds a sample of it, not before `from_ms`.

        Reads backwards from now, until every series is found.
        """
        first_ms = window_start(from_ms)
        wanted = set(series_ids)
        newest: dict[int, int] = {}
        for window in self.windows:
            if window.start_ms >= first_ms:
                with self.lock:
                    inside = [series_id for series_id in wanted if series_id in window.samples]
                newest.update((each, max(window.start_ms, newest.get(each, 0))) for each in inside)
        found: dict[int, tuple[int, int]] = {}
        for window_ms, blocks in ((WINDOW_MS, self.blocks), *sorted(self.tiers.rolled.items())):
            with _files_that_stay():
                starts = self.reader.last_windows(blocks, wanted, first_ms - first_ms % window_ms, newest)
            found.update((series_id, (at_ms, at_ms + window_ms)) for series_id, at_ms in starts.items())
            wanted, newest = wanted.difference(found), {}
        return found

    def collect_totals(self, groups: Groups) -> None:
        """Merge everything that was ever stored of the selected series into their groups.

        Totals do not depend on what is still kept: a segment file begins with those of all files before.
        """
        with _files_that_stay():
            self.reader.collect_totals(self.blocks[last_head(self.blocks) :], groups)
        self.collect_memory(groups)

    def collect_memory(self, groups: Groups) -> None:
        """Merge the windows in memory."""
        for window in self.windows:
            with self.lock:
                window.samples.collect(groups, window.start_ms)

    def merge_blocks(self, blocks: Sequence[BlockRef], into: Window) -> None:
        """Merge everything that blocks hold, of a head block its totals, into one window."""
        with _files_that_stay():
            self.reader.merge(blocks, into)

    def accounts(self, from_ms: int, to_ms: int) -> dict[str, dict[str, Any]]:
        """Service → `observed stored pending dropped{reason} rejected{reason}` of the windows in the range."""
        pieces = self.tiers.pieces(from_ms, to_ms)
        sums: dict[str, Accounts] = {}
        for window_ms, first_ms, end_ms in pieces:
            with _files_that_stay():
                stored = self.reader.accounts(self.tiers.chosen(window_ms), first_ms, end_ms)
            for service, row in stored.items():
                sums.setdefault(service, Accounts()).add(Accounts.from_row(row))
        with self.lock:
            for book in self.books:
                for window_ms, service, account in book.items():
                    if any(_holds(piece, window_ms) for piece in pieces):
                        sums.setdefault(service, Accounts()).add(account)
        return {service: account.as_dict() for service, account in sorted(sums.items())}

    def collect_exemplars(
        self, series_ids: Collection[int], from_ms: int, to_ms: int, step_ms: int = 0
    ) -> list[Exemplar]:
        """The largest observation that has an id of each series and window, of the windows that `collect` reads.

        By window and series; a window is as long as the one that it was found in. Of one that is rolled up without its
        late part that part's own largest is there too.
        """
        wanted = frozenset(series_ids)
        found: list[Exemplar] = []
        for piece in self.tiers.pieces(from_ms, to_ms, step_ms):
            window_ms, begin_ms, end_ms = piece
            with _files_that_stay():
                inside = [*self.reader.exemplars(self.tiers.chosen(window_ms), begin_ms, end_ms, wanted)]
            inside += (each for each in self._exemplars_in_memory(piece) if each.series_id in wanted)
            found += kept_of(inside)
        return found

    def _exemplars_in_memory(self, piece: Piece) -> list[Exemplar]:
        with self.lock:
            inside = [window for window in self.windows if _holds(piece, window.start_ms)]
            return [each for window in inside for each in window.exemplars.values()]

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


def _holds(piece: Piece, window_ms: int) -> bool:
    return piece.from_ms <= window_ms < piece.to_ms


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

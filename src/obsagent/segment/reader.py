"""Reading blocks: only the tables, the index and the frames that a question needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from obsagent._native.codec import Groups, Window, read_sections, series_in_rows
from obsagent.errors import CorruptData
from obsagent.samples import Exemplar, Series
from obsagent.segment import format as layout
from obsagent.segment.block import NO_WINDOW_LAST, FrameEntry, check_index, decode_frame, decode_index, decode_tables
from obsagent.segment.cache import BlockAccounts, BlockCache, BlockExemplars, BlockIndex
from obsagent.segment.recover import BlockRef, Damage, opened, read_at
from obsagent.segment.tables import Tables, unpack_exemplars

OnDamage = Callable[[Damage], None]
"""Called for what turns out to be damaged while reading; the rest is read nevertheless."""

WITH_WINDOWS = (layout.BLOCK_CHECKPOINT, *layout.BY_SERIES)
RUN_BYTES_MAX = 4 << 20
"""Neighbouring frames are read at once up to this size."""


@dataclass(slots=True)
class Reads:
    """What a question has read: files, blocks whose index was looked at, frames, and bytes before and after.

    `bytes` are those of indexes and frames as they are stored, `raw_bytes` those of the frames decompressed.
    """

    looked_at: set[tuple[Path, int]] = field(default_factory=set)
    """File and offset of each block whose index was looked at."""
    frames: int = 0
    bytes: int = 0
    raw_bytes: int = 0

    def count_block(self, block: BlockRef) -> None:
        """The index of a block was looked at, maybe once more."""
        if (block.path, block.offset) not in self.looked_at:
            self.looked_at.add((block.path, block.offset))
            self.bytes += block.header.index_size

    @property
    def segments(self) -> int:
        """Files."""
        return len({path for path, _ in self.looked_at})

    @property
    def blocks(self) -> int:
        """Blocks whose index was looked at."""
        return len(self.looked_at)

    def count_frame(self, entry: FrameEntry) -> None:
        """A frame was read."""
        self.frames += 1
        self.bytes += entry.size
        self.raw_bytes += entry.raw_size


def read_tables(descriptor: int, block: BlockRef, known: Mapping[int, Series] | None = None) -> Tables:
    """The tables of a block, without the series that are `known` as they are. Raises CorruptData."""
    header = block.header
    stored = read_at(descriptor, block.offset + layout.BLOCK_HEADER.size, header.tables_size)
    return decode_tables(header, stored, known)


def read_index(descriptor: int, block: BlockRef) -> Iterator[FrameEntry]:
    """The index of a block's frames. Raises CorruptData."""
    return decode_index(block.header, _read_index_bytes(descriptor, block))


def _read_index_bytes(descriptor: int, block: BlockRef) -> bytes:
    return read_at(descriptor, block.offset + block.header.index_offset, block.header.index_size)


def read_frame(descriptor: int, block: BlockRef, entry: FrameEntry) -> bytes:
    """The rows, or sections, of one frame. Raises CorruptData."""
    return decode_frame(entry, read_at(descriptor, block.offset + entry.offset, entry.size))


def each_window(block: BlockRef, entry: FrameEntry, frame: bytes) -> list[tuple[int, bytes | memoryview]]:
    """The windows (start, ms) of a frame with their rows. Raises CorruptData."""
    if block.header.kind in layout.BY_SERIES:
        return [*read_sections(frame)]
    return [(entry.window_ms, frame)]


def each_opened(blocks: Iterable[BlockRef]) -> Iterator[tuple[int, BlockRef]]:
    """Every block with a descriptor of its file; consecutive blocks of one file share it."""
    for path, of_file in groupby(blocks, key=lambda block: block.path):
        with opened(path) as descriptor:
            for block in of_file:
                yield descriptor, block


def overlapping(blocks: Iterable[BlockRef], first_ms: int, to_ms: int) -> Iterator[BlockRef]:
    """The blocks that say anything about windows that start in `[first_ms, to_ms)`; head blocks do not."""
    for block in blocks:
        header = block.header
        if header.kind in WITH_WINDOWS and header.last_window_ms >= first_ms and header.first_window_ms < to_ms:
            yield block


class BlockReader:
    """Answers what blocks hold, and remembers their indexes, accounts and exemplars. Any thread may use it.

    What is damaged is told to `on_damage`, and the rest is read nevertheless. A file that is gone raises
    FileNotFoundError.
    """

    def __init__(self, on_damage: OnDamage) -> None:
        self._on_damage = on_damage
        self._cache = BlockCache()

    def collect(
        self, blocks: Iterable[BlockRef], first_ms: int, to_ms: int, groups: Groups, reads: Reads | None = None
    ) -> set[int]:
        """Merge the selected series of the windows that start in `[first_ms, to_ms)` into their groups.

        Reads only frames that hold a selected series and such a window, and counts them in `reads`. Returns the
        windows (start, ms) for which the blocks hold anything, selected or not.
        """
        windows: set[int] = set()
        reads = reads or Reads()
        for descriptor, block in each_opened(overlapping(blocks, first_ms, to_ms)):
            reads.count_block(block)
            try:
                index = self._index(descriptor, block)
            except CorruptData as error:
                self._damaged(block, error)
                continue
            windows.update(_within(index.windows, first_ms, to_ms))
            for entry, stored in self._read(descriptor, block, _select(index, groups, first_ms, to_ms)):
                reads.count_frame(entry)
                self._merge(block, entry, stored, groups, (first_ms, to_ms))
        return windows

    def windows(self, blocks: Iterable[BlockRef], first_ms: int, to_ms: int) -> set[int]:
        """The windows (start, ms) in `[first_ms, to_ms)` for which the blocks hold anything; reads indexes only."""
        windows: set[int] = set()
        for descriptor, block in each_opened(overlapping(blocks, first_ms, to_ms)):
            try:
                windows.update(_within(self._index(descriptor, block).windows, first_ms, to_ms))
            except CorruptData as error:
                self._damaged(block, error)
        return windows

    def collect_totals(self, blocks: Iterable[BlockRef], groups: Groups) -> None:
        """Merge all that blocks hold of the selected series, whatever the window; of a head block its totals."""
        everything = (NO_WINDOW_LAST, layout.CUTOFF_EVERYTHING)
        for descriptor, block in each_opened(blocks):
            try:
                index = self._index(descriptor, block)
            except CorruptData as error:
                self._damaged(block, error)
                continue
            for entry, stored in self._read(descriptor, block, _select(index, groups, *everything)):
                self._merge(block, entry, stored, groups, everything)

    def merge(self, blocks: Iterable[BlockRef], into: Window) -> None:
        """Merge all that blocks hold of all series, of a head block its totals."""
        merge_everything(blocks, into, self._on_damage)

    def accounts(self, blocks: Iterable[BlockRef], first_ms: int, to_ms: int) -> dict[str, list[int]]:
        """Service → its counters, summed over the windows that start in `[first_ms, to_ms)`."""
        sums: dict[str, list[int]] = {}
        for descriptor, block in each_opened(overlapping(blocks, first_ms, to_ms)):
            try:
                accounts = self._accounts(descriptor, block)
            except CorruptData as error:
                self._damaged(block, error)
                continue
            if first_ms <= block.header.first_window_ms and block.header.last_window_ms < to_ms:
                _add(sums, accounts.sums.items())
            else:
                _add(sums, ((service, row) for at_ms, service, row in accounts.rows if first_ms <= at_ms < to_ms))
        return sums

    def exemplars(
        self, blocks: Iterable[BlockRef], first_ms: int, to_ms: int, series_ids: Collection[int]
    ) -> Iterator[Exemplar]:
        """Those of the series, of the windows that start in `[first_ms, to_ms)`; more than one of a window perhaps."""
        for descriptor, block in each_opened(overlapping(blocks, first_ms, to_ms)):
            try:
                rows = self._exemplars(descriptor, block).rows
            except CorruptData as error:
                self._damaged(block, error)
                continue
            yield from (each for each in rows if first_ms <= each.window_ms < to_ms and each.series_id in series_ids)

    def last_windows(
        self, blocks: Iterable[BlockRef], series_ids: Collection[int], from_ms: int, known: Mapping[int, int]
    ) -> dict[int, int]:
        """Series → start (ms) of the newest window, not before `from_ms`, that has a row of it or is `known` already.

        Looks at the blocks with the newest windows first, and at no block that could tell nothing newer.
        """
        newest = dict(known)
        found = overlapping(blocks, from_ms, layout.CUTOFF_EVERYTHING)
        by_age = sorted(found, key=lambda block: block.header.last_window_ms, reverse=True)
        for descriptor, block in each_opened(by_age):
            last_ms = block.header.last_window_ms
            wanted = {each for each in series_ids if newest.get(each, NO_WINDOW_LAST) < last_ms}
            if not wanted:
                break
            for window_ms, found_ids in self._windows_with(descriptor, block, wanted, from_ms):
                for series_id in wanted.intersection(found_ids):
                    newest[series_id] = max(window_ms, newest.get(series_id, window_ms))
        return newest

    def _windows_with(
        self, descriptor: int, block: BlockRef, series_ids: Collection[int], from_ms: int
    ) -> Iterator[tuple[int, list[int]]]:
        """The windows of a block, not before `from_ms`, that may hold one of the series, and which series they hold."""
        groups = Groups(dict.fromkeys(series_ids, 0), 1)
        try:
            index = self._index(descriptor, block)
        except CorruptData as error:
            self._damaged(block, error)
            return
        for entry, stored in self._read(descriptor, block, _select(index, groups, from_ms, layout.CUTOFF_EVERYTHING)):
            try:
                windows = each_window(block, entry, decode_frame(entry, stored))
                found = [(window_ms, series_in_rows(rows)) for window_ms, rows in windows if window_ms >= from_ms]
            except CorruptData as error:
                self._frame_damaged(block, entry, error)
                continue
            yield from found

    def _index(self, descriptor: int, block: BlockRef) -> BlockIndex:
        return self._cache.get(block.path, block.offset, BlockIndex, lambda: self._load_index(descriptor, block))

    def _load_index(self, descriptor: int, block: BlockRef) -> BlockIndex:
        """If a compacted block's tables are damaged, with those windows that its index mentions."""
        lines = _read_index_bytes(descriptor, block)
        check_index(block.header, lines)
        if block.header.kind in layout.BY_SERIES:
            try:
                return BlockIndex(lines, tuple(read_tables(descriptor, block).windows))
            except CorruptData as error:
                self._damaged(block, error)
        entries = decode_index(block.header, lines)
        mentioned = {at for entry in entries for at in (entry.window_ms, entry.window_ms + entry.span_ms)}
        return BlockIndex(lines, tuple(sorted(mentioned)))

    def _accounts(self, descriptor: int, block: BlockRef) -> BlockAccounts:
        return self._cache.get(block.path, block.offset, BlockAccounts, lambda: _load_accounts(descriptor, block))

    def _exemplars(self, descriptor: int, block: BlockRef) -> BlockExemplars:
        return self._cache.get(block.path, block.offset, BlockExemplars, lambda: _load_exemplars(descriptor, block))

    def _read(
        self, descriptor: int, block: BlockRef, entries: Iterable[FrameEntry]
    ) -> Iterator[tuple[FrameEntry, memoryview]]:
        """The stored bytes of frames; neighbours are read at once."""
        for run in _runs(entries):
            offset, size = run[0].offset, run[-1].offset + run[-1].size - run[0].offset
            try:
                stored = memoryview(read_at(descriptor, block.offset + offset, size))
            except CorruptData as error:
                for entry in run:
                    self._frame_damaged(block, entry, error)
                continue
            for entry in run:
                yield entry, stored[entry.offset - offset :][: entry.size]

    def _merge(
        self, block: BlockRef, entry: FrameEntry, stored: memoryview, groups: Groups, span: tuple[int, int]
    ) -> None:
        try:
            frame = decode_frame(entry, stored)
            if block.header.kind in layout.BY_SERIES:
                groups.merge_sections(frame, *span)
            else:
                groups.merge_rows(frame, entry.window_ms)
        except CorruptData as error:
            self._frame_damaged(block, entry, error)

    def _frame_damaged(self, block: BlockRef, entry: FrameEntry, error: CorruptData) -> None:
        self._on_damage(damage_of_frame(block, entry, error))

    def _damaged(self, block: BlockRef, error: CorruptData) -> None:
        self._on_damage(damage_of_block(block, error))


def damage_of_block(block: BlockRef, error: CorruptData) -> Damage:
    """That the tables or the index of a block are damaged: nothing of it can be relied upon to be found."""
    return Damage(block.path, block.offset, block.header.size, str(error), *block.covered_ms)


def damage_of_frame(block: BlockRef, entry: FrameEntry, error: CorruptData) -> Damage:
    """That one frame of a block is damaged."""
    return Damage(block.path, block.offset + entry.offset, entry.size, str(error), *block.covered_by(entry))


def _load_accounts(descriptor: int, block: BlockRef) -> BlockAccounts:
    rows = read_tables(descriptor, block).accounts
    sums: dict[str, list[int]] = {}
    _add(sums, ((service, row) for _, service, row in rows))
    return BlockAccounts(rows, sums)


def _load_exemplars(descriptor: int, block: BlockRef) -> BlockExemplars:
    return BlockExemplars(unpack_exemplars(read_tables(descriptor, block).exemplars))


def _add(sums: dict[str, list[int]], rows: Iterable[tuple[str, list[int]]]) -> None:
    for service, row in rows:
        before = sums.get(service)
        sums[service] = row if before is None else [*map(int.__add__, before, row)]


def _within(windows: tuple[int, ...], first_ms: int, to_ms: int) -> Iterable[int]:
    if windows and first_ms <= windows[0] and windows[-1] < to_ms:
        return windows
    return (window_ms for window_ms in windows if first_ms <= window_ms < to_ms)


def _select(index: BlockIndex, groups: Groups, first_ms: int, to_ms: int) -> Iterator[FrameEntry]:
    for number in groups.select_frames(index.lines, first_ms, to_ms):
        yield FrameEntry._make(layout.INDEX_ENTRY.unpack_from(index.lines, number * layout.INDEX_ENTRY.size))


def _runs(entries: Iterable[FrameEntry]) -> Iterator[list[FrameEntry]]:
    """Frames that lie next to each other, as far as they may be read at once."""
    run: list[FrameEntry] = []
    for entry in entries:
        if run and (run[-1].offset + run[-1].size != entry.offset or entry.offset - run[0].offset > RUN_BYTES_MAX):
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def merge_everything(blocks: Iterable[BlockRef], into: Window, on_damage: OnDamage) -> None:
    """Merge all rows of the blocks into one window: the totals at a roll."""
    for descriptor, block in each_opened(blocks):
        try:
            for entry in read_index(descriptor, block):
                for _, rows in each_window(block, entry, read_frame(descriptor, block, entry)):
                    into.merge_rows(rows)
        except CorruptData as error:
            on_damage(damage_of_block(block, error))

"""Reading blocks: only the tables, the index and the frames that a question needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from obsagent._native.codec import Groups, Window, series_in_rows
from obsagent.errors import CorruptData
from obsagent.segment import format as layout
from obsagent.segment.block import NO_WINDOW_LAST, FrameEntry, decode_frame, decode_index, decode_tables
from obsagent.segment.recover import BlockRef, Damage, opened, read_at
from obsagent.segment.tables import Tables

OnDamage = Callable[[Damage], None]
"""Called for what turns out to be damaged while reading; the rest is read nevertheless."""


@dataclass(slots=True)
class Reads:
    """What a question has read: files, blocks whose index was looked at, frames, and bytes before and after.

    `bytes` are those of indexes and frames as they are stored, `raw_bytes` those of the frames decompressed.
    """

    segments: int = 0
    blocks: int = 0
    frames: int = 0
    bytes: int = 0
    raw_bytes: int = 0

    def count_block(self, block: BlockRef) -> None:
        """The index of a block was looked at."""
        self.blocks += 1
        self.bytes += block.header.index_size

    def count_frame(self, entry: FrameEntry) -> None:
        """A frame was read."""
        self.frames += 1
        self.bytes += entry.size
        self.raw_bytes += entry.raw_size


def read_tables(descriptor: int, block: BlockRef, known: Container[int] = ()) -> Tables:
    """The tables of a block, without the series whose ids are `known`. Raises CorruptData."""
    header = block.header
    stored = read_at(descriptor, block.offset + layout.BLOCK_HEADER.size, header.tables_size)
    return decode_tables(header, stored, known)


def read_index(descriptor: int, block: BlockRef) -> Iterator[FrameEntry]:
    """The index of a block's frames. Raises CorruptData."""
    header = block.header
    stored = read_at(descriptor, block.offset + header.index_offset, header.index_size)
    return decode_index(header, stored)


def read_frame(descriptor: int, block: BlockRef, entry: FrameEntry) -> bytes:
    """The rows of one frame. Raises CorruptData."""
    return decode_frame(entry, read_at(descriptor, block.offset + entry.offset, entry.size))


def each_opened(blocks: Iterable[BlockRef]) -> Iterator[tuple[int, BlockRef]]:
    """Every block with a descriptor of its file; consecutive blocks of one file share it."""
    for path, of_file in groupby(blocks, key=lambda block: block.path):
        with opened(path) as descriptor:
            for block in of_file:
                yield descriptor, block


def overlapping(blocks: Iterable[BlockRef], first_ms: int, to_ms: int) -> Iterator[BlockRef]:
    """The checkpoint blocks that say anything about windows that start in `[first_ms, to_ms)`."""
    for block in blocks:
        header = block.header
        if header.kind != layout.BLOCK_CHECKPOINT:
            continue
        if header.last_window_ms >= first_ms and header.first_window_ms < to_ms:
            yield block


def collect(
    blocks: Iterable[BlockRef], first_ms: int, to_ms: int, groups: Groups, on_damage: OnDamage
) -> tuple[set[int], Reads]:
    """Merge the selected series of the windows that start in `[first_ms, to_ms)` into their groups.

    Reads only frames whose series range holds a selected series. Returns the windows (start, ms) for
    which the blocks hold anything, selected or not; and what was read.
    """
    windows: set[int] = set()
    reads = Reads()
    found = list(overlapping(blocks, first_ms, to_ms))
    reads.segments = len({block.path for block in found})
    for descriptor, block in each_opened(found):
        reads.count_block(block)
        try:
            for entry in read_index(descriptor, block):
                if first_ms <= entry.window_ms < to_ms:
                    windows.add(entry.window_ms)
                    if _merge(descriptor, block, entry, groups, on_damage):
                        reads.count_frame(entry)
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))
    return windows, reads


def last_windows(
    blocks: Iterable[BlockRef], series_ids: Collection[int], from_ms: int, known: Mapping[int, int], on_damage: OnDamage
) -> dict[int, int]:
    """Series → start (ms) of the newest window, not before `from_ms`, that has a row of it or is `known` already.

    Looks at the blocks with the newest windows first, and at no block that could tell nothing newer.
    """
    wanted = Groups(dict.fromkeys(series_ids, 0), 1)
    newest = dict(known)
    found = overlapping(blocks, from_ms, layout.CUTOFF_EVERYTHING)
    by_age = sorted(found, key=lambda block: block.header.last_window_ms, reverse=True)
    for descriptor, block in each_opened(by_age):
        last_ms = block.header.last_window_ms
        if all(newest.get(series_id, NO_WINDOW_LAST) >= last_ms for series_id in series_ids):
            break
        try:
            for entry in read_index(descriptor, block):
                if entry.window_ms >= from_ms and wanted.selects_any(entry.first_series, entry.last_series):
                    for series_id in series_in_rows(read_frame(descriptor, block, entry)):
                        if series_id in series_ids:
                            newest[series_id] = max(entry.window_ms, newest.get(series_id, entry.window_ms))
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))
    return newest


def collect_totals(blocks: Iterable[BlockRef], groups: Groups, on_damage: OnDamage) -> None:
    """Merge everything that blocks hold of the selected series; used with a head block and those behind it."""
    for descriptor, block in each_opened(blocks):
        try:
            for entry in read_index(descriptor, block):
                _merge(descriptor, block, entry, groups, on_damage)
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))


def _merge(descriptor: int, block: BlockRef, entry: FrameEntry, groups: Groups, on_damage: OnDamage) -> bool:
    """Merge a frame if it holds a selected series; True if it had to be read for that."""
    if not groups.selects_any(entry.first_series, entry.last_series):
        return False
    try:
        groups.merge_rows(read_frame(descriptor, block, entry), entry.window_ms)
    except CorruptData as error:
        on_damage(Damage(block.path, block.offset + entry.offset, entry.size, str(error)))
    return True


def merge_everything(blocks: Iterable[BlockRef], into: Window, on_damage: OnDamage) -> None:
    """Merge all rows of the blocks into one window: the totals at a roll."""
    for descriptor, block in each_opened(blocks):
        try:
            for entry in read_index(descriptor, block):
                into.merge_rows(read_frame(descriptor, block, entry))
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))

"""Reading blocks: only the tables, the index and the frames that a question needs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import groupby

from obsagent._native.codec import Groups, Window
from obsagent.errors import CorruptData
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry, decode_frame, decode_index, decode_tables
from obsagent.segment.recover import BlockRef, Damage, opened, read_at
from obsagent.segment.tables import Tables

OnDamage = Callable[[Damage], None]
"""Called for what turns out to be damaged while reading; the rest is read nevertheless."""


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


def collect(blocks: Iterable[BlockRef], first_ms: int, to_ms: int, groups: Groups, on_damage: OnDamage) -> set[int]:
    """Merge the selected series of the windows that start in `[first_ms, to_ms)` into their groups.

    Reads only frames whose series range holds a selected series. Returns the windows (start, ms) for
    which the blocks hold anything, selected or not.
    """
    windows: set[int] = set()
    for descriptor, block in each_opened(overlapping(blocks, first_ms, to_ms)):
        try:
            for entry in read_index(descriptor, block):
                if first_ms <= entry.window_ms < to_ms:
                    windows.add(entry.window_ms)
                    _merge(descriptor, block, entry, groups, on_damage)
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))
    return windows


def collect_totals(blocks: Iterable[BlockRef], groups: Groups, on_damage: OnDamage) -> None:
    """Merge everything that blocks hold of the selected series; used with a head block and those behind it."""
    for descriptor, block in each_opened(blocks):
        try:
            for entry in read_index(descriptor, block):
                _merge(descriptor, block, entry, groups, on_damage)
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))


def _merge(descriptor: int, block: BlockRef, entry: FrameEntry, groups: Groups, on_damage: OnDamage) -> None:
    if not groups.selects_any(entry.first_series, entry.last_series):
        return
    try:
        groups.merge_rows(read_frame(descriptor, block, entry), entry.window_ms)
    except CorruptData as error:
        on_damage(Damage(block.path, block.offset + entry.offset, entry.size, str(error)))


def merge_everything(blocks: Iterable[BlockRef], into: Window, on_damage: OnDamage) -> None:
    """Merge all rows of the blocks into one window: the totals at a roll."""
    for descriptor, block in each_opened(blocks):
        try:
            for entry in read_index(descriptor, block):
                into.merge_rows(read_frame(descriptor, block, entry))
        except CorruptData as error:
            on_damage(Damage(block.path, block.offset, block.header.size, str(error)))

"""Reading everything in a block, to see whether it is what it should be: `fsck` does, and a start where it must."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from obsagent._native.codec import Window, series_in_rows
from obsagent.errors import CorruptData
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.reader import damage_of_frame, each_window, read_frame, read_index, read_tables
from obsagent.segment.recover import BlockRef, Damage
from obsagent.segment.tables import Tables, unpack_exemplars


def damage_in(descriptor: int, block: BlockRef) -> Iterator[Damage]:
    """Every damaged place of a block whose header is sound: tables, index, frames, rows; with the time of each."""
    header = block.header
    tables: Tables | None = None
    try:
        tables = read_tables(descriptor, block)
        unpack_exemplars(tables.exemplars)
    except CorruptData as error:
        place = block.offset + layout.BLOCK_HEADER.size, header.tables_size
        yield Damage(block.path, *place, str(error), *block.covered_ms)
    try:
        entries = list(read_index(descriptor, block))
    except CorruptData as error:
        place = block.offset + header.index_offset, header.index_size
        yield Damage(block.path, *place, str(error), *block.covered_ms)
        return
    windows: set[int] = set()
    for entry in entries:
        try:
            windows.update(windows_in(descriptor, block, entry))
        except CorruptData as error:
            windows.add(layout.TOTALS_WINDOW_MS)
            yield damage_of_frame(block, entry, error)
    if tables is not None and header.kind in layout.BY_SERIES and layout.TOTALS_WINDOW_MS not in windows:
        yield from _wrong_windows(block, tables, windows)


def _wrong_windows(block: BlockRef, tables: Tables, windows: set[int]) -> Iterator[Damage]:
    if tables.windows != sorted(windows):
        what = "tables of a block: the windows are not those of its frames"
        place = block.offset + layout.BLOCK_HEADER.size, block.header.tables_size
        yield Damage(block.path, *place, what, *block.covered_ms)


def windows_in(descriptor: int, block: BlockRef, entry: FrameEntry) -> list[int]:
    """The windows (start, ms) of a frame that has what the index says of it. Raises CorruptData."""
    if entry.offset < layout.BLOCK_HEADER.size or entry.offset + entry.size > block.header.size:
        raise CorruptData("frame: outside of its block")
    found = each_window(block, entry, read_frame(descriptor, block, entry))
    starts = [window_ms for window_ms, _ in found]
    if (starts[:1], starts[-1:]) != ([entry.window_ms], [entry.window_ms + entry.span_ms]):
        raise CorruptData("frame: not the windows that the index says")
    everything: set[int] = set()
    for _, rows in found:
        ids = series_in_rows(rows)
        if any(one >= other for one, other in pairwise(ids)):
            raise CorruptData("frame: a series occurs twice in a window")
        everything.update(ids)
        Window().merge_rows(rows)
    if (min(everything, default=None), max(everything, default=None)) != (entry.first_series, entry.last_series):
        raise CorruptData("frame: not the series that the index says")
    return starts

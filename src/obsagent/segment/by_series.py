"""Writing a block that is cut by series: what compaction and roll-ups have in common.

The history of a series lies together in it: one frame holds many windows. The block is written from front to back,
its header last, some series at a time.

Memory: the series are rewritten in stripes of about `STRIPE_BYTES`. For each stripe every frame that holds
some of its series is decompressed again: two or three times in all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from obsagent._native.codec import Transpose, crc32c
from obsagent.fs import Buffer, Fs
from obsagent.segment import format as layout
from obsagent.segment.block import (
    NO_WINDOW_FIRST,
    NO_WINDOW_LAST,
    BlockHeader,
    FrameEntry,
    Mark,
    PackedFrame,
    encode_header,
    names_columns,
    pack_tables,
)
from obsagent.segment.reader import read_frame
from obsagent.segment.recover import BlockRef
from obsagent.segment.tables import Tables

STRIPE_BYTES = 8 << 20
SERIES_MAX = (1 << 32) - 1

Pause = Callable[[float], None]
"""Called after each piece of work with the seconds that it took; may raise to end the work."""


def no_pause(seconds: float) -> None:
    """Go on at once."""


class Writing:
    """A file that grows at its end."""

    def __init__(self, fs: Fs, descriptor: int) -> None:
        self._fs = fs
        self._descriptor = descriptor
        self.end = 0

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Write behind what was written."""
        self._fs.write(self._descriptor, buffers, self.end)
        self.end += sum(map(len, buffers))

    def leave_room(self, size: int) -> int:
        """Where room was left, to be filled in later."""
        self.end += size
        return self.end - size

    def fill_in(self, offset: int, data: Buffer) -> None:
        """Write where room was left."""
        self._fs.write(self._descriptor, [data], offset)


class SourceFrame(NamedTuple):
    """A frame that is to be rewritten, in a file that is open."""

    descriptor: int
    block: BlockRef
    entry: FrameEntry


class Held(NamedTuple):
    """Which checkpoints a block is to hold: the last of them, how many, and what the last one says of itself."""

    sequence: int
    replaced: int
    mark: Mark
    written_ms: int


def write_by_series(
    written: Writing,
    kind: int,
    held: Held,
    tables: Tables,
    frames: Sequence[SourceFrame],
    frame_bytes: int,
    pause: Pause,
    window_ms: int = 0,
) -> BlockHeader:
    """Write a block with the rows of the frames, in windows of `window_ms` (0: in their own).

    `tables.windows` says which windows come out. Raises OSError, and CorruptData for a frame that is damaged.
    """
    packed_tables, tables_raw_size = pack_tables(tables)
    begin = written.leave_room(layout.BLOCK_HEADER.size)
    written.append([packed_tables])
    lines: list[bytes] = []
    for packed in _stripes(frames, frame_bytes, pause, window_ms):
        offset = written.end - begin
        for frame in packed:
            lines.append(frame.index_line(offset))
            offset += len(frame.stored)
        written.append([frame.stored for frame in packed])
    index = b"".join(lines)
    written.append([index])
    windows = [*tables.windows, *tables.dated_ms()]
    header = BlockHeader(
        kind=kind,
        sequence=held.sequence,
        size=written.end - begin,
        first_window_ms=min(windows, default=NO_WINDOW_FIRST),
        last_window_ms=max(windows, default=NO_WINDOW_LAST),
        mark=held.mark,
        written_ms=held.written_ms,
        tables_size=len(packed_tables),
        tables_raw_size=tables_raw_size,
        frame_count=len(lines),
        tables_crc=crc32c(packed_tables),
        index_crc=crc32c(index),
        replaced=held.replaced,
        has_columns=have_columns(frames) or names_columns(tables),
    )
    written.fill_in(begin, encode_header(header))
    return header


def have_columns(frames: Iterable[SourceFrame]) -> bool:
    """True if the blocks that frames are from may have rows of columns."""
    return any(frame.block.header.has_columns for frame in frames)


def _stripes(
    frames: Sequence[SourceFrame], frame_bytes: int, pause: Pause, window_ms: int
) -> Iterator[list[PackedFrame]]:
    """The frames of the block, some series at a time."""
    compressor = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL)
    for first_series, last_series in stripes(each.entry for each in frames):
        began = time.monotonic()
        transpose = Transpose(first_series, last_series, window_ms)
        for descriptor, block, entry in frames:
            if entry.first_series <= last_series and entry.last_series >= first_series:
                frame = read_frame(descriptor, block, entry)
                if block.header.kind in layout.BY_SERIES:
                    transpose.add_sections(frame)
                else:
                    transpose.add_rows(entry.window_ms, frame)
        yield [
            PackedFrame(first_ms, first, last, last_ms - first_ms, len(sections), compressor.compress(sections))
            for first_ms, last_ms, first, last, sections in transpose.encode(frame_bytes)
        ]
        pause(time.monotonic() - began)


def stripes(entries: Iterable[FrameEntry]) -> Iterator[tuple[int, int]]:
    """Ranges of series, first and last, that hold about `STRIPE_BYTES` before compression each.

    A range ends where frames begin; of those that reach over its edge there is one in each window.
    """
    beginning: Counter[int] = Counter()
    for entry in entries:
        beginning[entry.first_series] += entry.raw_size
    first, size = 0, 0
    for series, raw_size in sorted(beginning.items()):
        if size and size + raw_size > STRIPE_BYTES:
            yield first, series - 1
            first, size = series, 0
        size += raw_size
    if beginning:
        yield first, SERIES_MAX

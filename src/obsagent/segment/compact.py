"""Compaction: the blocks of one file, cut by window, become one block that is cut by series.

The history of a series then lies together: a day of it is a frame or two an hour instead of 360. The new file
holds what the old one did, sample for sample: a head block, whose totals are copied and whose tables are those of
its last checkpoint, and one compacted block. It says which checkpoints it holds, in its name and in its block, so
that nothing counts twice while both files are there.

Memory: the series are rewritten in stripes of about `STRIPE_BYTES`. For each stripe every frame that holds
some of its series is decompressed again: two or three times in all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import zstandard

from obsagent._native.codec import Transpose, crc32c
from obsagent.errors import StoreError
from obsagent.fs import Buffer, Fs
from obsagent.segment import format as layout
from obsagent.segment.block import (
    NO_WINDOW_FIRST,
    NO_WINDOW_LAST,
    BlockHeader,
    EncodedBlock,
    FrameEntry,
    PackedFrame,
    decode_frame,
    encode_header,
    lay_out_block,
    pack_tables,
)
from obsagent.segment.catalog import Checkpoint
from obsagent.segment.gaps import merged
from obsagent.segment.reader import read_frame, read_index, read_tables
from obsagent.segment.recover import BlockRef, FileHeader, encode_file_header, file_path, is_compacted, opened, read_at
from obsagent.segment.tables import Tables, add_up

STRIPE_BYTES = 8 << 20
SERIES_MAX = (1 << 32) - 1

Pause = Callable[[float], None]
"""Called after each piece of work with the seconds that it took; may raise to end the compaction."""


def no_pause(seconds: float) -> None:
    """Go on at once."""


class Input(NamedTuple):
    """A file that is to be compacted: its head block, its checkpoint blocks, and their frames."""

    head: BlockRef
    checkpoints: Sequence[BlockRef]
    frames: list[tuple[BlockRef, FrameEntry]]
    tables: list[Tables]


def compactable(blocks: Sequence[BlockRef]) -> list[list[BlockRef]]:
    """The files, oldest first, that nothing is appended to any more and in which nothing is missing.

    `blocks` are all that count. A file is left as it is if its head or a checkpoint is lost: then what follows
    would not say so any more.
    """
    files: dict[Path, list[BlockRef]] = {}
    for block in blocks:
        files.setdefault(block.path, []).append(block)
    found = list(files.values())
    return [file for file, after in pairwise(found) if _is_whole(file, after)]


def _is_whole(file: list[BlockRef], following: list[BlockRef]) -> bool:
    if is_compacted(file[0].path) or file[0].header.kind != layout.BLOCK_HEAD:
        return False
    first = file[0].header.sequence
    sequences = [block.header.sequence for block in file[1:]]
    kinds = {block.header.kind for block in file[1:]}
    after = min(block.header.first_sequence for block in following)
    return kinds == {layout.BLOCK_CHECKPOINT} and [*sequences, after] == [*range(first, first + len(file))]


def compact(blocks: Sequence[BlockRef], fs: Fs, store_id: bytes, frame_bytes: int, pause: Pause) -> list[BlockRef]:
    """Write the compacted file of a compactable one, complete and durable; returns its blocks.

    Raises CorruptData if anything in the old file is damaged, StoreError if the disk refuses; nothing has changed
    then.
    """
    first, last = blocks[1].header, blocks[-1].header
    path = file_path(blocks[0].path.parent, first.sequence, last.sequence)
    try:
        with opened(blocks[0].path) as source:
            found = _read_input(source, blocks)
            head = _head_block(source, found)
            with fs.new_file(path) as descriptor:
                written = _Writing(fs, descriptor)
                written.append([encode_file_header(FileHeader(store_id, last.written_ms), layout.FORMAT_VERSION)])
                head_ref = BlockRef(path, written.end, head.header)
                written.append(head.buffers)
                header = _write_compacted(written, found, _stripes(source, found, frame_bytes, pause))
            fs.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot compact {blocks[0].path}: {error.strerror}") from error
    return [head_ref, BlockRef(path, head_ref.offset + head.header.size, header)]


class _Writing:
    """A file that grows at its end."""

    def __init__(self, fs: Fs, descriptor: int) -> None:
        self._fs = fs
        self._descriptor = descriptor
        self.end = 0

    def append(self, buffers: Sequence[Buffer]) -> None:
        self._fs.write(self._descriptor, buffers, self.end)
        self.end += sum(map(len, buffers))

    def leave_room(self, size: int) -> int:
        """Where room was left, to be filled in later."""
        self.end += size
        return self.end - size

    def fill_in(self, offset: int, data: Buffer) -> None:
        self._fs.write(self._descriptor, [data], offset)


def _read_input(source: int, blocks: Sequence[BlockRef]) -> Input:
    head, *checkpoints = blocks
    frames = [(block, entry) for block in checkpoints for entry in read_index(source, block)]
    return Input(head, checkpoints, frames, [read_tables(source, block) for block in blocks])


def _head_block(source: int, found: Input) -> EncodedBlock:
    """The tables whole as of the last checkpoint; the totals of all files before, as they were."""
    state = Checkpoint()
    for block, tables in zip((found.head, *found.checkpoints), found.tables, strict=True):
        state.fold(block, tables)
    tables = Tables(
        series=list(state.series.values()),
        sessions=list(state.sessions.values()),
        totals=state.totals,
        refused=state.refused,
        last_seen=state.last_seen,
        events=state.events,
        event_totals=state.event_totals,
        gaps=merged(state.gaps),
        previous=found.tables[0].previous,
    )
    totals = [_packed(source, found.head, entry) for entry in read_index(source, found.head)]
    return lay_out_block(layout.BLOCK_HEAD, state.sequence, state.mark, state.written_ms, tables, totals)


def _packed(source: int, block: BlockRef, entry: FrameEntry) -> PackedFrame:
    stored = read_at(source, block.offset + entry.offset, entry.size)
    decode_frame(entry, stored)  # what is damaged is not copied
    return PackedFrame(entry.window_ms, entry.first_series, entry.last_series, entry.span_ms, entry.raw_size, stored)


def _write_compacted(written: _Writing, found: Input, stripes: Iterable[list[PackedFrame]]) -> BlockHeader:
    """Write the block from front to back, its header last."""
    last = found.checkpoints[-1].header
    tables = add_up(found.tables[1:])
    tables.windows = sorted({entry.window_ms for _, entry in found.frames})
    packed_tables, tables_raw_size = pack_tables(tables)
    begin = written.leave_room(layout.BLOCK_HEADER.size)
    written.append([packed_tables])
    lines: list[bytes] = []
    for frames in stripes:
        offset = written.end - begin
        for frame in frames:
            lines.append(frame.index_line(offset))
            offset += len(frame.stored)
        written.append([frame.stored for frame in frames])
    index = b"".join(lines)
    written.append([index])
    windows = [*tables.windows, *(window_ms for window_ms, _, _ in tables.accounts)]
    header = BlockHeader(
        kind=layout.BLOCK_COMPACTED,
        sequence=last.sequence,
        size=written.end - begin,
        first_window_ms=min(windows, default=NO_WINDOW_FIRST),
        last_window_ms=max(windows, default=NO_WINDOW_LAST),
        mark=last.mark,
        written_ms=last.written_ms,
        tables_size=len(packed_tables),
        tables_raw_size=tables_raw_size,
        frame_count=len(lines),
        tables_crc=crc32c(packed_tables),
        index_crc=crc32c(index),
        replaced=len(found.checkpoints),
    )
    written.fill_in(begin, encode_header(header))
    return header


def _stripes(source: int, found: Input, frame_bytes: int, pause: Pause) -> Iterator[list[PackedFrame]]:
    """The frames of the compacted block, some series at a time."""
    compressor = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL)
    decompressor = zstandard.ZstdDecompressor()
    for first_series, last_series in stripes(entry for _, entry in found.frames):
        began = time.monotonic()
        transpose = Transpose(first_series, last_series)
        for block, entry in found.frames:
            if entry.first_series <= last_series and entry.last_series >= first_series:
                transpose.add_rows(entry.window_ms, read_frame(source, block, entry, decompressor))
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

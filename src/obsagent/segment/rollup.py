"""Roll-ups: the checkpoints of some files again, in longer windows, as one file of a coarser tier.

Merges are exact, so an hour has the counts of its 360 windows, bucket for bucket. With the windows' own length the
same function merges small files of a tier into a larger one.

Everything that is whole is rolled up. What is not is a *gap* of the new block, since the files that it comes from
will expire: a damaged frame, its windows; a damaged index, the block's; a missing block, the time
between its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import zstandard

from obsagent.errors import CorruptData, StoreError
from obsagent.fs import Fs
from obsagent.limits import SAMPLE_PAST_LIMIT_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.by_series import Held, Pause, SourceFrame, Writing, write_by_series
from obsagent.segment.compact import by_file
from obsagent.segment.reader import each_window, read_frame, read_index, read_tables
from obsagent.segment.recover import (
    BlockRef,
    FileHeader,
    encode_file_header,
    file_path,
    opened,
    window_ms_of,
)
from obsagent.segment.tables import Gap, Tables, add_up
from obsagent.segment.whole import IN_TIME_MS, created_at, end_before

VERSION = layout.VERSION_OF_KIND[layout.BLOCK_ROLLED]


class Range(NamedTuple):
    """The sequences of the checkpoints that are rolled up, whether or not all of them are still there."""

    first: int
    last: int


def roll_up(
    blocks: Sequence[BlockRef], range_: Range, window_ms: int, fs: Fs, store_id: bytes, frame_bytes: int, pause: Pause
) -> BlockRef:
    """Write the file with the windows of these blocks, `window_ms` long; complete and durable. Returns its block.

    The blocks are those of one or more whole files of one tier, by sequence. Raises StoreError if the disk refuses,
    CorruptData if what was sound is damaged a moment later; nothing has changed then.
    """
    directory = blocks[0].path.parent
    last = blocks[-1].header
    held = Held(range_.last, range_.last - range_.first + 1, last.mark, last.written_ms)
    try:
        with ExitStack() as files:
            opened_files = {file[0].path: files.enter_context(opened(file[0].path)) for file in by_file(blocks)}
            sound = _Sound(blocks, opened_files, range_)
            tables = _tables(sound, window_ms)
            tables.before_ms = end_before(blocks[0])
            created_ms = created_at(blocks[0])
            path = file_path(directory, range_.first, range_.last, window_ms)
            with fs.new_file(path) as descriptor:
                written = Writing(fs, descriptor)
                written.append([encode_file_header(FileHeader(store_id, created_ms, window_ms), VERSION)])
                offset = written.end
                kind = layout.BLOCK_ROLLED
                header = write_by_series(written, kind, held, tables, sound.frames, frame_bytes, pause, window_ms)
            fs.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot roll up {blocks[0].path}: {error.strerror}") from error
    return BlockRef(path, offset, header)


class _Sound:
    """What of the blocks is whole: frames, tables, windows; and the gaps between."""

    def __init__(self, blocks: Sequence[BlockRef], files: dict[Path, int], range_: Range) -> None:
        self.frames: list[SourceFrame] = []
        self.tables: list[Tables] = []
        self.windows: set[int] = set()
        self.gaps: list[Gap] = list(_missing(blocks, range_))
        decompressor = zstandard.ZstdDecompressor()
        for block in blocks:
            if block.header.kind == layout.BLOCK_HEAD:
                continue
            descriptor = files[block.path]
            try:
                self.tables.append(read_tables(descriptor, block))
            except CorruptData as error:
                self.gaps.append(_of_block(block, str(error)))
            try:
                entries = [*read_index(descriptor, block)]
            except CorruptData as error:
                self.gaps.append(_of_block(block, str(error)))
                continue
            for entry in entries:
                self._take(SourceFrame(descriptor, block, entry), decompressor)

    def _take(self, frame: SourceFrame, decompressor: zstandard.ZstdDecompressor) -> None:
        descriptor, block, entry = frame
        try:
            found = each_window(block, entry, read_frame(descriptor, block, entry, decompressor))
        except CorruptData as error:
            self.gaps.append(_of_frame(block, entry, str(error)))
            return
        self.windows.update(at_ms for at_ms, _ in found)
        self.frames.append(frame)


def _tables(sound: _Sound, window_ms: int) -> Tables:
    """The accounts and gaps; all else is the business of the 10 s tier."""
    of_all = add_up(sound.tables)
    accounts: dict[tuple[int, str], list[int]] = {}
    for at_ms, service, row in of_all.accounts:
        key = at_ms - at_ms % window_ms, service
        accounts[key] = [*map(int.__add__, accounts.get(key, [0] * len(row)), row)]
    return Tables(
        accounts=[(at_ms, service, row) for (at_ms, service), row in sorted(accounts.items())],
        windows=sorted({at_ms - at_ms % window_ms for at_ms in sound.windows}),
        gaps=sorted({*of_all.gaps, *sound.gaps}),
    )


def _missing(blocks: Sequence[BlockRef], range_: Range) -> Iterator[Gap]:
    """The times of which checkpoints are missing: what the agent took between the two that are there."""
    checkpoints = [block for block in blocks if block.header.kind != layout.BLOCK_HEAD]
    expected, written_ms = range_.first, blocks[0].header.written_ms
    for block in checkpoints:
        if block.header.first_sequence > expected:
            yield _between(written_ms, block.header.written_ms)
        expected, written_ms = block.header.sequence + 1, block.header.written_ms
    if expected <= range_.last:
        yield _between(written_ms, written_ms + WINDOW_MS)


def _between(before_ms: int, after_ms: int) -> Gap:
    return Gap(before_ms - SAMPLE_PAST_LIMIT_MS - IN_TIME_MS, after_ms + IN_TIME_MS, "a block is missing")


def _of_block(block: BlockRef, reason: str) -> Gap:
    header = block.header
    return Gap(header.first_window_ms, header.last_window_ms + window_ms_of(block.path), reason)


def _of_frame(block: BlockRef, entry: FrameEntry, reason: str) -> Gap:
    return Gap(entry.window_ms, entry.window_ms + entry.span_ms + window_ms_of(block.path), reason)

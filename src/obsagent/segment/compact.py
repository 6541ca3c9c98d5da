"""Compaction: the blocks of one file, cut by window, become one block that is cut by series.

The history of a series then lies together: a day of it is a frame or two an hour instead of 360. The new file
holds what the old one did, sample for sample: a head block, whose totals are copied and whose tables are those of
its last checkpoint, and one compacted block. It says which checkpoints it holds, in its name and in its block, so
that nothing counts twice while both files are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from obsagent.errors import StoreError
from obsagent.exemplars import kept_of
from obsagent.fs import Fs
from obsagent.segment import format as layout
from obsagent.segment.block import EncodedBlock, FrameEntry, PackedFrame, decode_frame, lay_out_block, names_columns
from obsagent.segment.by_series import Held, Pause, SourceFrame, Writing, have_columns, write_by_series
from obsagent.segment.catalog import Checkpoint
from obsagent.segment.gaps import merged
from obsagent.segment.reader import read_index, read_tables
from obsagent.segment.recover import (
    BlockRef,
    FileHeader,
    encode_file_header,
    file_path,
    is_compacted,
    opened,
    read_at,
    read_file_header,
)
from obsagent.segment.tables import Tables, add_up, pack_exemplars, unpack_exemplars


class Input(NamedTuple):
    """A file that is to be compacted: its head block, its checkpoint blocks, and their frames."""

    head: BlockRef
    checkpoints: Sequence[BlockRef]
    frames: list[SourceFrame]
    tables: list[Tables]


def compactable(blocks: Sequence[BlockRef]) -> list[list[BlockRef]]:
    """The files, oldest first, that nothing is appended to any more and in which nothing is missing.

    `blocks` are all that count. A file is left as it is if its head or a checkpoint is lost: then what follows
    would not say so any more.
    """
    return [file for file, after in pairwise(by_file(blocks)) if _is_whole(file, after)]


def by_file(blocks: Sequence[BlockRef]) -> list[list[BlockRef]]:
    """The blocks of each file, in their order."""
    files: dict[Path, list[BlockRef]] = {}
    for block in blocks:
        files.setdefault(block.path, []).append(block)
    return list(files.values())


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
    held = Held(last.sequence, len(blocks) - 1, last.mark, last.written_ms)
    try:
        with opened(blocks[0].path) as source:
            found = _read_input(source, blocks)
            head = _head_block(source, found)
            tables = add_up(found.tables[1:])
            tables.windows = sorted({frame.entry.window_ms for frame in found.frames})
            tables.exemplars = pack_exemplars(
                kept_of(each for block in found.tables[1:] for each in unpack_exemplars(block.exemplars))
            )
            created_ms = read_file_header(source).created_ms
            with fs.new_file(path) as descriptor:
                written = Writing(fs, descriptor)
                version = _version(head, found, tables)
                written.append([encode_file_header(FileHeader(store_id, created_ms), version)])
                head_ref = BlockRef(path, written.end, head.header)
                written.append(head.buffers)
                kind = layout.BLOCK_COMPACTED
                header = write_by_series(written, kind, held, tables, found.frames, frame_bytes, pause)
            fs.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot compact {blocks[0].path}: {error.strerror}") from error
    return [head_ref, BlockRef(path, head_ref.offset + head.header.size, header)]


def _version(head: EncodedBlock, found: Input, tables: Tables) -> int:
    """The version of the file: the higher one of its two blocks."""
    has_columns = have_columns(found.frames) or names_columns(tables)
    of_block = layout.VERSION_WITH_COLUMNS if has_columns else layout.VERSION_OF_KIND[layout.BLOCK_COMPACTED]
    return max(head.header.version, of_block)


def _read_input(source: int, blocks: Sequence[BlockRef]) -> Input:
    head, *checkpoints = blocks
    frames = [SourceFrame(source, block, entry) for block in checkpoints for entry in read_index(source, block)]
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
        before_ms=found.tables[0].before_ms,
        gaps=merged(state.gaps),
        previous=found.tables[0].previous,
    )
    totals = [_packed(source, found.head, entry) for entry in read_index(source, found.head)]
    of_columns = found.head.header.has_columns
    return lay_out_block(layout.BLOCK_HEAD, state.sequence, state.mark, state.written_ms, tables, totals, of_columns)


def _packed(source: int, block: BlockRef, entry: FrameEntry) -> PackedFrame:
    stored = read_at(source, block.offset + entry.offset, entry.size)
    decode_frame(entry, stored)  # what is damaged is not copied
    return PackedFrame(entry.window_ms, entry.first_series, entry.last_series, entry.span_ms, entry.raw_size, stored)

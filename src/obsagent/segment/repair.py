"""Writing a damaged segment file anew, so that what is whole of it is kept and nothing else.

What the damage has taken away is said in the tables of the blocks that it hit, as gaps. Of a block with damaged tables
the frames are kept, of one with a damaged index the tables; what was there cannot be made up for. A damaged head block
is left out: the one of an earlier file and the blocks behind it say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData
from obsagent.fs import Buffer, Fs
from obsagent.segment import format as layout
from obsagent.segment.block import (
    NO_WINDOW_FIRST,
    NO_WINDOW_LAST,
    EncodedBlock,
    FrameEntry,
    PackedFrame,
    encode_header,
    lay_out_block,
    pack_tables,
)
from obsagent.segment.gaps import gap_of_damage, merged
from obsagent.segment.reader import read_index, read_tables
from obsagent.segment.recover import (
    BlockRef,
    Damage,
    FileHeader,
    ScannedFile,
    encode_file_header,
    opened,
    read_at,
    window_ms_of,
)
from obsagent.segment.tables import Tables, unpack_exemplars
from obsagent.segment.verify import damage_in, windows_in


def damage_of_file(file: ScannedFile) -> Iterator[Damage]:
    """Everything that is damaged in a file that was scanned; reads all of it. Raises OSError if it vanishes."""
    inside: set[int] = set()
    with opened(file.path) as descriptor:
        for block in file.blocks:
            for damage in damage_in(descriptor, block):
                inside.add(block.offset)
                yield damage
    yield from (damage for damage in file.damage if damage.offset not in inside)


def write_anew(file: ScannedFile, fs: Fs, store_id: bytes) -> bool:
    """Replace a file by what is whole of it, at once; false, and it stays, if nothing is. Raises OSError."""
    with opened(file.path) as descriptor:
        kept = [buffers for block in file.blocks if (buffers := _kept(descriptor, block))]
        kinds = [block.header.kind for block in file.blocks]
        if not kept or (file.is_compacted and not set(layout.BY_SERIES).intersection(kinds)):
            return False
        created_ms = file.header.created_ms if file.header else file.blocks[0].header.written_ms
        version = max(block.header.version for block in file.blocks)
        header = encode_file_header(FileHeader(store_id, created_ms, window_ms_of(file.path)), version)
        fs.close(fs.write_file(file.path, [header, *(buffer for buffers in kept for buffer in buffers)]))
    return True


def _kept(descriptor: int, block: BlockRef) -> list[Buffer]:
    """The bytes of a block, without what is damaged in it; none of a head block in which anything is."""
    damage = list(damage_in(descriptor, block))
    if not damage:
        return [read_at(descriptor, block.offset, block.header.size)]
    if block.header.kind == layout.BLOCK_HEAD:
        return []
    tables = _sound_tables(descriptor, block)
    tables.gaps = merged([*tables.gaps, *map(gap_of_damage, damage)])
    frames = [*_whole_frames(descriptor, block, {each.offset - block.offset for each in damage})]
    return [*_encoded(descriptor, block, tables, frames).buffers]


def _sound_tables(descriptor: int, block: BlockRef) -> Tables:
    tables = Tables()
    with suppress(CorruptData):
        tables = read_tables(descriptor, block)
        unpack_exemplars(tables.exemplars)
        return tables
    tables.exemplars = b""
    return tables


def _whole_frames(descriptor: int, block: BlockRef, damaged: set[int]) -> Iterator[tuple[FrameEntry, PackedFrame]]:
    with suppress(CorruptData):
        for entry in read_index(descriptor, block):
            if entry.offset not in damaged:
                stored = read_at(descriptor, block.offset + entry.offset, entry.size)
                ids = entry.first_series, entry.last_series
                yield entry, PackedFrame(entry.window_ms, *ids, entry.span_ms, entry.raw_size, stored)


def _encoded(
    descriptor: int, block: BlockRef, tables: Tables, frames: list[tuple[FrameEntry, PackedFrame]]
) -> EncodedBlock:
    header = block.header
    packed = [frame for _, frame in frames]
    if header.kind == layout.BLOCK_CHECKPOINT:
        known = header.sequence, header.mark, header.written_ms
        return lay_out_block(header.kind, *known, tables, packed, header.has_columns)
    tables.windows = sorted({each for entry, _ in frames for each in windows_in(descriptor, block, entry)})
    return _by_series(block, tables, packed)


def _by_series(block: BlockRef, tables: Tables, frames: list[PackedFrame]) -> EncodedBlock:
    """A block whose frames come before its index."""
    stored_tables, raw_size = pack_tables(tables)
    offset = layout.BLOCK_HEADER.size + len(stored_tables)
    lines = []
    for frame in frames:
        lines.append(frame.index_line(offset))
        offset += len(frame.stored)
    index = b"".join(lines)
    windows = [*tables.windows, *tables.dated_ms()]
    header = block.header._replace(
        size=offset + len(index),
        first_window_ms=min(windows, default=NO_WINDOW_FIRST),
        last_window_ms=max(windows, default=NO_WINDOW_LAST),
        tables_size=len(stored_tables),
        tables_raw_size=raw_size,
        frame_count=len(lines),
        tables_crc=crc32c(stored_tables),
        index_crc=crc32c(index),
    )
    return EncodedBlock(header, [encode_header(header), stored_tables, *(frame.stored for frame in frames), index])

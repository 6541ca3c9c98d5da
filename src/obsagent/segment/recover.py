"""Finding the whole blocks of a segment file that may be torn, flipped, or still being written.

Blocks are found by walking from header to header. A header that is not one ends the walk; the next
block is then searched by its magic, so that one flipped bit costs one block and not the rest of the
file. Whatever lies between whole blocks is reported as damage; what follows the last whole block is the
*tail*: an append that a crash cut short, or one that the agent is writing at this moment.

Only headers are read, except for the last block of the last file: a block is appended only after the
one before it was synced, so only the last can be torn inside. A compacted file was synced before it had its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.segment import format as layout
from obsagent.segment.block import BlockHeader, decode_frame, decode_header, decode_index, decode_tables

SEARCH_BYTES = 1 << 20


class FileHeader(NamedTuple):
    """What the first bytes of a segment file say."""

    store_id: bytes
    created_ms: int


class BlockRef(NamedTuple):
    """Where a block lies."""

    path: Path
    offset: int
    header: BlockHeader


class Damage(NamedTuple):
    """Bytes of a file that are not what they should be."""

    path: Path
    offset: int
    size: int
    reason: str


@dataclass(slots=True)
class ScannedFile:
    """A segment file as it was found. `end` is where its last whole block ends, `size` the file's size."""

    path: Path
    size: int
    end: int
    header: FileHeader | None
    blocks: list[BlockRef] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)

    @property
    def first_sequence(self) -> int:
        """The sequence of the first block, from the name that the file was given."""
        digits = self.path.name.removesuffix(layout.FILE_SUFFIX).partition(layout.FILE_NAME_RANGE)[0]
        return int(digits) if digits.isdigit() else 0

    @property
    def is_compacted(self) -> bool:
        """True for a file that compaction wrote: nothing is ever appended to it."""
        return is_compacted(self.path)


def file_path(directory: Path, first_sequence: int, last_sequence: int | None = None) -> Path:
    """The path of the file whose first checkpoint has this sequence; with a last one, of a compacted file."""
    sequences = [first_sequence] if last_sequence is None else [first_sequence, last_sequence]
    digits = (f"{sequence:0{layout.FILE_NAME_DIGITS}d}" for sequence in sequences)
    return directory / (layout.FILE_NAME_RANGE.join(digits) + layout.FILE_SUFFIX)


def is_compacted(path: Path) -> bool:
    """True if a segment file's name says that compaction wrote it."""
    return layout.FILE_NAME_RANGE in path.name


def encode_file_header(header: FileHeader, version: int = 1) -> bytes:
    """The first bytes of a segment file, whose version is the highest among those of its blocks."""
    packed = layout.FILE_HEADER.pack(layout.FILE_MAGIC, version, 0, 0, *header, 0)
    body = packed[: -layout.CRC.size]
    return body + layout.CRC.pack(crc32c(body))


def decode_file_header(data: bytes) -> FileHeader:
    """Read and check the first bytes of a segment file. Raises CorruptData, UnsupportedVersion."""
    if len(data) < layout.FILE_HEADER.size:
        raise CorruptData("segment file: not enough bytes")
    magic, version, _, _, store_id, created_ms, crc = layout.FILE_HEADER.unpack_from(data)
    if magic != layout.FILE_MAGIC or crc != crc32c(data[: layout.FILE_HEADER.size - layout.CRC.size]):
        raise CorruptData("segment file: its header is damaged")
    if version > layout.FORMAT_VERSION:
        raise UnsupportedVersion(f"format version {version}; this build reads up to {layout.FORMAT_VERSION}")
    return FileHeader(store_id, created_ms)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor for reading, closed at the end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Exactly `size` bytes. Raises CorruptData when the file ends before, or when the disk cannot read them."""
    try:
        data = os.pread(descriptor, size, offset)
        while 0 < len(data) < size:
            more = os.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise CorruptData(f"the disk cannot read bytes {offset} to {offset + size}: {error.strerror}") from error
    if len(data) < size:
        raise CorruptData(f"the file ends before byte {offset + size}")
    return data


def scan_file(path: Path, is_last: bool) -> ScannedFile:
    """Find the blocks of one file. Raises StoreError for a file of a newer format version."""
    with opened(path) as descriptor:
        file = ScannedFile(path, size=os.fstat(descriptor).st_size, end=0, header=None)
        try:
            _scan_header(descriptor, file)
            _scan_blocks(descriptor, file)
            if file.is_compacted:
                _require_compacted_block(file)
            elif is_last and file.blocks:
                _check_last(descriptor, file)
        except UnsupportedVersion as error:
            raise StoreError(f"{path} was written by a newer obsagent: {error}") from error
    return file


def _scan_header(descriptor: int, file: ScannedFile) -> None:
    file.end = min(layout.FILE_HEADER.size, file.size)
    try:
        file.header = decode_file_header(os.pread(descriptor, layout.FILE_HEADER.size, 0))
    except UnsupportedVersion:
        raise
    except CorruptData as error:
        file.damage.append(Damage(file.path, 0, file.end, str(error)))


def _scan_blocks(descriptor: int, file: ScannedFile) -> None:
    offset = file.end
    while offset < file.size:
        header = _header_at(descriptor, offset, file.size)
        if header is None:
            found = _find_block(descriptor, offset + 1, file.size)
            if found is None:
                return
            file.damage.append(Damage(file.path, offset, found - offset, "no block where one should be"))
            offset = found
            continue
        file.blocks.append(BlockRef(file.path, offset, header))
        offset = file.end = offset + header.size


def _require_compacted_block(file: ScannedFile) -> None:
    """A damaged header at the end of a file looks like the end of the file; here it is known to be damage."""
    if all(block.header.kind != layout.BLOCK_COMPACTED for block in file.blocks):
        file.damage.append(Damage(file.path, file.end, file.size - file.end, "no compacted block in a compacted file"))


def _header_at(descriptor: int, offset: int, file_size: int) -> BlockHeader | None:
    """The header of the whole block at `offset`, or None if there is none."""
    try:
        header = decode_header(os.pread(descriptor, layout.BLOCK_HEADER.size, offset))
    except UnsupportedVersion:
        raise
    except CorruptData:
        return None
    return header if header.size <= file_size - offset else None


def _find_block(descriptor: int, offset: int, file_size: int) -> int | None:
    """The offset of the next whole block at or after `offset`."""
    overlap = len(layout.BLOCK_MAGIC) - 1
    while offset < file_size:
        data = os.pread(descriptor, SEARCH_BYTES + overlap, offset)
        at = data.find(layout.BLOCK_MAGIC)
        while at >= 0:
            if _header_at(descriptor, offset + at, file_size) is not None:
                return offset + at
            at = data.find(layout.BLOCK_MAGIC, at + 1)
        offset += SEARCH_BYTES
    return None


def _check_last(descriptor: int, file: ScannedFile) -> None:
    """Drop the last block if it is torn inside; its bytes are then the tail."""
    last = file.blocks[-1]
    try:
        check_block(descriptor, last)
    except CorruptData as error:
        file.blocks.pop()
        file.end = last.offset
        file.damage.append(Damage(file.path, last.offset, file.size - last.offset, str(error)))


def check_block(descriptor: int, block: BlockRef) -> None:
    """Read everything in a block. Raises CorruptData at the first thing that is wrong."""
    offset, header = block.offset, block.header
    decode_tables(header, read_at(descriptor, offset + layout.BLOCK_HEADER.size, header.tables_size))
    for entry in decode_index(header, read_at(descriptor, offset + header.index_offset, header.index_size)):
        decode_frame(entry, read_at(descriptor, offset + entry.offset, entry.size))

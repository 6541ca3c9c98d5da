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
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.fs import has_hole
from obsagent.limits import WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import BlockHeader, FrameEntry, decode_frame, decode_header, decode_index, decode_tables

SEARCH_BYTES = 1 << 20
FILE_NAME = re.compile(
    rf"(\d{{{layout.FILE_NAME_DIGITS}}})"
    rf"(?:{layout.FILE_NAME_RANGE}(\d{{{layout.FILE_NAME_DIGITS}}})(?:\.(\d+)s)?)?{re.escape(layout.FILE_SUFFIX)}"
)
"""The names of segment files; what is called otherwise is none."""


class FileHeader(NamedTuple):
    """What the first bytes of a segment file say; `window_ms` is how long its windows are."""

    store_id: bytes
    created_ms: int
    window_ms: int = WINDOW_MS


class BlockRef(NamedTuple):
    """Where a block lies."""

    path: Path
    offset: int
    header: BlockHeader

    @property
    def covered_ms(self) -> tuple[int, int]:
        """The time `[from, to)` of its windows; empty for a block that has none, as head blocks do."""
        return _in_windows_of(self.path, self.header.covered_ms)

    def covered_by(self, entry: FrameEntry) -> tuple[int, int]:
        """The time `[from, to)` of the windows that one of its frames may hold."""
        return _in_windows_of(self.path, entry.covered_ms)


def _in_windows_of(path: Path, span: tuple[int, int]) -> tuple[int, int]:
    """A time that was reckoned in windows of 10 s, as the windows of that file are."""
    from_ms, to_ms = span
    return (from_ms, to_ms + window_ms_of(path) - WINDOW_MS) if from_ms < to_ms else span


class Damage(NamedTuple):
    """Bytes of a file that are not what they should be.

    What is stored of the windows in `[from_ms, to_ms)` may be less than what was acknowledged; the time is empty if
    nothing of any window is in those bytes, or if the blocks around them have to say (`gaps.py`).
    """

    path: Path
    offset: int
    size: int
    reason: str
    from_ms: int = 0
    to_ms: int = 0


@dataclass(slots=True)
class ScannedFile:
    """A segment file as it was found. `end` is where its last whole block ends, `size` the file's size."""

    path: Path
    size: int
    end: int
    header: FileHeader | None
    blocks: list[BlockRef] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    torn: BlockRef | None = None
    """The last block if it was left out because something inside of it is damaged."""

    @property
    def first_sequence(self) -> int:
        """The sequence of the first block, from the name that the file was given."""
        return sequences_of(self.path)[0]

    @property
    def last_sequence(self) -> int:
        """The sequence of the last checkpoint, from the name of a compacted file; that of the first in another's."""
        return sequences_of(self.path)[1]

    @property
    def is_compacted(self) -> bool:
        """True for a file that compaction or a roll-up wrote: nothing is ever appended to it."""
        return is_compacted(self.path)


def file_path(
    directory: Path, first_sequence: int, last_sequence: int | None = None, window_ms: int = WINDOW_MS
) -> Path:
    """The path of the file whose first checkpoint has this sequence; with a last one, of a compacted file.

    With longer windows, of a rolled-up one.
    """
    sequences = [first_sequence] if last_sequence is None else [first_sequence, last_sequence]
    digits = layout.FILE_NAME_RANGE.join(f"{sequence:0{layout.FILE_NAME_DIGITS}d}" for sequence in sequences)
    tier = "" if window_ms == WINDOW_MS else layout.FILE_NAME_TIER.format(window_ms // 1000)
    return directory / (digits + tier + layout.FILE_SUFFIX)


def sequences_of(path: Path) -> tuple[int, int]:
    """The first and the last sequence that a file's name says, twice the first if it says no last; 0 for no name."""
    found = FILE_NAME.fullmatch(path.name)
    return (int(found[1]), int(found[2] or found[1])) if found else (0, 0)


def window_ms_of(path: Path) -> int:
    """How long the windows of a segment file are, as its name says; 0 for a name that is none."""
    found = FILE_NAME.fullmatch(path.name)
    if found is None:
        return 0
    return 1000 * int(found[3]) if found[3] else WINDOW_MS


def is_compacted(path: Path) -> bool:
    """True if a segment file's name says that compaction or a roll-up wrote it."""
    return layout.FILE_NAME_RANGE in path.name


def encode_file_header(header: FileHeader, version: int = 1) -> bytes:
    """The first bytes of a segment file, whose version is the highest among those of its blocks."""
    window_ms = 0 if header.window_ms == WINDOW_MS else header.window_ms
    packed = layout.FILE_HEADER.pack(layout.FILE_MAGIC, version, 0, window_ms, *header[:2], 0)
    body = packed[: -layout.CRC.size]
    return body + layout.CRC.pack(crc32c(body))


def decode_file_header(data: bytes) -> FileHeader:
    """Read and check the first bytes of a segment file. Raises CorruptData, UnsupportedVersion."""
    if len(data) < layout.FILE_HEADER.size:
        raise CorruptData("segment file: not enough bytes")
    magic, version, _, window_ms, store_id, created_ms, crc = layout.FILE_HEADER.unpack_from(data)
    if magic != layout.FILE_MAGIC or crc != crc32c(data[: layout.FILE_HEADER.size - layout.CRC.size]):
        raise CorruptData("segment file: its header is damaged")
    if version > layout.FORMAT_VERSION:
        raise UnsupportedVersion(f"format version {version}; this build reads up to {layout.FORMAT_VERSION}")
    return FileHeader(store_id, created_ms, window_ms or WINDOW_MS)


def read_file_header(descriptor: int) -> FileHeader:
    """The header of a file that is open. Raises CorruptData, UnsupportedVersion."""
    return decode_file_header(read_some(descriptor, 0, layout.FILE_HEADER.size))


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor for reading, closed at the end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Exactly `size` bytes. Raises CorruptData when the file ends before, having taken no memory for them, or when the
    disk cannot read them.
    """
    if offset + size > os.fstat(descriptor).st_size:
        raise CorruptData(f"the file ends before byte {offset + size}")
    data = read_some(descriptor, offset, size)
    while 0 < len(data) < size:
        more = read_some(descriptor, offset + len(data), size - len(data))
        if not more:
            break
        data += more
    if len(data) < size:
        raise CorruptData(f"the file ends before byte {offset + size}")
    return data


def read_some(descriptor: int, offset: int, size: int) -> bytes:
    """At most `size` bytes. Raises CorruptData when the disk cannot read them, OSError for all else."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise CorruptData(f"bytes from {offset} on cannot be read: {error.strerror}") from error


def scan_file(path: Path, is_last: bool) -> ScannedFile:
    """Find the blocks of one file. Raises StoreError for a file of a newer format version."""
    with opened(path) as descriptor:
        file = ScannedFile(path, size=os.fstat(descriptor).st_size, end=0, header=None)
        try:
            _scan_header(descriptor, file)
            _scan_blocks(descriptor, file)
            if file.is_compacted:
                _require_compacted_block(file)
            else:
                _check_tail(descriptor, file)
                if is_last and file.blocks:
                    _check_last(descriptor, file)
        except UnsupportedVersion as error:
            raise StoreError(f"{path} was written by a newer obsagent: {error}") from error
    return file


def _scan_header(descriptor: int, file: ScannedFile) -> None:
    file.end = min(layout.FILE_HEADER.size, file.size)
    try:
        file.header = read_file_header(descriptor)
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
    if all(block.header.kind not in layout.BY_SERIES for block in file.blocks):
        file.damage.append(Damage(file.path, file.end, file.size - file.end, "no compacted block in a compacted file"))


def _header_at(descriptor: int, offset: int, file_size: int) -> BlockHeader | None:
    """The header of the whole block at `offset`, or None if there is none."""
    try:
        header = decode_header(read_some(descriptor, offset, layout.BLOCK_HEADER.size))
    except UnsupportedVersion:
        raise
    except CorruptData:
        return None
    return header if header.size <= file_size - offset else None


def _find_block(descriptor: int, offset: int, file_size: int) -> int | None:
    """The offset of the next whole block at or after `offset`."""
    overlap = len(layout.BLOCK_MAGIC) - 1
    while offset < file_size:
        data = _searched(descriptor, offset, SEARCH_BYTES + overlap)
        at = data.find(layout.BLOCK_MAGIC)
        while at >= 0:
            if _header_at(descriptor, offset + at, file_size) is not None:
                return offset + at
            at = data.find(layout.BLOCK_MAGIC, at + 1)
        offset += SEARCH_BYTES
    return None


def _searched(descriptor: int, offset: int, size: int) -> bytes:
    """The bytes in which a block is searched; none where the disk cannot read them."""
    try:
        return read_some(descriptor, offset, size)
    except CorruptData:
        return b""


def _check_tail(descriptor: int, file: ScannedFile) -> None:
    """An append that was cut short has the beginning of a block, or a sector of zeros; what else is there is damage."""
    head = _searched(descriptor, file.end, layout.BLOCK_HEADER.size)
    if len(head) < layout.BLOCK_HEADER.size or not any(head):
        return
    try:
        decode_header(head)
    except CorruptData as error:
        if not _was_never_synced(descriptor, file):
            file.damage.append(Damage(file.path, file.end, file.size - file.end, str(error)))


def _check_last(descriptor: int, file: ScannedFile) -> None:
    """Drop the last block if it is torn inside; its bytes are then the tail.

    A torn one whose append was never synced is no damage: the journal still has what it would have replaced.
    """
    last = file.blocks[-1]
    try:
        check_block(descriptor, last)
    except CorruptData as error:
        file.blocks.pop()
        file.torn = last
        file.end = last.offset
        if not _was_never_synced(descriptor, file):
            file.damage.append(Damage(file.path, file.end, file.size - file.end, str(error)))


def _was_never_synced(descriptor: int, file: ScannedFile) -> bool:
    """True if a page of what follows the file's end was not written: the power went during an append."""
    return has_hole(_searched(descriptor, file.end, file.size - file.end), file.end, reaches_end=True)


def check_block(descriptor: int, block: BlockRef) -> None:
    """Read everything in a block. Raises CorruptData at the first thing that is wrong."""
    offset, header = block.offset, block.header
    decode_tables(header, read_at(descriptor, offset + layout.BLOCK_HEADER.size, header.tables_size))
    for entry in decode_index(header, read_at(descriptor, offset + header.index_offset, header.index_size)):
        decode_frame(entry, read_at(descriptor, offset + entry.offset, entry.size))

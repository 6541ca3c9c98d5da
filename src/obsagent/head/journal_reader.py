"""The journal's reading side: every whole entry of a file, whatever is broken around it.

A record that is not one is either the end (torn: nothing whole follows) or damage in the middle. In the
middle the next whole record is looked for: first where the broken one says that it ends, since a flipped
bit is most often in a body, then by the marker that every payload begins with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from obsagent._native.codec import crc32c, read_record
from obsagent.errors import CorruptData, StoreError
from obsagent.head import journal_format as layout
from obsagent.head.journal import base_of


class FoundEntry(NamedTuple):
    """A whole record: `position` is that of its first byte, in the preamble the file's base."""

    position: int
    type: int
    payload: memoryview


class Gap(NamedTuple):
    """Bytes of a file in which no whole record was found; `position` is that of the first."""

    position: int
    size: int


class Record(NamedTuple):
    """A whole record: its offset, and the offset behind it."""

    offset: int
    type: int
    payload: memoryview
    following: int


@dataclass(slots=True)
class JournalFile:
    """A journal file that was read whole. `end` is the position behind its last whole entry."""

    path: Path
    base: int
    data: bytes
    preamble: list[FoundEntry] = field(default_factory=list)
    entries: list[FoundEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    header_damaged: bool = False
    end: int = 0


def read_file(path: Path) -> JournalFile:
    """Read one file. Raises StoreError if a newer version wrote it, OSError if it vanished."""
    file = JournalFile(path, base_of(path), path.read_bytes())
    start = layout.FILE_HEADER.size
    preamble_size = _read_header(file)
    records, gaps = _scan(file.data, start)
    if preamble_size is None:
        preamble_size = _guess_preamble(records, start) - start
    shift = file.base - start - preamble_size
    for offset, entry_type, payload, _ in records:
        found = FoundEntry(max(file.base, offset + shift), entry_type, payload)
        (file.preamble if entry_type in layout.PREAMBLE_TYPES else file.entries).append(found)
    file.gaps = [Gap(max(file.base, offset + shift), size) for offset, size in gaps]
    end = records[-1].following if records else start
    file.end = max(file.base, end + shift)
    return file


def _guess_preamble(records: list[Record], start: int) -> int:
    """Where the entries begin if the header does not say: behind the last record of a preamble's type."""
    of_preamble = (record.following for record in records if record.type in layout.PREAMBLE_TYPES)
    return max(of_preamble, default=start)


def _read_header(file: JournalFile) -> int | None:
    """Bytes of the preamble, or None if the header does not say."""
    if len(file.data) >= layout.FILE_HEADER.size:
        magic, version, _, _, _, size, crc = layout.FILE_HEADER.unpack_from(file.data)
        covered = layout.FILE_HEADER.size - layout.CRC.size
        if magic == layout.FILE_MAGIC and crc == crc32c(file.data[:covered]):
            if version > layout.FORMAT_VERSION:
                raise StoreError(f"{file.path} was written by a newer obsagent: journal format {version}")
            if layout.FILE_HEADER.size + size > len(file.data):
                return None  # torn in the preamble: no entries follow it
            preamble_size: int = size
            return preamble_size
    file.header_damaged = True
    return None


def _scan(data: bytes, offset: int) -> tuple[list[Record], list[tuple[int, int]]]:
    """Every whole record from `offset` on, and the gaps between them (offset, size)."""
    records: list[Record] = []
    gaps: list[tuple[int, int]] = []
    while offset < len(data):
        record = record_at(data, offset)
        if record is None:
            found = _next_record(data, offset)
            if found is None:
                break
            gaps.append((offset, found - offset))
            offset = found
            continue
        records.append(record)
        offset = record.following
    return records, gaps


def record_at(data: bytes, offset: int) -> Record | None:
    """The whole record at `offset`, or None if there is none."""
    try:
        entry_type, payload, following = read_record(data, offset)
    except (CorruptData, EOFError):
        return None
    return Record(offset, entry_type, payload, following)


def _next_record(data: bytes, broken: int) -> int | None:
    """The offset of the next whole record behind a broken one."""
    header_size = layout.RECORD_HEADER.size
    if len(data) - broken >= header_size:
        size: int = layout.RECORD_HEADER.unpack_from(data, broken)[0]
        behind = broken + header_size + size
        if behind < len(data) and record_at(data, behind) is not None:
            return behind
    marker = data.find(layout.MARKER, broken + 1 + header_size)
    while marker >= 0:
        if record_at(data, marker - header_size) is not None:
            return marker - header_size
        marker = data.find(layout.MARKER, marker + 1)
    return None

"""The journal's reading side: every whole entry of a file, whatever is broken around it.

Behind a record that is not one the next whole one is looked for: first where the broken one says that it ends,
since a flipped bit is most often in a body, then by the marker that every payload begins with. If there is none, the
broken one is the end of the file: torn, if the file is too short for it or holds nothing but zeros there, as after a
power cut; damaged, if it is there in its full length.

Behind the last record that says that all before it is on disk, a hole need not be damage: the power may have gone
before the last batch was synced, when any of its pages may be on disk. See `certain_end`.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from obsagent._native.codec import crc32c, read_record
from obsagent.errors import CorruptData, StoreError
from obsagent.fs import SECTOR_BYTES, has_hole
from obsagent.head import journal_format as layout
from obsagent.head.journal import base_of

PAGE_BYTES = 4096
HOLE_AT_END_MIN = 16
"""So many zeros at the end of a file are a page that was not written; a record may end with a few."""

SEARCHES_MAX = 8
"""How often its own size a file may be read in search of whole records."""


class FoundEntry(NamedTuple):
    """A whole record: `position` is that of its first byte, in the preamble the file's base; `offset` where it is."""

    position: int
    type: int
    payload: memoryview
    offset: int = 0


class Gap(NamedTuple):
    """Bytes of a file in which no whole record was found; `position` is that of the first, `offset` where they are.

    `in_preamble` is true if they are in the preamble, where they hold no entries.
    """

    position: int
    size: int
    in_preamble: bool = False
    offset: int = 0


class Record(NamedTuple):
    """A whole record: its offset, and the offset behind it."""

    offset: int
    type: int
    payload: memoryview
    following: int


@dataclass(slots=True)
class JournalFile:
    """A journal file that was read whole. `end` is the position behind its last whole entry.

    `certain_end` is where a page of the last batch is missing, and `end` if none is: what follows in the last file of
    a journal was never durable, so never acknowledged, and it lacks what came before it.
    """

    path: Path
    base: int
    data: bytes
    preamble: list[FoundEntry] = field(default_factory=list)
    entries: list[FoundEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    damaged_end: Gap | None = None
    header_damaged: bool = False
    is_cut: bool = False
    """True if the file ends before its preamble does, with which it was brought into being."""
    end: int = 0
    certain_end: int = 0
    torn_bytes: int = 0
    """What follows the last record and is no damage."""

    @property
    def preamble_is_whole(self) -> bool:
        """True if all is known that was known at the file's base."""
        return bool(self.preamble) and not any(gap.in_preamble for gap in self.gaps)

    @property
    def damaged_places(self) -> list[Gap]:
        """Those between records and the one at the end."""
        at_end = [] if self.damaged_end is None or self.damaged_end in self.gaps else [self.damaged_end]
        return [*self.gaps, *at_end]


def read_file(path: Path) -> JournalFile:
    """Read one file. Raises StoreError if a newer version wrote it, OSError if it vanished."""
    file = JournalFile(path, base_of(path), _read_all(path))
    start = layout.FILE_HEADER.size
    preamble_size, version = _read_header(file)
    records, gaps = _scan(file.data, start)
    if preamble_size is None:
        file.is_cut = not any(record.type in layout.PREAMBLE_TYPES for record in records)
        preamble_size = _guess_preamble(records, start) - start
    file.is_cut = file.is_cut or len(file.data) < start + preamble_size
    shift = file.base - start - preamble_size
    for offset, entry_type, payload, _ in records:
        if entry_type == layout.SYNCED:
            continue
        found = FoundEntry(max(file.base, offset + shift), entry_type, payload, offset)
        (file.preamble if entry_type in layout.PREAMBLE_TYPES else file.entries).append(found)
    file.gaps = [Gap(max(file.base, at + shift), size, at + shift < file.base, at) for at, size in gaps]
    end = records[-1].following if records else start
    file.end = file.certain_end = max(file.base, end + shift)
    file.torn_bytes = max(0, len(file.data) - end)
    holes = []
    if version >= layout.VERSION_WITH_SYNCED:
        last = max((record.offset for record in records if record.type == layout.SYNCED), default=start + preamble_size)
        late = (gap for gap in gaps if gap[0] >= last)
        holes = [at for at, size in late if _lacks_a_page(file.data, at, size)]
        file.certain_end = min((offset + shift for offset in holes), default=file.end)
    if file.gaps and gaps[-1][0] >= end:
        if gaps[-1][0] in holes:
            file.gaps.pop()
        else:
            file.damaged_end = file.gaps[-1] if file.gaps[-1].in_preamble else file.gaps.pop()
    return file


def belongs(path: Path, store_id: bytes | None) -> bool:
    """False for a file that another store wrote, or that has the name of another; true where its header cannot tell."""
    try:
        with path.open("rb") as opened:
            header = opened.read(layout.FILE_HEADER.size)
    except OSError:
        return True
    fields = _checked_header(header)
    if fields is None:
        return True
    return fields[4] == base_of(path) and store_id in (None, fields[3])


def _read_all(path: Path) -> bytes:
    """The bytes of a file; zeros for pages that the disk cannot read."""
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    with path.open("rb", buffering=0) as opened:
        descriptor = opened.fileno()
        size = os.fstat(descriptor).st_size
        return b"".join(_read_page(descriptor, at, min(PAGE_BYTES, size - at)) for at in range(0, size, PAGE_BYTES))


def _read_page(descriptor: int, offset: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError:
        return bytes(size)


def _guess_preamble(records: list[Record], start: int) -> int:
    """Where the entries begin if the header does not say: behind the last record of a preamble's type."""
    of_preamble = (record.following for record in records if record.type in layout.PREAMBLE_TYPES)
    return max(of_preamble, default=start)


def _read_header(file: JournalFile) -> tuple[int | None, int]:
    """Bytes of the preamble, or None if the header does not say, and the version."""
    fields = _checked_header(file.data)
    if fields is None:
        file.header_damaged = True
        return None, layout.FORMAT_VERSION
    _, version, _, _, _, preamble_size, _ = fields
    if version > layout.FORMAT_VERSION:
        raise StoreError(f"{file.path} was written by a newer obsagent: journal format {version}")
    return preamble_size, version


def _checked_header(data: bytes) -> tuple[bytes, int, int, bytes, int, int, int] | None:
    """The fields of a file header, or None if it is not whole."""
    if len(data) < layout.FILE_HEADER.size:
        return None
    fields: tuple[bytes, int, int, bytes, int, int, int] = layout.FILE_HEADER.unpack_from(data)
    covered = layout.FILE_HEADER.size - layout.CRC.size
    return fields if fields[0] == layout.FILE_MAGIC and fields[-1] == crc32c(data[:covered]) else None


def _scan(data: bytes, offset: int) -> tuple[list[Record], list[tuple[int, int]]]:
    """Every whole record from `offset` on, and the gaps between and behind them (offset, size)."""
    records: list[Record] = []
    gaps: list[tuple[int, int]] = []
    search = _Search(data)
    while offset < len(data):
        record = record_at(data, offset)
        if record is None:
            found = search.next_record(offset)
            if found is None:
                if not _is_torn(data, offset):
                    gaps.append((offset, len(data) - offset))
                break
            gaps.append((offset, found - offset))
            offset = found
            continue
        records.append(record)
        offset = record.following
    return records, gaps


def _lacks_a_page(data: bytes, offset: int, size: int) -> bool:
    """True if a page of these broken bytes was never written; of a short last one so much that no record ends so."""
    last = max(offset, len(data) - len(data) % SECTOR_BYTES)
    is_at_end = offset + size == len(data) >= last + HOLE_AT_END_MIN
    return has_hole(data[offset : offset + size], offset, reaches_end=False) or (is_at_end and not any(data[last:]))


def record_at(data: bytes, offset: int) -> Record | None:
    """The whole record at `offset`, or None if there is none."""
    try:
        entry_type, payload, following = read_record(data, offset)
    except (CorruptData, EOFError):
        return None
    return Record(offset, entry_type, payload, following)


def _is_torn(data: bytes, offset: int) -> bool:
    """True if the last record is there in part only: the file ends inside of it, or its bytes were never written."""
    rest = len(data) - offset - layout.RECORD_HEADER.size
    if rest < 0 or data.count(b"\0", offset) == len(data) - offset:
        return True
    fields: tuple[int, int, int] = layout.RECORD_HEADER.unpack_from(data, offset)
    type_offset = offset + layout.RECORD_HEADER.size - 1
    return fields[0] > rest and crc32c(data[type_offset:]) != fields[1]  # or only its size is wrong


class _Search:
    """Looks for whole records behind broken ones; gives up where that takes too long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._bytes_left = SEARCHES_MAX * len(data)

    def next_record(self, broken: int) -> int | None:
        """The offset of the next whole record behind a broken one."""
        header_size = layout.RECORD_HEADER.size
        behind = broken + header_size + self._size_at(broken)
        if behind < len(self._data) and record_at(self._data, behind) is not None:
            return behind
        marker = self._data.find(layout.MARKER, broken + 1 + header_size)
        while marker >= 0 and self._bytes_left > 0:
            at = marker - header_size
            if record_at(self._data, at) is not None:
                return at
            size = self._size_at(at)
            if at + header_size + size <= len(self._data):
                self._bytes_left -= size
            marker = self._data.find(layout.MARKER, marker + 1)
        return None

    def _size_at(self, offset: int) -> int:
        """What the record at an offset says of the size of its payload; more than there is if it says nothing."""
        if offset + layout.RECORD_HEADER.size > len(self._data):
            return len(self._data)
        size: int = layout.RECORD_HEADER.unpack_from(self._data, offset)[0]
        return size

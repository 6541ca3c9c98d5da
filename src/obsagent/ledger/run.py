"""A run: an immutable file of sorted rows of one table, read through a mapping of the file.

What is mapped is the file's, not the process's own memory: the kernel takes it back when it needs room. Each column of
a group is read by an ordinary read and checked once, before the mapping of it is touched, so that a disk that cannot
read is an error and not the end of the process. A file that was removed can be read for as long as its run is held.

Thread safety: none is needed; which groups were checked is only ever set.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from weakref import finalize

import numpy as np

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.ledger import sieve
from obsagent.ledger.encoding import Encoding
from obsagent.ledger.format import (
    COLUMN,
    CONSTANT,
    FENCE_ROWS,
    FORMAT_VERSION,
    RUN_FOOTER,
    RUN_HEADER,
    RUN_MAGIC,
)
from obsagent.ledger.tables import ROWS, TABLES, Array, Block, Table
from obsagent.limits import LEDGER_GROUP_ROWS, LEDGER_RUN_ROWS_MAX

BY_NUMBER = {table.number: table for table in TABLES}


class DamagedRun(CorruptData):
    """A run of which something cannot be read, or is not what was written."""

    def __init__(self, run: Run, what: str) -> None:
        super().__init__(f"{run.path}: {what}")
        self.run = run


class RunHeader(NamedTuple):
    """The fields of a run's header."""

    magic: bytes
    version: int
    table: int
    columns: int
    group_rows: int
    rows: int
    footer_offset: int
    footer_size: int
    footer_crc: int
    reserved: int
    header_crc: int


class Run:
    """Rows by their number, and the numbers of those that have a key."""

    def __init__(self, path: Path, number: int, newest: int | None = None) -> None:
        """Reads the header and the footer, not the rows.

        `newest` is the number of the last run that was merged into this one. Raises CorruptData, StoreError if a newer
        version wrote the file, OSError.
        """
        self.path = path
        self.number = number
        self.newest = number if newest is None else newest
        self._descriptor = self._opened(path)
        self._read_header()
        self._mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self._heap = self._opened(heap_of(path)) if self.table is ROWS else -1
        self._heap_bytes = os.fstat(self._heap).st_size if self.table is ROWS else 0

    def _opened(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finalize(self, os.close, descriptor)
        return descriptor

    def _read_header(self) -> None:
        self.bytes = os.fstat(self._descriptor).st_size
        header = _header(os.pread(self._descriptor, RUN_HEADER.size, 0), self.path)
        if header.footer_offset + header.footer_size != self.bytes:
            raise CorruptData(f"{self.path}: not as long as its header says")
        self.table: Table = BY_NUMBER[header.table]
        self.rows = header.rows
        self._group_rows = header.group_rows
        footer = os.pread(self._descriptor, header.footer_size, header.footer_offset)
        if len(footer) != header.footer_size or crc32c(footer) != header.footer_crc:
            raise CorruptData(f"{self.path}: the footer's checksum is wrong")
        self._read_footer(footer, header)

    def _read_footer(self, footer: bytes, header: RunHeader) -> None:
        kinds = self.table.columns_in(header.version)
        groups = -(-header.rows // header.group_rows)
        fences = _fence_count(header.rows, header.group_rows)
        sizes = (RUN_FOOTER.size, COLUMN.size * len(kinds), 8 * fences, 4 * groups * len(kinds))
        if len(footer) != sum(sizes):
            raise CorruptData(f"{self.path}: the footer is not as long as its rows need")
        self.first_ms, self.last_ms, self._sieve_bytes, self._sieve_crc, _ = RUN_FOOTER.unpack_from(footer)
        at = RUN_FOOTER.size
        self.encodings: dict[str, Encoding] = {}
        for name, kind in kinds.items():
            self.encodings[name] = Encoding.unpack(kind, footer[at : at + COLUMN.size])
            at += COLUMN.size
        primary = kinds[self.table.primary]
        self.fences = np.frombuffer(footer, "<i8", fences, at).astype(primary, casting="unsafe")
        self._crcs = np.frombuffer(footer, "<u4", groups * len(kinds), at + 8 * fences).reshape(groups, len(kinds))
        self._checked = np.zeros((len(kinds), groups), bool)
        self._group_bytes = self._group_rows * sum(encoding.width for encoding in self.encodings.values())
        self._sieve_offset = RUN_HEADER.size + groups * self._group_bytes
        self._sieve: Array | None = None
        if self._sieve_offset + self._sieve_bytes != header.footer_offset:
            raise CorruptData(f"{self.path}: the footer is not where its rows end")
        if not (sieve.is_size(self._sieve_bytes) if self.table.is_keyed else self._sieve_bytes == 0):
            raise CorruptData(f"{self.path}: no sieve is so long")
        offsets = np.cumsum([0, *(self._group_rows * encoding.width for encoding in self.encodings.values())])
        self._offsets = {name: int(offset) for name, offset in zip(self.encodings, offsets, strict=False)}
        self._columns = {name: index for index, name in enumerate(self.encodings)}

    def take(self, name: str, rows: Array) -> Array:
        """The values of one column in some rows; NaN if it was added later. Raises DamagedRun."""
        encoding = self.encodings.get(name)
        if encoding is None:
            return np.full(len(rows), np.nan)
        if encoding.code == CONSTANT:
            return np.full(len(rows), encoding.low, encoding.kind)
        groups = rows // self._group_rows
        self._check(name, groups)
        return encoding.decode(self._flat(name).take(self._places(name, rows, groups)))

    def slice(self, begin: int, end: int) -> Block:
        """All columns of the rows from `begin` to before `end`. Raises DamagedRun."""
        return {name: self.column(name, begin, end) for name in self.table.columns}

    def column(self, name: str, begin: int, end: int) -> Array:
        """The values of one column from row `begin` to before `end`; NaN if it was added later. Raises DamagedRun."""
        encoding = self.encodings.get(name)
        if encoding is None:
            return np.full(max(0, end - begin), np.nan)
        if encoding.code == CONSTANT or begin >= end:
            return np.full(max(0, end - begin), encoding.low, encoding.kind)
        first, last = begin // self._group_rows, (end - 1) // self._group_rows
        self._check(name, np.arange(first, last + 1))
        parts = [self._group(name, group) for group in range(first, last + 1)]
        shift = first * self._group_rows
        return encoding.decode(np.concatenate(parts)[begin - shift : end - shift])

    def find(self, keys: Array) -> tuple[Array, Array]:
        """From where to before where the primary column has each of some sorted keys: two arrays of row numbers.

        Raises DamagedRun.
        """
        if self.rows == 0:
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        maybe = sieve.passed(self._checked_sieve(), keys) if self.table.is_keyed else np.arange(len(keys))
        begins, ends = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        if len(maybe):
            begins[maybe], ends[maybe] = self._equal_range(keys[maybe])
        return begins, ends

    def _checked_sieve(self) -> Array:
        if self._sieve is None:
            data = self._read(self._sieve_bytes, self._sieve_offset)
            if crc32c(data) != self._sieve_crc:
                raise DamagedRun(self, "the checksum of the sieve is wrong")
            self._sieve = np.frombuffer(self._mapped, "u1", self._sieve_bytes, self._sieve_offset)
        return self._sieve

    def _equal_range(self, keys: Array) -> tuple[Array, Array]:
        begins = self.lower_bound(keys)
        inside = np.minimum(begins, self.rows - 1)
        is_there = (begins < self.rows) & (self.take(self.table.primary, inside) == keys)
        ends = begins + is_there
        following = np.flatnonzero(is_there & (ends < self.rows))
        more = following[self.take(self.table.primary, ends[following]) == keys[following]]
        if len(more):
            ends[more] = self._bound(keys[more], after_equals=True)
        return begins, ends

    def lower_bound(self, keys: Array) -> Array:
        """The number of the first row whose primary column is not below each of some keys; the row count if none is."""
        return self._bound(keys, after_equals=False)

    def _bound(self, keys: Array, *, after_equals: bool) -> Array:
        """By the fences into a stretch of rows that lies in one group, and there by halving, all keys at once."""
        fence = np.searchsorted(self.fences, keys, "right" if after_equals else "left") - 1
        at = np.maximum(fence, 0) * FENCE_ROWS
        if self.rows == 0:
            return at
        read = self._reader_of_primary(at // self._group_rows)
        last = np.minimum(at + FENCE_ROWS, self.rows) - 1
        step = FENCE_ROWS
        while step:
            probe = at + (step - 1)
            values = read(np.minimum(probe, last))
            is_before = (values <= keys) if after_equals else (values < keys)
            at = np.where(is_before & (probe <= last), probe + 1, at)
            step //= 2
        return at

    def _reader_of_primary(self, groups: Array) -> Callable[[Array], Array]:
        """Reads the primary column in rows that lie in these groups, one row of each at a time."""
        name = self.table.primary
        encoding = self.encodings[name]
        if encoding.code == CONSTANT:
            return lambda rows: np.full(len(rows), encoding.low, encoding.kind)
        self._check(name, groups)
        flat, shift = self._flat(name), self._places(name, np.zeros_like(groups), groups)
        return lambda rows: encoding.decode(flat.take(rows + shift))

    def blob(self, row: int) -> bytes:
        """What is kept beside a row. Raises DamagedRun."""
        offset, size, crc = (int(self.column(name, row, row + 1)[0]) for name in ("offset", "size", "crc"))
        return self.blob_at(offset, size, crc)

    def blob_at(self, offset: int, size: int, crc: int) -> bytes:
        """What lies at an offset of the heap. Raises DamagedRun."""
        if offset + size > self._heap_bytes:
            raise DamagedRun(self, f"its heap ends before {offset + size}")
        try:
            data = os.pread(self._heap, size, offset)
        except OSError as error:
            raise DamagedRun(self, f"its heap cannot be read: {error.strerror}") from error
        if len(data) != size or crc32c(data) != crc:
            raise DamagedRun(self, f"a checksum in its heap is wrong at {offset}")
        return data

    def _check(self, name: str, groups: Array) -> None:
        """Reads and checks a column of those groups that were not checked yet."""
        column = self._columns[name]
        checked = self._checked[column]
        if checked.all():
            return
        wanted = np.zeros(len(checked), bool)
        wanted[groups] = True
        size = self._group_rows * self.encodings[name].width
        for group in np.flatnonzero(wanted & ~checked):
            if crc32c(self._read(size, self._offset(name, int(group)))) != self._crcs[group, column]:
                raise DamagedRun(self, f"the checksum of {name} in group {group} is wrong")
            checked[group] = True

    def _read(self, size: int, offset: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise DamagedRun(self, f"cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise DamagedRun(self, f"ends at {offset + len(data)}")
        return data

    def check_all(self) -> None:
        """Reads everything. Raises DamagedRun."""
        self._checked_sieve()
        for name, encoding in self.encodings.items():
            if encoding.code != CONSTANT:
                self._check(name, np.arange(len(self._crcs)))
            elif (self._crcs[:, self._columns[name]] != 0).any():
                raise DamagedRun(self, f"{name} has a checksum and no bytes")

    def _offset(self, name: str, group: int) -> int:
        return RUN_HEADER.size + group * self._group_bytes + self._offsets[name]

    def _group(self, name: str, group: int) -> Array:
        return np.frombuffer(self._mapped, self.encodings[name].stored, self._group_rows, self._offset(name, group))

    def _flat(self, name: str) -> Array:
        """The whole file as values of a column's type."""
        stored = self.encodings[name].stored
        return np.frombuffer(self._mapped, stored, (self.bytes - RUN_HEADER.size) // stored.itemsize, RUN_HEADER.size)

    def _places(self, name: str, rows: Array, groups: Array) -> Array:
        width = self.encodings[name].width
        within_a_group = self._group_rows - self._group_bytes // width
        places: Array = rows + self._offsets[name] // width - groups * within_a_group
        return places


def heap_of(path: Path) -> Path:
    """Where the bytes lie that are kept beside the rows of a run."""
    return path.with_suffix(".heap")


def _header(data: bytes, path: Path) -> RunHeader:
    if len(data) != RUN_HEADER.size or not data.startswith(RUN_MAGIC):
        raise CorruptData(f"{path}: no run of a ledger")
    header = RunHeader(*RUN_HEADER.unpack(data))
    if crc32c(data[:-4]) != header.header_crc:
        raise CorruptData(f"{path}: the header's checksum is wrong")
    if header.version > FORMAT_VERSION:
        raise UnsupportedVersion(f"{path} was written by a newer obsagent; this one reads version {FORMAT_VERSION}")
    table = BY_NUMBER.get(header.table)
    if table is None or header.columns != len(table.columns_in(header.version)):
        raise CorruptData(f"{path}: not a table that is known")
    is_sane = 0 < header.group_rows <= LEDGER_GROUP_ROWS and header.group_rows % 8 == 0
    is_found_by_fences = header.rows <= header.group_rows or header.group_rows % FENCE_ROWS == 0
    if not is_sane or not is_found_by_fences or header.rows > LEDGER_RUN_ROWS_MAX:
        raise CorruptData(f"{path}: impossible sizes")
    return header


def _fence_count(rows: int, group_rows: int) -> int:
    whole, rest = divmod(rows, group_rows)
    return whole * -(-group_rows // FENCE_ROWS) + -(-rest // FENCE_ROWS)

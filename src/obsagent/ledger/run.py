"""A run: an immutable file of sorted rows of one table, read through a mapping of the file.

What is mapped is the file's, not the process's own memory: the kernel takes it back when it needs room. Each column of
a group is read by an ordinary read and checked once, before the mapping of it is touched, so that a disk that cannot
read is an error and not the end of the process. A file that was removed can be read for as long as its run is held.

Thread safety: none is needed; which groups were checked is only ever set.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import NamedTuple
from weakref import finalize

import numpy as np

from obsagent._native.codec import RunColumn, crc32c
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
from obsagent.ledger.search import Found, places_among
from obsagent.ledger.tables import ROWS, TABLES, Array, Block, Table
from obsagent.limits import LEDGER_GROUP_ROWS, LEDGER_RUN_ROWS_MAX

BY_NUMBER = {table.number: table for table in TABLES}
NUMBERED = ("series", "model")
"""Columns whose numbers stand for what a manifest names."""


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
        self._columns = self._mapped_columns()
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
        self._numbers = {name: number for number, name in enumerate(self.encodings)}
        self._sound = {name for name, encoding in self.encodings.items() if encoding.code == CONSTANT}
        """Columns that were checked in all groups."""

    def _mapped_columns(self) -> dict[str, RunColumn]:
        return {
            name: encoding.column(self._mapped, self._offset(name, 0), self.rows, self._group_rows, self._group_bytes)
            for name, encoding in self.encodings.items()
        }

    def take(self, name: str, rows: Array) -> Array:
        """The values of one column in some rows; NaN if it was added later. Raises DamagedRun."""
        if name not in self.encodings:
            return np.full(len(rows), np.nan)
        self._check(name, rows)
        values = np.empty(len(rows), self.encodings[name].kind)
        self._columns[name].take(rows.data, values.data)
        return values

    def slice(self, begin: int, end: int) -> Block:
        """All columns of the rows from `begin` to before `end`. Raises DamagedRun."""
        return {name: self.column(name, begin, end) for name in self.table.columns}

    def column(self, name: str, begin: int, end: int) -> Array:
        """The values of one column from row `begin` to before `end`; NaN if it was added later. Raises DamagedRun."""
        if name not in self.encodings:
            return np.full(max(0, end - begin), np.nan)
        values = np.empty(max(0, end - begin), self.encodings[name].kind)
        if len(values):
            self._check(name, np.append(np.arange(begin, end, self._group_rows), end - 1))
            self._columns[name].slice(begin, values.data)
        return values

    def find(self, keys: Array) -> Found:
        """Which of some sorted keys the primary column has, and in which rows. Raises DamagedRun."""
        if self.rows == 0:
            return Found.nothing()
        if not self.table.is_keyed:
            return self._found(keys)
        maybe = sieve.passed(self._checked_sieve(), keys)
        found = self._found(keys.take(maybe))
        return found._replace(which=maybe.take(found.which))

    def _checked_sieve(self) -> Array:
        if self._sieve is None:
            data = self._read(self._sieve_bytes, self._sieve_offset)
            if crc32c(data) != self._sieve_crc:
                raise DamagedRun(self, "the checksum of the sieve is wrong")
            self._sieve = np.frombuffer(self._mapped, "u1", self._sieve_bytes, self._sieve_offset)
        return self._sieve

    def lower_bound(self, keys: Array) -> Array:
        """The number of the first row whose primary column is not below each of some keys; the row count if none is."""
        if self.rows == 0:
            return np.zeros(len(keys), np.int64)
        return self._within(self._stretches(keys), keys)[0]

    def _found(self, keys: Array) -> Found:
        begins, ends = self._within(self._stretches(keys), keys)
        edge = np.flatnonzero((ends & (FENCE_ROWS - 1) == 0) & (ends < self.rows))  # there the key may go on, or begin
        edge = edge[self.take(self.table.primary, ends.take(edge)) == keys.take(edge)]
        if len(edge):
            ends[edge] = self._upper_bound(keys.take(edge))
        which = np.flatnonzero(begins < ends)
        return Found(which, begins.take(which), ends.take(which))

    def _upper_bound(self, keys: Array) -> Array:
        """The number of the first row whose primary column is above each of some keys that are there."""
        return self._within(self._stretches(keys, or_equal=True), keys)[1]

    def _stretches(self, keys: Array, *, or_equal: bool = False) -> Array:
        """By the fences, the stretch of rows in which each key begins; with `or_equal` the last one that has it."""
        stretches: Array = np.maximum(places_among(self.fences, keys, or_equal=or_equal) - 1, 0)
        return stretches

    def _within(self, stretches: Array, keys: Array) -> tuple[Array, Array]:
        """From where to before where a stretch, that lies in one group, has each of some keys."""
        name = self.table.primary
        self._check(name, stretches * FENCE_ROWS)
        begins, ends = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
        signed = self.encodings[name].kind.kind == "i"
        self._columns[name].find(stretches.data, keys.data, begins.data, ends.data, signed=signed)
        return begins, ends

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

    def _check(self, name: str, rows: Array) -> None:
        """Reads and checks a column of those groups that have these rows and were not checked yet."""
        if name in self._sound:
            return
        number = self._numbers[name]
        checked = self._checked[number]
        wanted = np.zeros(len(checked), bool)
        wanted[rows // self._group_rows] = True
        size = self._group_rows * self.encodings[name].width
        for group in np.flatnonzero(wanted & ~checked):
            if crc32c(self._read(size, self._offset(name, int(group)))) != self._crcs[group, number]:
                raise DamagedRun(self, f"the checksum of {name} in group {group} is wrong")
            if name in NUMBERED:
                self._check_range(name, int(group))
            checked[group] = True
        if checked.all():
            self._sound.add(name)

    def _check_range(self, name: str, group: int) -> None:
        """Whoever asked for the highest number may rely on it."""
        begin = group * self._group_rows
        values = np.empty(min(self._group_rows, self.rows - begin), self.encodings[name].kind)
        self._columns[name].slice(begin, values.data)
        if values.max() > self.encodings[name].highest:
            raise DamagedRun(self, f"{name} in group {group} is above the highest that there is")

    def _read(self, size: int, offset: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise DamagedRun(self, f"cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise DamagedRun(self, f"ends at {offset + len(data)}")
        return data

    def check_names(self, models: int, series: int) -> None:
        """There are so many of each. Raises DamagedRun if there are rows of others."""
        for name, count in (("model", models), ("series", series)):
            if self.rows and name in self.encodings and self.encodings[name].highest >= count:
                raise DamagedRun(self, f"it has rows of a {name} that the manifest does not name")

    def check_all(self) -> None:
        """Reads everything. Raises DamagedRun."""
        self._checked_sieve()
        for name, encoding in self.encodings.items():
            if encoding.code != CONSTANT:
                self._check(name, np.arange(0, self.rows, self._group_rows))
            elif (self._crcs[:, self._numbers[name]] != 0).any():
                raise DamagedRun(self, f"{name} has a checksum and no bytes")

    def _offset(self, name: str, group: int) -> int:
        return RUN_HEADER.size + group * self._group_bytes + self._offsets[name]


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

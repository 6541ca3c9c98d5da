"""Writes a run: sorted rows in groups of columns, then what finds and checks them. FORMAT.md has the layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from obsagent._native.codec import crc32c
from obsagent.fs import Fs
from obsagent.ledger import sieve
from obsagent.ledger.encoding import Encoding
from obsagent.ledger.format import FENCE_ROWS, FORMAT_VERSION, RUN_FOOTER, RUN_HEADER, RUN_MAGIC
from obsagent.ledger.tables import Array, Block, Table, concatenated, row_count, take
from obsagent.limits import LEDGER_GROUP_ROWS

COLUMN_ALIGNMENT = 8


def group_rows_for(rows: int) -> int:
    """How many rows the groups of a run have that will have at most so many: a multiple of 8."""
    return min(LEDGER_GROUP_ROWS, -(-max(rows, 1) // COLUMN_ALIGNMENT) * COLUMN_ALIGNMENT)


class RunWriter:
    """Takes sorted blocks, in order; holds at most a group of them back."""

    def __init__(self, fs: Fs, descriptor: int, table: Table, encodings: Mapping[str, Encoding], rows_max: int) -> None:
        """Writes into a new file; there will be at most `rows_max` rows."""
        self._fs = fs
        self._descriptor = descriptor
        self._table = table
        self._encodings = dict(encodings)
        self._group_rows = group_rows_for(rows_max)
        self._waiting: list[Block] = []
        self._waiting_rows = 0
        self._offset = RUN_HEADER.size
        self._fences: list[Array] = []
        self._crcs: list[int] = []
        self._sieve = np.zeros(sieve.sieve_bytes(rows_max) if table.is_keyed else 0, "u1")
        self.rows = 0
        self.first_ms = 0
        self.last_ms = 0

    def add(self, block: Block) -> None:
        """Rows that come behind all before. Raises OSError."""
        rows = row_count(block)
        if rows == 0:
            return
        self._note_times(block[self._table.time])
        self._waiting.append(block)
        self._waiting_rows += rows
        self.rows += rows
        if self._waiting_rows >= self._group_rows:
            self._write_groups()

    def _note_times(self, times: Array) -> None:
        first, last = int(times.min()), int(times.max())
        self.first_ms = min(self.first_ms, first) if self.rows else first
        self.last_ms = max(self.last_ms, last) if self.rows else last

    def _write_groups(self) -> None:
        whole = concatenated(self._table, self._waiting)
        begin = 0
        while self._waiting_rows - begin >= self._group_rows:
            self._write_group(take(whole, slice(begin, begin + self._group_rows)))
            begin += self._group_rows
        self._waiting = [take(whole, slice(begin, None))]
        self._waiting_rows -= begin

    def _write_group(self, group: Block) -> None:
        rows = row_count(group)
        columns = []
        for name, encoding in self._encodings.items():
            stored = np.zeros(self._group_rows if encoding.width else 0, encoding.stored if encoding.width else "u1")
            if encoding.width:
                stored[:rows] = encoding.encode(group[name])
            columns.append(stored.view("u1").data)
        self._fences.append(group[self._table.primary][::FENCE_ROWS].astype(np.int64, casting="unsafe"))
        if self._table.is_keyed:
            sieve.add(self._sieve, group["hi"])
        self._crcs.extend(crc32c(column) for column in columns)
        self._offset += self._fs.write(self._descriptor, columns, self._offset)

    def finish(self) -> None:
        """Everything is written but not synced; the run has `rows` rows. Raises OSError."""
        if self._waiting_rows:
            self._write_group(concatenated(self._table, self._waiting))
        self._offset += self._fs.write(self._descriptor, [self._sieve.data], self._offset)
        footer = self._footer()
        self._fs.write(self._descriptor, [footer], self._offset)
        fields: tuple[Any, ...] = (
            *(RUN_MAGIC, FORMAT_VERSION, self._table.number, len(self._encodings), self._group_rows),
            *(self.rows, self._offset, len(footer), crc32c(footer), 0),
        )
        header = RUN_HEADER.pack(*fields, 0)[:-4]
        self._fs.write(self._descriptor, [header, crc32c(header).to_bytes(4, "little")], 0)

    def _footer(self) -> bytes:
        fences = np.concatenate(self._fences) if self._fences else np.empty(0, np.int64)
        return b"".join(
            [
                RUN_FOOTER.pack(self.first_ms, self.last_ms, len(self._sieve), crc32c(self._sieve.data), 0),
                *(encoding.pack() for encoding in self._encodings.values()),
                fences.astype("<i8").tobytes(),
                np.array(self._crcs, "<u4").tobytes(),
            ]
        )

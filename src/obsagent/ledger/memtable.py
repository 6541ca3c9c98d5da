"""Rows that are in memory: few sorted pieces of doubling sizes, so that adding is cheap and finding is too.

A piece never changes; a view may keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from obsagent.ledger.encoding import Encoding, encodings_of
from obsagent.ledger.format import FENCE_ROWS
from obsagent.ledger.search import Found, found_in, places_among
from obsagent.ledger.tables import Array, Block, Table, normal, row_count, take
from obsagent.limits import LEDGER_WAITING_ROWS


class Piece:
    """Sorted rows, with the methods of a run."""

    def __init__(self, table: Table, block: Block, heap: Sequence[bytes], newest: int = 1 << 62) -> None:
        """`newest` orders it among runs: it is newer than all. `heap` has what is kept beside rows, by `offset`."""
        self.heap = heap
        self.table = table
        self.block = block
        self.rows = row_count(block)
        self.newest = newest
        times = block[table.time]
        self.first_ms, self.last_ms = (int(times.min()), int(times.max())) if self.rows else (0, 0)

    def take(self, name: str, rows: Array) -> Array:
        """The values of one column in some rows."""
        return self.block[name].take(rows)

    @property
    def encodings(self) -> dict[str, Encoding]:
        """How the columns are best written."""
        return encodings_of(self.table, self.block)

    @property
    def fences(self) -> Array:
        """The primary column of some rows, as evenly as those of a run."""
        return self.block[self.table.primary][::FENCE_ROWS]

    def blob(self, row: int) -> bytes:
        """What is kept beside a row."""
        return self.heap[int(self.block["offset"][row])]

    def blob_at(self, offset: int, _size: int, _crc: int) -> bytes:
        """What is kept at an offset of the heap."""
        return self.heap[offset]

    def column(self, name: str, begin: int, end: int) -> Array:
        """The values of one column from row `begin` to before `end`."""
        return self.block[name][begin:end]

    def slice(self, begin: int, end: int) -> Block:
        """All columns of the rows from `begin` to before `end`."""
        return take(self.block, slice(begin, end))

    def lower_bound(self, keys: Array) -> Array:
        """The number of the first row whose primary column is not below each of some keys."""
        return places_among(self.block[self.table.primary], keys)

    def find(self, keys: Array) -> Found:
        """Which of some sorted keys the primary column has, and in which rows."""
        return found_in(self.block[self.table.primary], keys)


class Memtable:
    """The rows of one table that are not in a run yet."""

    def __init__(self, table: Table) -> None:
        """Empty."""
        self.table = table
        self._pieces: list[Piece] = []
        self._waiting: list[Block] = []
        """Blocks that are not yet in a piece: nobody looks for a key in counts and sums."""
        self.heap: list[bytes] = []
        self._heap_bytes = 0

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All rows, oldest first."""
        self._gather()
        return tuple(self._pieces)

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(piece.rows for piece in self._pieces) + sum(map(row_count, self._waiting))

    @property
    def memory_bytes(self) -> int:
        """What they take, about."""
        return self.rows * self.table.row_bytes + self._heap_bytes

    def keep(self, blobs: Sequence[bytes]) -> Array:
        """Keeps what belongs beside rows; returns the `offset` of each."""
        first = len(self.heap)
        self.heap.extend(blobs)
        self._heap_bytes += sum(map(len, blobs))
        return np.arange(first, len(self.heap), dtype="u8")

    def add(self, block: Block) -> None:
        """Rows, in any order, that are newer than all before."""
        if row_count(block) == 0:
            return
        self._waiting.append(block)
        if self.table.is_keyed or sum(map(row_count, self._waiting)) >= LEDGER_WAITING_ROWS:
            self._gather()

    def _gather(self) -> None:
        if not self._waiting:
            return
        pieces = [*self._pieces, Piece(self.table, normal(self.table, self._waiting), self.heap)]
        while len(pieces) > 1 and self._belong_together(*pieces[-2:]):
            merged = normal(self.table, [piece.block for piece in pieces[-2:]])
            pieces[-2:] = [Piece(self.table, merged, self.heap)]
        self._pieces, self._waiting = pieces, []

    def _belong_together(self, older: Piece, newer: Piece) -> bool:
        """A key is looked for in few pieces; of counts and sums those are left alone that did not become fewer."""
        is_done = not self.table.is_keyed and older.rows >= LEDGER_WAITING_ROWS // 2
        return older.rows < 2 * newer.rows and older.heap is self.heap and not is_done

    def put_before(self, older: Sequence[Piece]) -> None:
        """Takes pieces back that could not be written."""
        self._pieces[:0] = older

    def remove(self, is_forgotten: Callable[[Piece], Array]) -> None:
        """Rows of a mask are no longer there."""
        kept = []
        for piece in self.pieces:
            is_gone = is_forgotten(piece)
            kept.append(Piece(self.table, take(piece.block, ~is_gone), piece.heap) if is_gone.any() else piece)
        self._pieces = [piece for piece in kept if piece.rows]

"""All rows of a ledger: of each table what is in memory, what is being written, and the runs; and finding keys there.

What was forgotten is masked: a key that was forgotten hides its rows in all runs that were there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from obsagent.ledger.keys import Keys
from obsagent.ledger.memtable import Memtable, Piece
from obsagent.ledger.run import Run
from obsagent.ledger.search import Found
from obsagent.ledger.tables import TABLES, Array, Block, Table, concatenated, take
from obsagent.limits import LEDGER_MERGE_ROWS

Source = Run | Piece


class Forgotten(NamedTuple):
    """A key of which nothing counts in the runs whose `newest` is below `before`."""

    hi: int
    lo: int
    before: int


class Masks:
    """What was forgotten, ready to be looked for."""

    def __init__(self, forgotten: Iterable[Forgotten] = ()) -> None:
        """For keys in any order."""
        self.forgotten = tuple(sorted(set(forgotten)))
        self._hi = np.array([each.hi for each in self.forgotten], "u8")
        self._lo = np.array([each.lo for each in self.forgotten], "u4")
        self._before = np.array([each.before for each in self.forgotten], "i8")

    def without(self, others: Masks) -> Masks:
        """Those that are not among others."""
        return Masks(set(self.forgotten) - set(others.forgotten))

    def hidden(self, source: Source, keys: Keys) -> Array:
        """A mask of the keys whose rows in a source do not count."""
        hides = self._before > source.newest
        return has_key(keys, self._hi[hides], self._lo[hides])

    def keys_of(self, source: Source) -> Keys:
        """Those whose rows in a source do not count, sorted."""
        hides = self._before > source.newest
        return Keys(self._hi[hides], self._lo[hides])


def has_key(keys: Keys, hi: Array, lo: Array) -> Array:
    """A mask of those of `keys` that are among others, which are sorted."""
    begins = np.searchsorted(hi, keys.hi, "left")
    ends = np.searchsorted(hi, keys.hi, "right")
    found = np.zeros(len(begins), bool)
    for step in range(int((ends - begins).max(initial=0))):  # more than one only where 64 bits are the same
        at = begins + step
        inside = at < ends
        found[inside] |= lo[at[inside]] == keys.lo[inside]
    return found


def matches(source: Source, keys: Keys, masks: Masks) -> tuple[Array, Array]:
    """Which of some sorted keys are in a source, and in which rows: pairs of two arrays. Raises DamagedRun."""
    found = [*each_match(source, keys, masks)]
    if len(found) == 1:
        return found[0]
    nothing = np.empty(0, np.int64)
    return np.concatenate([nothing, *(each[0] for each in found)]), np.concatenate(
        [nothing, *(each[1] for each in found)]
    )


def each_match(source: Source, keys: Keys, masks: Masks) -> Iterator[tuple[Array, Array]]:
    """The same in portions, as one id may have any number of rows."""
    for found in _portions(source.find(keys.hi)):
        queries, rows = _each_row(found)
        is_same = source.take("lo", rows) == keys.lo.take(queries)
        if masks.forgotten:
            is_same &= ~masks.hidden(source, keys.take(queries))
        yield (queries, rows) if is_same.all() else (queries[is_same], rows[is_same])


def _portions(found: Found) -> Iterator[Found]:
    """Keys with about as many rows as are merged at a time; at least one key."""
    if len(found.which) == 0:
        return
    portions = np.cumsum(found.ends - found.begins) // LEDGER_MERGE_ROWS
    if portions[-1] == 0:
        yield found
        return
    cuts = np.flatnonzero(portions[1:] != portions[:-1]) + 1
    yield from map(Found, *(np.split(column, cuts) for column in found))


def _each_row(found: Found) -> tuple[Array, Array]:
    """The index of the key, and the number, of every row of some keys."""
    counts = found.ends - found.begins
    if (counts == 1).all():
        return found.which, found.begins
    firsts = np.cumsum(counts) - counts
    queries = np.repeat(found.which, counts)
    return queries, np.arange(len(queries)) - np.repeat(firsts - found.begins, counts)


def find_all(table: Table, sources: Sequence[Source], keys: Keys, masks: Masks) -> Iterator[tuple[Array, Block]]:
    """All rows that have one of some sorted keys, in portions, with which key each has. Raises DamagedRun."""
    found: list[Array] = []
    blocks: list[Block] = []
    for source in sources:
        for queries, rows in each_match(source, keys, masks):
            found.append(queries)
            blocks.append({name: source.take(name, rows) for name in table.columns})
            if sum(map(len, found)) >= LEDGER_MERGE_ROWS:
                yield np.concatenate(found), concatenated(table, blocks)
                found, blocks = [], []
    if found:
        yield np.concatenate(found), concatenated(table, blocks)


def find_newest(table: Table, sources: Sequence[Source], keys: Keys, masks: Masks) -> tuple[Array, Block]:
    """Of each of some sorted keys the row that came last: a mask of those that have one, and the block of all keys.

    What stands in the block for those without a row is zero. Raises DamagedRun.
    """
    has_row = np.zeros(len(keys.hi), bool)
    block = {name: np.zeros(len(keys.hi), kind) for name, kind in table.columns.items()}
    waiting = np.arange(len(keys.hi))
    for source in reversed(sources):
        if len(waiting) == 0:
            break
        found, rows = matches(source, keys.take(waiting), masks)
        if len(found) == 0:
            continue
        which = waiting[found]
        for name in table.columns:
            block[name][which] = source.take(name, rows)
        has_row[which] = True
        waiting = waiting[~has_row[waiting]]
    return has_row, block


class Sources:
    """The rows of all tables."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        """Nothing is in memory yet."""
        self.memory = {table: Memtable(table) for table in TABLES}
        self.frozen: dict[Table, tuple[Piece, ...]] = {}
        """What is being written, by table."""
        self.runs = tuple(runs)
        """Oldest first."""

    @property
    def memory_bytes(self) -> int:
        """What the rows in memory take, about."""
        frozen = sum(piece.rows * table.row_bytes for table, pieces in self.frozen.items() for piece in pieces)
        return frozen + sum(memtable.memory_bytes for memtable in self.memory.values())

    def of(self, table: Table) -> tuple[Source, ...]:
        """All sources of a table, oldest first; none of them ever changes."""
        return (*self.each_run(table), *self.frozen.get(table, ()), *self.memory[table].pieces)

    def each_run(self, table: Table) -> tuple[Run, ...]:
        """The runs of a table, oldest first."""
        return tuple(run for run in self.runs if run.table is table)

    def snapshot(self) -> dict[Table, tuple[Source, ...]]:
        """All sources of all tables as they are now."""
        return {table: self.of(table) for table in TABLES}

    def freeze(self, first_number: int) -> dict[Table, tuple[Piece, ...]]:
        """What is in memory is to be written, as runs with numbers from the first one on; what comes goes elsewhere."""
        tables = [table for table in TABLES if self.memory[table].rows]
        for number, table in enumerate(tables, first_number):
            pieces = self.memory[table].pieces
            self.frozen[table] = tuple(Piece(table, piece.block, piece.heap, number) for piece in pieces)
            self.memory[table] = Memtable(table)
        return dict(self.frozen)

    def thaw(self, masks: Masks) -> None:
        """It could not be written: it is in memory again, without what was forgotten meanwhile."""
        for table, pieces in self.frozen.items():
            self.memory[table].put_before([Piece(table, _without(piece, masks), piece.heap) for piece in pieces])
        self.frozen.clear()

    def written(self, runs: Iterable[Run]) -> None:
        """What was frozen is now in these runs."""
        self.runs = (*self.runs, *runs)
        self.frozen.clear()

    def replace(self, old: Iterable[Run], new: Iterable[Run]) -> None:
        """Some runs have become others, of the same age."""
        gone = set(old)
        self.runs = tuple(sorted((*(run for run in self.runs if run not in gone), *new), key=lambda run: run.newest))


def _without(piece: Piece, masks: Masks) -> Block:
    if not piece.table.is_keyed:
        return piece.block
    return take(piece.block, ~masks.hidden(piece, Keys(piece.block["hi"], piece.block["lo"])))

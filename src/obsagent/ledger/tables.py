"""The ledger's tables: which columns they have, how their rows are sorted, and what becomes of rows that are equal.

Rows in memory are a `Block`: arrays of one length by column name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from obsagent.ledger.search import order_of, packed, sums_of

Array: TypeAlias = npt.NDArray[Any]
Block: TypeAlias = dict[str, Array]


class Rule(Enum):
    """What becomes of rows with the same sort key when runs are merged."""

    KEEP = "all are kept"
    NEWEST = "the one that came last is kept"
    ADD = "they become one, whose counts and sums are those of all"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What one kind of run holds."""

    number: int
    name: str
    rule: Rule
    key: Mapping[str, str]
    """Columns that sort the rows, with their types; the first one is searched for."""
    rest: Mapping[str, str]
    time: str
    """The column by which rows grow old."""
    since: Mapping[str, int] = field(default_factory=dict)
    """Sums that were added later: the first version of the format that has them; before, they are unknown, NaN."""

    @property
    def columns(self) -> dict[str, np.dtype[Any]]:
        """All columns in the order in which they are written, with their types in memory."""
        return {name: np.dtype(kind) for name, kind in (*self.key.items(), *self.rest.items())}

    def columns_in(self, version: int) -> dict[str, np.dtype[Any]]:
        """Those that a run of that version of the format has."""
        return {name: kind for name, kind in self.columns.items() if self.since.get(name, 1) <= version}

    @property
    def primary(self) -> str:
        """The first column of the sort key."""
        return next(iter(self.key))

    @property
    def is_keyed(self) -> bool:
        """True if rows are found by the key of an id."""
        return self.primary == "hi"

    @property
    def row_bytes(self) -> int:
        """What a row takes in memory."""
        return sum(kind.itemsize for kind in self.columns.values())


ID = {"hi": "u8", "lo": "u4"}
CELL = {"window_ms": "i8", "series": "u4", "predicted": "u2", "truth": "u2"}

PREDICTIONS = Table(
    1, "predictions", Rule.KEEP, ID, {"at_ms": "i8", "value": "f8", "score": "f8", "series": "u4"}, "at_ms"
)
TRUTHS = Table(
    2,
    "truths",
    Rule.NEWEST,
    ID,
    {"at_ms": "i8", "keep_ms": "i8", "value": "f8", "is_class": "u1", "model": "u4"},
    "keep_ms",
)
ROWS = Table(
    3,
    "rows",
    Rule.NEWEST,
    ID,
    {"at_ms": "i8", "series": "u4", "offset": "u8", "size": "u4", "crc": "u4"},
    "at_ms",
)
COUNTS = Table(4, "counts", Rule.ADD, {**CELL, "bin": "i2"}, {"count": "i8"}, "window_ms")
CLASS_SUMS = Table(
    5,
    "class_sums",
    Rule.ADD,
    CELL,
    {"count": "i8", "score": "f8", "score_squared": "f8", "log_score": "f8", "log_rest": "f8"},
    "window_ms",
)
NUMBER_SUMS = Table(
    6,
    "number_sums",
    Rule.ADD,
    {"window_ms": "i8", "series": "u4"},
    {
        "count": "i8",
        "error": "f8",
        "absolute": "f8",
        "squared": "f8",
        "relative_count": "i8",
        "relative": "f8",
        "truth": "f8",
        "truth_squared": "f8",
    },
    "window_ms",
)
ARRIVALS = Table(
    7,
    "arrivals",
    Rule.ADD,
    {"position": "i8", "series": "u4", "at_ms": "i8"},
    {"count": "i8", "errors": "i8", "loss": "f8", "loss_squared": "f8", "loss_fourth": "f8"},
    "at_ms",
    {"loss_fourth": 2},
)
TABLES = (PREDICTIONS, TRUTHS, ROWS, COUNTS, CLASS_SUMS, NUMBER_SUMS, ARRIVALS)
OUTCOMES = (COUNTS, CLASS_SUMS, NUMBER_SUMS)


def row_count(block: Block) -> int:
    """How many rows a block has."""
    return len(next(iter(block.values())))


def take(block: Block, rows: Any) -> Block:
    """Some rows of a block: by index, mask, or slice."""
    if isinstance(rows, np.ndarray) and rows.dtype != bool:
        return {name: values.take(rows) for name, values in block.items()}
    return {name: values[rows] for name, values in block.items()}


def only(block: Block, mask: Array) -> Block:
    """The rows of a mask; the block itself if these are all."""
    return block if mask.all() else take(block, np.flatnonzero(mask))


def concatenated(table: Table, blocks: Sequence[Block]) -> Block:
    """All rows of some blocks, one behind the other."""
    if len(blocks) == 1:
        return blocks[0]
    return {
        name: np.concatenate([block[name] for block in blocks]) if blocks else np.empty(0, kind)
        for name, kind in table.columns.items()
    }


def normal(table: Table, blocks: Sequence[Block]) -> Block:
    """The rows of some blocks, oldest first, sorted, and what is equal made one as the table's rule says."""
    block = concatenated(table, blocks)
    if row_count(block) == 0:
        return block
    if table.rule is Rule.ADD:
        return _added(table, block)
    order = sort_order(table, block)
    block = take(block, order)
    if table.rule is Rule.KEEP or isinstance(order, slice):
        return block
    return only(block, np.append(_first_of_equals(table, block)[1:], True))


def _added(table: Table, block: Block) -> Block:
    columns = [block[name] for name in table.key]
    rows = packed(columns)
    if rows is None:
        order = np.lexsort([*reversed(columns)])
        is_first = _first_of_equals(table, {name: block[name].take(order) for name in table.key})
    else:
        order = order_of(rows)
        rows = rows.take(order)
        is_first = np.append(True, rows[1:] != rows[:-1])
    if is_first.all():
        return take(block, order)
    begins = np.flatnonzero(is_first)
    firsts = order.take(begins)
    keys = {name: block[name].take(firsts) for name in table.key}
    return keys | {name: sums_of(block[name], order, begins) for name in table.rest}


def sort_order(table: Table, block: Block) -> Array | slice:
    """What sorts rows that have keys of ids: indices; or a slice of all if they are sorted and none occurs twice.

    Rows with the same key stay in their order.
    """
    hi, lo = (block[name] for name in table.key)
    if (hi[1:] > hi[:-1]).all():
        return slice(None)
    order = order_of(hi)
    sorted_hi = hi.take(order)
    equal = np.flatnonzero(sorted_hi[1:] == sorted_hi[:-1])
    if (lo[order[equal]] <= lo[order[equal + 1]]).all():
        return order
    return np.lexsort([lo, hi])


def _first_of_equals(table: Table, block: Block) -> Array:
    """A mask of the rows whose sort key is not that of the row before."""
    is_first = np.zeros(row_count(block), bool)
    is_first[0] = True
    for name in table.key:
        column = block[name]
        is_first[1:] |= column[1:] != column[:-1]
    return is_first

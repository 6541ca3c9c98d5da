"""How columns are written: in as few bytes a value as hold all values of a run exactly.

An encoding is chosen for a whole run, so that the place of a value in the file follows from its number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np

from obsagent._native.codec import RunColumn
from obsagent.errors import CorruptData
from obsagent.ledger.format import COLUMN, CONSTANT, ENCODED_BYTES, F4, RAW, U1, U2, U4
from obsagent.ledger.tables import Array, Block, Rule, Table

STORED: dict[int, np.dtype[Any]] = {U1: np.dtype("<u1"), U2: np.dtype("<u2"), U4: np.dtype("<u4"), F4: np.dtype("<f4")}
F4_WHOLE_MAX = 1 << 24
"""Whole numbers up to here are exact as f4."""
EXACT_SUM_MAX = 1 << 62
"""Counts whose sum is greater, which no sound ledger has, may have one that does not fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one column of a run is written; `low` and `high` bound its values (of whole numbers, and constants)."""

    kind: np.dtype[Any]
    """The type in memory."""
    code: int
    low: Any = 0
    high: Any = 0

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return self.kind.itemsize if self.code == RAW else ENCODED_BYTES[self.code]

    @property
    def highest(self) -> Any:
        """The highest whole number that a value may be."""
        return self.low if self.code == CONSTANT else self.high

    @property
    def stored(self) -> np.dtype[Any]:
        """The type in the file; constants have none."""
        return np.dtype(f"<{self.kind.kind}{self.kind.itemsize}") if self.code == RAW else STORED[self.code]

    def encode(self, values: Array) -> Array:
        """Values as they are written."""
        if self.code in (U1, U2, U4):
            above: Array = values - self.kind.type(self.low)
            return above.astype(self.stored)
        return values.astype(self.stored)

    def column(self, file: bytes | mmap, first: int, rows: int, group_rows: int, group_bytes: int) -> RunColumn:
        """Reads such a column of a run, whose groups of `group_bytes` have it from the offset `first` on.

        Raises ValueError if the file is shorter.
        """
        low = bytes(self.kind.itemsize) if self.code == RAW else self.kind.type(self.low).tobytes()
        is_real = self.kind.kind == "f" and self.code in (U1, U2, U4)
        where = first, rows, group_rows, group_bytes
        return RunColumn(file, *where, self.width, self.kind.itemsize, low, is_real, self.code == F4)

    def pack(self) -> bytes:
        """The column's entry in a footer."""
        bounds = (np.array([bound], self.kind.kind + "8").tobytes() for bound in (self.low, self.high))
        return COLUMN.pack(self.code, *bounds)

    @classmethod
    def unpack(cls, kind: np.dtype[Any], data: bytes) -> Encoding:
        """Of an entry in a footer. Raises CorruptData."""
        code, *bounds = COLUMN.unpack(data)
        if code not in ENCODED_BYTES or (code == F4 and kind.kind != "f"):
            raise CorruptData(f"a column is written in a way that is not known: {code}")
        wide = np.frombuffer(b"".join(bounds), kind.kind + "8")
        low, high = narrow = wide.astype(kind)
        is_range = code in (U1, U2, U4)
        if (narrow != wide).any() if kind.kind != "f" else is_range and not np.isfinite(wide).all():
            raise CorruptData("a column has bounds that its values cannot have")
        return cls(kind, code, low, high)


def encodings_of(table: Table, block: Block) -> dict[str, Encoding]:
    """The narrowest encodings that hold the columns of a block."""
    return {name: _encoding_of(table, name, kind, block[name]) for name, kind in table.columns.items()}


def _encoding_of(table: Table, name: str, kind: np.dtype[Any], values: Array) -> Encoding:
    if name == "hi":
        return Encoding(kind, RAW)
    if table.rule is Rule.ADD and name in table.rest:
        return _of_sum(kind, values)
    if len(values) == 0 or _is_constant(values):
        constant = values[0] if len(values) else kind.type(0)
        return Encoding(kind, CONSTANT, constant, constant)
    if kind.kind != "f":
        return for_range(kind, values.min(), values.max())
    if np.isfinite(values).all() and np.all(values == np.floor(values)):
        whole = for_range(kind, values.min(), values.max())
        if whole.code != RAW:
            return whole
    with np.errstate(over="ignore"):
        is_exact = np.array_equal(values.astype("f4").astype("f8"), values, equal_nan=True)
    return Encoding(kind, F4 if is_exact else RAW)


def _is_constant(values: Array) -> bool:
    return bool((values == values[0]).all()) or bool((values != values).all())


def _of_sum(kind: np.dtype[Any], values: Array) -> Encoding:
    """Wide enough for the sum of any of the values, so that a merged run is no narrower than it must be."""
    if kind.kind == "f":
        return Encoding(kind, RAW)
    if np.abs(values.astype("f8")).sum() >= EXACT_SUM_MAX:
        return for_range(kind, np.iinfo(kind).min, np.iinfo(kind).max)
    return for_range(kind, values[values < 0].sum(), values[values > 0].sum())


def for_range(kind: np.dtype[Any], low: Any, high: Any) -> Encoding:
    """For whole numbers from `low` to `high`, as far as the type has such."""
    if kind.kind != "f":
        low, high = max(int(low), int(np.iinfo(kind).min)), min(int(high), int(np.iinfo(kind).max))
    distance = int(high) - int(low)
    code = next((code for code in (U1, U2, U4) if distance < 1 << 8 * ENCODED_BYTES[code]), RAW)
    if kind.kind == "f" and max(abs(int(low)), abs(int(high))) >= 1 << 52:
        code = RAW
    return Encoding(kind, code, kind.type(low), kind.type(high))


def combined(table: Table, name: str, inputs: Sequence[Encoding]) -> Encoding:
    """An encoding for what is merged of columns with these."""
    kind = inputs[0].kind
    codes = {encoding.code for encoding in inputs}
    if name == "hi" or (kind.kind == "f" and RAW in codes):
        return Encoding(kind, RAW)
    lows, highs = [each.low for each in inputs], [each.high for each in inputs]
    if table.rule is Rule.ADD and name in table.rest:
        return for_range(kind, sum(map(int, lows)), sum(map(int, highs)))
    if kind.kind == "f":
        return _combined_floats(kind, inputs)
    if codes == {CONSTANT} and len(set(lows)) == 1:
        return inputs[0]
    return for_range(kind, min(map(int, lows)), max(map(int, highs)))


def _combined_floats(kind: np.dtype[Any], inputs: Sequence[Encoding]) -> Encoding:
    constants = np.array([each.low for each in inputs if each.code == CONSTANT], kind)
    ranges = [bound for each in inputs if each.code in (U1, U2, U4) for bound in (each.low, each.high)]
    bounds = np.concatenate([constants, np.array(ranges, kind)])
    if not any(each.code == F4 for each in inputs):
        if len(bounds) and len(constants) == len(inputs) and _is_constant(bounds):
            return inputs[0]
        if np.isfinite(bounds).all() and np.all(bounds == np.floor(bounds)):
            return for_range(kind, bounds.min(), bounds.max())
    with np.errstate(over="ignore"):  # then it is not exact
        is_exact = np.array_equal(bounds.astype("f4").astype(kind), bounds, equal_nan=True)
    fits = is_exact and all(abs(bound) <= F4_WHOLE_MAX for bound in ranges)
    return Encoding(kind, F4 if fits else RAW)


def lowered(encoding: Encoding, unit_ms: int) -> Encoding:
    """For times that may be cut down to a multiple of a unit."""
    low = int(encoding.low) - int(encoding.low) % unit_ms
    return for_range(encoding.kind, low, encoding.high)

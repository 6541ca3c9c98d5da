"""Columns of numbers as they lie in batches: little-endian bytes, whatever this machine's order is."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable

TIME, NUMBER, CLASS, SIZE = "q", "d", "H", "I"
"""i64 milliseconds, f64, u16 and u32, as `array` calls them."""
ITEM_BYTES = {code: array(code).itemsize for code in (TIME, NUMBER, CLASS, SIZE)}


def pack(code: str, values: Iterable[float]) -> bytes:
    """The column of these values; raises `OverflowError` for one that does not fit."""
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def unpack(code: str, column: bytes) -> array[int] | array[float]:
    """The values of a column, whose length is a multiple of an item's."""
    values = array(code, column)
    if sys.byteorder == "big":
        values.byteswap()
    return values

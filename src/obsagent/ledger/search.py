"""What sorts columns, and where keys stand in sorted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from obsagent._native import codec

Array = npt.NDArray[Any]


class Found(NamedTuple):
    """Those of some keys that are there: three arrays of one length."""

    which: Array
    """Indices of the keys, ascending."""
    begins: Array
    """The first row of each."""
    ends: Array
    """The row behind its last one."""

    @classmethod
    def nothing(cls) -> Found:
        """None of them."""
        return cls(*(np.empty(0, np.int64) for _ in cls._fields))


def order_of(keys: Array) -> Array:
    """The indices of u64 keys in ascending order; equal keys stay in their order."""
    order = np.empty(len(keys), np.int64)
    codec.order_of(keys.data, order.data)
    return order


def packed(columns: Sequence[Array]) -> Array | None:
    """Columns of whole numbers as one u64 that sorts as their rows do; None if their ranges need more than 64 bits."""
    rows = np.empty(len(columns[0]), "u8")
    is_packed = codec.pack_rows(
        [(each.data, each.dtype.itemsize, each.dtype.kind == "i") for each in columns], rows.data
    )
    return rows if is_packed else None


def sums_of(values: Array, order: Array, begins: Array) -> Array:
    """The sums of groups of values (i64 or f64), of which `begins` has the first places in `order`."""
    sums = np.empty(len(begins), values.dtype)
    codec.add_groups(values.data, order.data, begins.data, sums.data, real=values.dtype.kind == "f")
    return sums


def places_among(own: Array, keys: Array, *, or_equal: bool = False) -> Array:
    """How many of `own` (u64 or i64, ascending) are less than each key of the same type; with `or_equal` not greater.

    It is cheapest if the keys ascend.
    """
    places = np.empty(len(keys), np.int64)
    codec.places_among(own.data, keys.data, places.data, signed=own.dtype.kind == "i", or_equal=or_equal)
    return places


def found_in(own: Array, keys: Array) -> Found:
    """Where some sorted keys stand in a sorted array of the same type."""
    begins = places_among(own, keys)  # behind the end is clipped to the last one, which is less than the key
    which = np.flatnonzero(own.take(begins, mode="clip") == keys) if len(own) else np.empty(0, np.int64)
    return Found(which, begins.take(which), places_among(own, keys.take(which), or_equal=True))

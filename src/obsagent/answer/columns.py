"""Columns as they come out of the store: the sketches of one feature, merged over whatever was read."""

from __future__ import annotations

from obsagent._native.sketch import Column

__all__ = ["Column", "decoded", "merged"]


def decoded(encoded: bytes) -> Column:
    """The column in the bytes that `Groups.column` gives; raises `CorruptData`."""
    return Column._from_compact(encoded)


def merged(first: Column, *others: Column) -> Column:
    """One column of several, none of which is another afterwards."""
    if not others:
        return first
    whole = decoded(first._to_compact())
    for each in others:
        whole.merge(each)
    return whole

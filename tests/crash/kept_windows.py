"""Compares a store whose tiers expire with the truth: whatever of it is kept must be exact."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from obsagent._native.codec import Groups, Window
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS

Axis = tuple[int, int, int]
"""First window, its length, how many."""


def check_windows(view: View, truth: Mapping[int, Window], found: Mapping[int, int], true: Mapping[int, int]) -> None:
    """In windows of each tier's length, from the first one on that is whole; and all that is kept as one.

    `found` and `true` say which series of the view and of the truth are compared.
    """
    if not truth:
        return
    for window_ms in TIER_WINDOWS_MS:
        begin_ms = first_kept(view, truth, window_ms)
        count = (max(truth) - begin_ms) // window_ms + 1
        if count > 0:
            compare(view, truth, found, true, (begin_ms, window_ms, count), window_ms)
    begin_ms = min(first_kept(view, truth, window_ms) for window_ms in TIER_WINDOWS_MS)
    if begin_ms <= max(truth):
        compare(view, truth, found, true, (begin_ms, max(truth) + 1 - begin_ms, 1), 0)


def first_kept(view: View, truth: Mapping[int, Window], window_ms: int) -> int:
    """The first window of this length that must be exact."""
    return max(min(truth) - min(truth) % window_ms, view.tiers.begins(window_ms))


def compare(
    view: View, truth: Mapping[int, Window], found: Mapping[int, int], true: Mapping[int, int], axis: Axis, step_ms: int
) -> None:
    size = 1 + max(true.values(), default=0)
    stored, wanted = Groups(found, size, *axis), Groups(true, size, *axis)
    begin_ms, window_ms, count = axis
    end_ms = begin_ms + count * window_ms
    view.collect(begin_ms, end_ms, stored, step_ms)
    for start, window in truth.items():
        if begin_ms <= start < end_ms:
            window.collect(wanted, start)
    check_same(stored, wanted, itertools.product(range(size), range(count)))


def check_same(stored: Groups, wanted: Groups, places: itertools.product[tuple[int, int]]) -> None:
    for place in places:
        assert stored.samples(*place) == wanted.samples(*place), place
        assert stored.histogram(*place) == wanted.histogram(*place), place
        assert stored.counter(*place) == wanted.counter(*place), place
        assert stored.gauge(*place) == wanted.gauge(*place), place


def check_totals(view: View, truth: Mapping[int, Window], found: Mapping[int, int], true: Mapping[int, int]) -> None:
    """Everything that was ever stored, whatever is kept, which the heads of segment files carry on."""
    size = 1 + max(true.values(), default=0)
    totals, everything = Groups(found, size), Groups(true, size)
    view.collect_totals(totals)
    for window in truth.values():
        window.collect(everything)
    check_same(totals, everything, itertools.product(range(size), range(1)))

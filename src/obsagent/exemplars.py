"""Which exemplars are kept: the largest of each series in each window, and of too many series those of the largest.

What is kept does not depend on the order in which exemplars come, nor on how they were divided before: merging is
exact, as it is of the histograms beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

from obsagent.limits import EXEMPLARS_PER_BLOCK, EXEMPLARS_PER_WINDOW
from obsagent.samples import Exemplar

Kept = dict[int, Exemplar]
"""Of one window: series id → its exemplar."""

rank = attrgetter("value", "time_ms", "trace_id", "request_id", "series_id")
"""What is kept rather: a total order, so that of two equal values always the same one stays."""


def keep(kept: Kept, found: Exemplar, at_most: int = EXEMPLARS_PER_WINDOW) -> None:
    """Takes an exemplar in if it is one of those to be kept of its window."""
    before = kept.get(found.series_id)
    if before is not None:
        if rank(found) > rank(before):
            kept[found.series_id] = found
        return
    kept[found.series_id] = found
    if len(kept) > at_most:
        del kept[min(kept.values(), key=rank).series_id]


def kept_of(found: Iterable[Exemplar], window_ms: int = 0) -> list[Exemplar]:
    """Those to be kept of a block, by window and series, in windows of `window_ms` (0: in their own)."""
    windows: dict[int, Kept] = {}
    for each in found:
        start_ms = each.window_ms - each.window_ms % window_ms if window_ms else each.window_ms
        own = each if start_ms == each.window_ms else replace(each, window_ms=start_ms)
        keep(windows.setdefault(start_ms, {}), own)
    at_most = max(EXEMPLARS_PER_BLOCK // max(len(windows), 1), 1)
    return [each for _, kept in sorted(windows.items()) for each in _largest(kept, at_most)]


def _largest(kept: Kept, at_most: int) -> list[Exemplar]:
    """By series."""
    largest = sorted(kept.values(), key=rank, reverse=True)[:at_most]
    return sorted(largest, key=attrgetter("series_id"))

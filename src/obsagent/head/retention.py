"""Which files expire: those older than their tier is kept, and the oldest if a store takes more than its budget.

Only what the next tier holds too goes, so that nothing is lost but time's resolution; of the last tier, what is
older than it is kept or what the budget demands. Of the budget the finest tier pays first. The newest file of the
10 s tier always stays: the state of the store is in it.

What a finer tier still has stays in all coarser ones, though the agent's clock may have been stepped so that it seems
older there: it would be rolled up again, into a file of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from obsagent.head.budgets import Budgets
from obsagent.head.rollups import TierFile, complete_files, rolled_into
from obsagent.limits import TIER_WINDOWS_MS
from obsagent.segment.block import NO_WINDOW_LAST
from obsagent.segment.recover import BlockRef, sequences_of
from obsagent.segment.tiers import Tiers
from obsagent.segment.whole import IN_TIME_MS


class Expired(NamedTuple):
    """The oldest files of a tier, which go together."""

    window_ms: int
    paths: list[Path]


def expired(tiers: Callable[[], Tiers], budgets: Budgets, now_ms: int) -> Iterator[Expired]:
    """The files that are older than their tier is kept, tier by tier; `tiers` are asked for before each."""
    for window_ms in TIER_WINDOWS_MS:
        before_ms = now_ms - budgets.retention_of(window_ms)
        paths = []
        removable = list(_removable(tiers(), window_ms))
        for file, following in zip_longest(removable, removable[1:]):
            if _end_ms(file, following, window_ms) > before_ms:
                break
            paths.append(file.path)
        if paths:
            yield Expired(window_ms, paths)


def beyond_budget(tiers: Callable[[], Tiers], excess_bytes: int, *, but_last_tier: bool = False) -> Iterator[Expired]:
    """The files that must go for a store to take so much less, as far as there are such; `tiers` as of `expired`."""
    for window_ms in TIER_WINDOWS_MS[: -1 if but_last_tier else None]:
        paths = []
        for file in _removable(tiers(), window_ms):
            if excess_bytes <= 0:
                break
            paths.append(file.path)
            excess_bytes -= _size(file.path)
        if paths:
            yield Expired(window_ms, paths)


def _removable(tiers: Tiers, window_ms: int) -> Iterator[TierFile]:
    """The oldest files of a tier that no finer one has any more, and that the next one holds; if there is one."""
    is_last = window_ms == TIER_WINDOWS_MS[-1]
    finer = TIER_WINDOWS_MS[: TIER_WINDOWS_MS.index(window_ms)]
    begin = min((sequences_of(file.path)[0] for each in finer for file in _first(tiers, each)), default=None)
    for file in complete_files(tiers, window_ms):
        if begin is not None and file.range_.last >= begin:
            return
        if not is_last and not rolled_into(tiers, window_ms).cover(*file.range_):
            return
        yield file


def _first(tiers: Tiers, window_ms: int) -> tuple[BlockRef, ...]:
    """The oldest block of a tier, if it has any."""
    return (tiers.blocks if window_ms == TIER_WINDOWS_MS[0] else tiers.rolled.get(window_ms, ()))[:1]


def _end_ms(file: TierFile, following: TierFile | None, window_ms: int) -> int:
    """When the file's last window ends.

    A window that was ahead of its time when it was written (the agent's clock was stepped) does not count. A file
    without windows is as old as its writing: without it nobody could tell that those before are all there.
    """
    headers = [block.header for block in file.blocks]
    written_ms = headers[-1].written_ms
    if following is not None:
        written_ms = min(written_ms, following.blocks[0].header.written_ms)
    newest_ms = max(each.last_window_ms for each in headers)
    if newest_ms == NO_WINDOW_LAST:
        newest_ms = written_ms
    return min(newest_ms, written_ms + IN_TIME_MS) + window_ms


def store_bytes(tiers: Tiers, journal: list[Path]) -> int:
    """What the files of a store that count take on disk."""
    rolled = (block for blocks in tiers.rolled.values() for block in blocks)
    return sum(map(_size, {*journal, *(block.path for block in (*tiers.blocks, *rolled))}))


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0

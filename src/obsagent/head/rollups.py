"""Which files are rolled up next: each complete file of a tier into the next one, then small files into larger ones.

A file is rolled up as soon as it is compacted, so that a question about a day reads hours but for the last one. That
makes small files; 24 neighbours of about one size become one, which grows like a log-structured merge tree: a year
of hours is some dozens of files. A file is not merged to more than a quarter of its tier's retention, since it
expires as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from math import log
from pathlib import Path
from typing import NamedTuple

from obsagent.head.budgets import Budgets
from obsagent.limits import MERGED_FILES, TIER_WINDOWS_MS
from obsagent.segment.block import NO_WINDOW_LAST
from obsagent.segment.compact import by_file, compactable
from obsagent.segment.recover import BlockRef, is_compacted, sequences_of
from obsagent.segment.rollup import Range, RollUp
from obsagent.segment.tiers import Sequences, Tiers, is_checkpoint


class TierFile(NamedTuple):
    """A file of a tier that nothing is appended to any more."""

    path: Path
    blocks: list[BlockRef]
    range_: Range


def complete_files(tiers: Tiers, window_ms: int) -> list[TierFile]:
    """The files of a tier that are complete, oldest first."""
    if window_ms != TIER_WINDOWS_MS[0]:
        rolled = tiers.rolled.get(window_ms, ())
        return [TierFile(block.path, [block], Range(*sequences_of(block.path))) for block in rolled]
    files = by_file(tiers.blocks)
    return [TierFile(file[0].path, file, _range(file, after)) for file, after in pairwise(files)]


def _range(file: list[BlockRef], following: list[BlockRef]) -> Range:
    """What the file's name says of a compacted one; of another all up to the next one, what is missing included."""
    path = file[0].path
    if is_compacted(path):
        return Range(*sequences_of(path))
    return Range(sequences_of(path)[0], sequences_of(following[0].path)[0] - 1)


def rolled_into(tiers: Tiers, window_ms: int) -> Sequences:
    """The checkpoints that the tier of the next longer windows holds."""
    longer = TIER_WINDOWS_MS[TIER_WINDOWS_MS.index(window_ms) + 1]
    return Sequences().with_blocks(tiers.rolled.get(longer, ()))


def next_roll_up(tiers: Tiers, budgets: Budgets, left_as_is: Collection[Path]) -> RollUp | None:
    """What is to be rolled up or merged next; None if there is nothing. `left_as_is` are files that compaction has
    found damaged: it does not wait for them.
    """
    return next(_roll_ups(tiers, left_as_is), None) or next(_merges(tiers, budgets), None)


def _roll_ups(tiers: Tiers, left_as_is: Collection[Path]) -> Iterator[RollUp]:
    waiting = {file[0].path for file in compactable(tiers.blocks)}.difference(left_as_is)
    for window_ms, longer_ms in pairwise(TIER_WINDOWS_MS):
        held = rolled_into(tiers, window_ms)
        for file in complete_files(tiers, window_ms):
            if file.path not in waiting and any(map(is_checkpoint, file.blocks)) and not held.cover(*file.range_):
                yield RollUp(file.blocks, file.range_, longer_ms)


def _merges(tiers: Tiers, budgets: Budgets) -> Iterator[RollUp]:
    for window_ms in TIER_WINDOWS_MS[1:]:
        span_max_ms = budgets.retention_of(window_ms) // 4
        files = complete_files(tiers, window_ms)
        for level in sorted({_level(file.range_) for file in files}):
            for run in _runs(files, level):
                if len(run) == MERGED_FILES and _span(run) <= span_max_ms:
                    yield RollUp(
                        [file.blocks[0] for file in run], Range(run[0].range_.first, run[-1].range_.last), window_ms
                    )


def _level(range_: Range) -> int:
    """The size of a file in powers of how many are merged."""
    return int(log(range_.last - range_.first + 1, MERGED_FILES))


def _runs(files: list[TierFile], level: int) -> Iterator[list[TierFile]]:
    """Neighbours of at most that level, as many as are merged at once."""
    run: list[TierFile] = []
    for file in files:
        if _level(file.range_) > level or (run and run[-1].range_.last + 1 != file.range_.first):
            run = []
        if _level(file.range_) <= level:
            run.append(file)
        if len(run) == MERGED_FILES:
            yield run
            run = []


def _span(run: list[TierFile]) -> int:
    """How much longer the oldest of the files is kept if they become one: a file expires with its newest window.

    How far back its oldest window lies does not matter, and with backfills that may be a year.
    """
    newest = [file.blocks[0].header.last_window_ms for file in run]
    dated = [at_ms for at_ms in newest if at_ms != NO_WINDOW_LAST]
    return max(dated) - min(dated) if dated else 0

"""The tiers of a store: the same samples in windows of 10 s, 1 min and 1 h, and which of them answers what.

Coarser tiers are roll-ups of whole files, so each holds certain *checkpoints*, by their sequence, and not all
samples before some time. Hence no sample can come too late for a tier: a late partial is in a later checkpoint, which
is read as it is until it is rolled up too.

    sequence    1 ............... 360 ............ 720 ...... 750
    1 h tier    [ rolled up              ]
    1 min tier  [ rolled up, expired ][ rolled up  ]
    10 s tier                         [ files      ][ files .....

    chosen(1 h)     the 1 h blocks, of the checkpoints behind them the 1 min blocks, behind these the 10 s blocks
    chosen(10 s)    the 10 s blocks

The files of a tier expire from the oldest on. Its windows are whole from `whole_from[tier]` on: the end of the newest
window of any checkpoint that it, with the finer ones, does not hold any more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import NO_WINDOW_LAST
from obsagent.segment.recover import BlockRef


class Piece(NamedTuple):
    """A part of the asked time, `[from_ms, to_ms)`, that is read in windows of one length."""

    window_ms: int
    from_ms: int
    to_ms: int


def _nothing_lost() -> dict[int, int]:
    return dict.fromkeys(TIER_WINDOWS_MS, NO_WINDOW_LAST)


@dataclass(frozen=True, slots=True)
class Tiers:
    """The blocks of all tiers at one moment. It never changes; a change makes another.

    `blocks` are those of the 10 s tier with head blocks, `rolled` those of the others by window (ms), all by sequence.
    """

    blocks: tuple[BlockRef, ...] = ()
    rolled: Mapping[int, tuple[BlockRef, ...]] = field(default_factory=dict)
    whole_from: Mapping[int, int] = field(default_factory=_nothing_lost)
    _chosen: dict[int, tuple[BlockRef, ...]] = field(default_factory=dict, init=False, compare=False)

    def chosen(self, window_ms: int) -> tuple[BlockRef, ...]:
        """The blocks that together hold each checkpoint once, in windows of this length or, where it is not rolled up
        so far, in the longest that there are.
        """
        found = self._chosen.get(window_ms)
        if found is None:
            found = self._chosen[window_ms] = tuple(self._choose(window_ms))
        return found

    def _choose(self, window_ms: int) -> Iterable[BlockRef]:
        held = Sequences()
        for each_ms in sorted(self.rolled, reverse=True):
            if WINDOW_MS < each_ms <= window_ms:
                new = [block for block in self.rolled[each_ms] if not held.touch(block)]
                yield from new
                held = held.with_blocks(new)
        yield from (block for block in self.blocks if is_checkpoint(block) and not held.touch(block))

    def pieces(self, from_ms: int, to_ms: int, step_ms: int = 0) -> list[Piece]:
        """How `[from_ms, to_ms)` is read, in order: in the longest windows that fit between its ends, and into each
        step if there are steps.

        Where these are not whole any more it is longer ones, which may begin before `from_ms` and end behind `to_ms`,
        else shorter ones. Times of which nothing is kept are left out.
        """
        widths = [each for each in TIER_WINDOWS_MS if step_ms % each == 0]
        found: list[Piece] = []
        done_ms = from_ms - from_ms % WINDOW_MS
        for wanted in _fitting(done_ms, to_ms, widths or [WINDOW_MS]):
            for piece in self._kept(wanted, max(wanted.from_ms, done_ms)):
                found.append(piece)
                done_ms = piece.to_ms
        return found

    def _kept(self, wanted: Piece, at_ms: int) -> Iterable[Piece]:
        """The piece from `at_ms` on in windows that are whole."""
        longer = [each for each in TIER_WINDOWS_MS if each > wanted.window_ms]
        shorter = [each for each in TIER_WINDOWS_MS if each < wanted.window_ms]
        preferred = [wanted.window_ms, *longer, *reversed(shorter)]
        while at_ms < wanted.to_ms:
            best = next((index for index, each in enumerate(preferred) if at_ms >= self.begins(each)), len(preferred))
            better = (self.begins(each) for each in preferred[:best])
            end_ms = min([wanted.to_ms, *better])
            if best == len(preferred):
                at_ms = end_ms
                continue
            window_ms = preferred[best]
            if window_ms > wanted.window_ms:
                end_ms = _up(end_ms, window_ms)
            yield Piece(window_ms, at_ms - at_ms % window_ms, end_ms)
            at_ms = end_ms

    def begins(self, window_ms: int) -> int:
        """The start of a tier's first window that is whole."""
        return _up(self.whole_from[window_ms], window_ms)

    @property
    def first_ms(self) -> int:
        """The start of the first window that is whole in any tier."""
        return min(map(self.begins, TIER_WINDOWS_MS))

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows that must be read for what is kept from that time on."""
        first_ms = max(from_ms, self.first_ms)
        return next(each for each in TIER_WINDOWS_MS if first_ms >= self.begins(each))


def _fitting(from_ms: int, to_ms: int, widths: Sequence[int]) -> Iterable[Piece]:
    """`[from_ms, to_ms)` in the longest windows in the middle and shorter ones at the edges; `widths` ascend."""
    *shorter, window_ms = widths
    begin_ms, end_ms = _up(from_ms, window_ms), to_ms - to_ms % window_ms
    if not shorter:
        if from_ms < to_ms:
            yield Piece(window_ms, from_ms, to_ms)
    elif begin_ms >= end_ms:
        yield from _fitting(from_ms, to_ms, shorter)
    else:
        yield from _fitting(from_ms, begin_ms, shorter)
        yield Piece(window_ms, begin_ms, end_ms)
        yield from _fitting(end_ms, to_ms, shorter)


def _up(at_ms: int, window_ms: int) -> int:
    return -(-at_ms // window_ms) * window_ms


def is_checkpoint(block: BlockRef) -> bool:
    """True for a block that holds windows; head blocks hold totals."""
    return block.header.kind != layout.BLOCK_HEAD


class Sequences:
    """Ranges of checkpoints' sequences, from first to last, which do not overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = sorted(ranges)
        self._firsts = [first for first, _ in self._ranges]

    def with_blocks(self, blocks: Iterable[BlockRef]) -> Sequences:
        """These and those that the blocks hold."""
        return Sequences([*self._ranges, *((block.header.first_sequence, block.header.sequence) for block in blocks)])

    def touch(self, block: BlockRef) -> bool:
        """True if the block holds one of these."""
        index = bisect_right(self._firsts, block.header.sequence) - 1
        return index >= 0 and self._ranges[index][1] >= block.header.first_sequence

    def cover(self, first: int, last: int) -> bool:
        """True if all sequences from first to last are among these."""
        index = bisect_right(self._firsts, first) - 1
        while index >= 0 and index < len(self._ranges) and self._ranges[index][0] <= first:
            first = max(first, self._ranges[index][1] + 1)
            if first > last:
                return True
            index += 1
        return False

"""Gaps: the times of which something that was acknowledged is lost, and where their bounds come from.

A damaged frame tells its time by its line of the index; damaged tables or a damaged index, by the block's header.
Of checkpoints that are missing (a file is gone, a header is damaged) nothing is left that could tell. But the blocks
behind them do: each says in its tables which windows the one before it had, and the head of a file which windows the
file before had (`Tables.previous`). Where they do not tell, the times do at which the neighbours were written:

    samples are taken for windows from two hours before (backfills: the store's *reach*) to ten seconds after the
    agent's time;
    so what came in after the block before was written is not older than that,
    unless it was in memory then: in windows that start at that block's cutoff or later;
    and what came in before the block behind was written is not newer than that.

That bound holds as long as nobody set the clock back between the two.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from obsagent.errors import CorruptData
from obsagent.limits import GAP_KEEP_MS, GAPS_MAX, SAMPLE_FUTURE_LIMIT_MS, SAMPLE_PAST_LIMIT_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.reader import each_opened, read_index, read_tables
from obsagent.segment.recover import BlockRef, Damage, sequences_of
from obsagent.segment.tables import Gap, Previous
from obsagent.segment.whole import IN_TIME_MS, end_before

BLOCK_DAMAGED = "a block is damaged"
DEFINITIONS_LOST = "definitions of series are lost"
SEVERAL = "several parts are damaged or missing"
REASON_LENGTH_MAX = 160
AND = " and "
TELLERS_MAX = 4
"""How many blocks behind missing ones are asked what those held."""


def whole_windows(from_ms: int, to_ms: int, reason: str) -> Gap:
    """A gap that begins and ends with a window."""
    from_ms = max(0, from_ms)
    return Gap(from_ms - from_ms % WINDOW_MS, to_ms + -to_ms % WINDOW_MS, reason)


def gap_of_damage(damage: Damage) -> Gap:
    """What a damaged place of a block takes away; an empty gap if that is nothing, or not for it to say."""
    return Gap(damage.from_ms, damage.to_ms, BLOCK_DAMAGED)


def merged(gaps: Iterable[Gap], limit: int = GAPS_MAX) -> list[Gap]:
    """The gaps in their order, none empty; those of one reason that overlap or touch are one.

    If there are more than `limit` those that lie nearest to each other are made one, what is between them included.
    """
    by_reason: dict[str, list[Gap]] = {}
    for gap in sorted(gap for gap in gaps if gap.from_ms < gap.to_ms):
        of_reason = by_reason.setdefault(gap.reason, [])
        if of_reason and gap.from_ms <= of_reason[-1].to_ms:
            of_reason[-1] = _joined(of_reason[-1], gap)
        else:
            of_reason.append(gap)
    found = sorted(gap for of_reason in by_reason.values() for gap in of_reason)
    return found if len(found) <= limit else _fewer(found, limit)


def _fewer(gaps: list[Gap], limit: int) -> list[Gap]:
    """The gaps, with as many neighbours made one as it takes."""
    ends = [gaps[0].to_ms]
    for gap in gaps[1:]:
        ends.append(max(ends[-1], gap.to_ms))
    between = [after.from_ms - end for end, after in zip(ends, gaps[1:], strict=False)]
    nearest = set(sorted(range(len(between)), key=between.__getitem__)[: len(gaps) - limit])
    found = gaps[:1]
    for index, gap in enumerate(gaps[1:]):
        if index in nearest:
            found[-1] = _joined(found[-1], gap)
        else:
            found.append(gap)
    return found


def _joined(one: Gap, other: Gap) -> Gap:
    reasons = dict.fromkeys([*one.reason.split(AND), *other.reason.split(AND)])
    reason = AND.join(reasons)
    if SEVERAL in reasons or len(reason) > REASON_LENGTH_MAX:
        reason = SEVERAL
    return Gap(min(one.from_ms, other.from_ms), max(one.to_ms, other.to_ms), reason)


def overlapping(gaps: Iterable[Gap], from_ms: int, to_ms: int) -> list[Gap]:
    """The gaps that touch the windows which start in `[from_ms, to_ms)`."""
    return [gap for gap in gaps if gap.from_ms < to_ms and gap.to_ms > from_ms]


def uncovered(gaps: Iterable[Gap], known: Sequence[Gap]) -> list[Gap]:
    """The gaps that do not lie inside of one that is known."""
    return [gap for gap in gaps if not any(each.from_ms <= gap.from_ms and gap.to_ms <= each.to_ms for each in known)]


class GapBook:
    """The gaps of a store that is open: those that its blocks say, and those that came to be known since.

    Any thread may use it.
    """

    def __init__(self, known: Iterable[Gap], unwritten: Iterable[Gap]) -> None:
        """`known` are all; `unwritten` those of them that no block says yet."""
        self._known = merged(known)
        self._unwritten = merged(unwritten)
        self._lock = threading.Lock()

    def add(self, gap: Gap) -> None:
        """One more, unless it lies inside of one that is known."""
        with self._lock:
            if gap.from_ms < gap.to_ms and uncovered([gap], self._known):
                self._known = merged([*self._known, gap])
                self._unwritten = merged([*self._unwritten, gap])

    def known(self) -> list[Gap]:
        """All."""
        with self._lock:
            return list(self._known)

    def forget(self, now_ms: int, kept_from_ms: int) -> None:
        """Drop those that are older than anything may be, and older than everything that is kept."""
        with self._lock:
            before_ms = min(now_ms - GAP_KEEP_MS, kept_from_ms)
            self._known = [gap for gap in self._known if gap.to_ms > before_ms]
            self._unwritten = [gap for gap in self._unwritten if gap.to_ms > before_ms]

    def unwritten(self) -> list[Gap]:
        """Those that the next block has to say."""
        with self._lock:
            return list(self._unwritten)

    def written(self, gaps: Iterable[Gap]) -> None:
        """A block says these now."""
        with self._lock:
            self._unwritten = uncovered(self._unwritten, list(gaps))


class Hole(NamedTuple):
    """Checkpoints that are missing behind one block and before another: those from `first` to `last`.

    `before` is None if nothing is there before them. The blocks are of the 10 s tier or rolled up.
    """

    first: int
    last: int
    before: BlockRef | None
    after: BlockRef

    @property
    def reason(self) -> str:
        """In words."""
        count = self.last - self.first + 1
        return "a block is missing" if count == 1 else f"{count:,} blocks are missing"

    @property
    def is_beginning(self) -> bool:
        """True if nothing is left of the very first file: what the others hold of its time, and of times before, which
        are late samples and backfills, is not read (`whole.py`).
        """
        return self.first <= 1 < sequences_of(self.after.path)[0]


def holes(blocks: Sequence[BlockRef], first: int) -> Iterator[Hole]:
    """Where checkpoints are missing: before or between blocks, or behind a head block that is the last of all.

    `first` is the first sequence that should be there, as the name of the first file says it. What was before that is
    no hole: nobody can tell it from what was never there, or is too old.
    """
    before: BlockRef | None = None
    for block in blocks:
        if block.header.kind == layout.BLOCK_HEAD:
            continue
        if block.header.first_sequence > first:
            yield Hole(first, block.header.first_sequence - 1, before, block)
        before, first = block, block.header.sequence + 1
    if blocks and blocks[-1].header.kind == layout.BLOCK_HEAD and first <= blocks[-1].header.sequence:
        yield Hole(first, blocks[-1].header.sequence, before, blocks[-1])


def gap_of_hole(hole: Hole, blocks: Sequence[BlockRef], reach_ms: int = 0) -> Gap:
    """The time of which something may be lost with the checkpoints of a hole; `blocks` are all of the 10 s tier.

    `reach_ms` is how far back backfills may lie. Raises OSError.
    """
    if hole.is_beginning:
        return whole_windows(0, _newest_end(hole, blocks), hole.reason)
    told: list[tuple[int, Previous]] = []
    for end, previous in _told(hole, blocks):
        told.append((end, previous))
        span = _span_if_complete(hole, told)
        if span is not None:
            return Gap(*span, hole.reason)
    header = hole.after.header
    is_rolled = header.kind == layout.BLOCK_ROLLED  # which was written long after what it holds had come
    to_ms = _newest_end(hole, blocks) if is_rolled else header.written_ms + SAMPLE_FUTURE_LIMIT_MS
    return whole_windows(_oldest_by_the_clock(hole, max(reach_ms, SAMPLE_PAST_LIMIT_MS)), to_ms, hole.reason)


def _newest_end(hole: Hole, blocks: Sequence[BlockRef]) -> int:
    """The end of the newest window of any checkpoint before the file of the block behind a hole, as that file says."""
    of_its_file = (block for block in blocks if block.path == hole.after.path)
    end_ms = end_before(next(of_its_file, hole.after))
    return hole.after.header.written_ms + IN_TIME_MS if end_ms is None else end_ms


def _told(hole: Hole, blocks: Sequence[BlockRef]) -> Iterator[tuple[int, Previous]]:
    """What blocks behind a hole say of those before them: up to which sequence, and what."""
    heads = [block for block in blocks if block.header.kind == layout.BLOCK_HEAD and block.header.sequence > hole.last]
    of_its_file = [
        block for block in blocks if block.path == hole.after.path and block.header.kind == layout.BLOCK_HEAD
    ]
    tellers = dict.fromkeys([hole.after, *of_its_file, *heads])
    for teller in [*tellers][:TELLERS_MAX]:
        with suppress(CorruptData, OSError):
            for descriptor, _ in each_opened([teller]):
                previous = read_tables(descriptor, teller).previous
                if previous is not None:
                    yield _begin_of(teller), previous


def _begin_of(teller: BlockRef) -> int:
    """The first sequence that is not before a block, or not before the file of a head block."""
    is_head = teller.header.kind == layout.BLOCK_HEAD
    return sequences_of(teller.path)[0] if is_head else teller.header.first_sequence


def _span_if_complete(hole: Hole, told: list[tuple[int, Previous]]) -> tuple[int, int] | None:
    """The time of all that is missing; None if of some of it nothing was told."""
    wanted, used = hole.first, []
    while wanted <= hole.last:
        fitting = [(end, each) for end, each in told if each.first_sequence <= wanted < end]
        if not fitting:
            return None
        wanted, previous = max(fitting)
        used.append(previous)
    spans = [(each.first_ms, each.last_ms + WINDOW_MS) for each in used if each.first_ms <= each.last_ms]
    return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else (0, 0)


def _oldest_by_the_clock(hole: Hole, past_ms: int) -> int:
    if hole.before is None:
        return 0
    header = hole.before.header
    return min(header.mark.cutoff_ms, header.written_ms - past_ms)


def previous_of(blocks: Sequence[BlockRef]) -> Previous | None:
    """What the block that follows these says of them: of the last ones, as far as none is missing."""
    checkpoints = [block.header for block in blocks if block.header.kind != layout.BLOCK_HEAD]
    if not checkpoints:
        return None
    begin = len(checkpoints) - 1
    while begin and checkpoints[begin - 1].sequence + 1 == checkpoints[begin].first_sequence:
        begin -= 1
    own = checkpoints[begin:]
    first_ms = min(header.first_window_ms for header in own)
    return Previous(own[0].first_sequence, first_ms, max(header.last_window_ms for header in own))


def highest_series(blocks: Iterable[BlockRef]) -> int:
    """The highest id of a series that has a row in any of the blocks, as their indexes say; −1 if there is none."""
    highest = -1
    for descriptor, block in each_opened(blocks):
        with suppress(CorruptData):
            highest = max([highest, *(entry.last_series for entry in read_index(descriptor, block))])
    return highest

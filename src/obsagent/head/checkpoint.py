"""From what was detached from the head to blocks of a segment file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from obsagent._native.codec import Window, row_sizes
from obsagent.exemplars import kept_of
from obsagent.head.budgets import Budgets
from obsagent.head.state import Detached
from obsagent.head.view import last_head
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Series
from obsagent.segment import format as layout
from obsagent.segment.block import NO_WINDOW_LAST, EncodedBlock, RawFrame, encode_block
from obsagent.segment.gaps import previous_of
from obsagent.segment.reader import OnDamage, merge_everything
from obsagent.segment.recover import BlockRef
from obsagent.segment.tables import Gap, Previous, SessionRow, Tables, pack_exemplars
from obsagent.segment.tiers import is_checkpoint
from obsagent.segment.whole import end_before
from obsagent.segment.writer import SegmentWriter


@dataclass(frozen=True, slots=True)
class Whole:
    """The tables of a new file's head: everything that is known as of the checkpoint."""

    series: list[Series]
    sessions: list[SessionRow]
    last_seen: dict[str, int]
    events: list[Event]
    gaps: list[Gap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Draft:
    """A checkpoint that is about to be written. `whole` is there if it begins a new file.

    `gaps` are those that no block has said yet. `row_bytes` is filled while it is written: series id → bytes of its
    rows.
    """

    sequence: int
    written_ms: int
    detached: Detached
    series: list[Series]
    last_seen: dict[str, int]
    whole: Whole | None
    gaps: list[Gap] = field(default_factory=list)
    row_bytes: Counter[int] = field(default_factory=Counter)


def wants_file(writer: SegmentWriter, budgets: Budgets, now_ms: int, *, of_columns: bool) -> bool:
    """True if the next block should begin a new file: there is none, or it is large or old enough.

    With the first column, too: a file has one version from its beginning.
    """
    if writer.bytes_in_file == 0 or writer.bytes_in_file >= budgets.segment_file_bytes:
        return True
    if of_columns and writer.version < layout.VERSION_WITH_COLUMNS:
        return True
    age_ms = now_ms - writer.created_ms  # below zero if the clock was set back: nobody knows then how old it is
    return not 0 <= age_ms < budgets.segment_file_age_ms


def write_checkpoint(
    draft: Draft, writer: SegmentWriter, blocks: tuple[BlockRef, ...], frame_bytes: int, on_damage: OnDamage
) -> list[BlockRef]:
    """Write the blocks of a checkpoint. Raises StoreError, and then none of them counts.

    `blocks` are those of all files before; from the last head block on a new file's totals are made of them.
    """
    block = _checkpoint_block(draft, previous_of(blocks[-1:]), frame_bytes)
    if draft.whole is None:
        return [writer.append(block)]
    head = _head_block(draft, draft.whole, blocks, frame_bytes, on_damage)
    return writer.begin_file(head, block, draft.written_ms)


def _checkpoint_block(draft: Draft, previous: Previous | None, frame_bytes: int) -> EncodedBlock:
    detached = draft.detached
    exemplars = kept_of(each for window in detached.windows for each in window.exemplars.values())
    tables = Tables(
        series=draft.series,
        sessions=detached.sessions,
        forgotten=detached.forgotten,
        accounts=[(window, service, account.to_row()) for window, service, account in detached.book.items()],
        totals=detached.totals,
        refused=detached.refused,
        last_seen=draft.last_seen,
        events=detached.events,
        event_totals=detached.event_totals,
        gaps=draft.gaps,
        previous=previous,
        exemplars=pack_exemplars(exemplars),
        reach_ms=detached.reach_ms,
    )
    for each in exemplars:
        draft.row_bytes[each.series_id] += len(pack_exemplars([each]))
    frames = [frame for window in detached.windows for frame in _frames(window.start_ms, window.samples, frame_bytes)]
    for frame in frames:
        draft.row_bytes.update(row_sizes(frame.rows))
    kind = layout.BLOCK_CHECKPOINT
    return encode_block(kind, draft.sequence, detached.mark, draft.written_ms, tables, frames)


def _head_block(
    draft: Draft, whole: Whole, blocks: tuple[BlockRef, ...], frame_bytes: int, on_damage: OnDamage
) -> EncodedBlock:
    totals = Window(digests=False)
    since_head = blocks[last_head(blocks) :]
    merge_everything(since_head, totals, on_damage)
    tables = Tables(
        series=whole.series,
        sessions=whole.sessions,
        totals=draft.detached.totals,
        refused=draft.detached.refused,
        last_seen=whole.last_seen,
        events=whole.events,
        event_totals=draft.detached.event_totals,
        before_ms=_newest_end(blocks),
        gaps=whole.gaps,
        previous=previous_of(since_head),
        reach_ms=draft.detached.reach_ms,
    )
    frames = _frames(layout.TOTALS_WINDOW_MS, totals, frame_bytes)
    mark = draft.detached.mark
    return encode_block(layout.BLOCK_HEAD, draft.sequence, mark, draft.written_ms, tables, frames)


def _newest_end(blocks: tuple[BlockRef, ...]) -> int | None:
    """The end of the newest window in any block so far, those that have expired included; None if there is none."""
    ends = [block.header.last_window_ms + WINDOW_MS for block in blocks if is_checkpoint(block)]
    before_ms = None
    with suppress(OSError):  # the oldest file is being removed at this moment: then it is the oldest
        before_ms = end_before(blocks[0]) if blocks else None
    known = [*(end_ms for end_ms in ends if end_ms > NO_WINDOW_LAST + WINDOW_MS), before_ms]
    return max((end_ms for end_ms in known if end_ms is not None), default=None)


def _frames(window_ms: int, samples: Window, frame_bytes: int) -> Iterator[RawFrame]:
    for first_series, last_series, rows in samples.encode_frames(frame_bytes):
        yield RawFrame(window_ms, first_series, last_series, rows)

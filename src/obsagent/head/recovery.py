"""From the files of a store to its state: the last checkpoint, and the journal behind it.

Corruption stops nothing: what is whole is taken, what is not is counted, and the times of which something may be
missing are the gaps. The only errors are files of a newer version (StoreError) and files that vanish while they are
read (OSError: an agent is at work).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from pathlib import Path

from obsagent.errors import CorruptData
from obsagent.head import journal_format as layout
from obsagent.head.budgets import Budgets
from obsagent.head.directory import StoreDirectory, read_identity
from obsagent.head.entries import Records, decode
from obsagent.head.journal import base_of, journal_paths
from obsagent.head.journal_gaps import Losses
from obsagent.head.journal_reader import FoundEntry, JournalFile, belongs, read_file
from obsagent.head.ledger_book import LedgerBook
from obsagent.head.series import SeriesTable
from obsagent.head.state import HeadState
from obsagent.segment.catalog import Catalog, Checkpoint, scan_directory
from obsagent.segment.gaps import DEFINITIONS_LOST, highest_series, merged, uncovered
from obsagent.segment.tables import NOT_ROWS, Gap
from obsagent.segment.tiers import Tiers

FOREVER = (1 << 63) - 1
"""Behind all positions: where a journal begins that is not there."""
NOT_BEFORE_LOW = (
    layout.FRAME_TYPE,
    layout.FRAME_WITH_EXEMPLARS,
    layout.BACKFILL_TYPE,
    layout.REFUSED_TYPE,
    layout.EVENTS_TYPE,
    layout.SESSION_CLOSE,
)
"""Entries that do nothing at all before the low position of the checkpoint."""


@dataclass(slots=True)
class Recovered:
    """A store as its files have it.

    `gaps` are the times of which something is lost, `new_gaps` those of them that no block says yet.
    """

    catalog: Catalog
    tiers: Tiers
    checkpoint: Checkpoint
    state: HeadState
    losses: Losses
    book: LedgerBook | None = None
    position: int = 0
    entry_count: int = 0
    journal_files: list[Path] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    journal_damage: int = 0
    journal_bytes: int = 0
    gaps: list[Gap] = field(default_factory=list)
    new_gaps: list[Gap] = field(default_factory=list)

    @property
    def corrupt(self) -> int:
        """Damaged or lost places found on the way."""
        return self.catalog.corrupt + self.journal_damage + self.state.conflicts


def recover(directory: StoreDirectory, budgets: Budgets, now_ms: int, book: LedgerBook | None = None) -> Recovered:
    """Read a store, as of `now_ms` by the agent's clock. Changes nothing on disk.

    The journal's records go to the `book`; without one they are passed over.
    """
    store_id = read_identity(directory)
    paths = journal_paths(directory.journal)
    own = [path for path in paths if belongs(path, store_id)]
    catalog = scan_directory(directory.segments, store_id, base_of(own[0]) if own else FOREVER)
    checkpoint = catalog.checkpoint()
    state = HeadState(SeriesTable(budgets.series_per_metric, budgets.series_total), checkpoint)
    losses = Losses(checkpoint, now_ms)
    recovered = Recovered(catalog, catalog.tiers, checkpoint, state, losses, book, position=checkpoint.mark.high)
    recovered.journal_files = own
    recovered.damaged = [path for path in paths if path not in own]
    recovered.journal_damage = len(recovered.damaged)
    _replay(recovered)
    _find_gaps(recovered)
    return recovered


def _find_gaps(recovered: Recovered) -> None:
    """All that is lost; and ids that lost series may have had are not given again."""
    catalog, checkpoint, state = recovered.catalog, recovered.checkpoint, recovered.state
    found = [*catalog.gaps(state.reach_ms), *recovered.losses.gaps(state.reach_ms)]
    if catalog.unfolded or recovered.losses.lost_definitions:
        state.series.reserve(highest_series(catalog.blocks) + 1)
    if catalog.unfolded and recovered.losses.lost_definitions:
        found.append(Gap(*catalog.without_definitions(), DEFINITIONS_LOST))
    recovered.new_gaps = merged(uncovered(found, merged(checkpoint.gaps)))
    recovered.gaps = merged([*checkpoint.gaps, *recovered.new_gaps])


def _replay(recovered: Recovered) -> None:
    mark, losses, paths = recovered.checkpoint.mark, recovered.losses, recovered.journal_files
    first = max((index for index, path in enumerate(paths) if base_of(path) <= mark.low), default=0)
    _replay_records(recovered, first)
    reached = mark.low
    for path, following in zip_longest(paths[first:], paths[first + 1 :]):
        file = read_file(path)
        damage = int(max(reached, mark.low) < file.base)
        if damage:
            losses.missing(max(reached, mark.low), file.base)
        losses.begin_file(preamble_is_whole=file.preamble_is_whole)
        limit = file.certain_end if following is None else min(file.end, base_of(following))
        damage += _damage(file, limit, is_last=following is None) + _replay_file(file, limit, recovered)
        if following is None:
            damage += _end_replay(file, limit, losses)
        if damage:
            recovered.journal_damage += damage
            recovered.damaged.append(path)
        recovered.journal_bytes += len(file.data)
        recovered.position = max(recovered.position, limit)
        reached = limit
    if not paths and mark.high:
        losses.lost_definitions = True
        losses.missing(mark.low, None)
        recovered.journal_damage += 1


def _replay_records(recovered: Recovered, first: int) -> None:
    """The records of the files before the `first` that the checkpoint needs: of those the ledger still wants."""
    book, paths = recovered.book, recovered.journal_files
    if book is None:
        return
    for path, following in pairwise(paths[: first + 1]):
        limit = base_of(following)
        if limit <= book.position:
            continue
        file = read_file(path)
        damage = _damage(file, limit, is_last=False)
        for found in file.entries:
            if found.type == layout.RECORDS_TYPE and found.position < limit:
                damage += not _apply_records(found, book)
        recovered.journal_bytes += len(file.data)
        if damage:
            recovered.journal_damage += damage
            recovered.damaged.append(path)


def _apply_records(found: FoundEntry, book: LedgerBook) -> bool:
    """False if the entry is not what its checksum promises."""
    try:
        entry = decode(found.type, found.payload)
    except CorruptData:
        return False
    assert isinstance(entry, Records)
    book.apply(entry, found.position)
    return True


def _end_replay(file: JournalFile, limit: int, losses: Losses) -> bool:
    """Note what is lost at the end of the last file, but for what was being written; true if entries are missing."""
    if file.is_cut:
        losses.missing(limit, None)
    elif file.damaged_end is not None and limit == file.end:
        losses.damaged(limit, limit + file.damaged_end.size)
    return losses.ended(limit)


def _damage(file: JournalFile, limit: int, *, is_last: bool) -> int:
    """How many places of a file are damaged, as far as it counts."""
    at_end = is_last and limit == file.end and file.damaged_end is not None and file.damaged_end not in file.gaps
    return (
        (file.header_damaged or file.is_cut)
        + sum(gap.position < limit or gap.in_preamble for gap in file.gaps)
        + at_end
    )


def _replay_file(file: JournalFile, limit: int, recovered: Recovered) -> int:
    """Apply a file's entries before position `limit`; returns how many could not be."""
    low = recovered.checkpoint.mark.low
    failed = 0
    for found in file.preamble:
        failed += not _apply(found, found.position, recovered)
    gaps = [gap for gap in file.gaps if not gap.in_preamble and gap.position < limit]
    for found, following in zip_longest(file.entries, file.entries[1:]):
        while gaps and gaps[0].position < found.position:
            gap = gaps.pop(0)
            recovered.losses.damaged(gap.position, gap.position + gap.size)
        if found.position >= limit:
            break
        if found.type == layout.RECORDS_TYPE:
            failed += not _take_records(found, following.position if following else file.end, recovered)
            continue
        if found.position < low and found.type in NOT_BEFORE_LOW:
            continue
        failed += not _apply(found, following.position if following else file.end, recovered)
        recovered.entry_count += found.position >= low
    return failed


def _take_records(found: FoundEntry, end: int, recovered: Recovered) -> bool:
    """Records of a file that the checkpoint needs too; False if they are not what their checksum promises."""
    if recovered.book is None or _apply_records(found, recovered.book):
        return True
    recovered.losses.damaged(found.position, end)
    return False


def _apply(found: FoundEntry, end: int, recovered: Recovered) -> bool:
    """Apply one entry; False if it is not what its checksum promises.

    A body is not checked again: it was before it was written, its checksum holds, and applying it reads
    no byte outside of it whatever it is.
    """
    try:
        entry = decode(found.type, found.payload)
    except CorruptData:
        recovered.losses.damaged(found.position, end)
        return False
    recovered.losses.passed(entry, found.position)
    try:
        recovered.state.apply(entry, found.position)
    except (CorruptData, *NOT_ROWS):
        recovered.losses.failed(entry, found.position, end)
        return False
    return True

"""From the files of a store to its state: the last checkpoint, and the journal behind it.

Corruption stops nothing: what is whole is taken, what is not is counted. The only errors are files of a
newer version (StoreError) and files that vanish while they are read (OSError: an agent is at work).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from obsagent.errors import CorruptData
from obsagent.head import journal_format as layout
from obsagent.head.budgets import Budgets
from obsagent.head.directory import StoreDirectory
from obsagent.head.entries import decode
from obsagent.head.journal import base_of, journal_paths
from obsagent.head.journal_reader import FoundEntry, JournalFile, read_file
from obsagent.head.series import SeriesTable
from obsagent.head.state import HeadState
from obsagent.segment.catalog import Catalog, Checkpoint, scan_directory
from obsagent.segment.tables import NOT_ROWS
from obsagent.segment.tiers import Tiers

NOT_BEFORE_LOW = (layout.FRAME_TYPE, layout.REFUSED_TYPE, layout.EVENTS_TYPE, layout.SESSION_CLOSE)
"""Entries that do nothing at all before the low position of the checkpoint."""


@dataclass(slots=True)
class Recovered:
    """A store as its files have it."""

    catalog: Catalog
    tiers: Tiers
    checkpoint: Checkpoint
    state: HeadState
    position: int = 0
    entry_count: int = 0
    journal_files: list[Path] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    journal_damage: int = 0
    journal_bytes: int = 0

    @property
    def corrupt(self) -> int:
        """Damaged or lost places found on the way."""
        return self.catalog.corrupt + self.journal_damage + self.state.conflicts


def recover(directory: StoreDirectory, budgets: Budgets) -> Recovered:
    """Read a store. Changes nothing on disk."""
    catalog = scan_directory(directory.segments)
    checkpoint = catalog.checkpoint()
    state = HeadState(SeriesTable(budgets.series_per_metric, budgets.series_total), checkpoint)
    recovered = Recovered(catalog, catalog.tiers, checkpoint, state, position=checkpoint.mark.high)
    _replay(directory, recovered)
    return recovered


def _replay(directory: StoreDirectory, recovered: Recovered) -> None:
    low = recovered.checkpoint.mark.low
    paths = journal_paths(directory.journal)
    first = max((index for index, path in enumerate(paths) if base_of(path) <= low), default=0)
    recovered.journal_files = paths
    reached = low
    for path, following in zip_longest(paths[first:], paths[first + 1 :]):
        file = read_file(path)
        limit = file.certain_end if following is None else min(file.end, base_of(following))
        damage = _damage(file, limit) + (max(reached, low) < file.base)
        damage += _replay_file(file, limit, recovered)
        if damage:
            recovered.journal_damage += damage
            recovered.damaged.append(path)
        recovered.journal_bytes += len(file.data)
        recovered.position = max(recovered.position, limit)
        reached = limit
    if not paths[first:] and low < recovered.checkpoint.mark.high:
        recovered.journal_damage += 1


def _damage(file: JournalFile, limit: int) -> int:
    """How many places of a file are damaged, as far as it counts."""
    return file.header_damaged + sum(gap.position < limit for gap in file.gaps)


def _replay_file(file: JournalFile, limit: int, recovered: Recovered) -> int:
    """Apply a file's entries before position `limit`; returns how many could not be."""
    low = recovered.checkpoint.mark.low
    failed = 0
    for found in file.preamble:
        failed += not _apply(found, recovered)
    for found in file.entries:
        if found.position >= limit:
            break
        if found.position < low and found.type in NOT_BEFORE_LOW:
            continue
        failed += not _apply(found, recovered)
        recovered.entry_count += found.position >= low
    return failed


def _apply(found: FoundEntry, recovered: Recovered) -> bool:
    """Apply one entry; False if it is not what its checksum promises.

    A body is not checked again: it was before it was written, its checksum holds, and applying it reads
    no byte outside of it whatever it is.
    """
    try:
        recovered.state.apply(decode(found.type, found.payload), found.position)
    except (CorruptData, *NOT_ROWS):
        return False
    return True

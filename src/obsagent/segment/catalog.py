"""All segment files of a store: which blocks count, and the checkpoint that they add up to.

A file is named after the sequence of its first block. When a sync of an append fails, nobody knows
whether that block is on disk; the agent then writes it again, with the same sequence, as the first block
of a new file. Hence the rule here: a file makes superfluous every block of an *earlier* file whose
sequence is not below its own first one. A sequence that is missing is a lost block, and counted.

A compacted file is named after the first and the last sequence of the checkpoints that it holds, and makes
superfluous the files that hold no others: they are removed a while later, and until then they do not count.

Rolled-up files are those of the coarser tiers (`tiers.py`); among those of one tier the same holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from obsagent.errors import CorruptData
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.samples import Event, Series
from obsagent.segment import format as layout
from obsagent.segment.block import Mark
from obsagent.segment.reader import each_opened, read_tables
from obsagent.segment.recover import BlockRef, Damage, ScannedFile, scan_file, window_ms_of
from obsagent.segment.tables import SessionRow, Tables
from obsagent.segment.tiers import Sequences, Tiers
from obsagent.segment.whole import whole_from

NOTHING_MARKED = Mark()


@dataclass(slots=True)
class Checkpoint:
    """The state of a store as of its last checkpoint."""

    mark: Mark = NOTHING_MARKED
    sequence: int = 0
    written_ms: int = 0
    series: dict[int, Series] = field(default_factory=dict)
    sessions: dict[bytes, SessionRow] = field(default_factory=dict)
    totals: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    last_seen: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    events_sequence: int = 0
    event_totals: dict[str, list[int]] = field(default_factory=dict)

    def fold(self, block: BlockRef, tables: Tables) -> None:
        """Take in the tables of the next block."""
        for series in tables.series:
            self.series[series.id] = series
        for session in tables.forgotten:
            self.sessions.pop(session, None)
        for row in tables.sessions:
            self.sessions[row.session] = row
        self.totals.update(tables.totals)
        self.refused.update(tables.refused)
        for metric, at_ms in tables.last_seen.items():
            self.last_seen[metric] = max(at_ms, self.last_seen.get(metric, at_ms))
        self._fold_events(block, tables)
        self.advance(block)

    def _fold_events(self, block: BlockRef, tables: Tables) -> None:
        """A head block has the events of the checkpoint block behind it, whose sequence it shares, already."""
        if block.header.sequence > self.events_sequence:
            self.events += tables.events
            self.events_sequence = block.header.sequence
        self.event_totals.update(tables.event_totals)

    def advance(self, block: BlockRef) -> None:
        """Take in where the block stands, which its header says even when its tables are damaged."""
        self.mark = block.header.mark
        self.sequence = block.header.sequence
        self.written_ms = block.header.written_ms


@dataclass(slots=True)
class Catalog:
    """The files of a store's segment directory, oldest first, and the blocks in them that count.

    Not among the files are the `superseded` ones, all of whose blocks a compacted file holds.
    """

    files: list[ScannedFile] = field(default_factory=list)
    blocks: tuple[BlockRef, ...] = ()
    damage: list[Damage] = field(default_factory=list)
    missing_blocks: int = 0
    superseded: list[Path] = field(default_factory=list)
    rolled: dict[int, tuple[BlockRef, ...]] = field(default_factory=dict)
    rolled_files: list[ScannedFile] = field(default_factory=list)

    @property
    def tiers(self) -> Tiers:
        """The blocks of all tiers; reads from when on each is whole."""
        return Tiers(self.blocks, self.rolled, whole_from(self.blocks, self.rolled))

    @property
    def corrupt(self) -> int:
        """Damaged places and lost blocks."""
        return len(self.damage) + self.missing_blocks

    def checkpoint(self) -> Checkpoint:
        """Add up the tables: those of the last head block that can be read, and of all blocks behind it."""
        heads = [index for index, block in enumerate(self.blocks) if block.header.kind == layout.BLOCK_HEAD]
        for index in reversed(heads):
            state = Checkpoint()
            if self._fold(state, self.blocks[index]):
                break
        else:
            index, state = -1, Checkpoint()
        for block in self.blocks[index + 1 :]:
            self._fold(state, block)
        return state

    def _fold(self, state: Checkpoint, block: BlockRef) -> bool:
        """Take in a block; False, and counted, if its tables are damaged."""
        try:
            for descriptor, _ in each_opened([block]):
                state.fold(block, read_tables(descriptor, block, known=state.series))
        except CorruptData as error:
            state.advance(block)
            self.damage.append(Damage(block.path, block.offset, block.header.size, str(error)))
            return False
        return True


def segment_paths(directory: Path) -> list[Path]:
    """The segment files of a directory, oldest first."""
    return sorted(directory.glob("*" + layout.FILE_SUFFIX))


def scan_directory(directory: Path) -> Catalog:
    """Find all blocks that count. Raises StoreError for files of a newer version, OSError if files vanish."""
    by_window: dict[int, list[Path]] = {WINDOW_MS: []}
    for path in segment_paths(directory):
        by_window.setdefault(window_ms_of(path), []).append(path)
    finest = by_window.pop(WINDOW_MS)
    catalog = assemble([scan_file(path, is_last=path is finest[-1]) for path in finest])
    for window_ms, paths in sorted(by_window.items()):
        if window_ms in TIER_WINDOWS_MS:
            _add_tier(catalog, window_ms, [scan_file(path, is_last=False) for path in paths])
    return catalog


def _add_tier(catalog: Catalog, window_ms: int, files: list[ScannedFile]) -> None:
    """Take in the rolled-up files of one tier."""
    longest_first = sorted(files, key=lambda file: (file.last_sequence - file.first_sequence, file.path), reverse=True)
    held = Sequences()
    kept: list[BlockRef] = []
    for file in longest_first:
        blocks = [block for block in file.blocks if block.header.kind == layout.BLOCK_ROLLED]
        if any(map(held.touch, blocks)):
            catalog.superseded.append(file.path)
            continue
        catalog.rolled_files.append(file)
        catalog.damage += file.damage
        kept += blocks
        held = held.with_blocks(blocks)
    if kept:
        catalog.rolled[window_ms] = tuple(sorted(kept, key=lambda block: block.header.sequence))


def assemble(files: list[ScannedFile]) -> Catalog:
    """Apply the rules of sequences to files that were scanned, oldest first."""
    catalog = Catalog()
    blocks: list[BlockRef] = []
    compacted = _compacted_ranges(files)
    kept = [_kept(file, limit) for file, limit in zip(files, _limits(files), strict=True)]
    catalog.files = [file for file, its in zip(files, kept, strict=True) if not _is_superseded(its, compacted)]
    for file, its in zip(files, kept, strict=True):
        if _is_superseded(its, compacted):
            catalog.superseded.append(file.path)
            continue
        catalog.missing_blocks += _missing(blocks, its)
        blocks += its
        catalog.damage += _damage_that_counts(file, its, is_last=file is catalog.files[-1])
    catalog.blocks = tuple(blocks)
    return catalog


def _limits(files: list[ScannedFile]) -> list[int | None]:
    """For each file the sequence with which a later one begins."""
    begins = sorted({file.first_sequence for file in files})
    following = dict(pairwise(begins))
    return [following.get(file.first_sequence) for file in files]


def _kept(file: ScannedFile, limit: int | None) -> list[BlockRef]:
    """The blocks of a file that no later file has begun again with; a compacted file holds no others."""
    if limit is None or file.is_compacted:
        return file.blocks
    return [block for block in file.blocks if block.header.sequence < limit]


def _compacted_ranges(files: list[ScannedFile]) -> list[tuple[int, int]]:
    """First and last sequence of every compacted block."""
    headers = (block.header for file in files for block in file.blocks)
    return [(each.first_sequence, each.sequence) for each in headers if each.kind == layout.BLOCK_COMPACTED]


def _is_superseded(blocks: list[BlockRef], compacted: list[tuple[int, int]]) -> bool:
    """True if a compacted block holds all the checkpoints of a file, which are these."""
    checkpoints = [block.header for block in blocks if block.header.kind != layout.BLOCK_HEAD]
    if not checkpoints:
        return False
    own = checkpoints[0].first_sequence, checkpoints[-1].sequence
    is_compacted = checkpoints[0].kind == layout.BLOCK_COMPACTED
    covering = ((first, last) for first, last in compacted if first <= own[0] and own[1] <= last)
    return any(each != own or not is_compacted for each in covering)


def _missing(before: list[BlockRef], after: Iterable[BlockRef]) -> int:
    """How many checkpoints are missing between blocks that should follow each other."""
    count = 0
    last: int | None = None
    for block in (*before[-1:], *after):
        if block.header.kind == layout.BLOCK_HEAD:
            continue
        if last is not None:
            count += max(0, block.header.first_sequence - last - 1)
        last = block.header.sequence
    return count


def _damage_that_counts(file: ScannedFile, kept: list[BlockRef], is_last: bool) -> list[Damage]:
    """Damage before the end of the last block kept; behind it lies what a newer file replaces."""
    end = kept[-1].offset + kept[-1].header.size if kept else layout.FILE_HEADER.size
    return [damage for damage in file.damage if is_last or damage.offset < end]

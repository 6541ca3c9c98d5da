"""All segment files of a store: which blocks count, and the checkpoint that they add up to.

A file is named after the sequence of its first block. When a sync of an append fails, nobody knows
whether that block is on disk; the agent then writes it again, with the same sequence, as the first block
of a new file. Hence the rule here: a file makes superfluous every block of an *earlier* file whose
sequence is not below its own first one. A sequence that is missing is a lost block, and counted.

A compacted file is named after the first and the last sequence of the checkpoints that it holds, and makes
superfluous the files that hold no others: they are removed a while later, and until then they do not count.

Rolled-up files are those of the coarser tiers (`tiers.py`); among those of one tier the same holds.

What a file holds must be what its name says, and no checkpoint may count twice: what is there besides, a copy under
another name or a file of another store, is damage and is left out.
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
from obsagent.segment.gaps import Hole, gap_of_damage, gap_of_hole, holes
from obsagent.segment.reader import damage_of_block, each_opened, read_tables
from obsagent.segment.recover import FILE_NAME, BlockRef, Damage, ScannedFile, scan_file, sequences_of, window_ms_of
from obsagent.segment.tables import Gap, SessionRow, Tables
from obsagent.segment.tiers import Sequences, Tiers, is_checkpoint
from obsagent.segment.verify import damage_in
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
    gaps: list[Gap] = field(default_factory=list)
    reach_ms: int = 0

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
        self.gaps += tables.gaps
        self.reach_ms = max(self.reach_ms, tables.reach_ms)
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
    unfolded: list[int] = field(default_factory=list)
    """Indexes of the blocks whose tables `checkpoint` needed and did not get, or before which some are missing."""

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
        self.unfolded = [] if index >= 0 or not self.blocks else [0]
        for number, block in enumerate(self.blocks[index + 1 :], index + 1):
            if not self._fold(state, block):
                self.unfolded.append(number)
        missing = [self.blocks.index(hole.after) for hole in self.holes()]
        self.unfolded += [number for number in missing if number > index]
        return state

    def holes(self) -> list[Hole]:
        """Where checkpoints are missing in the 10 s tier."""
        return list(holes(self.blocks, self.files[0].first_sequence)) if self.files else []

    def lost(self) -> list[Hole]:
        """Where checkpoints are missing that one of the tiers should have: behind where it begins to be read
        (`whole.py`), and of the last tier before that as well. The time before another's beginning is read in the next.
        """
        tiers = Tiers(self.blocks, self.rolled)
        all_there = sorted(tiers.chosen(TIER_WINDOWS_MS[-1]), key=lambda block: block.header.sequence)
        found: dict[tuple[int, int], Hole] = {}
        begins: list[int] = []
        names = [file.first_sequence for file in self.files]
        for window_ms in TIER_WINDOWS_MS:
            own = self.blocks if window_ms == WINDOW_MS else self.rolled.get(window_ms, ())
            begins += [sequences_of(block.path)[0] for block in own[:1]]
            names += [file.first_sequence for file in self.rolled_files if window_ms_of(file.path) == window_ms]
            blocks = sorted(tiers.chosen(window_ms), key=lambda block: block.header.sequence)
            blocks += [block for block in self.blocks[-1:] if not is_checkpoint(block)]
            for hole in holes(blocks, min(names, default=0)):
                if hole.last >= min(begins) or window_ms == TIER_WINDOWS_MS[-1]:
                    before = [block for block in all_there if block.header.sequence < hole.first]
                    found.setdefault((hole.first, hole.last), hole._replace(before=before[-1] if before else None))
        return list(found.values())

    def gaps(self, reach_ms: int = 0) -> list[Gap]:
        """The times of which something is lost with damaged or missing blocks, as far as it is known by now.

        `reach_ms` is how far back backfills may lie. Reads the tables of blocks behind missing ones. Raises OSError if
        files vanish.
        """
        found = [gap_of_damage(damage) for damage in self.damage]
        torn = self.files[-1].torn if self.files else None
        for hole in self.lost():
            if torn is None or hole.last < torn.header.sequence:  # a torn block has said itself what it held
                found.append(self.gap_of(hole, reach_ms))
        return found

    def gap_of(self, hole: Hole, reach_ms: int = 0) -> Gap:
        """The time of which something may be lost with the checkpoints of a hole, or is not read for want of them:
        reading begins with the first whole window. Raises OSError if files vanish.
        """
        gap = gap_of_hole(hole, self.blocks, reach_ms)
        return gap if hole.before is not None else gap._replace(to_ms=max(gap.to_ms, self.tiers.first_ms))

    def without_definitions(self) -> tuple[int, int]:
        """The time `[from, to)` of all blocks that may have rows of series which no table defines; most often empty."""
        spans = [block.header.covered_ms for block in self.blocks[min(self.unfolded, default=len(self.blocks)) :]]
        spans = [span for span in spans if span[0] < span[1]]
        return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else (0, 0)

    def _fold(self, state: Checkpoint, block: BlockRef) -> bool:
        """Take in a block; False, and counted, if its tables are damaged."""
        try:
            for descriptor, _ in each_opened([block]):
                state.fold(block, read_tables(descriptor, block, known=state.series))
        except CorruptData as error:
            state.advance(block)
            self.damage.append(damage_of_block(block, error))
            return False
        return True


def segment_paths(directory: Path) -> list[Path]:
    """The segment files of a directory, oldest first."""
    named = (path for path in directory.glob("*" + layout.FILE_SUFFIX) if FILE_NAME.fullmatch(path.name))
    return sorted(path for path in named if path.is_file())


def scan_directory(directory: Path, store_id: bytes | None = None, replay_from: int | None = None) -> Catalog:
    """Find all blocks that count. Raises StoreError for files of a newer version, OSError if files vanish.

    Files of another store than `store_id`, and copies under another name, are left out. `replay_from` is the
    position from which on the journal is there: if that is before what the last sound block made superfluous, a last
    block that is damaged inside comes again from there; if not, what is whole of it counts.
    """
    paths = segment_paths(directory)
    finest = [path for path in paths if window_ms_of(path) == WINDOW_MS]
    files = [scan_file(path, is_last=path in finest[-1:]) for path in paths]
    own = [file for file in files if not _is_foreign(file, store_id) and not _is_misnamed(file)]
    catalog = assemble([file for file in own if file.path in finest])
    for window_ms in TIER_WINDOWS_MS[1:]:
        _add_tier(catalog, window_ms, [file for file in own if window_ms_of(file.path) == window_ms])
    foreign = [file for file in files if file not in own]
    what = "it belongs to another store, or has another file's name"
    catalog.damage += [Damage(file.path, 0, file.size, what) for file in foreign]
    if replay_from is not None and catalog.files:
        _weigh_last(catalog, replay_from)
    return catalog


def _is_foreign(file: ScannedFile, store_id: bytes | None) -> bool:
    return store_id is not None and file.header is not None and file.header.store_id != store_id


def _is_misnamed(file: ScannedFile) -> bool:
    return bool(file.blocks) and not any(_fits_name(file, block) for block in file.blocks)


def _weigh_last(catalog: Catalog, replay_from: int) -> None:
    """Decide what the end of the last file is worth, if its last block is damaged or has no whole header."""
    last = catalog.files[-1]
    headless = [block for block in catalog.blocks if block.header.kind != layout.BLOCK_HEAD]
    low = headless[-1].header.mark.low if headless else 0
    ends_with_head = bool(last.blocks) and last.blocks[-1].header.kind == layout.BLOCK_HEAD
    if replay_from <= low:
        if ends_with_head and not last.is_compacted:  # it says where the journal stands, as of a block that is lost
            last.blocks.pop()
            last.end = layout.FILE_HEADER.size
            catalog.blocks = catalog.blocks[:-1]
    elif last.torn is not None:
        _take_back(catalog, last, last.torn)


def _take_back(catalog: Catalog, file: ScannedFile, torn: BlockRef) -> None:
    """Let count what is whole of a last block that is damaged inside; nothing, if that is its tables."""
    damage = [each for each in catalog.damage if (each.path, each.offset) != (torn.path, torn.offset)]
    try:
        for descriptor, _ in each_opened([torn]):
            read_tables(descriptor, torn)
            damage += damage_in(descriptor, torn)
    except CorruptData as error:
        catalog.damage = [*damage, damage_of_block(torn, error)]
        return
    catalog.damage = damage
    catalog.blocks = (*catalog.blocks, torn)
    file.blocks.append(torn)
    file.end = torn.offset + torn.header.size
    file.torn = None


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
    for file in files:
        _leave_out_misplaced(file)
    kept = [_kept(file, limit) for file, limit in zip(files, _limits(files), strict=True)]
    catalog.files = [file for file, its in zip(files, kept, strict=True) if not _is_superseded(its, compacted)]
    for file, its in zip(files, kept, strict=True):
        if _is_superseded(its, compacted):
            catalog.superseded.append(file.path)
            continue
        its = _not_twice(blocks, its, catalog)
        catalog.missing_blocks += _missing(blocks, its)
        blocks += its
        catalog.damage += _damage_that_counts(file, its, is_last=file is catalog.files[-1])
    catalog.blocks = tuple(blocks)
    return catalog


def _leave_out_misplaced(file: ScannedFile) -> None:
    """Blocks that cannot be in a file of this name are none of it: it is a copy, or was renamed."""
    misplaced = [block for block in file.blocks if not _fits_name(file, block)]
    file.blocks = [block for block in file.blocks if block not in misplaced]
    for block in misplaced:
        file.damage.append(Damage(block.path, block.offset, block.header.size, "a block of another file"))


def _fits_name(file: ScannedFile, block: BlockRef) -> bool:
    header = block.header
    if not file.is_compacted:
        return header.sequence >= file.first_sequence and header.kind not in layout.BY_SERIES
    is_rolled = window_ms_of(file.path) != WINDOW_MS
    if header.kind == (layout.BLOCK_ROLLED if is_rolled else layout.BLOCK_COMPACTED):
        return (header.first_sequence, header.sequence) == sequences_of(file.path)
    return header.kind == layout.BLOCK_HEAD and header.sequence == file.last_sequence and not is_rolled


def _not_twice(before: list[BlockRef], its: list[BlockRef], catalog: Catalog) -> list[BlockRef]:
    """Of the blocks of a file those whose checkpoints are in none before, and its head block if there can be such."""
    reached = next((each.header.sequence for each in reversed(before) if each.header.kind != layout.BLOCK_HEAD), 0)
    fresh = []
    for block in its:
        header = block.header
        if header.kind == layout.BLOCK_HEAD:
            fresh += [block] if header.sequence > reached else []  # else the journal begins behind what it says
        elif header.first_sequence > reached:
            reached = header.sequence
            fresh.append(block)
        else:
            catalog.damage.append(Damage(block.path, block.offset, header.size, "its checkpoints are there already"))
    return fresh


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

"""Roll-ups: the checkpoints of some files again, in longer windows, as one file of a coarser tier.

Merges are exact, so an hour has the counts of its 360 windows, bucket for bucket. With the windows' own length the
same function merges small files of a tier into a larger one.

Everything that is whole is rolled up; what is not is told to `on_damage`, which keeps it as a gap (`gaps.py`): the
files that it comes from will expire.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from obsagent.errors import CorruptData, StoreError
from obsagent.exemplars import kept_of
from obsagent.fs import Fs
from obsagent.samples import Exemplar
from obsagent.segment import format as layout
from obsagent.segment.by_series import Held, Pause, SourceFrame, Writing, have_columns, write_by_series
from obsagent.segment.compact import by_file
from obsagent.segment.reader import (
    OnDamage,
    damage_of_block,
    damage_of_frame,
    each_window,
    read_frame,
    read_index,
    read_tables,
)
from obsagent.segment.recover import BlockRef, FileHeader, encode_file_header, file_path, opened
from obsagent.segment.tables import Tables, add_up, pack_exemplars, unpack_exemplars
from obsagent.segment.tiers import is_checkpoint
from obsagent.segment.whole import created_at, end_before


class Range(NamedTuple):
    """The sequences of the checkpoints that are rolled up, whether or not all of them are still there."""

    first: int
    last: int


class RollUp(NamedTuple):
    """What is to be rolled up: the blocks of one or more whole files of one tier, into windows of `window_ms`."""

    blocks: Sequence[BlockRef]
    range_: Range
    window_ms: int


def roll_up(what: RollUp, fs: Fs, store_id: bytes, frame_bytes: int, pause: Pause, on_damage: OnDamage) -> BlockRef:
    """Write the file of a roll-up, complete and durable; returns its block.

    Raises StoreError if the disk refuses, CorruptData if what was sound is damaged a moment later; nothing has changed
    then.
    """
    blocks, range_, window_ms = what
    directory = blocks[0].path.parent
    last = blocks[-1].header
    held = Held(range_.last, range_.last - range_.first + 1, last.mark, last.written_ms)
    try:
        with ExitStack() as files:
            opened_files = {file[0].path: files.enter_context(opened(file[0].path)) for file in by_file(blocks)}
            sound = _Sound(blocks, opened_files, on_damage)
            tables = _tables(sound, window_ms)
            tables.before_ms = end_before(blocks[0])
            created_ms = created_at(blocks[0])
            path = file_path(directory, range_.first, range_.last, window_ms)
            with fs.new_file(path) as descriptor:
                written = Writing(fs, descriptor)
                kind = layout.BLOCK_ROLLED
                of_columns = have_columns(sound.frames)
                version = layout.VERSION_WITH_COLUMNS if of_columns else layout.VERSION_OF_KIND[kind]
                written.append([encode_file_header(FileHeader(store_id, created_ms, window_ms), version)])
                offset = written.end
                header = write_by_series(written, kind, held, tables, sound.frames, frame_bytes, pause, window_ms)
            fs.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot roll up {blocks[0].path}: {error.strerror}") from error
    return BlockRef(path, offset, header)


class _Sound:
    """What of the blocks is whole: frames, tables, exemplars, windows."""

    def __init__(self, blocks: Sequence[BlockRef], files: dict[Path, int], on_damage: OnDamage) -> None:
        self.frames: list[SourceFrame] = []
        self.tables: list[Tables] = []
        self.exemplars: list[Exemplar] = []
        self.windows: set[int] = set()
        for block in filter(is_checkpoint, blocks):
            descriptor = files[block.path]
            try:
                tables = read_tables(descriptor, block)
                self.tables.append(tables)
                self.exemplars += unpack_exemplars(tables.exemplars)
            except CorruptData as error:
                on_damage(damage_of_block(block, error))
            try:
                entries = [*read_index(descriptor, block)]
            except CorruptData as error:
                on_damage(damage_of_block(block, error))
                continue
            for entry in entries:
                try:
                    self._take(SourceFrame(descriptor, block, entry))
                except CorruptData as error:
                    on_damage(damage_of_frame(block, entry, error))

    def _take(self, frame: SourceFrame) -> None:
        descriptor, block, entry = frame
        found = each_window(block, entry, read_frame(descriptor, block, entry))
        self.windows.update(at_ms for at_ms, _ in found)
        self.frames.append(frame)


def _tables(sound: _Sound, window_ms: int) -> Tables:
    """The accounts and exemplars; all else is the business of the 10 s tier."""
    accounts: dict[tuple[int, str], list[int]] = {}
    for at_ms, service, row in add_up(sound.tables).accounts:
        key = at_ms - at_ms % window_ms, service
        accounts[key] = [*map(int.__add__, accounts.get(key, [0] * len(row)), row)]
    return Tables(
        accounts=[(at_ms, service, row) for (at_ms, service), row in sorted(accounts.items())],
        windows=sorted({at_ms - at_ms % window_ms for at_ms in sound.windows}),
        exemplars=pack_exemplars(kept_of(sound.exemplars, window_ms)),
    )

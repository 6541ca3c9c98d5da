"""What must hold for any bytes in a store's files: journal entries and files, tables, segment files.

Random bytes do not get past a checksum. So each target has a mutation that changes what a checksum covers and makes
the checksum right again: a disk does not do that, a bug of an earlier version might.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from random import Random

import zstandard

from fuzz.block_parts import CHANGES, Mutate
from fuzz.scratch import SCRATCH
from obsagent._native.codec import Groups, Window, crc32c, read_record
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.exemplars import kept_of
from obsagent.head import entries, journal_format
from obsagent.head.journal import file_name
from obsagent.head.journal_reader import JournalFile, read_file
from obsagent.head.series import SeriesTable
from obsagent.head.state import HeadState
from obsagent.limits import WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import BlockHeader, Mark
from obsagent.segment.catalog import Catalog, Checkpoint, assemble
from obsagent.segment.reader import BlockReader, OnDamage, Reads, each_window, merge_everything, read_frame, read_index
from obsagent.segment.recover import BlockRef, Damage, ScannedFile, check_block, file_path, opened, scan_file
from obsagent.segment.tables import NOT_ROWS, Tables, pack_exemplars, unpack_exemplars

BASE = 1 << 40
NOT_APPLIED = (CorruptData, *NOT_ROWS)
"""What a replay takes for damage; anything else would end it."""
EVER = (-layout.CUTOFF_EVERYTHING, layout.CUTOFF_EVERYTHING)
SERIES = 40
GROUP_OF_SERIES = {series: series % 3 for series in range(SERIES)}
ROLES = (None, 3)
"""The last sequence in the name of a segment file: none, or that of a compacted file's last checkpoint."""
Read = Callable[[Catalog, OnDamage], None]
"""Something that an agent or a reader does with blocks."""


def new_state() -> HeadState:
    """A state that knows nothing, with budgets that are soon used up."""
    return HeadState(SeriesTable(50, 200))


def check_entry(data: bytes) -> None:
    """A type and a payload behind the marker: an entry that is written again as the same, or damage."""
    if not data:
        return
    payload = journal_format.MARKER + data[1:]
    try:
        entry = entries.decode(data[0], payload)
    except (CorruptData, UnsupportedVersion) as error:
        str(error)
        return
    again = entries.encode(entry)
    assert again.type == data[0]
    twice = entries.encode(entries.decode(again.type, again.head + bytes(again.body)))
    assert (again.type, again.head, bytes(again.body)) == (twice.type, twice.head, bytes(twice.body))
    state = new_state()
    try:
        state.apply(entry, BASE)
    except NOT_APPLIED:
        return
    _check_written(state, BASE + 1)


def _check_written(state: HeadState, position: int) -> None:
    """What was applied can be written down."""
    detached = state.detach(None, position, 0)
    tables = Tables(
        sessions=detached.sessions,
        forgotten=detached.forgotten,
        accounts=[(window, service, account.to_row()) for window, service, account in detached.book.items()],
        totals=detached.totals,
        refused=detached.refused,
        events=detached.events,
        event_totals=detached.event_totals,
        series=state.series.known_since(0),
        exemplars=pack_exemplars(kept_of(each for one in detached.windows for each in one.exemplars.values())),
    )
    again = Tables.from_bytes(tables.to_bytes())
    assert pack_exemplars(unpack_exemplars(again.exemplars)) == tables.exemplars
    state.give_back(detached)


class BytesPath:
    """A journal file of these bytes, as far as a reader of it can tell."""

    name = file_name(BASE)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_bytes(self) -> bytes:
        return self._data


def check_journal(data: bytes) -> None:
    """Whole records inside of the file, one behind the other, gaps between them, and a replay of them that goes on."""
    try:
        file = read_file(BytesPath(data))  # type: ignore[arg-type]
    except StoreError:
        return  # a newer version wrote it
    _check_places(file, len(data))
    state = new_state()
    for found in (*file.preamble, *file.entries):
        with suppress(*NOT_APPLIED, UnsupportedVersion):
            state.apply(entries.decode(found.type, found.payload), found.position)
    _check_written(state, file.end)


def _check_places(file: JournalFile, size: int) -> None:
    head = journal_format.RECORD_HEADER.size
    records = sum(head + len(found.payload) for found in (*file.preamble, *file.entries))
    assert records + sum(gap.size for gap in file.gaps) <= max(0, size - journal_format.FILE_HEADER.size)
    assert all(found.position == BASE or found.type in journal_format.PREAMBLE_TYPES for found in file.preamble)
    positions = [found.position for found in file.entries]
    assert positions == sorted(positions)
    assert all(BASE <= position <= file.end for position in positions)
    assert all(gap.size > 0 and gap.position >= BASE for gap in file.gaps)
    assert BASE <= file.end <= BASE + size


def mutate_journal(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes the file header or one record, and mends their checksums."""
    start = journal_format.FILE_HEADER.size
    if len(data) < start or chance.random() < 0.2:
        return mutate(data, size_max)
    if chance.random() < 0.2:
        head = mutate(data[: start - 4], start - 4).ljust(start - 4, b"\0")
        return head + journal_format.CRC.pack(crc32c(head)) + data[start:]
    records = _records(data[start:])
    if not records:
        return mutate(data, size_max)
    number = chance.randrange(len(records))
    changed = mutate(records[number][8:], size_max)
    records[number] = _sealed(changed[0], changed[1:]) if changed else b""
    return (data[:start] + b"".join(records))[:size_max]


def _sealed(entry_type: int, payload: bytes) -> bytes:
    crc = crc32c(payload, crc32c(bytes((entry_type,))))
    return journal_format.RECORD_HEADER.pack(len(payload), crc, entry_type) + payload


def _records(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        try:
            _, _, following = read_record(data, at)
        except (CorruptData, EOFError):
            return [*found, data[at:]]
        found.append(data[at:following])
        at = following
    return found


def check_tables(data: bytes) -> None:
    """Tables that are written again as the same and make a state that can be gone on with, or damage."""
    try:
        tables = Tables.from_bytes(data)
        exemplars = unpack_exemplars(tables.exemplars)
    except CorruptData:
        return
    assert unpack_exemplars(pack_exemplars(exemplars)) == exemplars
    kept = kept_of(exemplars, WINDOW_MS)
    assert kept_of(kept, WINDOW_MS) == kept
    assert Tables.from_bytes(tables.to_bytes()) == tables
    checkpoint = Checkpoint()
    block = BlockRef(Path("nowhere"), 0, BlockHeader(layout.BLOCK_CHECKPOINT, 1, 100, 0, 0, Mark(), 0, 0, 0, 0, 0, 0))
    checkpoint.fold(block, tables)
    state = HeadState(SeriesTable(50, 200), checkpoint)
    detached = state.detach(None, 1, 0)
    state.give_back(detached)
    assert {series.id for series in state.series} <= {series.id for series in tables.series}


def check_segment(data: bytes) -> None:
    """Blocks inside of the file that do not overlap, damage inside of it, and readers that report what they lack."""
    for last in ROLES:
        _check_in_role(data, last, READERS)


def check_part_of_segment(data: bytes) -> None:
    """The same in one of the roles, and with some of the readers: which, the bytes decide."""
    number = crc32c(data)
    _check_in_role(data, ROLES[number % 2], READERS[number // 2 % 2 :: 2])


def _check_in_role(data: bytes, last: int | None, readers: Iterable[Read]) -> None:
    """As the newest file, whose end may lack what an append has not written yet, or a compacted one, which is whole."""
    path = file_path(SCRATCH, 1, last)
    path.write_bytes(data)
    try:
        file = scan_file(path, is_last=last is None)
    except StoreError:
        return  # a newer version wrote it
    _check_scanned(file, len(data))
    catalog = assemble([file])
    damaged: list[Damage] = []
    for read in readers:
        read(catalog, damaged.append)
    for damage in damaged:
        assert any(block.path == damage.path for block in catalog.blocks)


def _check_scanned(file: ScannedFile, size: int) -> None:
    end = layout.FILE_HEADER.size
    for block in file.blocks:
        assert end <= block.offset
        assert layout.BLOCK_HEADER.size <= block.header.size
        assert block.header.kind in layout.VERSION_OF_KIND
        end = block.offset + block.header.size
    assert end <= max(size, layout.FILE_HEADER.size)
    assert file.end <= size
    assert all(damage.offset >= 0 and damage.offset + damage.size <= size for damage in file.damage)


def _read_checkpoint(catalog: Catalog, _on_damage: OnDamage) -> None:
    """An agent goes on from it."""
    HeadState(SeriesTable(50, 200), catalog.checkpoint())


def _read_windows(catalog: Catalog, on_damage: OnDamage) -> None:
    """As a query does."""
    reads = Reads()
    windows = BlockReader(on_damage).collect(catalog.blocks, *EVER, Groups(GROUP_OF_SERIES, 3), reads)
    assert all(type(window) is int for window in windows)
    assert reads.blocks <= len(catalog.blocks)


def _read_accounts(catalog: Catalog, on_damage: OnDamage) -> None:
    reader = BlockReader(on_damage)
    reader.accounts(catalog.blocks, *EVER)
    assert all(each.series_id < SERIES for each in reader.exemplars(catalog.blocks, *EVER, range(SERIES)))


def _read_newest(catalog: Catalog, on_damage: OnDamage) -> None:
    BlockReader(on_damage).last_windows(catalog.blocks, range(SERIES), EVER[0], {})


def _read_totals(catalog: Catalog, on_damage: OnDamage) -> None:
    """As an export does, and a head block."""
    BlockReader(on_damage).collect_totals(catalog.blocks, Groups(GROUP_OF_SERIES, 3))
    merge_everything(catalog.blocks, Window(), on_damage)


def _read_whole_blocks(catalog: Catalog, _on_damage: OnDamage) -> None:
    """A block that checks is read without an error down to its rows' places."""
    for block in catalog.blocks:
        with opened(block.path) as descriptor:
            try:
                check_block(descriptor, block)
            except CorruptData:
                continue
            for entry in read_index(descriptor, block):
                frame = read_frame(descriptor, block, entry)
                assert len(frame) == entry.raw_size
                try:
                    each_window(block, entry, frame)
                except CorruptData:
                    continue


READERS: tuple[Read, ...] = (
    _read_checkpoint,
    _read_windows,
    _read_accounts,
    _read_newest,
    _read_totals,
    _read_whole_blocks,
)


def mutate_segment(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes a header, the tables, the index or a frame of a block, and mends the checksums that cover it."""
    places = _places_of_blocks(data)
    if not places or chance.random() < 0.1:
        return mutate(data, size_max)
    begin, end = chance.choice(places)
    try:
        changed = chance.choice(CHANGES)(data[begin:end], chance, mutate)
    except (CorruptData, zstandard.ZstdError, ValueError):
        return mutate(data, size_max)
    return (data[:begin] + changed + data[end:])[:size_max]


@lru_cache(4_096)  # the same inputs are changed again and again
def _places_of_blocks(data: bytes) -> list[tuple[int, int]]:
    path = file_path(SCRATCH, 1)
    path.write_bytes(data)
    try:
        blocks = scan_file(path, is_last=False).blocks
    except StoreError:
        return []
    return [(block.offset, block.offset + block.header.size) for block in blocks]

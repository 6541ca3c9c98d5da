"""Segment files: every whole block is read, only what is asked for is read, and damage costs no more than it hit."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from faulty_fs import FailingFs
from format_tables import check_layout, tables

import obsagent.segment
from obsagent._native.codec import Groups, Window, crc32c
from obsagent.errors import CorruptData, StoreError
from obsagent.fs import SECTOR_BYTES
from obsagent.samples import Event, Kind, Series
from obsagent.segment import format as layout
from obsagent.segment import reader
from obsagent.segment.block import (
    NO_WINDOW_FIRST,
    NO_WINDOW_LAST,
    EncodedBlock,
    Mark,
    RawFrame,
    decode_frame,
    decode_header,
    encode_block,
    encode_header,
)
from obsagent.segment.catalog import Catalog, scan_directory
from obsagent.segment.recover import Damage, check_block, opened, scan_file
from obsagent.segment.tables import Gap, SessionRow, Tables
from obsagent.segment.writer import SegmentWriter, take_over

STORE_ID = b"store-id-16bytes"
FORMAT = Path(obsagent.segment.__file__).parent / "FORMAT.md"
SESSION = SessionRow(b"s" * 16, "shop", "host", 1, 2, 0, "v", 9, (5, 4, 3, 2, 1), 77, False, 6)
SERIES = Series(3, "m", Kind.COUNTER, {"service": "shop"}, "things", "How many", 6, "sum", created_ms=1_700_000_000_000)
ACCOUNT = [8, 7, 6, 5, 4, 3, 2, 1]


def example_tables(sequence: int = 1) -> Tables:
    return Tables(
        series=[SERIES],
        sessions=[SESSION],
        forgotten=[b"f" * 16],
        accounts=[(10_000 * sequence, "shop", ACCOUNT)],
        totals={"shop": ACCOUNT},
        refused={"m": 4},
        last_seen={"m": 12_345 + sequence},
        events=[Event("deploy", sequence, {"service": "shop"})],
        event_totals={"shop": [sequence, 2, 1]},
        windows=[10_000 * sequence],
        before_ms=10_000 * sequence,
        gaps=[Gap(10_000, 20_000, "a block is damaged")],
    )


def frames_of(window_ms: int, series_ids: range, max_bytes: int = 65_536) -> list[RawFrame]:
    """A counter for each series, whose sum is its id."""
    window = Window()
    for series_id in series_ids:
        window.add_counter(series_id, 1, float(series_id))
    return [RawFrame(window_ms, *frame) for frame in window.encode_frames(max_bytes)]


def block(sequence: int, kind: int = layout.BLOCK_CHECKPOINT, series_ids: range = range(1, 4)) -> EncodedBlock:
    frames = frames_of(10_000 * sequence, series_ids)
    return encode_block(kind, sequence, Mark(sequence, sequence * 10, 7), 99, example_tables(sequence), frames)


def written(directory: Path, sequences: range, fs: FailingFs | None = None) -> SegmentWriter:
    """A file with a head block and one checkpoint block for each sequence."""
    writer = SegmentWriter(directory, fs or FailingFs(), STORE_ID, None)
    first = sequences[0]
    writer.begin_file(block(first, layout.BLOCK_HEAD), block(first), 55)
    for sequence in sequences[1:]:
        writer.append(block(sequence))
    return writer


def sequences_of(catalog: Catalog) -> list[int]:
    return [ref.header.sequence for ref in catalog.blocks if ref.header.kind == layout.BLOCK_CHECKPOINT]


def test_format_md_says_what_the_constants_say() -> None:
    file_header, header, index = tables(FORMAT)
    check_layout(file_header, layout.FILE_HEADER)
    check_layout(header, layout.BLOCK_HEADER)
    check_layout(index, layout.INDEX_ENTRY)
    text = FORMAT.read_text()
    assert file_header[0].value == "`OBSSEGM\\n`" == f"`{layout.FILE_MAGIC.decode().encode('unicode_escape').decode()}`"
    assert header[0].value == f"`{layout.BLOCK_MAGIC.decode()}`"
    version, newer, newest = sorted(set(layout.VERSION_OF_KIND.values()))
    columns = layout.VERSION_WITH_COLUMNS
    assert file_header[1].value == (
        f"{version}, compacted files {newer}, rolled-up files {newest}, files with columns {columns}"
    )
    assert header[1].value == (
        f"{version}, compacted blocks {newer}, rolled-up blocks {newest}, blocks with columns {columns}"
    )
    assert f"A version above {layout.FORMAT_VERSION} in a sound header" in text
    kinds = f"{layout.BLOCK_HEAD} head, {layout.BLOCK_CHECKPOINT} checkpoint, {layout.BLOCK_COMPACTED} compacted"
    assert header[2].value == f"{kinds}, {layout.BLOCK_ROLLED} rolled up"
    assert f"at most {layout.TABLES_RAW_BYTES_MAX}" in header[12].value
    assert f"at most {layout.FRAME_COUNT_MAX}" in header[13].value
    assert f"at most {layout.FRAME_RAW_BYTES_MAX}" in index[5].value
    assert f"{layout.FILE_NAME_DIGITS} decimal digits and `{layout.FILE_SUFFIX}`" in text
    assert f"header, {layout.FILE_HEADER.size} bytes" in text
    assert f"header, {layout.BLOCK_HEADER.size} bytes" in text
    assert f"Index, {layout.INDEX_ENTRY.size} bytes a line" in text
    assert f"zstd level {layout.ZSTD_LEVEL}" in text
    fields = [line for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()][
        -len(Tables.__slots__) :
    ]
    assert [line.split("|")[2].strip().replace(" ", "_") for line in fields] == list(Tables.__slots__)


def test_tables_survive() -> None:
    assert Tables.from_bytes(example_tables().to_bytes()) == example_tables()
    assert Tables.from_bytes(Tables().to_bytes()) == Tables()


def test_tables_from_before_events_were_kept_are_read() -> None:
    rows = msgpack.unpackb(example_tables().to_bytes(), strict_map_key=False)[:7]
    rows[1] = [row[:11] for row in rows[1]]
    tables = Tables.from_bytes(msgpack.packb(rows))
    assert (tables.series, tables.last_seen) == ([SERIES], example_tables().last_seen)
    assert tables.sessions == [dataclasses.replace(SESSION, last_event=0)]
    assert (tables.events, tables.event_totals) == ([], {})


def test_when_a_series_was_made_is_kept_and_may_be_unknown() -> None:
    (read,) = Tables.from_bytes(example_tables().to_bytes()).series
    assert read.created_ms == SERIES.created_ms
    unknown = Tables.from_bytes(Tables(series=[replace(SERIES, created_ms=0)]).to_bytes()).series
    assert unknown[0].created_ms == 0


def test_tables_of_a_later_version_may_have_more_fields() -> None:
    import msgpack

    rows = msgpack.unpackb(example_tables().to_bytes(), strict_map_key=False)
    rows.append("more")
    rows[0][0].append("more")
    rows[1][0].append("more")
    assert Tables.from_bytes(msgpack.packb(rows)) == example_tables()


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x00", b"\x97" + b"\xa1x" * 7, b"\x91\x90"])
def test_tables_that_are_none_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptData):
        Tables.from_bytes(data)


def test_a_block_header_survives_and_every_flip_is_found() -> None:
    header = block(5).header
    data = encode_header(header)
    assert decode_header(data) == header
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptData):
            decode_header(bytes(damaged))


def test_a_block_without_windows_covers_none() -> None:
    header = encode_block(layout.BLOCK_CHECKPOINT, 1, Mark(), 0, Tables(), []).header
    assert (header.first_window_ms, header.last_window_ms) == (NO_WINDOW_FIRST, NO_WINDOW_LAST)


def test_the_windows_of_a_block_are_those_of_its_frames_and_accounts(tmp_path: Path) -> None:
    tables_of = Tables(accounts=[(30_000, "shop", ACCOUNT)])
    frames = [*frames_of(10_000, range(1, 2)), *frames_of(20_000, range(1, 2))]
    header = encode_block(layout.BLOCK_CHECKPOINT, 1, Mark(), 0, tables_of, frames).header
    assert (header.first_window_ms, header.last_window_ms) == (10_000, 30_000)


def test_blocks_are_found_again_and_add_up(tmp_path: Path) -> None:
    written(tmp_path, range(1, 5))
    catalog = scan_directory(tmp_path)
    assert sequences_of(catalog) == [1, 2, 3, 4]
    assert catalog.corrupt == 0
    checkpoint = catalog.checkpoint()
    assert checkpoint.mark == Mark(4, 40, 7)
    assert checkpoint.sequence == 4
    assert checkpoint.series == {3: SERIES}
    assert checkpoint.sessions == {SESSION.session: SESSION}
    assert checkpoint.totals == {"shop": ACCOUNT}
    assert checkpoint.refused == {"m": 4}
    assert checkpoint.last_seen == {"m": 12_349}


def test_events_are_added_up_once_although_a_head_block_has_those_of_the_block_behind_it() -> None:
    checkpoint = Catalog().checkpoint()
    for number, kind, names in [(4, layout.BLOCK_HEAD, "abc"), (4, layout.BLOCK_CHECKPOINT, "c"), (5, 2, "d")]:
        ref = reader.BlockRef(Path("x"), 0, block(number, kind).header)
        tables = Tables(events=[Event(name, 1) for name in names], event_totals={"shop": [number, 0, 0]})
        checkpoint.fold(ref, tables)
    assert [event.name for event in checkpoint.events] == ["a", "b", "c", "d"]
    assert checkpoint.event_totals == {"shop": [5, 0, 0]}


def test_a_session_that_is_forgotten_is_gone_and_may_come_back() -> None:
    catalog = Catalog()
    checkpoint = catalog.checkpoint()
    ref = reader.BlockRef(Path("x"), 0, block(1).header)
    checkpoint.fold(ref, Tables(sessions=[SESSION]))
    checkpoint.fold(ref, Tables(forgotten=[SESSION.session]))
    assert checkpoint.sessions == {}
    checkpoint.fold(ref, Tables(forgotten=[SESSION.session], sessions=[SESSION]))
    assert checkpoint.sessions == {SESSION.session: SESSION}


def no_damage(damage: Damage) -> None:
    raise AssertionError(damage)


def collected(catalog: Catalog, series_ids: list[int], first_ms: int = 0, to_ms: int = 1 << 60) -> dict[int, float]:
    groups = Groups({series_id: index for index, series_id in enumerate(series_ids)}, len(series_ids))
    damage: list[Damage] = []
    reader.BlockReader(damage.append).collect(catalog.blocks, first_ms, to_ms, groups)
    assert not damage
    return {series_id: groups.counter(index)[1] for index, series_id in enumerate(series_ids)}


def test_a_question_is_answered_from_its_windows_and_series(tmp_path: Path) -> None:
    written(tmp_path, range(1, 5))
    catalog = scan_directory(tmp_path)
    assert collected(catalog, [2, 3]) == {2: 8.0, 3: 12.0}
    assert collected(catalog, [2, 9], 20_000, 40_000) == {2: 4.0, 9: 0.0}
    assert collected(catalog, [2], 20_001, 30_000) == {2: 0.0}


def test_only_frames_that_hold_a_selected_series_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = written(tmp_path, range(1, 2))
    frames = frames_of(50_000, range(1, 20_001))
    writer.append(encode_block(layout.BLOCK_CHECKPOINT, 2, Mark(), 0, Tables(), frames))
    assert len(frames) == 4
    assert max(len(frame.rows) for frame in frames) <= 65_536
    read: list[int] = []

    def counting(entry: reader.FrameEntry, stored: bytes, decompressor: object) -> bytes:
        read.append(entry.first_series)
        return decode_frame(entry, stored)

    monkeypatch.setattr(reader, "decode_frame", counting)
    assert collected(scan_directory(tmp_path), [15_000], 50_000) == {15_000: 15_000.0}
    assert len(read) == 1


def test_the_windows_found_do_not_depend_on_what_is_selected(tmp_path: Path) -> None:
    written(tmp_path, range(1, 4))
    groups = Groups({}, 0)
    reads = reader.Reads()
    found = reader.BlockReader(no_damage).collect(scan_directory(tmp_path).blocks, 15_000, 1 << 60, groups, reads)
    assert found == {20_000, 30_000}
    assert (reads.segments, reads.blocks, reads.frames) == (1, 2, 0)


def ends(path: Path) -> list[int]:
    """Where the blocks of a file end."""
    return [ref.offset + ref.header.size for ref in scan_file(path, is_last=True).blocks]


def test_truncation_at_every_byte_keeps_the_whole_blocks(tmp_path: Path) -> None:
    written(tmp_path, range(1, 4))
    path = next(tmp_path.iterdir())
    whole, block_ends = path.read_bytes(), ends(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        file = scan_file(path, is_last=True)
        kept = [end for end in block_ends if end <= size]
        assert [ref.offset + ref.header.size for ref in file.blocks] == kept
        assert len(file.damage) == (size < layout.FILE_HEADER.size)


def test_a_flip_costs_at_most_the_block_that_it_is_in(tmp_path: Path) -> None:
    """Every bit of a small store: what is not hit is read, and what is hit is noticed."""
    written(tmp_path, range(1, 4))
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    refs = scan_file(path, is_last=True).blocks
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        file = scan_file(path, is_last=False)
        sound = [ref.offset for ref in file.blocks if is_sound(path, ref)]
        hit = [ref.offset for ref in refs if ref.offset <= bit // 8 < ref.offset + ref.header.size]
        assert sound == [ref.offset for ref in refs if ref.offset not in hit], bit


def is_sound(path: Path, ref: reader.BlockRef) -> bool:
    try:
        with opened(path) as descriptor:
            check_block(descriptor, ref)
    except CorruptData:
        return False
    return True


@pytest.mark.parametrize("where", ["header", "tables", "index", "frame"])
def test_damage_in_a_block_is_counted_and_the_others_are_read(tmp_path: Path, where: str) -> None:
    written(tmp_path, range(1, 4))
    path = next(tmp_path.iterdir())
    ref = scan_file(path, is_last=True).blocks[2]  # sequence 2, in the middle
    offset = (
        ref.offset
        + {
            "header": 10,
            "tables": layout.BLOCK_HEADER.size + 5,
            "index": ref.header.index_offset + 3,
            "frame": ref.header.frames_offset + 4,
        }[where]
    )
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)
    catalog = scan_directory(tmp_path)
    catalog.checkpoint()
    damage: list[Damage] = []
    groups = Groups({2: 0}, 1)
    reader.BlockReader(damage.append).collect(catalog.blocks, 0, 1 << 60, groups)
    assert groups.counter(0)[1] == (6.0 if where == "tables" else 4.0)
    assert catalog.corrupt + len(damage) == (2 if where == "header" else 1)  # a damaged place, a lost block


def test_a_torn_tail_is_cut_and_the_file_goes_on(tmp_path: Path) -> None:
    written(tmp_path, range(1, 3))
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole + b"".join(block(3).buffers)[:-3])
    catalog = scan_directory(tmp_path)
    assert catalog.corrupt == 0
    last = take_over(tmp_path, catalog, FailingFs())
    assert path.read_bytes() == whole
    writer = SegmentWriter(tmp_path, FailingFs(), STORE_ID, last)
    writer.append(block(3))
    assert sequences_of(scan_directory(tmp_path)) == [1, 2, 3]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_an_append_whose_first_sector_was_never_written_is_cut_and_no_damage(tmp_path: Path) -> None:
    writer, sequence = written(tmp_path, range(1, 3)), 3
    path = next(tmp_path.iterdir())
    while -path.stat().st_size % SECTOR_BYTES > layout.BLOCK_HEADER.size:
        writer.append(block(sequence))
        sequence += 1
    whole = path.read_bytes()
    lost = -len(whole) % SECTOR_BYTES
    path.write_bytes(whole + bytes(lost) + b"".join(block(sequence).buffers)[lost:-3])
    catalog = scan_directory(tmp_path)
    assert catalog.corrupt == 0
    take_over(tmp_path, catalog, FailingFs())
    assert path.read_bytes() == whole
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_last_block_that_is_damaged_inside_is_set_aside(tmp_path: Path) -> None:
    written(tmp_path, range(1, 3))
    path = next(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    catalog = scan_directory(tmp_path)
    assert sequences_of(catalog) == [1]
    assert catalog.corrupt == 1
    end = catalog.files[0].end
    take_over(tmp_path, catalog, FailingFs())
    assert path.read_bytes() == data[:end]
    assert (tmp_path / f"{path.name}.{end}.corrupt").read_bytes() == data[end:]
    assert scan_directory(tmp_path).corrupt == 0


def test_a_file_without_a_whole_block_is_set_aside(tmp_path: Path) -> None:
    written(tmp_path, range(1, 3))
    path = tmp_path / f"{3:016d}.segment"
    path.write_bytes(b"nothing")
    catalog = scan_directory(tmp_path)
    assert sequences_of(catalog) == [1, 2]
    take_over(tmp_path, catalog, FailingFs())
    assert not path.exists()
    assert path.with_name(path.name + ".corrupt").read_bytes() == b"nothing"


def test_when_a_sync_fails_the_block_is_written_again_into_a_new_file_and_counts_once(tmp_path: Path) -> None:
    fs = FailingFs()
    writer = written(tmp_path, range(1, 3), fs)
    fs.fail_always = {"sync_data", "truncate"}  # nobody knows whether block 3 is on the disk; here it is
    with pytest.raises(StoreError, match="cannot sync"):
        writer.append(block(3))
    assert writer.bytes_in_file == 0
    with pytest.raises(StoreError, match="no segment file"):
        writer.append(block(3))
    assert sequences_of(scan_directory(tmp_path)) == [1, 2, 3]
    fs.fail_always = set()
    writer.begin_file(block(3, layout.BLOCK_HEAD), block(3), 0)
    writer.append(block(4))
    catalog = scan_directory(tmp_path)
    assert sequences_of(catalog) == [1, 2, 3, 4]
    assert collected(catalog, [1]) == {1: 4.0}
    assert catalog.corrupt == 0


def test_when_a_write_fails_the_file_is_cut_back_and_goes_on(tmp_path: Path) -> None:
    fs = FailingFs()
    writer = written(tmp_path, range(1, 3), fs)
    before = next(tmp_path.iterdir()).read_bytes()
    fs.fail_always, fs.short_writes = {"write"}, True
    with pytest.raises(StoreError, match="cannot write"):
        writer.append(block(3))
    assert next(tmp_path.iterdir()).read_bytes() == before
    fs.fail_always = set()
    writer.append(block(3))
    assert sequences_of(scan_directory(tmp_path)) == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("call", ["create", "write", "sync_data", "rename", "sync_directory"])
def test_a_new_file_that_fails_is_tried_again_under_the_same_name(tmp_path: Path, call: str) -> None:
    fs = FailingFs()
    writer = written(tmp_path, range(1, 3), fs)
    fs.fail_always = {call}
    with pytest.raises(StoreError):
        writer.begin_file(block(3, layout.BLOCK_HEAD), block(3), 0)
    fs.fail_always = set()
    assert writer.bytes_in_file == 0  # so that nothing is appended to the file before
    writer.begin_file(block(3, layout.BLOCK_HEAD), block(3), 0)
    catalog = scan_directory(tmp_path)
    assert sequences_of(catalog) == [1, 2, 3]
    assert collected(catalog, [1]) == {1: 3.0}


def test_lost_blocks_between_files_are_counted(tmp_path: Path) -> None:
    written(tmp_path, range(1, 3))
    written(tmp_path, range(5, 6))
    catalog = scan_directory(tmp_path)
    assert catalog.missing_blocks == 2
    assert catalog.corrupt == 2


def test_a_damaged_head_block_is_made_up_for_by_the_files_before(tmp_path: Path) -> None:
    written(tmp_path, range(1, 3))
    written(tmp_path, range(3, 5))
    path = tmp_path / f"{3:016d}.segment"
    data = bytearray(path.read_bytes())
    data[layout.FILE_HEADER.size + layout.BLOCK_HEADER.size + 3] ^= 1
    path.write_bytes(data)
    checkpoint = scan_directory(tmp_path).checkpoint()
    assert checkpoint.sequence == 4
    assert checkpoint.series == {3: SERIES}


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    written(tmp_path, range(1, 2))
    path = next(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    data[8] = layout.FORMAT_VERSION + 1
    data[40:44] = crc32c(bytes(data[:40])).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(StoreError, match="newer obsagent"):
        scan_directory(tmp_path)


def test_a_newer_block_is_refused(tmp_path: Path) -> None:
    written(tmp_path, range(1, 2))
    path = next(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    begin = layout.FILE_HEADER.size
    data[begin + 4] = layout.FORMAT_VERSION + 1
    end = begin + layout.BLOCK_HEADER.size
    data[end - 4 : end] = crc32c(bytes(data[begin : end - 4])).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(StoreError, match="newer obsagent"):
        scan_directory(tmp_path)


def test_hostile_sizes_in_a_sound_header_do_not_allocate(tmp_path: Path) -> None:
    header = block(1).header
    with pytest.raises(CorruptData, match="absurd"):
        decode_header(encode_header(header._replace(tables_raw_size=layout.TABLES_RAW_BYTES_MAX + 1)))
    with pytest.raises(CorruptData, match="larger than the block"):
        decode_header(encode_header(header._replace(size=header.frames_offset - 1)))
    with pytest.raises(CorruptData, match="larger than the block"):
        decode_header(encode_header(header._replace(frame_count=1_000_000)))


def test_a_frame_that_decompresses_to_another_size_is_corrupt() -> None:
    import zstandard

    stored = zstandard.ZstdCompressor().compress(b"x" * 1_000)
    for raw_size in (999, 1_001, 1 << 40):
        entry = reader.FrameEntry(0, 0, 0, 0, len(stored), raw_size, crc32c(stored))
        with pytest.raises(CorruptData):
            decode_frame(entry, stored)


def test_vanished_files_are_the_callers_to_handle(tmp_path: Path) -> None:
    written(tmp_path, range(1, 2))
    catalog = scan_directory(tmp_path)
    catalog.blocks[0].path.unlink()
    with pytest.raises(FileNotFoundError):
        reader.BlockReader(no_damage).collect(catalog.blocks, 0, 1 << 60, Groups({1: 0}, 1))

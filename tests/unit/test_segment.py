"""Segment files: every whole block is read, and only what is asked for is read."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from format_tables import check_layout, tables
from segment_lab import (
    ACCOUNT,
    SERIES,
    SESSION,
    block,
    collected,
    example_tables,
    frames_of,
    no_damage,
    sequences_of,
    written,
)

import obsagent.segment
from obsagent._native.codec import Groups
from obsagent.errors import CorruptData
from obsagent.samples import Event
from obsagent.segment import format as layout
from obsagent.segment import reader
from obsagent.segment.block import (
    NO_WINDOW_FIRST,
    NO_WINDOW_LAST,
    Mark,
    decode_frame,
    decode_header,
    encode_block,
    encode_header,
)
from obsagent.segment.catalog import Catalog, scan_directory
from obsagent.segment.tables import Tables

FORMAT = Path(obsagent.segment.__file__).parent / "FORMAT.md"


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

    def counting(entry: reader.FrameEntry, stored: bytes) -> bytes:
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

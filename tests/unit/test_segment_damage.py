"""Segment files that are cut, damaged, or cannot be written: damage costs no more than it hit."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_fs import FailingFs
from segment_lab import (
    SERIES,
    STORE_ID,
    block,
    collected,
    no_damage,
    sequences_of,
    written,
)

from obsagent._native.codec import Groups, crc32c
from obsagent.errors import CorruptData, StoreError
from obsagent.fs import SECTOR_BYTES
from obsagent.segment import format as layout
from obsagent.segment import reader
from obsagent.segment.block import (
    decode_frame,
    decode_header,
    encode_header,
)
from obsagent.segment.catalog import scan_directory
from obsagent.segment.recover import Damage, check_block, opened, scan_file
from obsagent.segment.writer import SegmentWriter, take_over


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

"""The journal: what is synced is found again, whatever else is in the file."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from faulty_fs import FailingFs
from format_tables import check_layout, tables

import obsagent.head
from obsagent._native.codec import RECORD_HEADER_BYTES, crc32c, pack_record
from obsagent.errors import StoreError
from obsagent.fs import SECTOR_BYTES, Fs
from obsagent.head import journal_format as layout
from obsagent.head.entries import Encoded
from obsagent.head.journal import JOIN_BYTES_MAX, Journal, file_name, journal_paths, to_record
from obsagent.head.journal_reader import JournalFile, _scan, read_file

STORE_ID = b"store-id-16bytes"
FORMAT = Path(obsagent.head.__file__).parent / "FORMAT.md"


def entry(body: bytes, entry_type: int = layout.FRAME_TYPE) -> Encoded:
    return Encoded(entry_type, layout.MARKER + b"head", body)


def append(journal: Journal, encoded: Encoded) -> int:
    record = to_record(encoded)
    return journal.append(record, sum(map(len, record)))


def begun(directory: Path, fs: Fs | None = None, position: int = 0, file_bytes: int = 1 << 20) -> Journal:
    journal = Journal(directory, fs or FailingFs(), STORE_ID, position, file_bytes)
    journal.begin_file(to_record(entry(b"known", layout.KNOWN_SERIES)))
    return journal


def sync(journal: Journal) -> int:
    journal.commit(journal.capture())
    return journal.durable


def bodies(file: JournalFile) -> list[bytes]:
    return [bytes(found.payload[8:]) for found in file.entries]


def test_format_md_says_what_the_constants_say() -> None:
    header, record, frame, records = tables(FORMAT)
    check_layout(header, layout.FILE_HEADER)
    check_layout(record, layout.RECORD_HEADER)
    text = FORMAT.read_text()
    assert header[0].value == f"`{layout.FILE_MAGIC.decode().encode('unicode_escape').decode()}`"
    assert header[1].value.startswith(f"{layout.FORMAT_VERSION};")
    assert f"`{layout.MARKER.hex(' ')}`" in text
    assert f"{layout.FILE_NAME_DIGITS} decimal digits and `{layout.FILE_SUFFIX}`" in text
    refused_only = [field for field in frame if field.value.startswith("refused only")]
    marker = len(layout.MARKER)
    assert sum(field.size for field in frame) == layout.REFUSED.size - marker == 105
    assert sum(field.size for field in frame if field not in refused_only) == layout.FRAME.size - marker == 88
    assert [field.offset for field in frame] == [sum(f.size for f in frame[:i]) for i in range(len(frame))]
    assert sum(field.size for field in records) == layout.RECORDS.size - marker == 36
    assert [field.size for field in records] == [16, 8, 8, 4]
    for number, words in {
        layout.RECORDS_TYPE: "records",
        layout.SESSION_OPEN: "session open",
        layout.DEFINE: "define",
        layout.FRAME_TYPE: "frame",
        layout.REFUSED_TYPE: "refused",
        layout.SESSION_CLOSE: "session close",
        layout.SYNCED: "synced",
        layout.KNOWN_SESSION: "known session",
        layout.KNOWN_SERIES: "known series",
    }.items():
        assert f"| {number} | {words} | {'preamble' if number in layout.PREAMBLE_TYPES else 'entries'} |" in text


@pytest.mark.parametrize("size", [0, 1, JOIN_BYTES_MAX, JOIN_BYTES_MAX + 1, 100_000])
def test_a_record_is_the_codecs(size: int) -> None:
    encoded = entry(random.Random(size).randbytes(size))
    assert b"".join(to_record(encoded)) == pack_record(encoded.type, encoded.head + bytes(encoded.body))
    assert layout.RECORD_HEADER.size == RECORD_HEADER_BYTES


def test_a_large_body_is_not_copied() -> None:
    body = bytes(300_000)
    assert to_record(entry(body))[1] is body


def test_entries_are_found_again_with_their_positions(tmp_path: Path) -> None:
    journal = begun(tmp_path, position=1_000)
    ends = [append(journal, entry(bytes([index]) * index)) for index in range(5)]
    assert journal.unsynced_bytes == ends[-1] - 1_000
    assert sync(journal) == ends[-1]
    assert journal.unsynced_bytes == 0
    file = read_file(tmp_path / file_name(1_000))
    assert bodies(file) == [bytes([index]) * index for index in range(5)]
    assert [found.position for found in file.entries] == [1_000, *ends[:-1]]
    assert file.end == ends[-1]
    assert [found.type for found in file.preamble] == [layout.KNOWN_SERIES]
    assert not file.gaps
    assert not file.header_damaged


def test_what_comes_after_the_capture_waits_for_the_next_sync(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    first = append(journal, entry(b"1"))
    captured = journal.capture()
    append(journal, entry(b"2"))
    journal.commit(captured)
    assert journal.durable == first
    assert bodies(read_file(tmp_path / file_name(0))) == [b"1"]
    sync(journal)
    assert bodies(read_file(tmp_path / file_name(0))) == [b"1", b"2"]


@pytest.mark.parametrize("call", ["write", "sync_data"])
def test_after_a_failure_a_new_file_holds_what_was_not_durable(tmp_path: Path, call: str) -> None:
    fs = FailingFs()
    journal = begun(tmp_path, fs)
    append(journal, entry(b"durable"))
    durable = sync(journal)
    append(journal, entry(b"lost"))
    fs.fail_always, fs.short_writes = {call}, True
    with pytest.raises(StoreError, match="cannot sync"):
        sync(journal)
    assert journal.durable == durable
    assert not journal.has_file
    append(journal, entry(b"later"))
    with pytest.raises(StoreError, match="no file"):
        sync(journal)
    fs.fail_always = set()
    journal.begin_file([])
    assert sync(journal) == journal.position
    assert [path.name for path in journal_paths(tmp_path)] == [file_name(0), file_name(durable)]
    assert bodies(read_file(tmp_path / file_name(0))) == [b"durable"]
    assert bodies(read_file(tmp_path / file_name(durable))) == [b"lost", b"later"]


def test_a_full_disk_keeps_entries_waiting_until_there_is_room(tmp_path: Path) -> None:
    fs = FailingFs()
    fs.errno = errno.ENOSPC
    journal = begun(tmp_path, fs)
    append(journal, entry(b"1"))
    fs.fail_always = {"write"}
    with pytest.raises(StoreError, match="No space left"):
        sync(journal)
    for _ in range(3):
        with pytest.raises(StoreError, match="No space left"):
            journal.begin_file([])
    fs.fail_always = set()
    journal.begin_file([])
    sync(journal)
    assert bodies(read_file(tmp_path / file_name(0))) == [b"1"]
    assert not list(tmp_path.glob("*.tmp"))


def test_only_files_wholly_below_a_position_are_removed(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    bases = [0]
    for _ in range(3):
        append(journal, entry(b"x" * 50))
        bases.append(sync(journal))
        journal.begin_file([])
    journal.remove_below(bases[2] - 1)
    assert [path.name for path in journal_paths(tmp_path)] == [file_name(base) for base in bases[1:]]
    journal.remove_below(bases[3] + 1_000)
    assert [path.name for path in journal_paths(tmp_path)] == [file_name(bases[3])]


def three_entries(directory: Path) -> tuple[Path, list[int]]:
    """A file with three entries, and the offsets at which they end."""
    journal = begun(directory)
    ends = [append(journal, entry(bytes([65 + index]) * 40)) for index in range(3)]
    sync(journal)
    path = directory / file_name(0)
    shift = path.stat().st_size - ends[-1]
    return path, [end + shift for end in ends]


def test_truncation_at_every_byte_keeps_the_whole_entries(tmp_path: Path) -> None:
    path, ends = three_entries(tmp_path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        file = read_file(path)
        assert len(file.entries) == sum(end <= size for end in ends)
        assert not file.gaps


def test_a_flip_of_every_bit_costs_at_most_the_entry_that_it_is_in(tmp_path: Path) -> None:
    path, ends = three_entries(tmp_path)
    whole = path.read_bytes()
    first = ends[0] - (ends[1] - ends[0])
    expected = bodies(read_file(path))
    for offset in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[offset] ^= 1 << bit
            path.write_bytes(damaged)
            file = read_file(path)
            hit = sum(offset >= end for end in ends) if offset >= first else None
            survivors = [body for index, body in enumerate(expected) if index != hit]
            assert bodies(file) == survivors, (offset, bit)
            positions = [found.position for found in file.entries]
            assert positions == [end - ends[0] for index, end in enumerate(ends) if index != hit]
            assert len(file.gaps) == (0 if hit == 2 or offset < layout.FILE_HEADER.size else 1)


def test_damage_larger_than_a_record_is_one_gap(tmp_path: Path) -> None:
    path, ends = three_entries(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[ends[0] - 20 : ends[1] - 5] = bytes(ends[1] - 5 - ends[0] + 20)
    path.write_bytes(damaged)
    file = read_file(path)
    assert bodies(file) == [b"C" * 40]
    assert [gap.size for gap in file.gaps] == [ends[1] - (ends[0] - (ends[1] - ends[0]))]


def batches(directory: Path, sizes: list[int]) -> tuple[Path, list[int]]:
    """A file with two batches of entries of these sizes; and the offsets of the second one's entries."""
    journal = begun(directory)
    offsets = []
    for letter in b"ab":
        offsets = [append(journal, entry(bytes([letter]) * size)) - size - 17 for size in sizes]
        sync(journal)
    path = directory / file_name(0)
    shift = path.stat().st_size - journal.position
    return path, [offset + shift for offset in offsets]


def lose(path: Path, begin: int, end: int, marked: bytes = bytes(1)) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[begin:end] = marked * (end - begin)
    path.write_bytes(damaged)


def sector_in(begin: int) -> tuple[int, int]:
    """Begin and end of the first whole sector behind an offset."""
    first = -(-begin // SECTOR_BYTES) * SECTOR_BYTES
    return first, first + SECTOR_BYTES


def test_a_file_ends_where_a_page_of_the_last_batch_is_missing(tmp_path: Path) -> None:
    path, offsets = batches(tmp_path, [1_500] * 3)
    whole = read_file(path)
    lose(path, *sector_in(offsets[1]))
    file = read_file(path)
    assert bodies(file) == [b"a" * 1_500] * 3 + [b"b" * 1_500] * 2
    assert file.certain_end == whole.entries[4].position
    assert file.end == whole.end == whole.certain_end


@pytest.mark.parametrize("kept", [15, 16, 100])
def test_a_file_ends_where_its_last_page_is_missing(tmp_path: Path, kept: int) -> None:
    """And its length all the same: the record that is torn does not reach beyond the file."""
    journal = begun(tmp_path)
    append(journal, entry(b"a" * 900))
    path = tmp_path / file_name(0)
    sync(journal)
    size = path.stat().st_size
    end = (size // SECTOR_BYTES + 2) * SECTOR_BYTES + kept
    append(journal, entry(b"b" * (end - size - 13 - 17)))  # behind a record that says what was synced
    sync(journal)
    lose(path, path.stat().st_size // SECTOR_BYTES * SECTOR_BYTES, path.stat().st_size)
    assert path.stat().st_size % SECTOR_BYTES == kept
    file = read_file(path)
    assert bodies(file) == [b"a" * 900]
    assert (file.damaged_end is None) == (kept >= 16)


def test_a_hole_that_was_synced_is_damage(tmp_path: Path) -> None:
    path, offsets = batches(tmp_path, [1_500] * 3)
    lose(path, *sector_in(offsets[0] - 1_500))
    file = read_file(path)
    assert file.certain_end == file.end
    assert len(file.gaps) == 1


def test_what_is_broken_without_a_hole_is_damage(tmp_path: Path) -> None:
    path, offsets = batches(tmp_path, [1_500] * 3)
    lose(path, *sector_in(offsets[1]), marked=b"x")
    file = read_file(path)
    assert file.certain_end == file.end
    assert len(file.gaps) == 1


def test_in_a_file_of_the_first_version_every_hole_is_damage(tmp_path: Path) -> None:
    path, offsets = batches(tmp_path, [1_500] * 3)
    lose(path, *sector_in(offsets[1]))
    data = bytearray(path.read_bytes())
    data[8] = 1
    data[40:44] = layout.CRC.pack(crc32c(data[:40]))
    path.write_bytes(data)
    file = read_file(path)
    assert not file.header_damaged
    assert file.certain_end == file.end


def test_a_batch_is_written_only_when_the_one_before_it_is_durable(tmp_path: Path) -> None:
    """Else the record that says so would lie after a failed sync, when two batches go into a new file."""
    fs = FailingFs()
    journal = begun(tmp_path, fs)
    append(journal, entry(b"1"))
    fs.fail_always = {"sync_data"}
    with pytest.raises(StoreError):
        sync(journal)
    append(journal, entry(b"2"))
    captured = journal.capture()
    append(journal, entry(b"3"))
    fs.fail_always = set()
    journal.begin_file([])
    before = len(fs.log)
    journal.commit(captured)
    assert fs.log[before:] == ["write", "sync_data"] * 2
    assert sync(journal) == journal.position
    assert bodies(read_file(tmp_path / file_name(0))) == [b"1", b"2", b"3"]
    types = [record.type for record in _scan((tmp_path / file_name(0)).read_bytes(), layout.FILE_HEADER.size)[0]]
    assert types == [layout.FRAME_TYPE, *[layout.SYNCED, layout.FRAME_TYPE] * 2]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / file_name(0)
    body = layout.FILE_HEADER.pack(layout.FILE_MAGIC, layout.FORMAT_VERSION + 1, 0, STORE_ID, 0, 0, 0)[:-4]
    path.write_bytes(body + layout.CRC.pack(crc32c(body)))
    with pytest.raises(StoreError, match="newer"):
        read_file(path)


def test_files_that_are_no_journal_files_are_not_read(tmp_path: Path) -> None:
    for name in ("x.journal", "12.journal", file_name(3) + ".corrupt", file_name(3) + ".tmp"):
        (tmp_path / name).write_bytes(b"")
    assert journal_paths(tmp_path) == []

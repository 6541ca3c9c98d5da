"""Files of a store that are wrong in one thing each: journals, entries, tables, segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from struct import pack_into
from typing import Any

import msgpack

from fuzz.block_parts import Block, expand, header_bytes, sealed_header
from fuzz.file_check import BASE
from fuzz.seeds_files import (
    AT_MS,
    ENTRIES,
    ROW,
    SERIES,
    STORE_ID,
    block_of,
    record_of,
    segment_of,
    some_tables,
)
from golden.malformed_native import flipped, row, section, varint
from obsagent._native.codec import crc32c, pack_record
from obsagent.head import journal_format
from obsagent.head.journal import encode_file_header
from obsagent.segment import format as layout
from obsagent.segment.block import BlockHeader, PackedFrame, decode_header
from obsagent.segment.tables import Tables, series_to_row, session_to_row

Cases = Iterator[tuple[str, bytes]]

MARKER = journal_format.MARKER
HEADER = journal_format.FILE_HEADER.size
RECORD = journal_format.RECORD_HEADER.size
OPEN, DEFINE, FRAME, REFUSED, CLOSE, EVENTS = range(1, 7)
EXEMPLARS = journal_format.FRAME_WITH_EXEMPLARS
KNOWN_SESSION, KNOWN_SERIES, _ = journal_format.PREAMBLE_TYPES


def sealed_journal_header(**changes: Any) -> bytes:
    """A journal's file header with other fields and a sound checksum."""
    names = ("magic", "version", "reserved", "store_id", "base", "preamble_size")
    sound = journal_format.FILE_HEADER.unpack(encode_file_header(STORE_ID, BASE, 0))
    fields = {**dict(zip(names, sound, strict=False)), **changes}
    return sealed_header(journal_format.FILE_HEADER.pack(*fields.values(), 0))


def journal() -> Cases:
    """Journal files: what is sound in them is read nevertheless."""
    first, second = record_of(ENTRIES["open"]), record_of(ENTRIES["define"])
    third = record_of(ENTRIES["frame"])
    sound = sealed_journal_header() + first + second + third
    yield "empty", b""
    yield "header_truncated", sound[: HEADER - 1]
    yield "header_magic_wrong", sealed_journal_header(magic=b"OBSXXXX\n") + first + second
    yield "header_version_from_the_future", sealed_journal_header(version=99) + first
    yield "header_crc_flipped", flipped(sound, HEADER - 1)
    yield "header_preamble_larger_than_the_file", sealed_journal_header(preamble_size=2**32 - 1) + first + second
    middle = HEADER + len(first)
    yield "crc_flipped_in_the_middle", flipped(sound, middle + 4)
    yield "size_flipped_in_the_middle", flipped(sound, middle + 1, 6)
    yield "payload_flipped_in_the_middle", flipped(sound, middle + RECORD + 30)
    yield "foreign_bytes_in_the_middle", sound[:middle] + b"foreign bytes" + sound[middle:]
    yield "zeros_in_the_middle", sound[:middle] + bytes(64) + sound[middle:]
    yield "zeros_at_the_end", sound + bytes(4_096)
    yield "truncated", sound[:-1]
    yield "size_beyond_the_end", sound + b"\xff\xff\xff\xff" + bytes(20)
    yield "entry_without_marker", sealed_journal_header() + pack_record(OPEN, b"no marker") + second
    yield "entry_of_unknown_type", sealed_journal_header() + pack_record(99, MARKER) + first


def packed(kind: int, *fields: Any) -> bytes:
    """An entry whose fields are msgpack."""
    return bytes((kind,)) + msgpack.packb(fields)


def changed(number: int, value: Any, fields: list[Any]) -> list[Any]:
    """The fields with another one at a place."""
    return [*fields[:number], value, *fields[number + 1 :]]


def with_exemplar(fixed: bytes, at_ms: int, value: float, trace_id: Any) -> bytes:
    """A frame with one exemplar."""
    rows: bytes = msgpack.packb([[0, at_ms - at_ms % 10_000, value, at_ms, trace_id, ""]])
    return bytes((EXEMPLARS,)) + fixed + journal_format.EXEMPLARS_SIZE.pack(len(rows)) + rows + b"\x01"


def entry() -> Cases:
    """Entries of a journal, whose records are sound: type, and what follows the marker."""
    session = ROW.session
    fields = [session, "fraud", "a", 7, AT_MS, 0, "4"]
    yield "open_truncated", packed(OPEN, *fields)[:-1]
    yield "open_session_of_15_bytes", packed(OPEN, *changed(0, bytes(15), fields))
    yield "open_service_is_bytes", packed(OPEN, *changed(1, b"fraud", fields))
    yield "open_pid_is_a_fraction", packed(OPEN, *changed(3, 1.5, fields))
    yield "open_of_six_fields", packed(OPEN, *fields[:6])
    yield "open_is_a_map", bytes((OPEN,)) + msgpack.packb({"session": session})
    yield "open_nested_arrays_5_000", bytes((OPEN,)) + b"\x91" * 5_000
    yield "open_array_of_four_billion", bytes((OPEN,)) + b"\xdd" + b"\xff" * 4
    yield "define_row_of_three", packed(DEFINE, session, [[0, 1, None]])
    yield "define_series_kind_5", packed(DEFINE, session, [[0, 1, changed(2, 5, series_to_row(SERIES[0])), ""]])
    yield "define_series_id_negative", packed(DEFINE, session, [[0, 1, changed(0, -1, series_to_row(SERIES[0])), ""]])
    yield (
        "define_series_id_refused",
        packed(DEFINE, session, [[0, 1, changed(0, 2**32 - 1, series_to_row(SERIES[0])), ""]]),
    )
    yield "frame_truncated", bytes((FRAME,)) + bytes(journal_format.FRAME.size - len(MARKER) - 1)
    sound = record_of(ENTRIES["frame_with_exemplars"])[RECORD + len(MARKER) :]
    fixed = sound[: journal_format.FRAME.size - len(MARKER)]
    yield "frame_exemplars_truncated", bytes((EXEMPLARS,)) + fixed + b"\x01\0"
    yield "frame_exemplars_larger_than_the_entry", bytes((EXEMPLARS,)) + fixed + b"\xff" * 4 + b"\x90\x01"
    yield "frame_exemplars_none", bytes((EXEMPLARS,)) + fixed + b"\x01\0\0\0\x90\x01"
    yield "frame_exemplars_of_another_window", with_exemplar(fixed, AT_MS - 10_000, 0.5, "t")
    yield "frame_exemplar_nan", with_exemplar(fixed, AT_MS, float("nan"), "t")
    yield "frame_exemplar_id_too_long", with_exemplar(fixed, AT_MS, 0.5, "t" * 129)
    yield "frame_exemplar_id_is_bytes", with_exemplar(fixed, AT_MS, 0.5, b"t")
    yield "refused_truncated", bytes((REFUSED,)) + bytes(journal_format.REFUSED.size - len(MARKER) - 1)
    yield "refused_reason_9", bytes((REFUSED,)) + bytes(journal_format.REFUSED.size - len(MARKER) - 1) + b"\x09"
    yield "close_of_four_counters", packed(CLOSE, session, [0] * 4, AT_MS)
    yield "close_counter_is_text", packed(CLOSE, session, ["0"] * 5, AT_MS)
    yield "events_label_is_a_number", packed(EVENTS, session, 1, 0, 0, [["deploy", AT_MS, {"a": 1}]])
    yield "known_session_of_four_counters", packed(KNOWN_SESSION, changed(8, [0] * 4, session_to_row(ROW)), [])
    yield "known_session_numbers_are_text", packed(KNOWN_SESSION, session_to_row(ROW), ["0", "1"])
    yield "known_series_not_rows", packed(KNOWN_SERIES, [1, 2])
    yield "known_series_id_is_text", packed(KNOWN_SERIES, [["0"]])
    yield "type_unknown", b"\x63" + msgpack.packb([])


def table(number: int, value: Any) -> bytes:
    """Tables with another one at a place."""
    return msgpack.packb(changed(number, value, msgpack.unpackb(some_tables().to_bytes(), strict_map_key=False)))


def tables() -> Cases:
    """Tables of a block, decompressed."""
    sound = some_tables().to_bytes()
    yield "empty", b""
    yield "truncated", sound[:-1]
    yield "followed_by_a_byte", sound + b"\0"
    yield "map_instead_of_array", msgpack.packb({})
    yield "six_tables", msgpack.packb([[]] * 6)
    yield "nested_arrays_5_000", b"\x91" * 5_000
    yield "map_of_four_billion_entries", b"\xdf" + b"\xff" * 4
    yield "extension_type", b"\xd4\x01\x00"
    yield "key_is_a_list", b"\x9a" + b"\x90" * 4 + b"\x81\x90\x90" + b"\x90" * 5
    yield "series_id_beyond_32_bits", table(0, [changed(0, 2**32, series_to_row(SERIES[0]))])
    yield "series_label_is_a_number", table(0, [changed(7, {"a": 1}, series_to_row(SERIES[0]))])
    yield "session_id_of_15_bytes", table(1, [changed(0, bytes(15), session_to_row(ROW))])
    yield "session_of_four_counters", table(1, [session_to_row(replace(ROW, accounts=(1, 2, 3, 4)))])
    yield "forgotten_is_text", table(2, ["0123456789abcdef"])
    yield "account_of_seven_counters", table(3, [[AT_MS, "fraud", [0] * 7]])
    yield "account_counter_nan", table(3, [[AT_MS, "fraud", [float("nan")] * 8]])
    yield "totals_an_array", table(4, [["fraud", [0] * 8]])
    yield "event_time_is_text", table(7, [["deploy", "now", {}]])
    yield "event_totals_of_two", table(8, {"fraud": [0, 0]})
    yield "window_is_nil", table(9, [None])
    yield "exemplars_an_array", table(13, [])
    yield "exemplars_not_msgpack", table(13, b"\xc1")
    yield "exemplar_of_five_fields", table(13, msgpack.packb([[0, AT_MS, 0.5, AT_MS, "t"]]))
    yield "exemplar_value_infinite", table(13, msgpack.packb([[0, AT_MS, float("inf"), AT_MS, "t", ""]]))
    yield "exemplar_series_negative", table(13, msgpack.packb([[-1, AT_MS, 0.5, AT_MS, "t", ""]]))


HEAD = block_of(layout.BLOCK_HEAD, 1, Tables(), 0)
CHECKPOINT = block_of(layout.BLOCK_CHECKPOINT, 1, some_tables(), 2)
SECOND = block_of(layout.BLOCK_CHECKPOINT, 2, Tables(), 1)


def file_of(block: bytes) -> bytes:
    """A segment file in which a block stands between two sound ones."""
    return segment_of(HEAD, block, SECOND)


def with_header(**changes: Any) -> bytes:
    """A block whose header has other fields and a sound checksum."""
    header: BlockHeader = decode_header(CHECKPOINT)._replace(**changes)
    return header_bytes(header) + CHECKPOINT[layout.BLOCK_HEADER.size :]


def with_line(offset: int, code: str, value: int) -> bytes:
    """A block whose first line of the index has another field; its checksums are sound."""
    header = decode_header(CHECKPOINT)
    data = bytearray(CHECKPOINT)
    pack_into("<" + code, data, header.index_offset + offset, value)
    index = bytes(data[header.index_offset :][: header.index_size])
    return header_bytes(header._replace(index_crc=crc32c(index))) + bytes(data[layout.BLOCK_HEADER.size :])


def with_frame(raw: bytes, raw_size: int | None = None, stored: bytes | None = None) -> bytes:
    """A block whose first frame is another; its checksums are sound."""
    import zstandard

    block = Block.of(CHECKPOINT)
    stored = zstandard.compress(raw) if stored is None else stored
    frame: PackedFrame = block.frames[0]._replace(raw_size=len(raw) if raw_size is None else raw_size, stored=stored)
    block.frames[0] = frame
    return block.to_bytes()


def with_tables(raw: bytes) -> bytes:
    """A block of other tables; its checksums are sound."""
    block = Block.of(CHECKPOINT)
    block.tables = raw
    return block.to_bytes()


def segment_headers() -> Cases:
    """Segment files whose own header, or a block's, is wrong."""
    sound = file_of(CHECKPOINT)
    start = layout.FILE_HEADER.size + len(HEAD)
    future = sealed_header(layout.FILE_HEADER.pack(layout.FILE_MAGIC, 99, 0, 0, STORE_ID, AT_MS, 0))
    yield "empty", b""
    yield "file_header_truncated", sound[:43]
    yield "file_magic_wrong", b"OBSXXXX\n" + sound[8:]
    yield "file_crc_flipped", flipped(sound, 40)
    yield "file_version_from_the_future", future + sound[layout.FILE_HEADER.size :]
    yield "block_magic_wrong", flipped(sound, start)
    yield "block_crc_flipped", flipped(sound, start + 96)
    yield "block_size_flipped", flipped(sound, start + 16)
    yield "block_version_from_the_future", file_of(header_bytes(decode_header(CHECKPOINT), 99) + CHECKPOINT[100:])
    yield "block_kind_unknown", file_of(with_header(kind=9))
    yield "block_size_beyond_the_end", file_of(with_header(size=2**62))
    yield "block_size_0", file_of(with_header(size=0))
    yield "block_smaller_than_its_sections", file_of(with_header(size=200))
    yield "block_of_16_777_217_frames", file_of(with_header(frame_count=(1 << 24) + 1))
    yield "block_tables_of_4_gb", file_of(with_header(tables_raw_size=2**32 - 1))
    yield "foreign_bytes_between_blocks", segment_of(HEAD, b"OBSB foreign bytes", CHECKPOINT, SECOND)
    yield "zeros_between_blocks", segment_of(HEAD, bytes(4_096), CHECKPOINT, SECOND)
    yield "torn_in_the_last_header", sound[: len(sound) - len(SECOND) + 60]
    yield "torn_in_the_last_frame", sound[:-1]


def segment_contents() -> Cases:
    """Segment files with a block whose header is sound, and something behind it is not."""
    sound, start = file_of(CHECKPOINT), layout.FILE_HEADER.size + len(HEAD)
    header = decode_header(CHECKPOINT)
    raw = expand(Block.of(CHECKPOINT).frames[0].stored)
    yield "tables_flipped", flipped(sound, start + 110)
    yield "tables_larger_than_promised", file_of(with_header(tables_raw_size=header.tables_raw_size - 1))
    yield "tables_smaller_than_promised", file_of(with_header(tables_raw_size=header.tables_raw_size + 1))
    yield "tables_not_msgpack", file_of(with_tables(b"\xc1"))
    yield "tables_of_a_series_id_negative", file_of(with_tables(table(0, [changed(0, -1, series_to_row(SERIES[0]))])))
    yield "index_flipped", flipped(sound, start + header.index_offset + 9)
    yield "frame_flipped", flipped(sound, start + header.frames_offset + 20)
    yield "frame_offset_2_63", file_of(with_line(16, "Q", 2**63))
    yield "frame_beyond_the_end", file_of(with_line(24, "I", 2**32 - 1))
    yield "frame_raw_size_4_gb", file_of(with_line(28, "I", 2**32 - 1))
    yield "frame_of_more_than_promised", file_of(with_frame(raw, len(raw) - 1))
    yield "frame_of_less_than_promised", file_of(with_frame(raw, len(raw) + 1))
    yield "frame_not_compressed", file_of(with_frame(raw, stored=raw))
    yield "frame_rows_truncated", file_of(with_frame(raw[:-1]))
    twice = row(2, varint(3) + bytes(8), b"\x01")
    yield "frame_series_twice", file_of(with_frame(twice + row(2, varint(3) + bytes(8), b"\0")))
    yield "frame_of_sections", file_of(with_frame(bytes(8) + section(0, twice)))


def segment() -> Cases:
    """All of them."""
    yield from segment_headers()
    yield from segment_contents()

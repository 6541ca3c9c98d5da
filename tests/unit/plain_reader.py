"""Reads a store by its two FORMAT.md alone: nothing of obsagent is imported here.

Not quick, and it stops at the first thing that is wrong; it is there to show that what the documents say
is what is on the disk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import zstandard

HEAD, CHECKPOINT, COMPACTED = 1, 2, 3
COUNTER = 2
DIGEST_FOLLOWS = 0x10


def crc32c(data: bytes, crc: int = 0) -> int:
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return value, offset


def rows(data: bytes) -> list[tuple[int, int, bytes]]:
    """(series, kind, payload) of each row of a frame."""
    found = []
    offset = series = 0
    while offset < len(data):
        step, offset = varint(data, offset)
        series += step
        kind = data[offset]
        size, offset = varint(data, offset + 1)
        found.append((series, kind, data[offset : offset + size]))
        offset += size
        if kind & DIGEST_FOLLOWS:
            size, offset = varint(data, offset)
            offset += size
    return found


def sections(data: bytes) -> list[tuple[int, list[tuple[int, int, bytes]]]]:
    """(window, rows) of each section of a compacted frame."""
    (window,) = struct.unpack_from("<q", data)
    found = []
    offset = 8
    while offset < len(data):
        step, offset = varint(data, offset)
        size, offset = varint(data, offset)
        assert (step == 0) == (not found)
        window += step
        found.append((window, rows(data[offset : offset + size])))
        offset += size
    return found


@dataclass
class Block:
    kind: int
    sequence: int
    replaced: int
    low: int
    high: int
    cutoff: int
    tables: list[Any]
    frames: list[tuple[int, list[tuple[int, int, bytes]]]] = field(default_factory=list)


def read_segment(path: Path) -> list[Block]:
    data = path.read_bytes()
    assert data[:8] == b"OBSSEGM\n"
    first, _, last = path.name.removesuffix(".segment").partition("-")
    assert struct.unpack_from("<H", data, 8) == (2 if last else 1,)
    assert struct.unpack_from("<I", data, 40)[0] == crc32c(data[:40])
    blocks = []
    offset = 44
    while offset < len(data):
        blocks.append(read_block(data, offset))
        offset += struct.unpack_from("<Q", data, offset + 16)[0]
    if last:
        head, block = blocks
        assert (head.kind, block.kind) == (HEAD, COMPACTED)
        assert head.sequence == block.sequence == int(last)
        assert int(first) == int(last) - block.replaced + 1
    else:
        assert int(first) == blocks[0].sequence
    return blocks


def read_store(directory: Path) -> list[Block]:
    """The blocks that count of all segment files."""
    files = {path: read_segment(path) for path in sorted(directory.glob("*.segment"))}
    held = {
        sequence
        for blocks in files.values()
        for block in blocks
        if block.kind == COMPACTED
        for sequence in range(block.sequence - block.replaced + 1, block.sequence + 1)
    }
    superseded = [
        path for path, blocks in files.items() if "-" not in path.name and {block.sequence for block in blocks} <= held
    ]
    return [block for path, blocks in files.items() if path not in superseded for block in blocks]


def read_block(data: bytes, start: int) -> Block:
    header = data[start : start + 100]
    assert header[:4] == b"OBSB"
    version, kind, sequence, size = struct.unpack_from("<HHQQ", header, 4)
    low, high, cutoff = struct.unpack_from("<QQq", header, 40)
    tables_size, raw_size, frame_count, tables_crc, index_crc, replaced = struct.unpack_from("<IIIIII", header, 72)
    assert version == (2 if kind == COMPACTED else 1)
    assert (replaced > 0) == (kind == COMPACTED)
    assert struct.unpack_from("<I", header, 96)[0] == crc32c(header[:96])
    packed = data[start + 100 : start + 100 + tables_size]
    assert crc32c(packed) == tables_crc
    raw = zstandard.decompress(packed)
    assert len(raw) == raw_size
    block = Block(kind, sequence, replaced, low, high, cutoff, msgpack.unpackb(raw, strict_map_key=False))
    index_offset = size - frame_count * 40 if kind == COMPACTED else 100 + tables_size
    index = data[start + index_offset :][: frame_count * 40]
    assert crc32c(index) == index_crc
    for line in struct.iter_unpack("<qIIQIIII", index):
        window, first, last, offset, stored_size, frame_size, crc, span = line
        stored = data[start + offset : start + offset + stored_size]
        assert crc32c(stored) == crc
        assert offset + stored_size <= size
        frame = zstandard.decompress(stored)
        assert len(frame) == frame_size
        found = sections(frame) if kind == COMPACTED else [(window, rows(frame))]
        assert (found[0][0], found[-1][0]) == (window, window + span)
        series = [row[0] for _, its_rows in found for row in its_rows]
        assert (min(series), max(series)) == (first, last)
        block.frames += found
    if kind == COMPACTED:
        assert block.tables[9] == sorted({window for window, _ in block.frames})
    return block


@dataclass
class Entry:
    position: int
    type: int
    fields: Any


def read_journal(path: Path) -> tuple[list[Entry], list[Entry]]:
    """The preamble and the entries of a journal file."""
    data = path.read_bytes()
    assert data[:8] == b"OBSJRNL\n"
    assert struct.unpack_from("<I", data, 40)[0] == crc32c(data[:40])
    base, preamble_size = struct.unpack_from("<QI", data, 28)
    assert int(path.name.removesuffix(".journal")) == base
    preamble, entries = [], []
    offset = 44
    while offset < len(data):
        size, crc, entry_type = struct.unpack_from("<IIB", data, offset)
        payload = data[offset + 9 : offset + 9 + size]
        assert crc32c(bytes([entry_type]) + payload) == crc
        assert payload[:4] == b"\xf5OBE"
        fields = read_fields(entry_type, payload[4:])
        if offset < 44 + preamble_size:
            preamble.append(Entry(base, entry_type, fields))
        else:
            entries.append(Entry(base + offset - 44 - preamble_size, entry_type, fields))
        offset += 9 + size
    return preamble, entries


def read_fields(entry_type: int, payload: bytes) -> Any:
    if entry_type == 7:
        assert not payload
        return []
    if entry_type not in (3, 4):
        return msgpack.unpackb(payload, strict_map_key=False)
    session, sequence, first_kept, start_ms, end_ms = struct.unpack_from("<16sQQqq", payload)
    counters = struct.unpack_from("<5Q", payload, 48)
    fields = [session, sequence, first_kept, start_ms, end_ms, counters]
    if entry_type == 3:
        return [*fields, payload[88:]]
    samples, window_ms, reason = struct.unpack_from("<QqB", payload, 88)
    return [*fields, samples, window_ms, reason]


def counters_of(blocks: list[Block]) -> dict[tuple[int, int], tuple[int, float]]:
    """(window, series) → (increments, sum) over all checkpoint and compacted blocks."""
    sums: dict[tuple[int, int], tuple[int, float]] = {}
    for block in blocks:
        if block.kind == HEAD:
            continue
        for window, found in block.frames:
            for series, kind, payload in found:
                if kind & 0x0F == COUNTER:
                    increments, offset = varint(payload, 0)
                    (value,) = struct.unpack_from("<d", payload, offset)
                    before = sums.get((window, series), (0, 0.0))
                    sums[window, series] = before[0] + increments, before[1] + value
    return sums

"""Reads a store by its two FORMAT.md alone: nothing of obsagent is imported here.

Not quick, and it stops at the first thing that is wrong; it is there to show that what the documents say
is what is on the disk.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import zstandard

HEAD, CHECKPOINT, COMPACTED, ROLLED = 1, 2, 3, 4
BY_SERIES = (COMPACTED, ROLLED)
VERSION_OF_KIND = {HEAD: 1, CHECKPOINT: 1, COMPACTED: 2, ROLLED: 3}
VERSION_WITH_COLUMNS = 4
NAME = re.compile(r"(\d{16})(?:-(\d{16}))?(?:\.(\d+)s)?\.segment")
WINDOW_MS = 10_000
COUNTER = 2
COLUMN = 4
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

    @property
    def sequences(self) -> set[int]:
        """Of the checkpoints that it holds."""
        return {*range(self.sequence - max(1, self.replaced) + 1, self.sequence + 1)}

    @property
    def version(self) -> int:
        """What its header has to say."""
        series_kinds = {row[2] for row in self.tables[0]}
        row_kinds = {kind for _, its_rows in self.frames for _, kind, _ in its_rows}
        return VERSION_WITH_COLUMNS if COLUMN in series_kinds | row_kinds else VERSION_OF_KIND[self.kind]


@dataclass
class Name:
    """What the name of a segment file says."""

    first: int
    last: int | None
    window_ms: int

    @classmethod
    def of(cls, path: Path) -> Name:
        found = NAME.fullmatch(path.name)
        assert found
        first, last, seconds = found.groups()
        return cls(int(first), int(last) if last else None, 1_000 * int(seconds or WINDOW_MS // 1_000))


def read_segment(path: Path) -> list[Block]:
    data = path.read_bytes()
    name = Name.of(path)
    assert data[:8] == b"OBSSEGM\n"
    version, _, window_ms = struct.unpack_from("<HHI", data, 8)
    assert (window_ms or WINDOW_MS) == name.window_ms
    assert struct.unpack_from("<I", data, 40)[0] == crc32c(data[:40])
    blocks = []
    offset = 44
    while offset < len(data):
        blocks.append(read_block(data, offset))
        offset += struct.unpack_from("<Q", data, offset + 16)[0]
    kinds = [block.kind for block in blocks]
    assert version == max(block.version for block in blocks)
    if name.last is None:
        assert kinds == [HEAD, *[CHECKPOINT] * (len(kinds) - 1)]
        assert name.first == blocks[0].sequence
        return blocks
    assert kinds == ([HEAD, COMPACTED] if name.window_ms == WINDOW_MS else [ROLLED])
    assert {block.sequence for block in blocks} == {name.last}
    assert name.first == name.last - blocks[-1].replaced + 1
    return blocks


def read_store(directory: Path, window_ms: int = WINDOW_MS) -> list[Block]:
    """The blocks that hold each checkpoint once, in windows of at most that length: the longest that there are."""
    found: list[Block] = []
    held: set[int] = set()
    names = {path: Name.of(path) for path in sorted(directory.glob("*.segment"))}
    for tier_ms in sorted({name.window_ms for name in names.values() if name.window_ms <= window_ms}, reverse=True):
        files = [read_segment(path) for path, name in names.items() if name.window_ms == tier_ms]
        chosen = [block for block in in_tier(files) if block.kind == HEAD or not held & block.sequences]
        found += chosen
        held |= {sequence for block in chosen if block.kind != HEAD for sequence in block.sequences}
    return found


def in_tier(files: list[list[Block]]) -> list[Block]:
    """The blocks that count of the files of one tier: what a larger one holds too is superseded."""
    ranges = [block.sequences for blocks in files for block in blocks if block.kind in BY_SERIES]
    kept = []
    for blocks in files:
        own = {sequence for block in blocks if block.kind != HEAD for sequence in block.sequences}
        if not any(own <= other and (own != other or blocks[-1].kind == CHECKPOINT) for other in ranges):
            kept += blocks
    return kept


def read_block(data: bytes, start: int) -> Block:
    header = data[start : start + 100]
    assert header[:4] == b"OBSB"
    version, kind, sequence, size = struct.unpack_from("<HHQQ", header, 4)
    low, high, cutoff = struct.unpack_from("<QQq", header, 40)
    tables_size, raw_size, frame_count, tables_crc, index_crc, replaced = struct.unpack_from("<IIIIII", header, 72)
    assert (replaced > 0) == (kind in BY_SERIES)
    assert struct.unpack_from("<I", header, 96)[0] == crc32c(header[:96])
    packed = data[start + 100 : start + 100 + tables_size]
    assert crc32c(packed) == tables_crc
    raw = zstandard.decompress(packed)
    assert len(raw) == raw_size
    block = Block(kind, sequence, replaced, low, high, cutoff, msgpack.unpackb(raw, strict_map_key=False))
    index_offset = size - frame_count * 40 if kind in BY_SERIES else 100 + tables_size
    index = data[start + index_offset :][: frame_count * 40]
    assert crc32c(index) == index_crc
    for line in struct.iter_unpack("<qIIQIIII", index):
        window, first, last, offset, stored_size, frame_size, crc, span = line
        stored = data[start + offset : start + offset + stored_size]
        assert crc32c(stored) == crc
        assert offset + stored_size <= size
        frame = zstandard.decompress(stored)
        assert len(frame) == frame_size
        found = sections(frame) if kind in BY_SERIES else [(window, rows(frame))]
        assert (found[0][0], found[-1][0]) == (window, window + span)
        series = [row[0] for _, its_rows in found for row in its_rows]
        assert (min(series), max(series)) == (first, last)
        block.frames += found
    assert version == block.version
    if kind in BY_SERIES:
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
    if entry_type not in (3, 4, 8):
        return msgpack.unpackb(payload, strict_map_key=False)
    session, sequence, first_kept, start_ms, end_ms = struct.unpack_from("<16sQQqq", payload)
    counters = struct.unpack_from("<5Q", payload, 48)
    fields = [session, sequence, first_kept, start_ms, end_ms, counters]
    if entry_type == 3:
        return [*fields, payload[88:]]
    if entry_type == 8:
        (size,) = struct.unpack_from("<I", payload, 88)
        return [*fields, payload[92 + size :], msgpack.unpackb(payload[92 : 92 + size])]
    samples, window_ms, reason = struct.unpack_from("<QqB", payload, 88)
    return [*fields, samples, window_ms, reason]


def exemplars_of(blocks: list[Block], window_ms: int = WINDOW_MS) -> dict[tuple[int, int], list[Any]]:
    """(window, series) → [value, time, trace id, request id] of the one that ranks highest, over all blocks."""
    found: dict[tuple[int, int], list[Any]] = {}
    for block in blocks:
        packed = block.tables[13] if len(block.tables) > 13 else b""
        rows_ = msgpack.unpackb(packed) if packed else []
        assert block.kind != HEAD or not rows_
        assert rows_ == sorted(rows_, key=lambda row: (row[1], row[0]))
        for series, window, *rest in rows_:
            key = window - window % window_ms, series
            found[key] = max(found.get(key, rest), rest)
    return found


def counters_of(blocks: list[Block], window_ms: int = WINDOW_MS) -> dict[tuple[int, int], tuple[int, float]]:
    """(window, series) → (increments, sum) over all blocks but heads, in windows of that length."""
    sums: dict[tuple[int, int], tuple[int, float]] = {}
    for block in blocks:
        if block.kind == HEAD:
            continue
        for window, found in block.frames:
            for series, kind, payload in found:
                if kind & 0x0F == COUNTER:
                    increments, offset = varint(payload, 0)
                    (value,) = struct.unpack_from("<d", payload, offset)
                    start = window - window % window_ms
                    before = sums.get((start, series), (0, 0.0))
                    sums[start, series] = before[0] + increments, before[1] + value
    return sums

"""Blocks of segment files taken apart and put together again with sound checksums, for fuzzers and malformations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from struct import calcsize

import zstandard

from obsagent._native.codec import crc32c
from obsagent.segment import format as layout
from obsagent.segment.block import BlockHeader, FrameEntry, PackedFrame, decode_header

Mutate = Callable[[bytes, int], bytes]
"""Changes bytes, as a fuzzer does, to at most so many."""

RAW_BYTES_MAX = 1 << 20
COMPRESS = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL).compress  # making one takes longer than using it
DECOMPRESS = zstandard.ZstdDecompressor().decompress
INDEX_FIELDS = "qIIQIIII"
HEADER_FIELDS = "HHQQqqQQqqIIIIIII"
EDGES = (
    0,
    1,
    2,
    39,
    40,
    99,
    100,
    0x7F,
    0x80,
    0xFF,
    1 << 16,
    (1 << 31) - 1,
    (1 << 31),
    (1 << 32) - 1,
    (1 << 63) - 1,
    -1,
)


@dataclass
class Block:
    """A block whose tables are not compressed and whose frames are."""

    header: BlockHeader
    tables: bytes
    frames: list[PackedFrame]

    @classmethod
    def of(cls, data: bytes) -> Block:
        """From the bytes of a sound block; raises what reading unsound ones does."""
        header = decode_header(data)
        stored = data[layout.BLOCK_HEADER.size :][: header.tables_size]
        index = data[header.index_offset :][: header.index_size]
        entries = [FrameEntry._make(line) for line in layout.INDEX_ENTRY.iter_unpack(index)]
        frames = [
            PackedFrame(*entry[:3], entry.span_ms, entry.raw_size, data[entry.offset :][: entry.size])
            for entry in entries
        ]
        return cls(header, expand(stored), frames)

    def to_bytes(self) -> bytes:
        """With sizes, offsets and checksums that fit."""
        stored = COMPRESS(self.tables)
        frames = b"".join(frame.stored for frame in self.frames)
        is_compacted = self.header.kind == layout.BLOCK_COMPACTED
        index_size = len(self.frames) * layout.INDEX_ENTRY.size
        offset = layout.BLOCK_HEADER.size + len(stored) + (0 if is_compacted else index_size)
        index = bytearray()
        for frame in self.frames:
            index += frame.index_line(offset)
            offset += len(frame.stored)
        body = stored + (frames + bytes(index) if is_compacted else bytes(index) + frames)
        header = self.header._replace(
            size=layout.BLOCK_HEADER.size + len(body),
            tables_size=len(stored),
            tables_raw_size=len(self.tables),
            frame_count=len(self.frames),
            tables_crc=crc32c(stored),
            index_crc=crc32c(index),
        )
        return header_bytes(header) + body


def expand(stored: bytes) -> bytes:
    """The bytes that were compressed, a megabyte at most: ValueError if they say that they are more."""
    if zstandard.frame_content_size(stored) > RAW_BYTES_MAX:
        raise ValueError("larger than what is changed")
    return DECOMPRESS(stored, max_output_size=RAW_BYTES_MAX)


def header_bytes(header: BlockHeader, version: int | None = None) -> bytes:
    """The bytes of any header, whether or not its kind has a version."""
    kind, sequence, size, first, last, mark, *rest, has_columns = header
    own = layout.VERSION_WITH_COLUMNS if has_columns else layout.VERSION_OF_KIND.get(kind, 1)
    version = own if version is None else version
    fields = (layout.BLOCK_MAGIC, version, kind, sequence, size, first, last, *mark, *rest)
    return sealed_header(layout.BLOCK_HEADER.pack(*fields, 0))


def sealed_header(header: bytes) -> bytes:
    """The bytes of a header with their right checksum."""
    body = header[: -layout.CRC.size]
    return body + layout.CRC.pack(crc32c(body))


def with_edge(data: bytes, offset: int, fields: str, chance: Random) -> bytes:
    """One of the fields that begin at an offset gets a value from the edges of what it holds."""
    number = chance.randrange(len(fields))
    at, size = offset + calcsize("<" + fields[:number]), calcsize("<" + fields[number])
    value = chance.choice(EDGES) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def change_header(data: bytes, chance: Random, _mutate: Mutate) -> bytes:
    """A header with another field."""
    size = layout.BLOCK_HEADER.size
    changed = with_edge(data[:size], len(layout.BLOCK_MAGIC), HEADER_FIELDS, chance)
    return sealed_header(changed) + data[size:]


def change_tables(data: bytes, _chance: Random, mutate: Mutate) -> bytes:
    """Other tables."""
    block = Block.of(data)
    block.tables = mutate(block.tables, RAW_BYTES_MAX)
    return block.to_bytes()


def change_index(data: bytes, chance: Random, _mutate: Mutate) -> bytes:
    """A line of the index with another field."""
    header = decode_header(data)
    at = header.index_offset + chance.randrange(header.frame_count) * layout.INDEX_ENTRY.size
    data = with_edge(data, at, INDEX_FIELDS, chance)
    index = data[header.index_offset :][: header.index_size]
    return header_bytes(header._replace(index_crc=crc32c(index))) + data[layout.BLOCK_HEADER.size :]


def change_frame(data: bytes, chance: Random, mutate: Mutate) -> bytes:
    """Other rows, or sections, in a frame."""
    block = Block.of(data)
    number = chance.randrange(len(block.frames))
    raw = mutate(expand(block.frames[number].stored), RAW_BYTES_MAX)
    stored = COMPRESS(raw)
    block.frames[number] = block.frames[number]._replace(raw_size=len(raw), stored=stored)
    return block.to_bytes()


CHANGES = (change_header, change_tables, change_index, change_frame)

"""One block: its header, its tables, the index of its frames, and the frames; encoding and checking."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.fs import Buffer
from obsagent.segment import format as layout
from obsagent.segment.tables import Tables

NO_WINDOW_FIRST = layout.CUTOFF_EVERYTHING
NO_WINDOW_LAST = -layout.CUTOFF_EVERYTHING - 1


class Mark(NamedTuple):
    """Which part of the journal a checkpoint makes superfluous.

    Entries before `low` are not needed any more. Of those in `[low, high)` only the samples of windows
    that start at `cutoff_ms` or later are needed; everything else they did is in the checkpoint.
    """

    low: int = 0
    high: int = 0
    cutoff_ms: int = layout.CUTOFF_EVERYTHING


class BlockHeader(NamedTuple):
    """The header of a block, in the order of its bytes (magic, version, reserved and crc left out)."""

    kind: int
    sequence: int
    size: int
    first_window_ms: int
    last_window_ms: int
    mark: Mark
    written_ms: int
    tables_size: int
    tables_raw_size: int
    frame_count: int
    tables_crc: int
    index_crc: int

    @property
    def index_offset(self) -> int:
        """Where the index of the frames begins, from the start of the block."""
        return layout.BLOCK_HEADER.size + self.tables_size

    @property
    def index_size(self) -> int:
        """Bytes of the index of the frames."""
        return self.frame_count * layout.INDEX_ENTRY.size

    @property
    def frames_offset(self) -> int:
        """Where the frames begin, from the start of the block."""
        return self.index_offset + self.index_size


class FrameEntry(NamedTuple):
    """One line of the index: the series `[first_series, last_series]` of one window, and where they lie."""

    window_ms: int
    first_series: int
    last_series: int
    offset: int
    size: int
    raw_size: int
    crc: int


class RawFrame(NamedTuple):
    """Rows of one window before compression; ascending by series."""

    window_ms: int
    first_series: int
    last_series: int
    rows: bytes


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block ready to be written: the buffers one after another are its bytes."""

    header: BlockHeader
    buffers: list[bytes]


def encode_block(
    kind: int, sequence: int, mark: Mark, written_ms: int, tables: Tables, frames: Iterable[RawFrame]
) -> EncodedBlock:
    """Compress and lay out one block."""
    compressor = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL)
    raw_tables = tables.to_bytes()
    packed_tables = compressor.compress(raw_tables)
    raw = list(frames)
    packed = [compressor.compress(frame.rows) for frame in raw]
    index = _encode_index(raw, packed, layout.BLOCK_HEADER.size + len(packed_tables))
    windows = [window_ms for window_ms, _, _ in tables.accounts]
    if kind == layout.BLOCK_CHECKPOINT:
        windows += [frame.window_ms for frame in raw]
    header = BlockHeader(
        kind=kind,
        sequence=sequence,
        size=layout.BLOCK_HEADER.size + len(packed_tables) + len(index) + sum(map(len, packed)),
        first_window_ms=min(windows, default=NO_WINDOW_FIRST),
        last_window_ms=max(windows, default=NO_WINDOW_LAST),
        mark=mark,
        written_ms=written_ms,
        tables_size=len(packed_tables),
        tables_raw_size=len(raw_tables),
        frame_count=len(raw),
        tables_crc=crc32c(packed_tables),
        index_crc=crc32c(index),
    )
    return EncodedBlock(header, [encode_header(header), packed_tables, index, *packed])


def _encode_index(frames: list[RawFrame], packed: list[bytes], index_offset: int) -> bytes:
    offset = index_offset + len(frames) * layout.INDEX_ENTRY.size
    entries = []
    for frame, stored in zip(frames, packed, strict=True):
        crc = crc32c(stored)
        size = len(stored)
        entries.append(layout.INDEX_ENTRY.pack(*frame[:3], offset, size, len(frame.rows), crc, 0))
        offset += size
    return b"".join(entries)


def encode_header(header: BlockHeader) -> bytes:
    """The header's bytes, its checksum included."""
    kind, sequence, size, first, last, mark, *rest = header
    packed = layout.BLOCK_HEADER.pack(
        layout.BLOCK_MAGIC, layout.FORMAT_VERSION, kind, sequence, size, first, last, *mark, *rest, 0, 0
    )
    body = packed[: -layout.CRC.size]
    return body + layout.CRC.pack(crc32c(body))


def decode_header(data: Buffer) -> BlockHeader:
    """Read and check a block's header. Raises CorruptData, UnsupportedVersion."""
    if len(data) < layout.BLOCK_HEADER.size:
        raise CorruptData("block header: not enough bytes")
    fields = layout.BLOCK_HEADER.unpack_from(data)
    magic, version, kind, sequence, size, first, last, low, high, cutoff, *rest = fields
    if magic != layout.BLOCK_MAGIC:
        raise CorruptData("block header: foreign bytes")
    if fields[-1] != crc32c(bytes(data[: layout.BLOCK_HEADER.size - layout.CRC.size])):
        raise CorruptData("block header: checksum does not match")
    if version > layout.FORMAT_VERSION:
        raise UnsupportedVersion(f"block of format version {version}; this build reads up to {layout.FORMAT_VERSION}")
    header = BlockHeader(kind, sequence, size, first, last, Mark(low, high, cutoff), *rest[:-2])
    _check_sizes(header)
    return header


def _check_sizes(header: BlockHeader) -> None:
    if header.tables_raw_size > layout.TABLES_RAW_BYTES_MAX or header.frame_count > layout.FRAME_COUNT_MAX:
        raise CorruptData("block header: absurd sizes")
    if header.frames_offset > header.size:
        raise CorruptData("block header: sections larger than the block")


def decode_tables(header: BlockHeader, stored: bytes, known: Container[int] = ()) -> Tables:
    """The tables of a block from their stored bytes, without known series. Raises CorruptData."""
    if crc32c(stored) != header.tables_crc:
        raise CorruptData("tables of a block: checksum does not match")
    return Tables.from_bytes(decompress(stored, header.tables_raw_size), known)


def decode_index(header: BlockHeader, stored: bytes) -> Iterator[FrameEntry]:
    """The lines of a block's index from its stored bytes. Raises CorruptData before the first line."""
    if crc32c(stored) != header.index_crc:
        raise CorruptData("index of a block: checksum does not match")
    return (FrameEntry(*fields[:7]) for fields in layout.INDEX_ENTRY.iter_unpack(stored))


def decode_frame(entry: FrameEntry, stored: Buffer) -> bytes:
    """The rows of one frame from its stored bytes. Raises CorruptData."""
    if crc32c(stored) != entry.crc:
        raise CorruptData("frame: checksum does not match")
    if entry.raw_size > layout.FRAME_RAW_BYTES_MAX:
        raise CorruptData("frame: absurd size")
    return decompress(stored, entry.raw_size)


def decompress(stored: Buffer, raw_size: int) -> bytes:
    """The bytes that were compressed, which must be `raw_size` many. Raises CorruptData."""
    try:
        if zstandard.frame_content_size(stored) > raw_size:
            raise CorruptData("compressed bytes: larger than was promised")
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=raw_size)
    except zstandard.ZstdError as error:
        raise CorruptData(f"compressed bytes: {error}") from error
    if len(raw) != raw_size:
        raise CorruptData("compressed bytes: not the size that was promised")
    return raw

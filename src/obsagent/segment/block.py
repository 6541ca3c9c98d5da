"""One block: its header, its tables, the index of its frames, and the frames; encoding and checking."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from obsagent._native.codec import crc32c, has_columns
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.fs import Buffer
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind, Series
from obsagent.segment import format as layout
from obsagent.segment.tables import Tables

_of_thread = threading.local()
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
    """The header of a block, in the order of its bytes (magic, reserved and crc left out); its version comes last."""

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
    replaced: int = 0
    has_columns: bool = False

    @property
    def version(self) -> int:
        """The lowest version of the format that describes the block."""
        return layout.VERSION_WITH_COLUMNS if self.has_columns else layout.VERSION_OF_KIND[self.kind]

    @property
    def first_sequence(self) -> int:
        """The first of the checkpoints that the block holds; `sequence` is the last."""
        return self.sequence - max(0, self.replaced - 1)

    @property
    def covered_ms(self) -> tuple[int, int]:
        """The time `[from, to)` of its windows; empty for a block that has none, as head blocks do."""
        if self.last_window_ms < self.first_window_ms:
            return 0, 0
        return self.first_window_ms, self.last_window_ms + WINDOW_MS

    @property
    def index_offset(self) -> int:
        """Where the index of the frames begins, from the start of the block."""
        if self.kind in layout.BY_SERIES:
            return self.size - self.index_size
        return layout.BLOCK_HEADER.size + self.tables_size

    @property
    def index_size(self) -> int:
        """Bytes of the index of the frames."""
        return self.frame_count * layout.INDEX_ENTRY.size

    @property
    def frames_offset(self) -> int:
        """Where the frames begin, from the start of the block."""
        if self.kind in layout.BY_SERIES:
            return layout.BLOCK_HEADER.size + self.tables_size
        return self.index_offset + self.index_size


class FrameEntry(NamedTuple):
    """One line of the index: the series `[first_series, last_series]` of a frame, and where it lies.

    Its windows start at `window_ms` or up to `span_ms` later.
    """

    window_ms: int
    first_series: int
    last_series: int
    offset: int
    size: int
    raw_size: int
    crc: int
    span_ms: int = 0

    @property
    def covered_ms(self) -> tuple[int, int]:
        """The time `[from, to)` of the windows that it may hold; of a head block's totals, none."""
        if self.window_ms == layout.TOTALS_WINDOW_MS:
            return 0, 0
        return self.window_ms, self.window_ms + self.span_ms + WINDOW_MS


class RawFrame(NamedTuple):
    """Rows of one window before compression; ascending by series."""

    window_ms: int
    first_series: int
    last_series: int
    rows: bytes


class PackedFrame(NamedTuple):
    """A frame after compression, with what the index says of it."""

    window_ms: int
    first_series: int
    last_series: int
    span_ms: int
    raw_size: int
    stored: bytes

    def index_line(self, offset: int) -> bytes:
        """Its line of the index if it lies at `offset` in its block."""
        fields = (self.window_ms, self.first_series, self.last_series, offset, len(self.stored))
        return layout.INDEX_ENTRY.pack(*fields, self.raw_size, crc32c(self.stored), self.span_ms)


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block ready to be written: the buffers one after another are its bytes."""

    header: BlockHeader
    buffers: list[bytes]


def encode_block(
    kind: int, sequence: int, mark: Mark, written_ms: int, tables: Tables, frames: Iterable[RawFrame]
) -> EncodedBlock:
    """Compress and lay out a head or checkpoint block."""
    compress = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL).compress
    packed, of_columns = [], False
    for frame in frames:
        packed.append(PackedFrame(*frame[:3], 0, len(frame.rows), compress(frame.rows)))
        of_columns = of_columns or has_columns(frame.rows)
    return lay_out_block(kind, sequence, mark, written_ms, tables, packed, of_columns)


def lay_out_block(
    kind: int,
    sequence: int,
    mark: Mark,
    written_ms: int,
    tables: Tables,
    frames: list[PackedFrame],
    of_columns: bool = False,
) -> EncodedBlock:
    """Lay out a head or checkpoint block whose frames are compressed already; `of_columns` if any has such rows."""
    packed_tables, raw_tables_size = pack_tables(tables)
    index = _encode_index(frames, layout.BLOCK_HEADER.size + len(packed_tables))
    windows = [*tables.dated_ms()]
    if kind == layout.BLOCK_CHECKPOINT:
        windows += [frame.window_ms for frame in frames]
    frames_size = sum(len(frame.stored) for frame in frames)
    header = BlockHeader(
        kind=kind,
        sequence=sequence,
        size=layout.BLOCK_HEADER.size + len(packed_tables) + len(index) + frames_size,
        first_window_ms=min(windows, default=NO_WINDOW_FIRST),
        last_window_ms=max(windows, default=NO_WINDOW_LAST),
        mark=mark,
        written_ms=written_ms,
        tables_size=len(packed_tables),
        tables_raw_size=raw_tables_size,
        frame_count=len(frames),
        tables_crc=crc32c(packed_tables),
        index_crc=crc32c(index),
        has_columns=of_columns or names_columns(tables),
    )
    return EncodedBlock(header, [encode_header(header), packed_tables, index, *(frame.stored for frame in frames)])


def names_columns(tables: Tables) -> bool:
    """True if a column is among the series of the tables."""
    return any(series.kind is Kind.COLUMN for series in tables.series)


def pack_tables(tables: Tables) -> tuple[bytes, int]:
    """The stored bytes of a block's tables, and how many they were before compression."""
    raw = tables.to_bytes()
    return zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL).compress(raw), len(raw)


def _encode_index(frames: list[PackedFrame], index_offset: int) -> bytes:
    offset = index_offset + len(frames) * layout.INDEX_ENTRY.size
    lines = []
    for frame in frames:
        lines.append(frame.index_line(offset))
        offset += len(frame.stored)
    return b"".join(lines)


def encode_header(header: BlockHeader) -> bytes:
    """The header's bytes, its checksum included."""
    kind, sequence, size, first, last, mark, *rest, _ = header
    magic, version = layout.BLOCK_MAGIC, header.version
    packed = layout.BLOCK_HEADER.pack(magic, version, kind, sequence, size, first, last, *mark, *rest, 0)
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
    if kind not in layout.VERSION_OF_KIND:
        raise CorruptData(f"block header: kind {kind} is unknown")
    header = BlockHeader(kind, sequence, size, first, last, Mark(low, high, cutoff), *rest[:-1])
    _check_sizes(header)
    return header._replace(has_columns=version >= layout.VERSION_WITH_COLUMNS)


def _check_sizes(header: BlockHeader) -> None:
    if header.tables_raw_size > layout.TABLES_RAW_BYTES_MAX or header.frame_count > layout.FRAME_COUNT_MAX:
        raise CorruptData("block header: absurd sizes")
    if layout.BLOCK_HEADER.size + header.tables_size + header.index_size > header.size:
        raise CorruptData("block header: sections larger than the block")


def decode_tables(header: BlockHeader, stored: bytes, known: Mapping[int, Series] | None = None) -> Tables:
    """The tables of a block from their stored bytes, without known series. Raises CorruptData."""
    if crc32c(stored) != header.tables_crc:
        raise CorruptData("tables of a block: checksum does not match")
    return Tables.from_bytes(decompress(stored, header.tables_raw_size), known)


def check_index(header: BlockHeader, stored: bytes) -> None:
    """Raises CorruptData if these are not the bytes of a block's index."""
    if crc32c(stored) != header.index_crc:
        raise CorruptData("index of a block: checksum does not match")


def decode_index(header: BlockHeader, stored: bytes) -> Iterator[FrameEntry]:
    """The lines of a block's index from its stored bytes. Raises CorruptData before the first line."""
    check_index(header, stored)
    return map(FrameEntry._make, layout.INDEX_ENTRY.iter_unpack(stored))


def decode_frame(entry: FrameEntry, stored: Buffer) -> bytes:
    """The rows, or sections, of one frame from its stored bytes. Raises CorruptData."""
    if crc32c(stored) != entry.crc:
        raise CorruptData("frame: checksum does not match")
    if entry.raw_size > layout.FRAME_RAW_BYTES_MAX:
        raise CorruptData("frame: absurd size")
    return decompress(stored, entry.raw_size)


def _decompressor() -> zstandard.ZstdDecompressor:
    """The thread's own: making one takes twenty times as long as using it for a small block's tables."""
    found: zstandard.ZstdDecompressor | None = getattr(_of_thread, "decompressor", None)
    if found is None:
        found = _of_thread.decompressor = zstandard.ZstdDecompressor()
    return found


def decompress(stored: Buffer, raw_size: int) -> bytes:
    """The bytes that were compressed, which must be `raw_size` many. Raises CorruptData."""
    try:
        if zstandard.frame_content_size(stored) > raw_size:
            raise CorruptData("compressed bytes: larger than was promised")
        raw = _decompressor().decompress(stored, max_output_size=raw_size)
    except zstandard.ZstdError as error:
        raise CorruptData(f"compressed bytes: {error}") from error
    if len(raw) != raw_size:
        raise CorruptData("compressed bytes: not the size that was promised")
    return raw

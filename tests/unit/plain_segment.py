"""What is whole of a segment file, read from segment/FORMAT.md alone. Nothing of obsagent is imported here."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import zstandard
from plain_crc32c import crc32c
from plain_journal import Newer
from plain_reader import COMPACTED, HEAD, rows, sections

WINDOW = 10_000
NEWEST_VERSION = 2
NAME = re.compile(r"(\d{16})(-(\d{16}))?\.segment")


class Header(NamedTuple):
    path: Path
    at: int
    kind: int
    sequence: int
    size: int
    first: int
    last: int
    low: int
    high: int
    cutoff: int
    written: int
    tables_size: int
    raw_size: int
    frame_count: int
    tables_crc: int
    index_crc: int
    replaced: int

    @property
    def begin(self) -> int:
        return self.sequence - max(0, self.replaced - 1)

    @property
    def span(self) -> tuple[int, int]:
        return (self.first, self.last + WINDOW) if self.first <= self.last else (0, 0)


@dataclass
class File:
    path: Path
    data: bytes
    blocks: list[Header] = field(default_factory=list)
    torn: Header | None = None

    @property
    def first(self) -> int:
        return int(self.path.name[:16])

    @property
    def last(self) -> int | None:
        found = NAME.fullmatch(self.path.name)
        assert found
        return int(found[3]) if found[3] else None


def header_at(path: Path, data: bytes, at: int) -> Header | None:
    packed = data[at : at + 100]
    if len(packed) < 100 or packed[:4] != b"OBSB" or struct.unpack_from("<I", packed, 96)[0] != crc32c(packed[:96]):
        return None
    version, kind, sequence, size = struct.unpack_from("<HHQQ", packed, 4)
    if version > NEWEST_VERSION:
        raise Newer
    rest = struct.unpack_from("<qqQQqq6I", packed, 24)
    header = Header(path, at, kind, sequence, size, *rest)
    if header.raw_size > 268435456 or header.frame_count > 16777216:
        return None
    fits = 100 + header.tables_size + 40 * header.frame_count <= size <= len(data) - at
    return header if fits else None


def scan(path: Path) -> File:
    file = File(path, path.read_bytes())
    at = 44
    while at < len(file.data):
        header = header_at(path, file.data, at)
        if header is not None:
            file.blocks.append(header)
            at += header.size
            continue
        at = file.data.find(b"OBSB", at + 1)
        while at >= 0 and header_at(path, file.data, at) is None:
            at = file.data.find(b"OBSB", at + 1)
        if at < 0:
            break
    return file


def store_id_of(file: File) -> bytes | None:
    """What a sound header names."""
    data = file.data[:44]
    if len(data) < 44 or data[:8] != b"OBSSEGM\n" or struct.unpack_from("<I", data, 40)[0] != crc32c(data[:40]):
        return None
    if struct.unpack_from("<H", data, 8)[0] > NEWEST_VERSION:
        raise Newer
    return data[16:32]


def created_of(data: bytes) -> int | None:
    """When a file was begun (ms), if its header is whole."""
    if len(data) < 44 or data[:8] != b"OBSSEGM\n" or struct.unpack_from("<I", data, 40)[0] != crc32c(data[:40]):
        return None
    created: int = struct.unpack_from("<Q", data, 32)[0]
    return created


class Line(NamedTuple):
    window: int
    first: int
    last: int
    offset: int
    size: int
    raw_size: int
    crc: int
    span: int


class Content(NamedTuple):
    """What is whole of a block, and the times of what is not; tables are None where they are damaged."""

    tables: list[Any] | None
    frames: list[tuple[int, list[tuple[int, int, bytes]]]]
    lost: list[tuple[int, int]]


def content(header: Header, data: bytes) -> Content:
    block = data[header.at : header.at + header.size]
    packed = block[100 : 100 + header.tables_size]
    lost = []
    tables = None
    if crc32c(packed) == header.tables_crc:
        tables = msgpack.unpackb(zstandard.decompress(packed), strict_map_key=False)
    else:
        lost.append(header.span)
    index_size = 40 * header.frame_count
    index_at = header.size - index_size if header.kind == COMPACTED else 100 + header.tables_size
    index = block[index_at : index_at + index_size]
    frames: list[tuple[int, list[tuple[int, int, bytes]]]] = []
    if crc32c(index) != header.index_crc:
        return Content(tables, frames, [*lost, header.span])
    for line in map(Line._make, struct.iter_unpack("<qIIQIIII", index)):
        stored = block[line.offset : line.offset + line.size]
        if crc32c(stored) == line.crc:
            frame = zstandard.decompress(stored)
            frames += sections(frame) if header.kind == COMPACTED else [(line.window, rows(frame))]
        elif header.kind != HEAD:
            lost.append((line.window, line.window + line.span + WINDOW))
    return Content(tables, frames, lost)

"""Reads a journal, damaged or not, as head/FORMAT.md describes it; nothing of obsagent is imported."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
from plain_crc32c import crc32c

MARKER = b"\xf5OBE"
OPEN, DEFINE, FRAME, REFUSED, CLOSE, EVENTS, SYNCED, KNOWN_SESSION, KNOWN_SERIES = 1, 2, 3, 4, 5, 6, 7, 16, 17
FRAME_WITH_EXEMPLARS, RECORDS, BACKFILL, KNOWN_REACH = 8, 9, 10, 18


class Newer(Exception):
    """A sound header says a version that is not known."""


@dataclass
class JournalFile:
    path: Path
    data: bytes
    base: int
    preamble: list[tuple[int, Any]] = field(default_factory=list)
    entries: list[tuple[int, int, int, Any]] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)
    preamble_is_whole: bool = True
    damaged_end: int = 0
    is_cut: bool = False
    end: int = 0
    certain_end: int = 0


def record_at(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """(type, payload, where the next one begins) of a whole record."""
    if at < 0 or len(data) - at < 9:
        return None
    size, crc, kind = struct.unpack_from("<IIB", data, at)
    payload = data[at + 9 : at + 9 + size]
    if len(payload) < size or crc32c(data[at + 8 : at + 9 + size]) != crc:
        return None
    return kind, payload, at + 9 + size


def next_record(data: bytes, broken: int) -> int | None:
    if len(data) - broken >= 9:
        behind = broken + 9 + struct.unpack_from("<I", data, broken)[0]
        if behind < len(data) and record_at(data, behind):
            return behind
    marker = data.find(MARKER, broken + 10)
    while marker >= 0:
        if record_at(data, marker - 9):
            return marker - 9
        marker = data.find(MARKER, marker + 1)
    return None


def is_torn(data: bytes, at: int) -> bool:
    rest = data[at:]
    if len(rest) < 9 or not any(rest):
        return True
    size, crc = struct.unpack_from("<II", rest)
    return size > len(rest) - 9 and crc32c(rest[8:]) != crc


def has_hole(data: bytes, begin: int, end: int) -> bool:
    """True if one of the sectors that end in these bytes is zero as far as it lies in them, or enough of the last."""
    last = max(begin, len(data) // 512 * 512)
    if end == len(data) >= last + 16 and not any(data[last:]):
        return True
    ends = range(begin // 512 * 512 + 512, end + 1, 512)
    return any(not any(data[max(begin, each - 512) : each]) for each in ends)


def fields_of(kind: int, payload: bytes) -> Any:
    if kind == RECORDS:
        return (*struct.unpack_from("<16sQQI", payload, 4), payload[40:])
    if kind not in (FRAME, FRAME_WITH_EXEMPLARS, BACKFILL, REFUSED):
        return msgpack.unpackb(payload[4:], strict_map_key=False)
    session, sequence, _, start, end = struct.unpack_from("<16sQQqq", payload, 4)
    if kind in (FRAME, BACKFILL):
        return session, sequence, start, end, payload[92:]
    if kind == FRAME_WITH_EXEMPLARS:
        (size,) = struct.unpack_from("<I", payload, 92)
        return session, sequence, start, end, payload[96 + size :], msgpack.unpackb(payload[96 : 96 + size])
    return session, sequence, struct.unpack_from("<q", payload, 100)[0]


def read_journal(path: Path) -> JournalFile:
    data = path.read_bytes()
    file = JournalFile(path, data, int(path.name[:20]))
    header = data[:44]
    preamble_size, version = None, 2
    if (
        len(header) == 44
        and header[:8] == b"OBSJRNL\n"
        and struct.unpack_from("<I", header, 40)[0] == crc32c(header[:40])
    ):
        version = struct.unpack_from("<H", header, 8)[0]
        if version > 5:
            raise Newer
        preamble_size = struct.unpack_from("<I", header, 36)[0]
    records: list[tuple[int, int, bytes, int]] = []
    broken: list[tuple[int, int]] = []
    at = 44
    while at < len(data):
        found = record_at(data, at)
        if found:
            records.append((at, *found))
            at = found[2]
            continue
        following = next_record(data, at)
        if following is None:
            if not is_torn(data, at):
                broken.append((at, len(data)))
                file.damaged_end = len(data) - at
            break
        broken.append((at, following))
        at = following
    if preamble_size is None:
        ends = [end for _, kind, _, end in records if kind >= KNOWN_SESSION]
        file.is_cut = not ends
        preamble_size = max(ends, default=44) - 44
    file.is_cut = file.is_cut or len(data) < 44 + preamble_size
    shift = file.base - 44 - preamble_size
    for at, kind, payload, end in records:
        if kind == SYNCED:
            continue
        if kind >= KNOWN_SESSION:
            file.preamble.append((kind, fields_of(kind, payload)))
        else:
            file.entries.append((max(file.base, at + shift), end + shift, kind, fields_of(kind, payload)))
    synced = max((at for at, kind, _, _ in records if kind == SYNCED), default=44 + preamble_size)
    holes = [at for at, end in broken if version > 1 and at >= synced and has_hole(data, at, end)]
    if file.damaged_end and broken[-1][0] in holes:
        broken.pop()
        file.damaged_end = 0
    in_preamble = [at for at, _ in broken if at + shift < file.base]
    file.preamble_is_whole = bool(file.preamble) and not in_preamble
    file.end = max(file.base, (records[-1][3] if records else 44) + shift)
    file.certain_end = min((at + shift for at in holes), default=file.end)
    between = broken[:-1] if file.damaged_end else broken
    file.damaged = [(at + shift, end + shift) for at, end in between if at + shift >= file.base]
    return file


def belongs(path: Path, store_id: bytes | None) -> bool:
    header = path.read_bytes()[:44]
    if len(header) < 44 or header[:8] != b"OBSJRNL\n" or struct.unpack_from("<I", header, 40)[0] != crc32c(header[:40]):
        return True
    named, base = struct.unpack_from("<16sQ", header, 12)
    return base == int(path.name[:20]) and store_id in (None, named)

"""The journal's writing side: entries are gathered in memory and made durable by a sync.

A *position* counts the bytes of entries ever written; a file is named after the position of its first
entry and says what sessions and series are known at that point (its *preamble*), so that it can be
replayed without the files before it.

    file        header | preamble records | entry records
    positions                             ^ base            ^ base + bytes of entries

What one sync makes durable is a *batch*. Every batch of a file but the first begins with a *synced* record, which
says that all before it is on disk. Behind the last of them a power cut may have left any pages and not others.

Invariants:
1. `durable <= position`; entries below `durable` were written and synced, in order, without a gap.
2. What is not durable is in memory (`_waiting`, `_writing`) until a sync has succeeded.
3. After a failed write or sync the file is never written again. It is cut back to what was durable, and
   the next sync begins a new file at position `durable` with everything that waits. A reader stops
   reading a file where the next one begins.
4. A batch is written only when the one before it is durable.
5. `append` and `capture` need the store's lock; `commit` and `begin_file` run outside of it, in one
   thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from obsagent._native.codec import crc32c
from obsagent.errors import StoreError
from obsagent.fs import Buffer, Fs
from obsagent.head import journal_format as layout
from obsagent.head.entries import Encoded

JOIN_BYTES_MAX = 4096


class Batch(NamedTuple):
    """Records that one sync makes durable, and the position behind them."""

    records: list[Buffer]
    end: int


def to_record(entry: Encoded) -> list[Buffer]:
    """The record of an entry; a large body stays a buffer of its own instead of being copied."""
    size = len(entry.head) + len(entry.body)
    crc = crc32c(entry.body, crc32c(entry.head, crc32c(bytes((entry.type,)))))
    head = layout.RECORD_HEADER.pack(size, crc, entry.type) + entry.head
    if len(entry.body) <= JOIN_BYTES_MAX:
        return [head + entry.body]
    return [head, entry.body]


SYNCED_RECORD = b"".join(to_record(Encoded(layout.SYNCED, layout.MARKER)))


def encode_file_header(store_id: bytes, base: int, preamble_size: int) -> bytes:
    """The first bytes of a journal file."""
    fields = (layout.FILE_MAGIC, layout.FORMAT_VERSION, 0, store_id, base, preamble_size, 0)
    body = layout.FILE_HEADER.pack(*fields)[: -layout.CRC.size]
    return body + layout.CRC.pack(crc32c(body))


def file_name(base: int) -> str:
    """The name of the file whose first entry is at position `base`."""
    return f"{base:0{layout.FILE_NAME_DIGITS}d}{layout.FILE_SUFFIX}"


class Journal:
    """The journal of a store that is open for writing."""

    def __init__(self, directory: Path, fs: Fs, store_id: bytes, position: int, file_bytes: int) -> None:
        """Begins at `position`; there is no file until `begin_file`, which the first sync asks for."""
        self._directory = directory
        self._fs = fs
        self._store_id = store_id
        self._file_bytes = file_bytes
        self._path: Path | None = None
        self._descriptor = -1
        self._base = position
        self._entries_offset = 0
        self._waiting: list[Buffer] = []
        self._writing: list[Batch] = []
        self._follows_batch = False
        self.position = position
        self.durable = position

    @property
    def unsynced_bytes(self) -> int:
        """Bytes of entries that only memory holds."""
        return self.position - self.durable

    @property
    def has_file(self) -> bool:
        """False at the beginning and after a failure: the next sync then begins a file."""
        return self._path is not None

    def is_full(self, position: int) -> bool:
        """True if the file is large enough when its entries reach `position`."""
        return position - self._base >= self._file_bytes

    def append(self, record: list[Buffer], size: int) -> int:
        """Add the record of an entry; returns the position behind it, at which it is durable."""
        if self._follows_batch:
            self._follows_batch = False
            self._waiting.append(SYNCED_RECORD)
            self.position += len(SYNCED_RECORD)
        self._waiting += record
        self.position += size
        return self.position

    def capture(self) -> int:
        """Move everything that waits to where `commit` writes it from; returns the position behind it."""
        if self._waiting:
            self._writing.append(Batch(self._waiting, self.position))
            self._waiting = []
            self._follows_batch = True
        return self.position

    def begin_file(self, preamble: list[Buffer]) -> None:
        """Begin a file at the durable position. Raises StoreError; the journal is then without a file."""
        self._leave_file()
        path = self._directory / file_name(self.durable)
        preamble_size = sum(map(len, preamble))
        header = encode_file_header(self._store_id, self.durable, preamble_size)
        try:
            self._descriptor = self._fs.write_file(path, [header, *preamble])
        except OSError as error:
            raise StoreError(f"cannot begin journal file {path}: {error.strerror}") from error
        self._path = path
        self._base = self.durable
        self._entries_offset = len(header) + preamble_size

    def commit(self, captured: int) -> None:
        """Write and sync what was captured. Raises StoreError; what is not durable then is written again."""
        if self._path is None:
            raise StoreError("the journal has no file")
        while self.durable < captured:
            self._commit_batch(self._path, self._writing[0])
            self.durable = self._writing.pop(0).end

    def _commit_batch(self, path: Path, batch: Batch) -> None:
        offset = self._entries_offset + self.durable - self._base
        try:
            self._fs.write(self._descriptor, batch.records, offset)
            self._fs.sync_data(self._descriptor)
        except OSError as error:
            self._leave_file()
            with suppress(OSError):
                self._fs.truncate(path, offset)
            raise StoreError(f"cannot sync journal file {path}: {error.strerror}") from error

    def remove_below(self, position: int) -> None:
        """Remove the files that hold only entries below `position`; a file that resists stays."""
        paths = journal_paths(self._directory)
        for path, following in pairwise(paths):
            if base_of(following) <= position and path != self._path:
                with suppress(OSError):
                    self._fs.remove(path)

    def close(self) -> None:
        """Close the file; nothing is synced by it."""
        self._leave_file()

    def _leave_file(self) -> None:
        if self._path is not None:
            self._fs.close(self._descriptor)
        self._path, self._descriptor = None, -1


def journal_paths(directory: Path) -> list[Path]:
    """The journal files of a directory, oldest first."""
    return sorted(path for path in directory.glob("*" + layout.FILE_SUFFIX) if base_of(path) >= 0 and path.is_file())


def base_of(path: Path) -> int:
    """The position of a file's first entry, from its name; -1 for a name that is none."""
    digits = path.name.removesuffix(layout.FILE_SUFFIX)
    return int(digits) if len(digits) == layout.FILE_NAME_DIGITS and digits.isdigit() else -1


def sync_files(paths: Iterable[Path], directory: Path, fs: Fs) -> None:
    """See that files are on disk, whoever wrote them. Raises OSError."""
    for path in paths:
        descriptor = fs.open_for_writing(path)
        try:
            fs.sync_data(descriptor)
        finally:
            fs.close(descriptor)
    fs.sync_directory(directory)

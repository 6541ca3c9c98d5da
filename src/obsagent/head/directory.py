"""The directory of a store: its lock, its identity, and where its files lie.

DIR/store.json      format version and store id
DIR/store.lock      held by the one agent that writes; its pid is inside
DIR/journal/        head/FORMAT.md
DIR/segments/       segment/FORMAT.md
DIR/ledger/         ledger/FORMAT.md, once there are records
…/NAME.corrupt      what was set aside because it was damaged
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, StoreLocked
from obsagent.fs import FILE_MODE, Fs
from obsagent.head import journal_format
from obsagent.head.journal import journal_paths
from obsagent.limits import LOCK_BYTES_MAX
from obsagent.segment import format as segment_format
from obsagent.segment.catalog import segment_paths
from obsagent.segment.recover import decode_file_header

STORE_VERSION = 1
IDENTITY_NAME = "store.json"
LOCK_NAME = "store.lock"
DRIFT_STATE_NAME = "drift.state"
"""What the evaluation of drift remembers (`obsagent/evaluate/FORMAT.md`)."""
GUESTS = frozenset({DRIFT_STATE_NAME, "harm.state", "hash.key", "references"})
"""What is not the store's, and at home in its directory."""

CORRUPT_SUFFIX = ".corrupt"


@dataclass(frozen=True, slots=True)
class StoreDirectory:
    """Where the files of a store lie."""

    root: Path

    @property
    def journal(self) -> Path:
        """The directory of the journal's files."""
        return self.root / "journal"

    @property
    def segments(self) -> Path:
        """The directory of the segment files."""
        return self.root / "segments"

    @property
    def ledger(self) -> Path:
        """The directory of the ledger's files; it is not there while there were no records."""
        return self.root / "ledger"

    def make(self, fs: Fs) -> None:
        """Make the directories that are not there yet. Raises StoreError.

        Those that are there may have been made by an agent that died before their names were durable.
        """
        try:
            for directory in (self.root, self.journal, self.segments):
                fs.make_directory(directory)
            fs.sync_directory(self.root)
            with suppress(PermissionError):  # then somebody else has made the root
                fs.sync_directory(self.root.parent)
        except OSError as error:
            raise StoreError(f"cannot make the store {self.root}: {error.strerror}") from error


class StoreLock:
    """The lock that one agent holds on a store while it is open for writing."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raises StoreLocked with the holder's pid, StoreError if there can be no lock."""
        path = directory / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StoreError(f"cannot open {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreLocked(f"the store {directory} is in use by pid {holder or 'unknown'}") from error
        with suppress(OSError):  # who holds it is a courtesy; a full disk must not keep an agent from starting
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def read_identity(directory: StoreDirectory) -> bytes | None:
    """The store's id; None if the file that says it is missing or damaged.

    Raises StoreError if a newer version made the store.
    """
    try:
        fields = json.loads((directory.root / IDENTITY_NAME).read_bytes())
        version = int(fields["format"])
        store_id = uuid.UUID(fields["store_id"]).bytes
        if fields["crc"] != _identity_crc(version, store_id):
            return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    if version > STORE_VERSION:
        raise StoreError(
            f"the store {directory.root} was made by a newer obsagent (format {version});"
            f" this one reads up to format {STORE_VERSION}"
        )
    return store_id


def make_identity(directory: StoreDirectory, fs: Fs) -> bytes:
    """Write the identity of a store that has none: the one that its files name, or a new one.

    Raises StoreError.
    """
    path = directory.root / IDENTITY_NAME
    store_id = _id_in_files(directory) or uuid.uuid4().bytes
    fields = {
        "format": STORE_VERSION,
        "store_id": str(uuid.UUID(bytes=store_id)),
        "crc": _identity_crc(STORE_VERSION, store_id),
    }
    try:
        if path.exists():
            fs.rename(path, name_aside(path))
        fs.close(fs.write_file(path, [json.dumps(fields).encode() + b"\n"]))
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return store_id


def _identity_crc(version: int, store_id: bytes) -> int:
    """Tells a store that a newer version made from one whose identity is damaged."""
    return crc32c(store_id, crc32c(str(version).encode()))


def _id_in_files(directory: StoreDirectory) -> bytes | None:
    for path in segment_paths(directory.segments):
        with suppress(OSError, CorruptData), path.open("rb") as file:
            return decode_file_header(file.read(segment_format.FILE_HEADER.size)).store_id
    for path in journal_paths(directory.journal):
        with suppress(OSError), path.open("rb") as file:
            header = file.read(journal_format.FILE_HEADER.size)
            if len(header) == journal_format.FILE_HEADER.size and header.startswith(journal_format.FILE_MAGIC):
                store_id: bytes = journal_format.FILE_HEADER.unpack(header)[3]
                return store_id
    return None


def set_aside(paths: Iterable[Path], fs: Fs) -> None:
    """Rename damaged files so that they are kept but not read again; one that resists stays."""
    for path in paths:
        with suppress(OSError):
            fs.rename(path, name_aside(path))
            fs.sync_directory(path.parent)


def name_aside(path: Path) -> Path:
    """Under which name a file is set aside: one that nothing has yet."""
    names = chain([CORRUPT_SUFFIX], (f".{number}{CORRUPT_SUFFIX}" for number in count(1)))
    paths = (path.with_name(path.name + suffix) for suffix in names)
    return next(aside for aside in paths if not aside.exists())

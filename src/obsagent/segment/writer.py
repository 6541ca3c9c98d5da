"""Appending blocks to segment files, and beginning new files.

Invariants:
1. A block is in the catalog only after its bytes were synced; a file, only after its name was.
2. After a failed write the file is cut back to its last whole block. If that fails as well, or if a sync
   failed, the file is given up: nothing is appended to it any more, and the block is written again, under
   the same sequence, as the first of a new file (see `catalog.py`).
3. Only one thread appends; `SegmentWriter` has no lock of its own.
"""

from __future__ import annotations

from pathlib import Path

from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.segment.block import EncodedBlock
from obsagent.segment.catalog import Catalog
from obsagent.segment.recover import BlockRef, FileHeader, ScannedFile, encode_file_header, file_path, opened, read_at

CORRUPT_SUFFIX = ".corrupt"


class SegmentWriter:
    """The file that blocks are being appended to."""

    def __init__(self, directory: Path, fs: Fs, store_id: bytes, last: ScannedFile | None) -> None:
        """Go on with `last`, the newest file, if it is sound; begin a new one otherwise."""
        self._directory = directory
        self._fs = fs
        self._store_id = store_id
        self._path: Path | None = None
        self._descriptor = -1
        self._end = 0
        self.created_ms = 0
        self.version = 0
        """Of the file that is being written: no block of a higher one may be appended."""
        if last is not None and _may_go_on(last):
            assert last.header is not None
            self._path, self._end = last.path, last.end
            self.created_ms = last.header.created_ms
            self.version = max(block.header.version for block in last.blocks)
            self._descriptor = fs.open_for_writing(last.path)

    @property
    def bytes_in_file(self) -> int:
        """Size of the file that is being written, 0 if the next block begins a new one."""
        return self._end if self._path is not None else 0

    def append(self, block: EncodedBlock) -> BlockRef:
        """Append a block and sync it. Raises StoreError, and then the block does not count."""
        if self._path is None:
            raise StoreError("no segment file to append to")
        offset = self._end
        try:
            self._fs.write(self._descriptor, block.buffers, offset)
        except OSError as error:
            self._cut_back(offset)
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from error
        try:
            self._fs.sync_data(self._descriptor)
        except OSError as error:
            path = self._path
            self._cut_back(offset)
            self.give_up()
            raise StoreError(f"cannot sync {path}: {error.strerror}") from error
        self._end = offset + block.header.size
        return BlockRef(self._path, offset, block.header)

    def begin_file(self, head: EncodedBlock, first: EncodedBlock, created_ms: int) -> list[BlockRef]:
        """Bring a new file into being, complete with its head block and its first checkpoint block.

        Raises StoreError, and then nothing of it counts.
        """
        path = file_path(self._directory, first.header.sequence)
        version = max(head.header.version, first.header.version)
        file_header = encode_file_header(FileHeader(self._store_id, created_ms), version)
        try:
            descriptor = self._fs.write_file(path, [file_header, *head.buffers, *first.buffers])
        except OSError as error:
            self.give_up()  # the new name may be there: only a file of the same name may follow
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
        self.give_up()
        head_ref = BlockRef(path, len(file_header), head.header)
        first_ref = BlockRef(path, len(file_header) + head.header.size, first.header)
        self._path, self._descriptor, self.created_ms, self.version = path, descriptor, created_ms, version
        self._end = first_ref.offset + first.header.size
        return [head_ref, first_ref]

    def give_up(self) -> None:
        """Append nothing more to the present file; the next block begins a new one."""
        if self._path is not None:
            self._fs.close(self._descriptor)
        self._path, self._descriptor, self._end = None, -1, 0

    def _cut_back(self, end: int) -> None:
        assert self._path is not None
        try:
            self._fs.truncate(self._path, end)
        except OSError:
            self.give_up()


def _may_go_on(file: ScannedFile) -> bool:
    """True for a file that blocks can be appended to."""
    is_sound = file.header is not None and bool(file.blocks) and file.end == file.size
    return is_sound and not file.is_compacted


def take_over(directory: Path, catalog: Catalog, fs: Fs) -> ScannedFile | None:
    """Make ready what was found for going on with; returns the newest file, None if there is none.

    The agent that wrote it may have died before it could sync: the newest file and the directory are
    synced before anything is built on them. What follows the last whole block is cut; a tail that looks
    like a block is first copied to a file beside it; a file in which nothing is whole is renamed. Raises
    StoreError if the disk refuses.
    """
    if not catalog.files:
        return None
    last = catalog.files[-1]
    try:
        if not last.blocks:
            fs.rename(last.path, last.path.with_name(last.path.name + CORRUPT_SUFFIX))
        elif last.end < last.size:
            if any(damage.offset >= last.end for damage in last.damage):
                _copy_tail(last, fs)
            fs.truncate(last.path, last.end)
            last.size = last.end
        else:
            _sync(last.path, fs)
        fs.sync_directory(directory)
    except OSError as error:
        raise StoreError(f"cannot go on with {last.path}: {error.strerror}") from error
    return last


def _sync(path: Path, fs: Fs) -> None:
    descriptor = fs.open_for_writing(path)
    try:
        fs.sync_data(descriptor)
    finally:
        fs.close(descriptor)


def _copy_tail(file: ScannedFile, fs: Fs) -> None:
    with opened(file.path) as descriptor:
        tail = read_at(descriptor, file.end, file.size - file.end)
    copy = file.path.with_name(f"{file.path.name}.{file.end}{CORRUPT_SUFFIX}")
    fs.close(fs.write_file(copy, [tail]))

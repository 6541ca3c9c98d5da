"""The file system as the store uses it: the only place that syncs, renames and truncates.

The store never calls `os.fsync` or `os.rename` itself; it is handed an `Fs`. That is the seam at which
tests make a disk full, a sync fail, or a power cut take back every byte and every directory entry that
was not synced. Two rules of POSIX are kept here so that nobody else has to remember them: a new name is
durable only when its *directory* was synced, and what a failed sync left behind must never be trusted to
a second sync of the same file (the kernel may have marked the lost pages clean).

Data files are created with mode 0640, directories with 0750, files with secrets with 0600; a umask that is stricter
counts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

FILE_MODE = 0o640
SECRET_MODE = 0o600
DIRECTORY_MODE = 0o750
TEMPORARY_SUFFIX = ".tmp"
IOV_COUNT_MAX = 1024
SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""
CLOSED_NEVERTHELESS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR)


class Fs:
    """The real file system. Every method raises OSError as the system call does."""

    def create(self, path: Path) -> int:
        """A descriptor for writing a new, empty file; what stood there under this name is gone."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)

    def open_for_writing(self, path: Path) -> int:
        """A descriptor for writing into a file that exists."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        """Close a descriptor; nothing is made durable by it, so that an error of the disk here is nobody's concern.

        The descriptor is gone also after an error: whoever kept it would write into the next file that is opened.
        """
        try:
            os.close(descriptor)
        except OSError as error:
            if error.errno not in CLOSED_NEVERTHELESS:
                raise

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Write all buffers one after another at `offset`, without joining them; returns the bytes written."""
        written = 0
        waiting = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        while waiting:
            count = os.pwritev(descriptor, waiting[:IOV_COUNT_MAX], offset + written)
            if count == 0:
                raise OSError(errno.EIO, "the disk took no byte and gave no reason")
            written += count
            waiting = _after(waiting, count)
        return written

    def sync_data(self, descriptor: int) -> None:
        """Make the file's bytes durable, and of its metadata what is needed to read them."""
        os.fdatasync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Make the names in a directory durable."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its new name, atomically replacing what had it; durable after `sync_directory`."""
        os.rename(source, target)  # noqa: PTH104 - this module is where the system calls are

    def remove(self, path: Path) -> None:
        """Remove a name; a name that is not there is no error."""
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file at `size` and make the cut durable."""
        descriptor = self.open_for_writing(path)
        try:
            os.ftruncate(descriptor, size)
            self.sync_data(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, directory: Path) -> None:
        """Make a directory, and those above it, unless they are there; the new names are durable.

        After an error it is not there, so that the next attempt does not take it for durable.
        """
        if directory.is_dir():
            return
        self.make_directory(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir(mode=DIRECTORY_MODE)
        try:
            self.sync_directory(directory.parent)
        except OSError:
            with suppress(OSError):
                directory.rmdir()
            raise

    def write_file(self, path: Path, buffers: Sequence[Buffer]) -> int:
        """Bring a whole file into being at once: it is there complete and durable, or not at all.

        Returns a descriptor for going on with it; whoever does not go on closes it.
        """
        with self.new_file(path) as descriptor:
            self.write(descriptor, buffers, 0)
        return descriptor

    def write_secret(self, path: Path, content: bytes) -> None:
        """Bring a file that only its owner may read into being, durably; FileExistsError if the name is taken."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, SECRET_MODE)
        try:
            self.write(descriptor, [content], 0)
            self.sync_data(descriptor)
            self.sync_directory(path.parent)
        except BaseException:
            with suppress(OSError):
                self.remove(path)
            raise
        finally:
            self.close(descriptor)

    @contextmanager
    def new_file(self, path: Path) -> Iterator[int]:
        """A descriptor to write a file with that is there, complete and durable, when the `with` ends.

        Written under a temporary name, synced, renamed, and the directory synced; the descriptor stays open.
        After an error it is closed, and the temporary file gone.
        """
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        descriptor = self.create(temporary)
        try:
            yield descriptor
            self.sync_data(descriptor)
            self.rename(temporary, path)
            self.sync_directory(path.parent)
        except BaseException:
            self.close(descriptor)
            with suppress(OSError):
                self.remove(temporary)
            raise


def has_hole(data: bytes, offset: int, *, reaches_end: bool) -> bool:
    """True if a sector of a file was never written, as far as it lies in `data`, which begins at `offset`.

    Before a sync the pages of a write reach the disk in any order; those that a power cut kept from it read as zeros.
    `reaches_end` says that the file ends with the data.
    """
    ends = [*range(SECTOR_BYTES - offset % SECTOR_BYTES, len(data) + 1, SECTOR_BYTES)]
    if reaches_end:
        ends.append(len(data))
    return any(begin < end and not any(data[begin:end]) for begin, end in pairwise([0, *ends]))


def _after(buffers: list[memoryview], count: int) -> list[memoryview]:
    """What is left of the buffers when their first `count` bytes are written."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []

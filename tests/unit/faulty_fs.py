"""A file system that raises at a chosen call; `lossy_fs.py` has one that loses what was not synced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from obsagent.fs import Buffer, Fs


class FailingFs(Fs):
    """Raises OSError at the calls that were asked for. `log` has every call by name.

    With `fail_in` no file can be created in a directory of this name.

    `before` is called before each call that is not made by itself: what other threads do meanwhile.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.failing: range = range(0)
        self.fail_always: set[str] = set()
        self.errno = errno.EIO
        self.short_writes = False
        self.fail_in = ""
        self.before: Callable[[str], None] | None = None

    def _called(self, name: str) -> None:
        self.log.append(name)
        before, self.before = self.before, None
        if before is not None:
            before(name)
            self.before = self.before or before
        if name in self.fail_always or len(self.log) in self.failing:
            raise OSError(self.errno, os.strerror(self.errno))

    def create(self, path: Path) -> int:
        self._called("create")
        if self.fail_in and self.fail_in in path.parts:
            raise OSError(self.errno, os.strerror(self.errno))
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        try:
            self._called("write")
        except OSError:
            if self.short_writes:  # a full disk takes the first half
                whole = b"".join(buffers)
                super().write(descriptor, [whole[: len(whole) // 2]], offset)
            raise
        return super().write(descriptor, buffers, offset)

    def sync_data(self, descriptor: int) -> None:
        self._called("sync_data")  # and no more: nothing here needs the real disk to have it

    def sync_directory(self, directory: Path) -> None:
        self._called("sync_directory")

    def rename(self, source: Path, target: Path) -> None:
        self._called("rename")
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._called("remove")
        super().remove(path)

    def truncate(self, path: Path, size: int) -> None:
        self._called("truncate")
        super().truncate(path, size)


def flip(path: Path, offset: int, bit: int = 6) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)

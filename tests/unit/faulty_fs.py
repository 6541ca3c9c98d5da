"""File systems that fail: one that raises at a chosen call, and one that loses what was not synced."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from obsagent.fs import Buffer, Fs

NOTHING = b""


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


class PowerCutFs(FailingFs):
    """Remembers what was synced, so that `power_cut` can make the directory that a disk would hold.

    Of every file it knows the bytes at its last sync, of every directory the names at its last sync.
    What came later is on the disk or not, by chance: a file's bytes up to any length, a directory's names.
    """

    def __init__(self) -> None:
        super().__init__()
        self._synced: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self._identity: dict[int, int] = {}
        self._next = 0

    def adopt(self, root: Path) -> None:
        """Everything that is there now is on the disk."""
        for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
            for path in directory.iterdir():
                if path.is_file():
                    self._begin(path.stat().st_ino, path.read_bytes())
            self._remember(directory)

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._begin(os.fstat(descriptor).st_ino, NOTHING)
        return descriptor

    def sync_data(self, descriptor: int) -> None:
        super().sync_data(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}")
        self._synced[self._identity[os.fstat(descriptor).st_ino]] = path.read_bytes()

    def sync_directory(self, directory: Path) -> None:
        super().sync_directory(directory)
        self._remember(directory)

    def _begin(self, inode: int, data: bytes) -> None:
        self._next += 1
        self._identity[inode] = self._next
        self._synced[self._next] = data

    def _remember(self, directory: Path) -> None:
        files = [path for path in directory.iterdir() if path.is_file()]
        known = {path.name: self._identity.get(path.stat().st_ino) for path in files}
        self._names[directory] = {name: identity for name, identity in known.items() if identity}

    def power_cut(self, root: Path, target: Path, chance: random.Random) -> None:
        """Make in `target` what a disk holds of `root` when the power goes now."""
        for directory, names in self._names.items():
            into = target / directory.relative_to(root)
            into.mkdir(parents=True, exist_ok=True)
            current = {path.name: path for path in directory.iterdir() if path.is_file()}
            if chance.random() < 0.5:
                names = {name: self._identity.get(path.stat().st_ino, 0) for name, path in current.items()}
            by_identity = {self._identity.get(path.stat().st_ino): path for path in current.values()}
            for name, identity in names.items():
                data = self._synced.get(identity, NOTHING)
                path = by_identity.get(identity)
                if path is not None and chance.random() < 0.5:
                    data = _partly(data, path.read_bytes(), chance)
                (into / name).write_bytes(data)


def _partly(synced: bytes, now: bytes, chance: random.Random) -> bytes:
    """The synced bytes and some of those that were written behind them."""
    if not now.startswith(synced):
        return now if chance.random() < 0.5 else synced
    return now[: chance.randint(len(synced), len(now))]


def flip(path: Path, offset: int, bit: int = 6) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)

"""A file system that knows what a disk would hold of it if the power went at any moment.

Of every file it keeps what was written since its last sync, of every directory what was done to its names since its
last sync. `disk` makes the directory that is left after a power cut: what was synced, and of the rest nothing, all,
or a random part: any pages of a write, with zeros for those that are lost, and any of the names, in their order.
Bytes whose sync has failed are never certain any more, whatever is synced later.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from obsagent.fs import Buffer
from unit.faulty_fs import FailingFs

PAGE_BYTES = 512
"""A sector, the least that a disk writes: the tests' files are small too."""

Image: TypeAlias = dict[Path, bytes | None]
"""A directory's content by relative path; None for a directory."""
ROOT = Path()

Survives: TypeAlias = Callable[[], bool]
"""Asked of everything that was not synced: is it on the disk all the same?"""


def nothing() -> bool:
    """Only what was synced is on the disk."""
    return False


def everything() -> bool:
    """All is on the disk, as after the death of a process."""
    return True


def some(chance: random.Random) -> Survives:
    """Each thing that was not synced is on the disk by chance."""
    likely = chance.choice([0.1, 0.5, 0.5, 0.9])
    return lambda: chance.random() < likely


@dataclass(eq=False)
class Change:
    """Bytes written at an offset; without bytes, a cut at that offset."""

    offset: int
    data: bytes | None
    is_certain: bool = False
    may_become_certain: bool = True

    def apply(self, content: bytearray, survives: Survives) -> None:
        if self.data is None:
            if self.is_certain or survives():
                del content[self.offset :]
            return
        pages = range(self.offset // PAGE_BYTES, (self.offset + len(self.data) - 1) // PAGE_BYTES + 1)
        for page in pages:
            is_there = self.is_certain or survives()
            if not is_there and not survives():
                continue
            begin = max(self.offset, page * PAGE_BYTES)
            end = min(self.offset + len(self.data), (page + 1) * PAGE_BYTES)
            content.extend(
                bytes(max(0, end - len(content)))
            )  # and no more, where the file has grown but the page is lost
            if is_there:
                content[begin:end] = self.data[begin - self.offset : end - self.offset]


@dataclass(eq=False)
class Inode:
    """A file, whatever its name: what is on the disk for certain, and what has happened since."""

    synced: bytes = b""
    changes: list[Change] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.changes:
            change.is_certain = change.is_certain or change.may_become_certain
        if all(change.is_certain for change in self.changes):
            self.synced, self.changes = self.content(nothing), []

    def lose(self) -> None:
        """A sync has failed: the kernel may think that the pages are clean."""
        for change in self.changes:
            change.may_become_certain = change.is_certain

    def content(self, survives: Survives) -> bytes:
        content = bytearray(self.synced)
        for change in self.changes:
            change.apply(content, survives)
        return bytes(content)


@dataclass(eq=False)
class Directory:
    """Names: those that are certain, and what was done to them since (a name's new file, None if it has none)."""

    synced: dict[str, Inode] = field(default_factory=dict)
    changes: list[dict[str, Inode | None]] = field(default_factory=list)
    is_certain: bool = True

    def sync(self) -> None:
        self.synced, self.changes = self.names(everything), []

    def names(self, survives: Survives) -> dict[str, Inode]:
        names: dict[str, Inode | None] = dict(self.synced)
        for change in self.changes:
            if survives():
                names.update(change)
        return {name: inode for name, inode in names.items() if inode is not None}


class LossyFs(FailingFs):
    """`each_operation` is called before each operation with its name, when everything before it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.each_operation: Callable[[str], None] | None = None
        self._directories: dict[Path, Directory] = {}
        self._open: dict[int, Inode] = {}

    def adopt(self, root: Path) -> None:
        """Everything that is there now is on the disk."""
        for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
            files = (path for path in directory.iterdir() if path.is_file())
            self._directories[directory] = Directory({path.name: Inode(path.read_bytes()) for path in files})

    def disk(self, root: Path, survives: Survives) -> Image:
        """What a disk holds of a directory, `root`, if the power goes now."""
        image: Image = {}
        for path, directory in sorted(self._directories.items()):
            if not path.is_relative_to(root) or not (directory.is_certain or survives()):
                continue
            where = path.relative_to(root)
            if where != ROOT and where.parent not in image:
                continue
            image[where] = None
            image |= {where / name: inode.content(survives) for name, inode in directory.names(survives).items()}
        return image

    def power_cut(self, root: Path, target: Path, survives: Survives) -> None:
        """Make in `target` what a disk holds of `root` if the power goes now."""
        write_image(self.disk(root, survives), target)

    def _called(self, name: str) -> None:
        if self.each_operation is not None:
            self.each_operation(name)
        super()._called(name)

    def _inode(self, path: Path) -> Inode:
        return self._directories[path.parent].names(everything)[path.name]

    def _rename_to(self, directory: Path, change: dict[str, Inode | None]) -> None:
        self._directories[directory].changes.append(change)

    def make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            self._directories.setdefault(directory, Directory())
            return
        self.make_directory(directory.parent)
        directory.mkdir()
        self._directories[directory] = Directory(is_certain=False)
        try:
            self.sync_directory(directory.parent)
        except OSError:
            directory.rmdir()
            raise

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        names = self._directories[path.parent].names(everything)
        if path.name in names:
            names[path.name].changes.append(Change(0, None))
        else:
            self._rename_to(path.parent, {path.name: Inode()})
        self._open[descriptor] = self._inode(path)
        return descriptor

    def open_for_writing(self, path: Path) -> int:
        descriptor = super().open_for_writing(path)
        self._open[descriptor] = self._inode(path)
        return descriptor

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        del self._open[descriptor]

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        whole = b"".join(buffers)
        changes = self._open[descriptor].changes
        try:
            written = super().write(descriptor, buffers, offset)
        except OSError:
            if self.short_writes:
                changes.append(Change(offset, whole[: len(whole) // 2]))
            raise
        if whole:
            changes.append(Change(offset, whole))
        return written

    def sync_data(self, descriptor: int) -> None:
        try:
            super().sync_data(descriptor)
        except OSError:
            self._open[descriptor].lose()
            raise
        self._open[descriptor].sync()

    def sync_directory(self, directory: Path) -> None:
        super().sync_directory(directory)
        if directory in self._directories:  # else it lies above the store
            self._directories[directory].sync()
        for path, inside in self._directories.items():
            inside.is_certain = inside.is_certain or path.parent == directory

    def rename(self, source: Path, target: Path) -> None:
        inode = self._inode(source)
        super().rename(source, target)
        assert source.parent == target.parent
        self._rename_to(target.parent, {source.name: None, target.name: inode})

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._rename_to(path.parent, {path.name: None})

    def truncate(self, path: Path, size: int) -> None:
        self._called("truncate")
        descriptor = self.open_for_writing(path)
        try:
            os.ftruncate(descriptor, size)
            self._open[descriptor].changes.append(Change(size, None))
            self.sync_data(descriptor)
        finally:
            self.close(descriptor)


def write_image(image: Image, target: Path) -> None:
    """Write a directory as an image says."""
    target.mkdir(parents=True, exist_ok=True)
    for path, data in image.items():
        if data is None:
            (target / path).mkdir(exist_ok=True)
        else:
            (target / path).write_bytes(data)

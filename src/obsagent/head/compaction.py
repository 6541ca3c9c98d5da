"""When a store compacts which file, and when it removes the old one.

The swap is one assignment under the store's lock: views made before it name the old file's blocks, views made
after it the new one's, none both. The old file is removed when the last view from before the swap is gone,
and not before `KEEP_MS`: a reader without a lock cannot say what it is still reading (see `read_only.py`). If the
agent ends before that, the next one finds the file and the one that supersedes it, and removes it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from obsagent.errors import CorruptData, StoreError
from obsagent.fs import TEMPORARY_SUFFIX, Fs
from obsagent.head.view import View
from obsagent.segment.compact import Pause, compact, compactable
from obsagent.segment.reader import OnDamage, each_opened
from obsagent.segment.recover import BlockRef, Damage
from obsagent.segment.verify import damage_in

KEEP_MS = 60_000
"""How long a superseded file is kept for readers without a lock."""
RETRY_AFTER_MS = 60_000
"""How long after a failure nothing is compacted."""


class Superseded(NamedTuple):
    """A file whose blocks a compacted one holds, and the views from before that."""

    path: Path
    since_ms: int
    views: weakref.WeakSet[View]


class Compaction:
    """The compaction of one store's files; one thread at a time uses it, `supersede` under the store's lock."""

    def __init__(self, fs: Fs, store_id: bytes, frame_bytes: int, on_damage: OnDamage) -> None:
        self._fs = fs
        self._store_id = store_id
        self._frame_bytes = frame_bytes
        self._on_damage = on_damage
        self._superseded: list[Superseded] = []
        self._left_as_is: set[Path] = set()
        self._not_before_ms = 0

    def begin(self, directory: Path, superseded: Iterable[Path], now_ms: int) -> None:
        """Take over what an agent before left behind: superseded files, and files that it did not finish."""
        self._superseded = [Superseded(path, now_ms, weakref.WeakSet()) for path in superseded]
        for path in directory.glob("*" + TEMPORARY_SUFFIX):
            with suppress(OSError):
                self._fs.remove(path)

    def next(self, blocks: tuple[BlockRef, ...], now_ms: int) -> list[BlockRef] | None:
        """The blocks of the oldest file that is to be compacted now, None if there is none."""
        if now_ms < self._not_before_ms:
            return None
        files = (file for file in compactable(blocks) if file[0].path not in self._left_as_is)
        return next(files, None)

    def rewrite(self, file: list[BlockRef], now_ms: int, pause: Pause) -> list[BlockRef] | None:
        """The blocks of the compacted file; None if the old one is damaged, and stays as it is.

        Raises StoreError if the disk refuses; it is tried again later.
        """
        try:
            return compact(file, self._fs, self._store_id, self._frame_bytes, pause)
        except CorruptData as error:
            path = file[0].path
            self._left_as_is.add(path)
            found = [damage for descriptor, block in each_opened(file) for damage in damage_in(descriptor, block)]
            for damage in found or [Damage(path, 0, path.stat().st_size, f"cannot be compacted: {error}")]:
                self._on_damage(damage)
            return None
        except StoreError:
            self._not_before_ms = now_ms + RETRY_AFTER_MS
            raise

    def supersede(self, path: Path, now_ms: int, views: Iterable[View]) -> None:
        """The file is not read by views made from now on."""
        self._superseded.append(Superseded(path, now_ms, weakref.WeakSet(views)))

    def remove_superseded(self, now_ms: int) -> None:
        """Remove the files that nobody can be reading any more; one that resists is tried again."""
        kept = []
        for file in self._superseded:
            if file.views or now_ms - file.since_ms < KEEP_MS:
                kept.append(file)
                continue
            try:
                self._fs.remove(file.path)
            except OSError:
                kept.append(file)
        self._superseded = kept


def swapped(blocks: tuple[BlockRef, ...], path: Path, written: list[BlockRef]) -> tuple[BlockRef, ...]:
    """The blocks with those of one file replaced by others."""
    index = next(index for index, block in enumerate(blocks) if block.path == path)
    others = [block for block in blocks if block.path != path]
    return (*others[:index], *written, *others[index:])

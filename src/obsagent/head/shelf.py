"""What of a store is on disk: the blocks that count, by tier, and the files that nobody reads from now on.

Times are of the monotonic clock.

A change is one assignment under the store's lock: views made before it name the old files' blocks, views made
after it the new ones', none both. An old file is removed when the last view from before the change is gone, and not
before `KEEP_MS`: a reader without a lock cannot say what it is still reading (see `read_only.py`). If the agent
ends before that, the next one finds the file superseded, or expired, once more.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from obsagent.fs import Fs
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.segment.recover import BlockRef, window_ms_of
from obsagent.segment.tiers import Tiers
from obsagent.segment.whole import whole_from

KEEP_MS = 60_000
"""How long a file is kept for readers without a lock when it does not count any more."""


class Leftover(NamedTuple):
    """A file that does not count any more, and the views from before that: it has expired, or others replace it."""

    path: Path
    since_ms: int
    views: weakref.WeakSet[View]
    has_expired: bool


class Shelf:
    """The blocks of a store. Changes come from one thread at a time, but for `append`; any thread may read `tiers`."""

    def __init__(self, tiers: Tiers, lock: Lock, fs: Fs) -> None:
        """`lock` is the store's."""
        self.tiers = tiers
        self.views: weakref.WeakSet[View] = weakref.WeakSet()
        self._lock = lock
        self._fs = fs
        self._leftovers: list[Leftover] = []

    def append(self, written: Iterable[BlockRef]) -> None:
        """The blocks of a checkpoint; under the store's lock."""
        self.tiers = replace(self.tiers, blocks=(*self.tiers.blocks, *written))

    def swap(self, path: Path, written: list[BlockRef], now_ms: int) -> None:
        """A file of the 10 s tier is replaced by its compacted one."""
        with self._lock:
            self.tiers = replace(self.tiers, blocks=_swapped(self.tiers.blocks, path, written))
            self._leave([path], now_ms)

    def add(self, window_ms: int, block: BlockRef, now_ms: int) -> None:
        """A rolled-up block; those of its tier whose checkpoints it holds count no more."""
        first, last = block.header.first_sequence, block.header.sequence
        with self._lock:
            before = self.tiers.rolled.get(window_ms, ())
            held = [each for each in before if first <= each.header.first_sequence and each.header.sequence <= last]
            kept = sorted(
                [*(each for each in before if each not in held), block], key=lambda each: each.header.sequence
            )
            self.tiers = replace(self.tiers, rolled={**self.tiers.rolled, window_ms: tuple(kept)})
            self._leftovers = [file for file in self._leftovers if file.path != block.path]  # it is another by now
            self._leave([each.path for each in held if each.path != block.path], now_ms)

    def retire(self, window_ms: int, paths: Collection[Path], now_ms: int) -> None:
        """The oldest files of a tier have expired. Raises OSError if what is left cannot be read; nothing has changed
        then.
        """
        with self._lock:
            tiers = self._without(window_ms, paths)
        whole = whole_from(tiers.blocks, tiers.rolled)  # of the first files, which nobody else changes
        with self._lock:
            self.tiers = replace(self._without(window_ms, paths), whole_from=whole)
            self._leave(paths, now_ms, have_expired=True)

    def _without(self, window_ms: int, paths: Collection[Path]) -> Tiers:
        tiers = self.tiers
        if window_ms == WINDOW_MS:
            return replace(tiers, blocks=tuple(block for block in tiers.blocks if block.path not in paths))
        kept = tuple(block for block in tiers.rolled[window_ms] if block.path not in paths)
        return replace(tiers, rolled={**tiers.rolled, window_ms: kept})

    def leave(self, paths: Iterable[Path], now_ms: int) -> None:
        """Files that did not count when the store was opened."""
        with self._lock:
            self._leave(paths, now_ms)

    def _leave(self, paths: Iterable[Path], now_ms: int, *, have_expired: bool = False) -> None:
        self._leftovers += [Leftover(path, now_ms, weakref.WeakSet(self.views), have_expired) for path in paths]

    def remove_leftovers(self, now_ms: int, *, at_once: bool = False) -> None:
        """Remove the files that nobody can be reading any more, or `at_once` all; one that resists is tried again.

        Those of a tier that have expired go one after another, each for good before the next, and after all that were
        replaced before: where the tier begins is read from the first file that is there, and what an expired one has
        replaced would count again without it.
        """
        kept: list[Leftover] = []
        for file in self._leftovers:
            is_read = file.views or now_ms - file.since_ms < KEEP_MS
            tier = window_ms_of(file.path)
            comes_later = file.has_expired and any(window_ms_of(each.path) == tier for each in kept)
            if (is_read and not at_once) or comes_later or not self._remove(file.path):
                kept.append(file)
        self._leftovers = kept

    def _remove(self, path: Path) -> bool:
        try:
            self._fs.remove(path)
            self._fs.sync_directory(path.parent)
        except OSError:
            return False
        return True


def _swapped(blocks: Sequence[BlockRef], path: Path, written: list[BlockRef]) -> tuple[BlockRef, ...]:
    """The blocks with those of one file replaced by others."""
    index = next(index for index, block in enumerate(blocks) if block.path == path)
    others = [block for block in blocks if block.path != path]
    return (*others[:index], *written, *others[index:])

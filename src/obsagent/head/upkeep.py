"""What is done with the files of a store once they are complete: compacted, rolled up, merged, and removed at last.

One thread at a time; each call does one piece of work. Times are of the monotonic clock where nothing else is said.
When the disk refuses, nothing is rewritten for a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from obsagent.errors import CorruptData, StoreError
from obsagent.fs import TEMPORARY_SUFFIX, Fs
from obsagent.head.budgets import Budgets
from obsagent.head.patience import PatientClock
from obsagent.head.retention import beyond_budget, expired, store_bytes
from obsagent.head.rollups import next_roll_up
from obsagent.head.shelf import Shelf
from obsagent.segment.by_series import Pause
from obsagent.segment.compact import compact, compactable
from obsagent.segment.reader import OnDamage, each_opened
from obsagent.segment.recover import BlockRef, Damage
from obsagent.segment.rollup import roll_up
from obsagent.segment.tiers import Tiers
from obsagent.segment.verify import damage_in

RETRY_AFTER_MS = 60_000
"""How long after a failure nothing is rewritten."""


class Upkeep:
    """Compaction, roll-ups and retention of one store's files."""

    def __init__(
        self,
        shelf: Shelf,
        fs: Fs,
        store_id: bytes,
        budgets: Budgets,
        journal: Callable[[], list[Path]],
        on_damage: OnDamage,
        last_ms: int | None,
    ) -> None:
        """`journal` gives the files of the journal, which count in the budget; `last_ms` is the wall time of the last
        checkpoint, None if there is none.
        """
        self._shelf = shelf
        self._fs = fs
        self._store_id = store_id
        self._budgets = budgets
        self._journal = journal
        self._on_damage = on_damage
        self._today = PatientClock(last_ms)
        self._left_as_is: set[Path] = set()
        self._failed_ms: int | None = None

    def set_budgets(self, budgets: Budgets) -> None:
        """Other budgets and retention, from the next look on."""
        self._budgets = budgets

    def begin(self, directory: Path) -> None:
        """Remove what an agent before did not finish to write."""
        for path in directory.glob("*" + TEMPORARY_SUFFIX):
            with suppress(OSError):
                self._fs.remove(path)

    def compact_next(self, now_ms: int, pause: Pause) -> bool:
        """Rewrite the oldest file of the 10 s tier that is complete and sound; returns whether there was one.

        Raises StoreError if the disk refuses; the store is then as it was before.
        """
        while file := self._next_to_compact(now_ms):
            written = self._compact(file, now_ms, pause)
            if written is not None:
                self._shelf.swap(file[0].path, written, now_ms)
                return True
        return False

    def _next_to_compact(self, now_ms: int) -> list[BlockRef] | None:
        if self._waits(now_ms):
            return None
        files = compactable(self._shelf.tiers.blocks)
        return next((file for file in files if file[0].path not in self._left_as_is), None)

    def _compact(self, file: list[BlockRef], now_ms: int, pause: Pause) -> list[BlockRef] | None:
        """The blocks of the compacted file; None if the old one is damaged, and stays as it is."""
        try:
            return compact(file, self._fs, self._store_id, self._budgets.frame_bytes, pause)
        except CorruptData as error:
            self._leave_as_is(file, error)
            return None
        except StoreError:
            self._failed_ms = now_ms
            raise

    def roll_up_next(self, now_ms: int, pause: Pause) -> bool:
        """Roll up or merge what is next; returns whether there was anything. Raises StoreError as `compact_next`."""
        if self._waits(now_ms):
            return False
        found = next_roll_up(self._shelf.tiers, self._budgets, self._left_as_is)
        if found is None:
            return False
        try:
            block = roll_up(found, self._fs, self._store_id, self._budgets.frame_bytes, pause, self._on_damage)
        except CorruptData as error:  # it was sound a moment ago: look at it again in a while
            self._failed_ms = now_ms
            raise StoreError(f"cannot roll up {found.blocks[0].path}: {error}") from error
        except StoreError:
            self._failed_ms = now_ms
            raise
        self._shelf.add(found.window_ms, block, now_ms)
        return True

    def retire(self, wall_ms: int, now_ms: int, *, disk_is_full: bool = False) -> int:
        """Remove what has expired, and what the store takes beyond its budget; returns how many files that were.

        Windows are as old as the wall clock says, if it can be relied upon.

        A full disk is a budget too: then one file more goes of what a coarser tier holds, and all at once. Raises
        StoreError if what is left cannot be read.
        """
        count = 0
        try:
            for window_ms, paths in expired(self._tiers, self._budgets, self._today.believe(wall_ms, now_ms)):
                self._shelf.retire(window_ms, paths, now_ms)
                count += len(paths)
            excess = store_bytes(self._shelf.tiers, self._journal()) - self._budgets.disk_bytes
            if disk_is_full:
                excess = max(excess, 1)
            for window_ms, paths in beyond_budget(self._tiers, excess, but_last_tier=disk_is_full):
                self._shelf.retire(window_ms, paths, now_ms)
                count += len(paths)
        except OSError as error:
            raise StoreError(f"cannot expire segments: {error}") from error
        self._shelf.remove_leftovers(now_ms, at_once=disk_is_full)
        return count

    def _tiers(self) -> Tiers:
        return self._shelf.tiers

    def _waits(self, now_ms: int) -> bool:
        """True for a while after a failure."""
        return self._failed_ms is not None and now_ms - self._failed_ms < RETRY_AFTER_MS

    def _leave_as_is(self, file: list[BlockRef], error: CorruptData) -> None:
        path = file[0].path
        self._left_as_is.add(path)
        found = [damage for descriptor, block in each_opened(file) for damage in damage_in(descriptor, block)]
        for damage in found or [Damage(path, 0, path.stat().st_size, f"cannot be compacted: {error}")]:
            self._on_damage(damage)

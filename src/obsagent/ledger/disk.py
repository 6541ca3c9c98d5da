"""The runs of a ledger and the manifest that says which of them count: writing, replacing and losing runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from obsagent.fs import Fs
from obsagent.ledger import manifest as manifests
from obsagent.ledger.forget import unpacked
from obsagent.ledger.manifest import Marks, RunEntry
from obsagent.ledger.merge import run_path
from obsagent.ledger.opening import Lost, Opened, set_aside
from obsagent.ledger.run import BY_NUMBER, Run, heap_of
from obsagent.ledger.settings import Gap
from obsagent.ledger.sources import Sources
from obsagent.ledger.tables import Table
from obsagent.limits import GAPS_MAX

logger = logging.getLogger(__name__)


class Disk:
    """One thread at a time writes; `lock` guards which runs there are, and is held only while that changes."""

    def __init__(self, directory: Path, fs: Fs, opened: Opened, sources: Sources, lock: threading.RLock) -> None:
        """Of what was found in a directory."""
        self.fs = fs
        self.manifest = opened.manifest
        self.masks = unpacked(self.manifest.state.get("forgotten", ()))
        """What was forgotten, as the manifest says it; what merging may leave out."""
        self._directory = directory
        self._sources = sources
        self._lock = lock
        self._next_run = self.manifest.next_run
        self._lost = [*opened.lost]
        self._entries = {entry.number: entry for entry in self.manifest.runs}

    @property
    def next_run(self) -> int:
        """Above the number of every run, also of those that are being written."""
        return self._next_run

    @property
    def has_lost(self) -> bool:
        """True if there are runs that are to be set aside."""
        return bool(self._lost)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Times of which something is lost."""
        return (*self.manifest.gaps, *(lost.gap for lost in self._lost))[-GAPS_MAX:]

    def numbers(self, count: int) -> int:
        """The first of as many new numbers for runs."""
        self._next_run += count
        return self._next_run - count

    def path(self, number: int, table: Table) -> Path:
        """Where a run lies."""
        return run_path(self._directory, number, table)

    def entry(self, run: Run) -> RunEntry:
        """What the manifest says of a run."""
        return self._entries[run.number]

    def opened(self, path: Path, number: int, newest: int, level: int, marks: Marks) -> tuple[Run, RunEntry]:
        """A run that was just written, and what the manifest is to say of it."""
        run = Run(path, number, newest)
        times = run.rows, run.first_ms, run.last_ms
        return run, RunEntry(
            *(number, newest, run.table.number, level, *times, marks.minute_before_ms, marks.hour_before_ms)
        )

    def lose(self, run: Run, reason: str) -> None:
        """Goes on without a run; it is set aside with the next commit."""
        with self._lock:
            if run in self._sources.runs:
                self._sources.replace([run], [])
                self._lost.append(Lost(self._entries[run.number], reason))
                logger.error("a part of the ledger is lost: %s", reason)

    def commit(
        self, added: Sequence[tuple[Run, RunEntry]], gone: Iterable[Run] = (), *, flushed: bool = False, **changes: Any
    ) -> None:
        """Makes runs count in place of others, or of what was frozen; `changes` are other fields of the manifest.

        Raises OSError; which of the two counts is then open, but all files that either needs are there.
        """
        lost, gaps = [*self._lost], self.gaps
        without = {run.number for run in gone} | {each.entry.number for each in lost}
        kept = [entry for entry in self.manifest.runs if entry.number not in without]
        runs = sorted([*kept, *(entry for _, entry in added)], key=lambda entry: entry.newest)
        following = replace(self.manifest, next_run=self._next_run, runs=tuple(runs), gaps=gaps, **changes)
        try:
            self.manifest = manifests.save(following, self._directory, self.fs)
        except BaseException:
            self.manifest = replace(self.manifest, generation=self.manifest.generation + 1)
            raise
        with self._lock:
            self._entries = {entry.number: entry for entry in self.manifest.runs}
            self._lost = self._lost[len(lost) :]
            if flushed:
                self._sources.written(run for run, _ in added)
            else:
                self._sources.replace(gone, [run for run, _ in added])
        self._clear(gone, lost)

    def _clear(self, gone: Iterable[Run], lost: Iterable[Lost]) -> None:
        """Files that do not count any more; those that resist go when the ledger is opened the next time."""
        with suppress(OSError):
            for run in gone:
                self.remove(run.path)
            for each in lost:
                path = self.path(each.entry.number, BY_NUMBER[each.entry.table])
                set_aside(path, self.fs)
                set_aside(heap_of(path), self.fs)
            self.fs.sync_directory(self._directory)

    def remove(self, path: Path) -> None:
        """A run's file, and the heap beside it. Raises OSError."""
        self.fs.remove(path)
        if heap_of(path).exists():
            self.fs.remove(heap_of(path))

    def sizes(self) -> dict[str, int]:
        """Bytes of the runs by table, and all together."""
        sizes: dict[str, int] = {}
        for run in self._sources.runs:
            sizes[run.table.name] = sizes.get(run.table.name, 0) + run.bytes
        return {f"{name}_bytes": size for name, size in sizes.items()} | {"disk_bytes": sum(sizes.values())}

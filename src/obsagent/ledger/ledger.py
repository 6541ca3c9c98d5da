"""The ledger: predictions that wait for truths, truths that wait for predictions, and what came of both.

A log-structured merge store of columns, with a position of its own in the journal: what the journal has before it is in
the runs; what comes after is in memory, and applied again after a restart. `apply` takes what the journal has taken;
`flush` moves the position; `upkeep` merges, lets expire, and makes windows coarser, a bounded step at a time.

Thread safety: one thread applies, any thread asks, one at a time keeps up. `_lock` guards what is in memory and which
runs there are; it is never held while a file is written. `_work` is held by whoever writes files; it is taken first.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsagent.by_id.batches import Batch, Forgotten, Predictions, Rows, Truths
from obsagent.by_id.report import TruthReport
from obsagent.fs import Fs
from obsagent.ledger import forget, marks
from obsagent.ledger.alive import HOUR_MS, Alive
from obsagent.ledger.asked import AskedLedger
from obsagent.ledger.disk import Disk
from obsagent.ledger.flush import Flush
from obsagent.ledger.join import Changes, Joiner
from obsagent.ledger.keys import Hasher
from obsagent.ledger.manifest import Marks
from obsagent.ledger.names import Names
from obsagent.ledger.opening import Opened, open_directory
from obsagent.ledger.run import DamagedRun
from obsagent.ledger.sessions import Sessions, SessionState
from obsagent.ledger.settings import LedgerSettings
from obsagent.ledger.sources import Masks, Sources
from obsagent.ledger.tables import ROWS
from obsagent.ledger.upkeep import Upkeep
from obsagent.ledger.view import LedgerView
from obsagent.limits import LEDGER_MEMORY_AGE_MS, LEDGER_MEMORY_BYTES


class Ledger:
    """Made by `open` and `open_read_only`."""

    def __init__(self, directory: Path, fs: Fs, key: bytes, settings: LedgerSettings, opened: Opened) -> None:
        """Of what was found in a directory."""
        state = opened.manifest.state
        self._lock = threading.RLock()
        self._work = threading.Lock()
        self._sources = Sources(opened.runs)
        self._names = Names(state)
        self._sessions = Sessions(state.get("sessions"))
        self._counters: Counter[str] = Counter(state.get("counters", {}))
        self._hasher = Hasher(key)
        self._joiner = Joiner(self._sources, self._names, self._hasher, settings)
        self._disk = Disk(directory, fs, opened, self._sources, self._lock)
        self._upkeep = Upkeep(self._disk, self._sources, self._names)
        self._joiner.masks = self._disk.masks
        self._marks = opened.manifest.marks
        self._joiner.cutoffs_ms = self._marks.cutoffs_ms
        self._is_dirty = False
        self._flushed_ms = 0
        self._dirty_since_ms: int | None = None
        self._has_forgotten = False
        self._flushes = marks.Flushes(state.get("flushes", ()))

    @classmethod
    def open(cls, directory: Path, fs: Fs, key: bytes, settings: LedgerSettings | None = None) -> Ledger:
        """The ledger in a directory, which is made if it is not there; what no manifest knows is removed.

        `key` (16 to 64 bytes) is what ids are hashed with, always the same one. What is damaged is set aside and said
        in `status`. Raises StoreError if it cannot be opened, or if a newer version wrote it.
        """
        return cls(directory, fs, key, settings or LedgerSettings(), open_directory(directory, fs))

    @classmethod
    def open_read_only(cls, directory: Path, key: bytes = bytes(16), settings: LedgerSettings | None = None) -> Ledger:
        """As it was flushed last; nothing is changed, and an agent may be at work. Raises StoreError."""
        return cls(directory, Fs(), key, settings or LedgerSettings(), open_directory(directory, None))

    @property
    def position(self) -> int:
        """All records that the journal has before it are in the runs."""
        return self._disk.manifest.position

    @property
    def memory_bytes(self) -> int:
        """What is in memory and not in a run, about."""
        with self._lock:
            return self._sources.memory_bytes

    @property
    def settings(self) -> LedgerSettings:
        """What counts now; what is set counts from the next batch and the next flush on."""
        return self._joiner.settings

    @settings.setter
    def settings(self, settings: LedgerSettings) -> None:
        with self._lock:
            self._joiner.settings = settings

    def apply(
        self, batch: Batch, *, session: bytes, sequence: int, rows: int, dropped: int, position: int
    ) -> TruthReport:
        """Takes a batch that the journal has at a position; one from before the ledger's position is in it already.

        `sequence` is that of the batch's last record in its session (empty: of no session), `rows` how many records it
        covers, `dropped` how many its client dropped until then. Records that it covers and does not hold any more were
        refused for their time. Returns what became of truths.
        """
        if position < self.position:
            return TruthReport()
        with self._lock:
            changes = self._decide(batch, position)
            for table, block in changes.blocks:
                if table is ROWS:
                    block = {**block, "offset": self._sources.memory[ROWS].keep(changes.blobs)}
                self._sources.memory[table].add(block)
            self._count(changes, batch, rows - len(batch.ids))
            if session:
                self._counters["dropped"] += max(dropped - self._sessions.of(session).dropped, 0)
                self._sessions.add(session, sequence, rows, dropped, changes.report)
            self._is_dirty = True
        return changes.report

    def _count(self, changes: Changes, batch: Batch, refused: int) -> None:
        """Counts what a batch brought, and `refused` records that it was sent with and does not hold any more."""
        if isinstance(batch, Truths):
            changes.report = changes.report._replace(rejected=changes.report.rejected + refused)
            self._counters["truths"] += refused
            self._counters.update({f"truths_{name}": count for name, count in changes.report._asdict().items()})
        else:
            self._counters[f"refused_{'rows' if isinstance(batch, Rows) else 'predictions'}"] += refused
        self._counters.update(changes.counted)

    def _decide(self, batch: Batch, position: int) -> Changes:
        while True:
            try:
                match batch:
                    case Predictions():
                        return self._joiner.predictions(batch, position)
                    case Truths():
                        return self._joiner.truths(batch, position)
                    case Rows():
                        return self._joiner.rows(batch)
                    case Forgotten():
                        return self._forget(batch)
            except DamagedRun as error:
                self._lose(error)

    def _forget(self, batch: Forgotten) -> Changes:
        where = self._hasher, self._names, self._sources
        changes, self._joiner.masks = forget.forget(batch, *where, self._joiner.masks, self._disk.next_run)
        self._has_forgotten = True
        return changes

    def _lose(self, error: DamagedRun) -> None:
        """Goes on without a run; the next upkeep sets it aside."""
        self._disk.lose(error.run, str(error))

    def is_duplicate(self, session: bytes, sequence: int) -> bool:
        """True if the record with this sequence, and so all before it, was applied."""
        return sequence <= self.session(session).last_record

    def session(self, session: bytes) -> SessionState:
        """What was applied of a session."""
        with self._lock:
            return self._sessions.of(session)

    def wants_flush(self, now_ms: int) -> bool:
        """True if much, or something old, or what is to be forgotten, waits in memory; or if something may expire."""
        if not self._is_dirty:
            return bool(self._sources.runs) and now_ms - self._flushed_ms >= HOUR_MS
        if self._dirty_since_ms is None:
            self._dirty_since_ms = now_ms
        is_old = now_ms - self._dirty_since_ms >= LEDGER_MEMORY_AGE_MS
        return is_old or self._has_forgotten or self.memory_bytes >= LEDGER_MEMORY_BYTES

    def flush(self, position: int, now_ms: int, frozen: Callable[[], object] = int) -> None:
        """Writes what is in memory; `position` is where the journal goes on behind the last batch that was applied.

        The journal must be durable up to there. `frozen` is called when it is settled what is written: from then on
        batches may be applied. If it fails nothing is lost, and it may be tried again. Raises OSError.
        """
        with self._work:
            with self._lock:
                if not self._is_dirty and now_ms - self._flushed_ms < HOUR_MS:
                    return
                marks_before = self._marks
                self._move_marks(position, now_ms)
                flush = Flush(self._disk, self._sources, self._alive(self._joiner.masks))
                state = self._state()
                self._is_dirty, self._dirty_since_ms, self._has_forgotten = False, None, False
            frozen()
            try:
                flush.write(position, state)
            except BaseException:
                with self._lock:
                    self._sources.thaw(self._joiner.masks)
                    self._set_marks(marks_before)
                    self._is_dirty = True
                raise
            self._flushed_ms = now_ms

    def _move_marks(self, position: int, now_ms: int) -> None:
        """From here on other rows are expired: the runs of a flush and the batches behind it must agree on it."""
        settings = self._joiner.settings
        for model in self._names.models:
            model.remember(settings)
        self._flushes.add(now_ms, position)
        self._set_marks(marks.moved(self._marks, now_ms, self._names, settings, self._flushes))
        try:
            alive = self._alive(self._joiner.masks)
            evicted, count = marks.evicted(alive, self._sources.runs, settings.disk_budget)
        except DamagedRun as error:
            self._lose(error)
            return
        self._set_marks(evicted)
        self._counters["evicted_predictions"] += count

    def _set_marks(self, new: Marks) -> None:
        self._marks = new
        self._joiner.cutoffs_ms = new.cutoffs_ms

    def _alive(self, masks: Masks) -> Alive:
        return Alive(self._marks, masks, self._names.models_of_series())

    def _state(self) -> dict[str, Any]:
        return {
            **self._names.pack(),
            "sessions": self._sessions.pack(),
            "counters": dict(self._counters),
            "flushes": self._flushes.pack(),
            "forgotten": forget.packed(self._joiner.masks),
        }

    def upkeep(self) -> bool:
        """One bounded step of merging, expiring, forgetting; True if there is more to do. Raises OSError.

        What is old was decided by the last flush, so that a replay decides the same.
        """
        with self._work:
            more, done = self._upkeep.step()
            if done.forgotten:
                with self._lock:
                    self._joiner.masks = self._joiner.masks.without(done)
        return more

    def close(self, position: int, now_ms: int) -> None:
        """Writes what is in memory. Raises OSError."""
        self.flush(position, now_ms)
        with self._work:
            self._upkeep.abandon()

    def view(self) -> LedgerView:
        """What there is now; it never changes, and files that are removed meanwhile stay readable for it."""
        with self._lock:
            alive = self._alive(self._joiner.masks)
            return LedgerView(
                self._sources.snapshot(), self._names.copy(), alive, self._hasher, self._disk.gaps, self._lose
            )

    def asked(self) -> AskedLedger:
        """The same for answers and reports, as the settings are now."""
        return AskedLedger(self.view(), self.settings)

    def status(self) -> dict[str, Any]:
        """Counters and sizes, for people and for the agent's own metrics."""
        with self._lock:
            return {
                **self._counters,
                **self._disk.sizes(),
                "memory_bytes": self._sources.memory_bytes,
                "models": len(self._names.models),
                "series": len(self._names.series),
                "sessions": len(self._sessions),
                "position": self.position,
                "gaps": [gap._asdict() for gap in self._disk.gaps],
            }

"""The store: entries go in through the journal, windows go out into segments, queries see both.

Threads: any thread may `write`; one thread after the other may `sync`, `checkpoint`, `view`.

Locks, always taken in this order:
    records' own     one record is applied, or the ledger flushed, at a time; held while that is written
    _upkeep_lock       one compaction, roll-up or retention at a time; held while it reads and writes; takes none but
                       `_lock`
    _checkpoint_lock   one checkpoint at a time; held while its blocks are encoded and written
    that of _syncs     one sync at a time; held while the journal's file is written and synced
    _lock              the state, the journal's memory and the list of blocks; never held over I/O

Invariants:
1. Under `_lock`, the state is what comes of applying all entries below `journal.position`: an entry is
   appended and applied in one critical section.
2. `sync` returns a position up to which every entry is on disk. It takes what waits under `_lock` and
   writes it outside; entries that come meanwhile are the next sync's.
3. A checkpoint with mark (low, high, cutoff) is written only when the journal is durable up to `high`, or
   when it leaves no window behind (low = high). Otherwise a power cut could keep the word that a batch
   was applied and lose the samples that it brought to a window still open.
4. A sample is in the open windows, or in `_detached`, or in the blocks of `_shelf`, and moves between these under
   `_lock`: a view counts it once.
5. Journal files are removed only after the block that replaces them is on disk, and the ledger's files have what they
   hold of records.
6. Compaction replaces blocks by the one that holds the same samples, under `_lock`; never those of the newest file,
   which a checkpoint may append to, nor does retention remove that.
7. When applying fails half-way (no memory), the store takes no more entries and writes no checkpoint: the
   journal is right, the state is not, and a restart rebuilds it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from obsagent.by_id.batches import Forgotten
from obsagent.clock import Clock, SystemClock
from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.head.asked_store import AskedStore
from obsagent.head.budgets import Budgets
from obsagent.head.checkpoint import Draft, Whole, wants_file, write_checkpoint
from obsagent.head.checkpoint_times import CheckpointTimes
from obsagent.head.cost import CostBook, cost_of
from obsagent.head.directory import StoreDirectory, StoreLock, make_identity, read_identity, set_aside
from obsagent.head.entries import Define, Entry, Records, encode, without_known
from obsagent.head.journal import Journal, journal_paths, sync_files, to_record
from obsagent.head.journal_sync import JournalSync, is_disk_full
from obsagent.head.ledger_book import LedgerBook
from obsagent.head.ledger_port import OpenLedger, open_ledger
from obsagent.head.leftovers import tidy
from obsagent.head.read_only import ReadOnlyStore
from obsagent.head.records import Appended, Place, RecordStore
from obsagent.head.recovery import Recovered, recover
from obsagent.head.shelf import Shelf
from obsagent.head.state import Detached
from obsagent.head.upkeep import Upkeep
from obsagent.head.view import last_seen_in
from obsagent.segment.by_series import Pause, no_pause
from obsagent.segment.gaps import GapBook, gap_of_damage
from obsagent.segment.reader import BlockReader
from obsagent.segment.recover import Damage
from obsagent.segment.writer import SegmentWriter, take_over

__all__ = ["Budgets", "ReadOnlyStore", "Store"]


class Store(AskedStore):
    """A store that is open for writing; `Store.open` makes it."""

    def __init__(
        self,
        directory: StoreDirectory,
        lock: StoreLock,
        fs: Fs,
        clock: Clock,
        budgets: Budgets,
        store_id: bytes,
        ledger: OpenLedger,
    ) -> None:
        """Recover what the directory holds; used by `open`, which has taken the lock."""
        self._directory = directory
        self._store_lock = lock
        self._fs = fs
        self._clock = clock
        self._budgets = budgets
        self._store_id = store_id
        self._lock = threading.Lock()
        self._checkpoint_lock = threading.Lock()
        self._upkeep_lock = threading.Lock()
        self._broken = ""
        self._detached: Detached | None = None
        self._damage: set[Damage] = set()
        self._costs = CostBook(clock.wall_ms())
        self._times = CheckpointTimes(clock)
        self._reader = BlockReader(self._note)
        book = LedgerBook(partial(ledger, directory.ledger, fs, store_id), is_there=directory.ledger.is_dir())
        recovered = recover(directory, budgets, clock.wall_ms(), book)
        self._gaps = GapBook(recovered.gaps, recovered.new_gaps)
        self._adopt(recovered)
        self._begin(recovered, book)

    @classmethod
    def open(
        cls,
        directory: Path | str,
        *,
        clock: Clock | None = None,
        budgets: Budgets | None = None,
        fs: Fs | None = None,
        ledger: OpenLedger = open_ledger,
    ) -> Store:
        """Open a store for writing, making it if there is none, and recover what it holds.

        `ledger` opens what keeps its records, when there are some.

        Raises StoreLocked if another agent has it open; StoreError if it cannot be read or written, or if
        a newer version made it.
        """
        fs = fs or Fs()
        where = StoreDirectory(Path(directory))
        where.make(fs)
        lock = StoreLock(where.root)
        try:
            tidy(where, fs)
            store_id = read_identity(where) or make_identity(where, fs)
            return cls(where, lock, fs, clock or SystemClock(), budgets or Budgets(), store_id, ledger)
        except OSError as error:
            lock.release()
            raise StoreError(f"cannot open the store {where.root}: {error}") from error
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def open_read_only(directory: Path | str, *, clock: Clock | None = None) -> ReadOnlyStore:
        """Read a store without a lock, whether or not an agent has it open. Raises StoreError."""
        return ReadOnlyStore(Path(directory), clock or SystemClock())

    def _adopt(self, recovered: Recovered) -> None:
        """Take over the state that was recovered."""
        self._state = recovered.state
        self._state.series.wall_ms = self._clock.wall_ms
        self._shelf = Shelf(recovered.tiers, self._lock, self._fs)
        self._sequence = recovered.checkpoint.sequence
        self._mark = recovered.checkpoint.mark
        self._series_written = len(recovered.checkpoint.series)
        self._reach_written_ms = recovered.checkpoint.reach_ms
        self._last_seen = dict(recovered.checkpoint.last_seen)
        self._last_checkpoint_ms = recovered.checkpoint.written_ms
        self._corrupt = recovered.corrupt
        self._damaged_files = recovered.damaged
        self._state.sessions.began_ms = self._clock.monotonic_ms()

    def _begin(self, recovered: Recovered, book: LedgerBook) -> None:
        """Make what was recovered durable, and begin a journal file behind it."""
        root, budgets = self._directory, self._budgets
        last = take_over(root.segments, recovered.catalog, self._fs)
        self._segments = SegmentWriter(root.segments, self._fs, self._store_id, last)
        self._shelf.leave(recovered.catalog.superseded, self._clock.monotonic_ms())
        self._upkeep = Upkeep(
            self._shelf,
            self._fs,
            self._store_id,
            budgets,
            lambda: journal_paths(root.journal),
            self._note,
            recovered.checkpoint.written_ms or None,
        )
        self._upkeep.begin(root.segments)
        position = recovered.position
        self._journal = Journal(root.journal, self._fs, self._store_id, position, budgets.journal_file_bytes)
        self._syncs = JournalSync(self._journal, self._state, self._lock)
        place = Place(self._append, self.position, self._syncs, self._remove_journal, self._break, self._clock.wall_ms)
        self.records = RecordStore(book, place)
        if recovered.damaged:  # they are set aside, with what only they hold of records
            self.records.flush()
        elif self.records.needed_from < position:
            sync_files(recovered.journal_files, root.journal, self._fs)
        if recovered.entry_count or recovered.damaged or recovered.new_gaps:
            try:
                self.checkpoint()
                self._clean_up()
            except StoreError:
                sync_files(recovered.journal_files, root.journal, self._fs)
        try:
            self._syncs.begin_file()
        except StoreError:
            return  # the disk is full: entries are taken, and acknowledged when a file can be begun
        self._remove_journal()

    def heard(self, session: bytes, skew_ms: int | None = None) -> None:
        """The session is alive; `skew_ms` is how much its clock is ahead of ours, where it has just said so."""
        self._state.sessions.heard(session, self._clock.wall_ms(), self._clock.monotonic_ms(), skew_ms)

    def write(self, entry: Entry) -> int:
        """Append an entry to the journal and apply it.

        Returns the position that must be durable before the entry may be acknowledged. A frame or refusal
        whose sequence was applied before is not written again; the position returned is then one that
        covers the original. A frame's body has been checked, is not copied, and must not change any more.

        Raises StoreError if the store cannot take it now: its memory budget for what is not yet on disk
        is used up. Nothing has changed then, and the entry may be written again later.
        """
        if isinstance(entry, Records):
            return self.records.write(entry)
        return self._append(without_known(entry, self._state.series.says) if isinstance(entry, Define) else entry).end

    def _append(self, entry: Entry) -> Appended:
        """Append an entry to the journal and apply it to the state, which knows nothing of records."""
        record = to_record(encode(entry))
        size = sum(map(len, record))
        with self._lock:
            self._refuse_if_full(size)
            if self._state.is_duplicate(entry):
                return Appended(self._journal.position, self._journal.position)
            self._state.require_session(entry)
            end = self._journal.append(record, size)
            try:
                self._state.apply(entry, end - size)
            except BaseException as error:
                self._break(f"an entry could not be applied ({error!r}); restart to recover")
                raise
            return Appended(end - size, end)

    def _break(self, why: str) -> None:
        self._broken = why

    def reach_back(self, reach_ms: int) -> None:
        """Backfills may lie so far back from now on.

        A checkpoint and a journal file say it before the first of them is taken: whatever is damaged then, it is known
        how far back lies what is lost. Raises StoreError if that cannot be written now.
        """
        before_ms = self._state.reach_ms
        if reach_ms <= before_ms:
            return
        with self._lock:
            self._state.reach_ms = reach_ms
        try:
            self.checkpoint(self._times.cutoff_ms(self._clock.wall_ms()))
            self._syncs.begin_file()
        except StoreError:
            with self._lock:
                self._state.reach_ms = before_ms
            raise

    def _refuse_if_full(self, size: int) -> None:
        if self._broken:
            raise StoreError(self._broken)
        if self._journal.unsynced_bytes + size > self._budgets.unsynced_bytes:
            raise StoreError(f"{self._journal.unsynced_bytes} bytes of the journal wait to be synced")
        if self._head_bytes() > 2 * self._budgets.head_bytes:
            raise StoreError("the windows in memory take twice their budget and cannot be written")

    def sync(self) -> int:
        """Make the entries written so far durable; returns the position up to which they are.

        Raises StoreError if that is not possible now; nothing counts as durable that was not before, all
        of it stays in memory, and the next call tries again with a new file.
        """
        return self._syncs.sync()

    def maybe_checkpoint(self, now_ms: int) -> bool:
        """Checkpoint if it is time (`checkpoint_times.py`); of everything if the clock was set.

        Returns whether there was one. Raises StoreError if it could not be written; it is then not tried again for a
        while.
        """
        cutoff_ms = self._times.cutoff_ms(now_ms)
        everything = self._times.want_everything()
        with self._lock:
            everything = everything or self._state.memory_bytes > self._budgets.head_bytes
            due = self._times.is_new(cutoff_ms) and self._state.has_before(cutoff_ms)
        if not (everything or due) or self._times.is_too_early():
            return False
        try:
            written = self.checkpoint(None if everything else cutoff_ms)
        except StoreError:
            self._times.failed()
            raise
        self._times.succeeded(cutoff_ms)
        return written

    def checkpoint(self, up_to_ms: int | None = None, *, anew: bool = False) -> bool:
        """Move all windows that start before `up_to_ms` (None: all) from memory into a segment.

        `anew` begins a file with all that is known, even if there is nothing to move. Returns False if there was
        nothing to write. Raises StoreError if it could not be written; the
        store is then as it was before.
        """
        with self._checkpoint_lock:
            if anew:
                self._segments.give_up()
            draft = self._draft(up_to_ms, anew=anew)
            if draft is None:
                return False
            try:
                self._await_journal(draft.detached)
                blocks, frame_bytes = self._shelf.tiers.blocks, self._budgets.frame_bytes
                written = write_checkpoint(draft, self._segments, blocks, frame_bytes, self._note)
            except BaseException as error:
                self._syncs.disk_is_full = is_disk_full(error)
                with self._lock:
                    self._state.give_back(draft.detached)
                    self._detached = None
                raise
            costs = cost_of(draft.detached.windows, draft.row_bytes, self._state.series)
            with self._lock:
                self._costs.add(costs)
                self._shelf.append(written)
                self._detached = None
                self._sequence = draft.sequence
                self._mark = draft.detached.mark
                self._series_written = draft.detached.series_news
                self._reach_written_ms = draft.detached.reach_ms
                self._last_seen = {**self._last_seen, **draft.last_seen}
                self._last_checkpoint_ms = draft.written_ms
            self._gaps.written(draft.gaps)
            self._clean_up()
            return True

    def note(self, damage: Iterable[Damage]) -> None:
        """Count damage that was found by reading everything."""
        for each in damage:
            self._note(each)

    def _draft(self, up_to_ms: int | None, *, anew: bool) -> Draft | None:
        """Detach what the checkpoint is to hold; None if there is nothing."""
        now_ms = self._clock.wall_ms()
        self._forget_gaps(now_ms)
        gaps = self._gaps.unwritten()
        with self._lock:
            if self._broken:
                raise StoreError(self._broken)
            position = self._journal.position
            reaches_further = self._state.reach_ms > self._reach_written_ms
            if position == self._mark.high and not (self._state.windows or gaps or anew or reaches_further):
                return None
            of_columns = self._state.series.has_columns
            new_file = wants_file(self._segments, self._budgets, now_ms, of_columns=of_columns)
            idle_before_ms = self._clock.monotonic_ms() - self._budgets.session_idle_ms
            detached = self._state.detach(up_to_ms, position, idle_before_ms)
            self._detached = detached
            series = self._state.series.known_since(self._series_written)
            all_series = self._state.series.known_since(0) if new_file else []
            sessions = self._state.sessions.rows() if new_file else []
            events = self._state.events.kept() if new_file else []
        seen = last_seen_in(detached.windows, self._state.series)
        seen = {metric: max(at_ms, self._last_seen.get(metric, at_ms)) for metric, at_ms in seen.items()}
        whole = None
        if new_file:
            whole = Whole(all_series, sessions, {**self._last_seen, **seen}, events, self._gaps.known())
        return Draft(self._sequence + 1, now_ms, detached, series, seen, whole, gaps)

    def _forget_gaps(self, now_ms: int) -> None:
        if self._gaps.known():
            every = (self._shelf.tiers.blocks, *self._shelf.tiers.rolled.values())
            kept_from_ms = min((block.header.first_window_ms for blocks in every for block in blocks), default=0)
            self._gaps.forget(now_ms, kept_from_ms)

    def _await_journal(self, detached: Detached) -> None:
        """Invariant 3."""
        try:
            self._syncs.sync_up_to(detached.mark.high)
        except StoreError:
            if detached.mark.low < detached.mark.high:
                raise

    def _clean_up(self) -> None:
        """Drop what the checkpoint made superfluous; damaged files are kept under another name."""
        damaged, self._damaged_files = self._damaged_files, []
        set_aside(damaged, self._fs)
        self._remove_journal()

    def _remove_journal(self) -> None:
        """Remove the files of the journal that neither the next start nor the ledger needs."""
        self._journal.remove_below(min(self._mark.low, self.records.needed_from))

    def _note(self, damage: Damage) -> None:
        """Count damage that was met while reading; what it takes away is a gap from now on."""
        self._damage.add(damage)
        self._gaps.add(gap_of_damage(damage))

    def maybe_compact(self, now_ms: int, pause: Pause = no_pause) -> bool:
        """Rewrite the oldest segment file that is complete and sound; returns whether there was one.

        `now_ms` is of the monotonic clock. `pause` is called between pieces of work and may raise to end this one.
        Raises StoreError if the disk refuses; the store is then as it was before.
        """
        with self._upkeep_lock:
            return self._upkeep.compact_next(now_ms, pause)

    def maybe_roll_up(self, now_ms: int, pause: Pause = no_pause) -> bool:
        """Write one file of a coarser tier, if one is due; returns whether there was one. As `maybe_compact`."""
        with self._upkeep_lock:
            return self._upkeep.roll_up_next(now_ms, pause)

    def maybe_retire(self, now_ms: int) -> bool:
        """Give up the files that have expired or that the disk has no room for, and remove what nobody reads any more;
        returns whether any were given up. `now_ms` is of the wall clock. Raises StoreError if what is left cannot be
        read.
        """
        with self._upkeep_lock:
            return self._upkeep.retire(now_ms, self._clock.monotonic_ms(), disk_is_full=self._syncs.disk_is_full) > 0

    def set_budgets(self, budgets: Budgets) -> None:
        """Other budgets and retention from now on, from any thread; those of series need the store opened anew."""
        self._budgets = budgets
        self._upkeep.set_budgets(budgets)

    def forget(self, batch: Forgotten) -> dict[str, int]:
        """Forgets ids: how many predictions, truths and rows of them there were; no file names them any more.

        But exemplars do, until they expire, and what was set aside because it was damaged. Raises StoreError.
        """
        found = self.records.forget(batch)
        if self.records.view() is None:
            return found
        self._syncs.begin_file()
        self.checkpoint(anew=True)
        return found

    def close(self) -> None:
        """Checkpoint everything and give the lock back; the journal is empty afterwards.

        Raises StoreError if something could not be written; what was synced is then in the journal.
        """
        try:
            self._checkpoint_or_sync()
            self.records.close()
            self._syncs.begin_file()
            self._remove_journal()
        finally:
            self._journal.close()
            self._segments.give_up()
            self._store_lock.release()

    def _checkpoint_or_sync(self) -> None:
        try:
            self.checkpoint()
        except StoreError:
            self.sync()
            raise

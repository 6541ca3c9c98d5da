"""The threads that keep a store: group commit, checkpoints, upkeep of segments. Each goes on after whatever fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from obsagent.clock import Clock
from obsagent.errors import ObsagentError
from obsagent.head.store import Store
from obsagent.head.upkeep import RETRY_AFTER_MS
from obsagent.limits import GROUP_COMMIT_INTERVAL_MS, JOURNAL_UNSYNCED_BYTES_MAX
from obsagent.pulses import Pulse

logger = logging.getLogger(__name__)

CHECKPOINT_LOOK_S = 0.5
UPKEEP_LOOK_S = 5.0
UPKEEP = "the upkeep of segments"
BEAT_S = 5.0
FAILED_SYNC_PAUSE_S = 1.0


@dataclass(slots=True, eq=False)
class Trouble:
    """What one thread cannot do; it has an `error` as long as that lasts, and `count`s every failure."""

    what: str
    error: Exception | None = None
    since_s: float = 0.0
    last_s: float = 0.0
    count: int = 0

    def met(self, error: Exception) -> None:
        """It failed; the log says so once for each reason."""
        self.count += 1
        self.last_s = time.monotonic()
        if self.error is None:
            self.since_s = self.last_s
        if self.error is None or str(error) != str(self.error):
            is_known = isinstance(error, ObsagentError | OSError)
            logger.error("%s: %s", self.what, error, exc_info=None if is_known else error)
        self.error = error

    def is_over(self) -> None:
        """It worked."""
        if self.error is not None:
            logger.info("no longer: %s", self.what)
        self.error = None

    @property
    def lasts_s(self) -> float:
        """For how long it has failed."""
        return time.monotonic() - self.since_s


class Committer:
    """Group commit: one sync at a time, at most one in 100 ms, whenever something waits."""

    def __init__(self, store: Store, after_sync: Callable[[], None], took: Callable[[float], None]) -> None:
        """`after_sync` is called after each sync; `took` gets its duration in seconds."""
        self._store = store
        self._after_sync = after_sync
        self._took = took
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self.synced = store.position() - store.unsynced_bytes()
        self.trouble = Trouble("the journal cannot be synced")
        self.pulse = Pulse()
        self.thread = threading.Thread(target=self._run, name="obsagent-commit")

    def request(self) -> None:
        """Something may wait to be synced."""
        if self._store.position() > self.synced:
            self._wanted.set()

    def overloaded(self) -> bool:
        """True while more waits to be synced than may."""
        return self._store.unsynced_bytes() > JOURNAL_UNSYNCED_BYTES_MAX

    def stop(self) -> None:
        """Syncs a last time and ends the thread."""
        self._stopping.set()
        self._wanted.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.pulse.beat()
            if not self._wanted.wait(BEAT_S):
                continue
            self._wanted.clear()
            began = time.monotonic()
            with self.pulse.at("a sync of the journal"):
                self._sync()
            pause = GROUP_COMMIT_INTERVAL_MS / 1000 - (time.monotonic() - began)
            if pause > 0:
                self._stopping.wait(pause)
        self._sync()

    def _sync(self) -> None:
        began = time.monotonic()
        try:
            self.synced = self._store.sync()
        except Exception as error:  # whatever it is: nothing is acknowledged, and it is tried again
            self.trouble.met(error)
            self._stopping.wait(FAILED_SYNC_PAUSE_S)
            self._wanted.set()
            return
        self.trouble.is_over()
        self._took(time.monotonic() - began)
        self._after_sync()


class Checkpointer:
    """Moves windows that have ended from memory into segments, and records into the ledger's files."""

    def __init__(self, store: Store, wall_ms: Callable[[], int], took: Callable[[float], None]) -> None:
        """`took` gets the duration of each checkpoint in seconds."""
        self._store = store
        self._wall_ms = wall_ms
        self._took = took
        self._stopping = threading.Event()
        self.trouble = Trouble("the head cannot be written to a segment")
        self.pulse = Pulse()
        self.thread = threading.Thread(target=self._run, name="obsagent-checkpoint")

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(CHECKPOINT_LOOK_S):
            with self.pulse.at("a checkpoint"):
                self._look()

    def _look(self) -> None:
        began = time.monotonic()
        try:
            has_written = self._store.maybe_checkpoint(self._wall_ms())
            if not (self._store.records.maybe_flush() or has_written):
                return  # not the time for either: nothing has got better
        except Exception as error:  # whatever it is: the head stays as it was, and it is tried again
            self.trouble.met(error)
            return
        self._took(time.monotonic() - began)
        self.trouble.is_over()


class Stopping(Exception):
    """The agent is stopping: whatever takes long is given up."""


class Upkeeper:
    """Compacts segment files, rolls them up and removes what has expired; and so with the ledger's.

    As long as it works it rests, so that it takes half a processor at most.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._stopping = threading.Event()
        self.trouble = Trouble("segments cannot be kept up")
        self.pulse = Pulse()
        self.thread = threading.Thread(target=self._run, name="obsagent-upkeep")

    def stop(self) -> None:
        """Gives up what it is at and ends the thread."""
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        with suppress(Stopping):
            while not self._stopping.wait(UPKEEP_LOOK_S):
                with self.pulse.at(UPKEEP):
                    self._look()

    def _look(self) -> None:
        """Retention comes first, and again after each file: what is rewritten needs room."""
        try:
            self._store.maybe_retire(self._clock.wall_ms())
            while self._rewrite():
                self.trouble.is_over()
                self._store.maybe_retire(self._clock.wall_ms())
            if time.monotonic() - self.trouble.last_s > RETRY_AFTER_MS / 1000:
                self.trouble.is_over()  # it was the time to try again, and there was nothing to do any more
        except Stopping:
            raise
        except Exception as error:  # whatever it is: the files stay as they were, and it is tried again
            self.trouble.met(error)

    def _rewrite(self) -> bool:
        now_ms = self._clock.monotonic_ms()
        if self._store.maybe_compact(now_ms, self._rest) or self._store.maybe_roll_up(now_ms, self._rest):
            return True
        began = time.monotonic()
        is_more = self._store.records.upkeep()
        self._rest(time.monotonic() - began)
        return is_more

    def _rest(self, worked_s: float) -> None:
        self.pulse.still()
        if self._stopping.wait(worked_s):
            raise Stopping
        self.pulse.still()

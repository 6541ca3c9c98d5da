"""The agent's composition root: opens the store, starts the threads, ends them in order.

thread        owns                         ends
ingest        the writers' socket          1. after handling what has arrived
query         the readers' socket          2.
control       the control socket           2.
checkpoint    nothing                      3.
upkeep        nothing                      3. gives up what it is at
commit        nothing                      4. after a last sync
main          the store, signals           5. after a last checkpoint: exit 0
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from obsagent import __version__, selfmetrics
from obsagent.answer.serve import QueryServer
from obsagent.clock import Clock, SystemClock
from obsagent.config import AgentConfig
from obsagent.control import ControlServer
from obsagent.doors import open_doors
from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.head.store import Budgets, Store
from obsagent.limits import GROUP_COMMIT_INTERVAL_MS, JOURNAL_UNSYNCED_BYTES_MAX
from obsagent.processes import pid_namespace
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_session import OwnSession
from obsagent.receive.server import IngestServer
from obsagent.selfmetrics import SelfMetric
from obsagent.store_sink import StoreSink

logger = logging.getLogger(__name__)

CHECKPOINT_LOOK_S = 0.5
UPKEEP_LOOK_S = 5.0
FAILED_SYNC_PAUSE_S = 1.0

LoadConfig = Callable[[], AgentConfig]


class Committer:
    """Group commit: one sync at a time, at most one in 100 ms, whenever something waits."""

    def __init__(self, store: Store, after_sync: Callable[[], None], took: Callable[[float], None]) -> None:
        """`after_sync` is called after each sync; `took` gets its duration in seconds."""
        self._store = store
        self._after_sync = after_sync
        self._took = took
        self._wanted = threading.Event()
        self._stopping = False
        self.synced = 0
        self.failure = ""
        self.thread = threading.Thread(target=self._run, name="obsagent-commit")

    def request(self) -> None:
        """Something may wait to be synced."""
        if self._store.position() > self.synced:
            self._wanted.set()

    def overloaded(self) -> bool:
        """True while more waits to be synced than may."""
        return self._store.position() - self.synced > JOURNAL_UNSYNCED_BYTES_MAX

    def stop(self) -> None:
        """Syncs a last time and ends the thread."""
        self._stopping = True
        self._wanted.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wanted.wait()
            self._wanted.clear()
            began = time.monotonic()
            self._sync()
            pause = GROUP_COMMIT_INTERVAL_MS / 1000 - (time.monotonic() - began)
            if pause > 0 and not self._stopping:
                time.sleep(pause)
        self._sync()

    def _sync(self) -> None:
        began = time.monotonic()
        try:
            self.synced = self._store.sync()
        except (StoreError, OSError) as error:
            if str(error) != self.failure:
                logger.error("the journal cannot be synced, nothing is acknowledged: %s", error)
            self.failure = str(error)
            time.sleep(FAILED_SYNC_PAUSE_S)
            self._wanted.set()
            return
        if self.failure:
            logger.info("the journal can be synced again")
            self.failure = ""
        self._took(time.monotonic() - began)
        self._after_sync()


class Stopping(Exception):
    """The agent is stopping: whatever takes long is given up."""


class Upkeep:
    """Compacts segment files, rolls them up and removes what has expired.

    As long as it works it rests, so that it takes half a processor at most.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._stopping = threading.Event()
        self.failure = ""
        self.thread = threading.Thread(target=self._run, name="obsagent-upkeep")

    def stop(self) -> None:
        """Gives up what it is at and ends the thread."""
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        with suppress(Stopping):
            while not self._stopping.wait(UPKEEP_LOOK_S):
                self._look()

    def _look(self) -> None:
        """Retention comes first, and again after each file: what is rewritten needs room."""
        try:
            self._store.maybe_retire(self._now_ms())
            while self._rewrite():
                self.failure = ""
                self._store.maybe_retire(self._now_ms())
        except StoreError as error:
            if str(error) != self.failure:
                logger.error("the upkeep of segments failed: %s", error)
            self.failure = str(error)

    def _rewrite(self) -> bool:
        now_ms = self._now_ms()
        return self._store.maybe_compact(now_ms, self._rest) or self._store.maybe_roll_up(now_ms, self._rest)

    def _rest(self, worked_s: float) -> None:
        if self._stopping.wait(worked_s):
            raise Stopping


class Agent:
    """One running agent: `start`, `stop`, `status`."""

    def __init__(
        self,
        config: AgentConfig,
        load_again: LoadConfig | None = None,
        *,
        clock: Clock | None = None,
        budgets: Budgets | None = None,
        fs: Fs | None = None,
    ) -> None:
        """Opens the store (which recovers it) and the endpoints; `load_again` reads the configuration for a reload.

        Raises `StoreLocked`, `StoreError`, and what `open_doors` raises. The time, the store's limits and its file
        system can be others than the machine's and the configuration's.
        """
        self._config = config
        self._load_again = load_again or (lambda: config)
        self._clock = clock or SystemClock()
        self._started_ms = self._clock.wall_ms()
        self._cpu_seconds = 0.0
        self._messages = self._malformed = self._refused = 0
        self._durations: list[tuple[SelfMetric, float]] = []
        budgets = budgets or _budgets(config)
        self._store = Store.open(config.data, clock=self._clock, budgets=budgets, fs=fs)
        try:
            self._doors = open_doors(config)
        except BaseException:
            self._store.close()
            raise
        self._sink = StoreSink(self._store)
        writers = self._doors.writers
        caps = (config.series_per_metric, config.series_total)
        self._ingest = Ingest(self._sink, self._clock, writers.send, _scales(config), caps)
        self._own = OwnSession(self._sink, self._clock, os.uname().nodename)
        self._committer = Committer(self._store, writers.wake, self._took(selfmetrics.SYNC_DURATION))
        self._server = IngestServer(writers, self._ingest, self._committer, self._clock, self._every_second)
        self._query = QueryServer(self._doors.readers, self._store.view, self.status, self._clock.wall_ms)
        self._query_thread = threading.Thread(target=self._query.run, name="obsagent-query")
        self._control = ControlServer(self._doors.control, self.reload, self.checkpoint)
        self._control_thread = threading.Thread(target=self._control.run, name="obsagent-control")
        self._upkeep = Upkeep(self._store, self._clock.wall_ms)
        self._stopping = threading.Event()
        self._checkpoint_failure = ""
        self._checkpoint_thread = threading.Thread(target=self._checkpoint_loop, name="obsagent-checkpoint")

    def start(self) -> None:
        """Starts every thread."""
        self._committer.thread.start()
        self._checkpoint_thread.start()
        self._upkeep.thread.start()
        self._query_thread.start()
        self._control_thread.start()
        self._server.start()

    @property
    def failed(self) -> bool:
        """True if a thread that must live has died."""
        return not self._server.thread.is_alive()

    def stop(self) -> None:
        """Ends the threads in order and leaves everything in segments."""
        self._server.stop()
        self._query.stop()
        self._control.stop()
        self._query_thread.join()
        self._control_thread.join()
        self._stopping.set()
        self._checkpoint_thread.join()
        self._upkeep.stop()
        try:
            self._own.close()
        except StoreError as error:
            logger.error("the agent's own session cannot be closed: %s", error)
        self._committer.stop()
        self._ingest.acknowledge(self._committer.synced)
        self._store.close()
        self._doors.close()

    def reload(self) -> dict[str, Any]:
        """Reads the keys and the configuration again, of which `[metrics]` counts for clients that connect from now on.

        Says what else has changed and needs a restart. Raises `ConfigError`, and then nothing has changed.
        """
        new = self._load_again()
        names = [each.name for each in fields(new) if each.name != "metrics"]
        changed = [name for name in names if getattr(new, name) != getattr(self._config, name)]
        self._config = replace(self._config, metrics=new.metrics)
        self._ingest.set_scales(_scales(new))
        keys = self._doors.keyring.refresh(force=True)
        return {"keys": keys, "metrics": sorted(new.metrics), "restart_needed": changed}

    def checkpoint(self) -> dict[str, Any]:
        """Moves everything from memory into a segment; raises `StoreError` if the disk refuses."""
        return {"written": self._store.checkpoint()}

    def status(self) -> dict[str, Any]:
        """Accounts, sessions and sizes of the store, and the agent's own state."""
        state = self._store.status()
        self._sink.add_pending(state)
        self._sink.add_refused_labels(state)
        failures = (self._committer.failure, self._checkpoint_failure, self._upkeep.failure)
        problems = [failure for failure in failures if failure]
        state["agent"] = {
            "version": __version__,
            "pid": os.getpid(),
            "pid_namespace": pid_namespace(),
            "uptime_ms": self._clock.wall_ms() - self._started_ms,
            "listen": self._config.listen,
            "serve": self._config.serve,
            "control": self._config.control_endpoint,
            "health": "failing" if problems else "ok",
            "problems": problems,
            "messages": self._ingest.messages,
            "malformed": self._ingest.malformed,
            "unsupported": self._ingest.unsupported,
            "refused": self._doors.refused,
            "resident_bytes": _resident_bytes(),
            "cpu_seconds": _cpu_seconds(),
        }
        return state

    def _took(self, metric: SelfMetric) -> Callable[[float], None]:
        return lambda seconds: self._durations.append((metric, seconds))

    def _checkpoint_loop(self) -> None:
        took = self._took(selfmetrics.CHECKPOINT_DURATION)
        while not self._stopping.wait(CHECKPOINT_LOOK_S):
            began = time.monotonic()
            try:
                if self._store.maybe_checkpoint(self._clock.wall_ms()):
                    took(time.monotonic() - began)
                self._checkpoint_failure = ""
            except (StoreError, OSError) as error:
                if str(error) != self._checkpoint_failure:
                    logger.error("the head cannot be written to a segment: %s", error)
                self._checkpoint_failure = str(error)

    def _every_second(self) -> None:
        try:
            self._own.combine_gauges()
            self._record_own()
            self._own.write()
        except StoreError as error:
            logger.debug("the agent's own metrics are dropped: %s", error)
        self._sink.suspend_silent(self._clock.monotonic_ms())  # not our own session, which has just said something

    def _record_own(self) -> None:
        cpu_seconds = _cpu_seconds()
        durations, self._durations = self._durations, []
        readings = [
            *durations,
            (selfmetrics.CPU_SECONDS, cpu_seconds - self._cpu_seconds),
            (selfmetrics.MESSAGES, self._ingest.messages - self._messages),
            (selfmetrics.MALFORMED, self._ingest.malformed - self._malformed),
            (selfmetrics.REFUSED, (refused := self._doors.refused) - self._refused),
            (selfmetrics.RESIDENT_BYTES, _resident_bytes()),
            (selfmetrics.HEAD_BYTES, self._store.head_bytes()),
            (selfmetrics.SERIES, len(self._store.series)),
            (selfmetrics.SESSIONS, self._sink.session_count()),
        ]
        self._cpu_seconds = cpu_seconds
        self._messages, self._malformed = self._ingest.messages, self._ingest.malformed
        self._refused = refused
        for metric, value in readings:
            self._own.record(metric.kind, metric.name, float(value), unit=metric.unit, help_text=metric.help)


def _budgets(config: AgentConfig) -> Budgets:
    """What the configuration lets the store use."""
    return Budgets(
        config.series_per_metric,
        config.series_total,
        config.head_budget,
        disk_bytes=config.disk_budget,
        retention_ms=config.retention,
    ).within_disk()


def _scales(config: AgentConfig) -> dict[str, int]:
    return {name: metric.scale for name, metric in config.metrics.items()}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def run(config: AgentConfig, load_again: LoadConfig | None = None, make: Callable[..., Agent] | None = None) -> int:
    """Runs the agent until SIGTERM or SIGINT; the exit code.

    `load_again` reads the configuration at a reload; `make` makes the agent of both.
    """
    wanted = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wanted.set())
    agent = (make or Agent)(config, load_again)
    agent.start()
    logger.info(
        "ready: writers %s, readers %s, control %s, data %s",
        config.listen,
        config.serve,
        config.control_endpoint,
        config.data,
    )
    while not wanted.wait(0.5):
        if agent.failed:
            break
    failed = agent.failed
    agent.stop()
    logger.info("stopped")
    return 1 if failed else 0

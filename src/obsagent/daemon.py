"""The agent's composition root: opens the store, starts the threads, ends them in order.

thread        owns                         ends
ingest        the writers' socket          1. after handling what has arrived
query         the readers' socket          2.
checkpoint    nothing                      3.
compaction    nothing                      3. gives up what it is at
commit        nothing                      4. after a last sync
main          the store, signals           5. after a last checkpoint: exit 0
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from obsagent import __version__, health, selfmetrics
from obsagent.answer.serve import QueryServer
from obsagent.clock import Clock, SystemClock
from obsagent.config import AgentConfig
from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.head.store import Budgets, Store
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_accounts import OwnAccounts
from obsagent.receive.own_session import OwnSession
from obsagent.receive.server import IngestServer
from obsagent.self_report import Durations, SelfReport, cpu_seconds, resident_bytes
from obsagent.store_sink import StoreSink
from obsagent.upkeep import Checkpointer, Committer, Compactor
from obsagent.wire.socket import ServerSocket, ServeSocket

logger = logging.getLogger(__name__)


class Agent:
    """One running agent: `start`, `stop`, `status`."""

    def __init__(self, config: AgentConfig, *, clock: Clock | None = None, fs: Fs | None = None) -> None:
        """Opens the store (which recovers it) and both endpoints; raises `StoreLocked`, `StoreError`, `UsageError`.

        `clock` and `fs` are the machine's own unless a test gives others.
        """
        self._config = config
        self._clock = clock or SystemClock()
        self._started_ms = self._clock.monotonic_ms()
        budgets = Budgets(config.series_per_metric, config.series_total, config.head_budget)
        self._store = Store.open(config.data, clock=self._clock, budgets=budgets, fs=fs)
        try:
            self._writers = ServerSocket(config.listen)
            self._readers = ServeSocket(config.serve)
        except BaseException:
            self._store.close()
            raise
        self._sink = StoreSink(self._store)
        scales = {name: metric.scale for name, metric in config.metrics.items()}
        self._ingest = Ingest(self._sink, self._clock, self._writers.send, scales)
        self._own = OwnSession(self._sink, self._clock, os.uname().nodename)
        durations = Durations()
        self._committer = Committer(self._store, self._writers.wake, durations.of(selfmetrics.SYNC_DURATION))
        self._server = IngestServer(self._writers, self._ingest, self._committer, self._clock, self._every_second)
        self._query = QueryServer(self._readers, self._store.view, self.status, self._clock.wall_ms)
        self._query_thread = threading.Thread(target=self._query.run, name="obsagent-query")
        self._compactor = Compactor(self._store, self._clock.monotonic_ms)
        took_checkpoint = durations.of(selfmetrics.CHECKPOINT_DURATION)
        self._checkpointer = Checkpointer(self._store, self._clock.wall_ms, took_checkpoint)
        self._report = SelfReport(
            own=self._own,
            accounts=OwnAccounts(self._sink, self._own),
            store=self._store,
            sink=self._sink,
            ingest=self._ingest,
            server=self._server,
            writers=self._writers,
            committer=self._committer,
            checkpointer=self._checkpointer,
            compactor=self._compactor,
            problem_count=lambda: len(list(self._problems())),
            durations=durations,
        )
        self._started = False

    @property
    def _threads(self) -> list[threading.Thread]:
        return [
            self._committer.thread,
            self._checkpointer.thread,
            self._compactor.thread,
            self._query_thread,
            self._server.thread,
        ]

    def start(self) -> None:
        """Starts every thread."""
        for thread in self._threads:
            thread.start()
        self._started = True

    @property
    def failed(self) -> bool:
        """True if a thread that must live has died, or the store needs to be opened again."""
        return bool(self._store.broken) or not all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Ends the threads in order and leaves everything in segments; raises `StoreError` if that cannot be done."""
        self._server.stop()
        self._query.stop()
        self._query_thread.join()
        self._checkpointer.stop()
        self._compactor.stop()
        try:
            self._own.close()
        except StoreError as error:
            logger.error("the agent's own session cannot be closed: %s", error)
        self._committer.stop()
        self._ingest.acknowledge(self._committer.synced)
        try:
            self._store.close()
        finally:
            self._writers.close()
            self._readers.close()

    def status(self) -> dict[str, Any]:
        """Accounts, sessions and sizes of the store, and the agent's own state (`agent`).

        agent    version, pid, uptime_ms, listen, serve
                 health           ok, degraded or failing (`obsagent.health`)
                 problems         what is wrong now and what to do, a sentence each
                 messages         received since the agent began; refused {code: of these}; malformed, unsupported
                 unread_replies   dropped because their client does not read
                 overloaded_ms    time in which clients were not read, because the disk was too slow
                 failures         {sync, checkpoint, compaction}
                 clock_steps      {forward, back}; last_clock_step null or {by_ms, at_ms: on the clock as it was set}
                 resident_bytes, cpu_seconds
        """
        state = self._store.status()
        self._sink.add_pending(state)
        problems = list(self._problems())
        step = self._ingest.step
        state["agent"] = {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_ms": self._clock.monotonic_ms() - self._started_ms,
            "listen": self._config.listen,
            "serve": self._config.serve,
            "health": health.health_of(problems),
            "problems": [problem.says for problem in problems],
            "messages": self._ingest.messages,
            "malformed": self._ingest.malformed,
            "unsupported": self._ingest.unsupported,
            "refused": dict(self._ingest.refused),
            "unread_replies": self._writers.unread,
            "overloaded_ms": self._server.overloaded_ms,
            "failures": {
                "sync": self._committer.trouble.count,
                "checkpoint": self._checkpointer.trouble.count,
                "compaction": self._compactor.trouble.count,
            },
            "clock_steps": dict(self._ingest.steps),
            "last_clock_step": {"by_ms": step.by_ms, "at_ms": step.wall_ms} if step else None,
            "resident_bytes": resident_bytes(),
            "cpu_seconds": cpu_seconds(),
        }
        return state

    def _problems(self) -> Iterator[health.Problem]:
        """What is wrong now; any thread asks."""
        found = [
            health.journal_problem(self._committer.trouble),
            health.head_problem(self._checkpointer.trouble),
            health.compaction_problem(self._compactor.trouble),
            health.clock_problem(self._ingest.step, self._clock.monotonic_ms()),
        ]
        yield from (problem for problem in found if problem is not None)
        if self._store.broken:
            yield health.broken_problem(self._store.broken)
        if self._committer.overloaded():
            yield health.overload_problem(self._store.unsynced_bytes())
        if self._started:
            yield from (health.thread_problem(each.name) for each in self._threads if not each.is_alive())

    def _every_second(self) -> None:
        self._ingest.heed_clock()
        listening = not self._committer.overloaded()
        self._sink.suspend_silent(self._clock.monotonic_ms(), listening=listening)
        try:
            self._report.write()
        except StoreError as error:
            logger.debug("the agent's own metrics are dropped: %s", error)


def run(config: AgentConfig) -> int:
    """Runs the agent until SIGTERM or SIGINT; the exit code.

    Raises `StoreError` if the store cannot be opened, or not everything can be written to it at the end.
    """
    wanted = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wanted.set())
    try:
        agent = Agent(config)
    except StoreError as error:
        raise StoreError(f"{error}{health.advice(error)}; --data names another directory") from error
    agent.start()
    logger.info("ready: writers %s, readers %s, data %s", config.listen, config.serve, config.data)
    while not wanted.wait(0.5):
        if agent.failed:
            break
    failed = agent.failed
    agent.stop()
    logger.info("stopped")
    return 1 if failed else 0

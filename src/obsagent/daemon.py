"""The agent's composition root: opens the store, starts the threads, ends them in order.

thread        owns                         ends
collectors    what they read               0. those that hang are left behind
http          the HTTP port                0. after answering what is in hand, with the threads that make its answers
ingest        the writers' socket          1. after handling what has arrived
query         the readers' socket          2.
control       the control socket           2.
checkpoint    nothing                      3.
upkeep        nothing                      3. gives up what it is at
evaluate      the state of drift           3. after the look in hand
harm          the state of harm            3. after the look in hand; commands that it runs end
commit        nothing                      4. after a last sync
main          the store, signals           5. after a last checkpoint: exit 0
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from obsagent import __version__, health, logs, selfmetrics
from obsagent.answer.serve import QueryServer
from obsagent.clock import Clock, SystemClock
from obsagent.collect import registry
from obsagent.collect.rounds import Collection
from obsagent.collect.surroundings import ModelSession, Surroundings
from obsagent.config import AgentConfig
from obsagent.configured import budgets_of, scales_of, scraped_of
from obsagent.control import ControlServer
from obsagent.doors import open_doors
from obsagent.endpoints import IPC_PREFIX, is_loopback
from obsagent.errors import StoreError
from obsagent.evaluate.kept import Kept, KnownOrKept
from obsagent.evaluate.readings import ALARMS
from obsagent.evaluate.references import FromFiles
from obsagent.evaluate.settings import settings_of
from obsagent.evaluation import Evaluation
from obsagent.export.exporter import Exporter, Exposition
from obsagent.fs import Fs
from obsagent.harm.of_ledger import LedgerFeed
from obsagent.harm_outside import outside_of
from obsagent.hash_key import hash_key
from obsagent.head.ledger_port import open_ledger
from obsagent.head.store import Budgets, Store
from obsagent.http_port import HttpPort
from obsagent.model_rules import ModelRules
from obsagent.models_config import ModelConfig
from obsagent.processes import pid_namespace
from obsagent.pulses import Pulse, Pulses
from obsagent.readings import Reading
from obsagent.receive.collected import Collected
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_accounts import OwnAccounts
from obsagent.receive.own_session import OwnSession
from obsagent.receive.server import IngestServer
from obsagent.reference.registry import References
from obsagent.reloads import LoadConfig, Reloads
from obsagent.reports import Reports
from obsagent.retraining import Retraining
from obsagent.samples import Event
from obsagent.self_report import Durations, SelfReport, cpu_seconds, resident_bytes
from obsagent.store_sink import StoreSink
from obsagent.upkeep import Checkpointer, Committer, Upkeeper

logger = logging.getLogger(__name__)


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

        Raises `ConfigError`, `StoreLocked`, `StoreError`, and what `open_doors` raises. The time, the store's limits
        and its file system can be others than the machine's and the configuration's.
        """
        self._clock = clock or SystemClock()
        self._started_ms = self._clock.monotonic_ms()
        self._load = load_again or (lambda: config)
        self._references = References(config.models)
        self._new_references: list[str] = []
        self._fs = fs or Fs()
        self._settings = settings_of(lambda: self._reloads.config.models)
        self._reloads = Reloads(config, self._load_again, self._clock, self._apply)
        self._rules = ModelRules(config.models, self._references.lookup, partial(hash_key, config.data, fs))
        self._rules.kept_ms = config.retention[-1]
        self._open(config, budgets or budgets_of(config), fs)
        self._exporter = Exporter(self._store.view, self._sync_what_waits)
        self._sink = StoreSink(self._store)
        writers = self._doors.writers
        caps = (config.series_per_metric, config.series_total)
        horizon_of = self._rules.horizon_ms
        self._ingest = Ingest(self._sink, self._clock, writers.send, scales_of(config), caps, self._rules, horizon_of)
        self._own = OwnSession(self._sink, self._clock, os.uname().nodename)
        collected = Collected(self._own)
        surroundings = Surroundings(sessions=lambda: _model_sessions(self._store, config.listen))
        self._scraped = scraped_of(config)
        collectors = [*registry.make(config.collect, surroundings), *self._scraped.values()]
        self._collection = Collection(collectors, collected.put)
        durations = Durations()
        self._committer = Committer(self._store, writers.wake, durations.of(selfmetrics.SYNC_DURATION))
        self._server = IngestServer(writers, self._ingest, self._committer, self._clock, self._every_second)
        self._expected = FromFiles(KnownOrKept(self._references, Kept(config.data)))
        self._evaluation = self._make_evaluation(config, collected.put)
        asked = Reports(self._store, self._clock, self._expected, self._evaluation, self._settings, self._model_config)
        self.query, self.drift, self.quality = asked.query, asked.drift, asked.quality  # for the HTTP port
        self._retraining = self._make_retraining(config, collected)
        self._query = QueryServer(
            self._doors.readers,
            self._store.view,
            self.status,
            self._clock.wall_ms,
            self._expected,
            asked.by_kind(),
        )
        self._query_thread = threading.Thread(target=self._query.run, name="obsagent-query")
        self._control = ControlServer(self._doors.control, self.reload, self.checkpoint, self._store.forget)
        self._control_thread = threading.Thread(target=self._control.run, name="obsagent-control")
        self._upkeeper = Upkeeper(self._store, self._clock)
        took_checkpoint = durations.of(selfmetrics.CHECKPOINT_DURATION)
        self._checkpointer = Checkpointer(self._store, self._clock.wall_ms, took_checkpoint)
        self._self_report = self._make_report(collected, durations)
        self._pulses_by_thread = self._make_pulses()
        self._pulses = Pulses(self._pulses_by_thread)
        self._started = False

    def _open(self, config: AgentConfig, budgets: Budgets, fs: Fs | None) -> None:
        """The store and the endpoints: all of them, or none is left open."""
        rules = self._rules
        ledger = partial(
            open_ledger,
            horizon_ms=rules.horizon_ms,
            task=rules.task,
            positive=rules.positive,
            retention_ms=lambda: self._reloads.config.retention,
            disk_budget=config.ledger_budget,
        )
        self._store = Store.open(config.data, clock=self._clock, budgets=budgets, fs=fs, ledger=ledger)
        try:
            self._doors = open_doors(config)
        except BaseException:
            self._store.close()
            raise
        try:
            self._http = HttpPort(config)
        except BaseException:
            self._doors.close()
            self._store.close()
            raise

    def _make_report(self, collected: Collected, durations: Durations) -> SelfReport:
        return SelfReport(
            own=self._own,
            collected=collected,
            accounts=OwnAccounts(self._sink, self._own),
            store=self._store,
            sink=self._sink,
            ingest=self._ingest,
            server=self._server,
            doors=self._doors,
            committer=self._committer,
            checkpointer=self._checkpointer,
            upkeeper=self._upkeeper,
            problem_count=lambda: len(list(self._problems())),
            durations=durations,
        )

    def _make_pulses(self) -> dict[str, Pulse]:
        """Of the threads that must live, by name."""
        return {
            self._committer.thread.name: self._committer.pulse,
            self._checkpointer.thread.name: self._checkpointer.pulse,
            self._upkeeper.thread.name: self._upkeeper.pulse,
            self._evaluation.thread.name: self._evaluation.pulse,
            self._retraining.thread.name: self._retraining.pulse,
            self._query_thread.name: self._query.pulse,
            self._control_thread.name: self._control.pulse,
            self._server.thread.name: self._server.pulse,
        }

    def _make_evaluation(self, config: AgentConfig, put: Callable[[list[Reading]], None]) -> Evaluation:
        self._keep_references()
        return Evaluation(
            config.data,
            self._fs,
            self._clock,
            self._store.view,
            self._expected,
            self._settings,
            put,
            self._sink.counted(ALARMS.name),
        )

    def _make_retraining(self, config: AgentConfig, collected: Collected) -> Retraining:
        feed = LedgerFeed(self._store.records.view, lambda: self._committer.synced)
        outside = outside_of(self._model_config, self._references.lookup, self.drift, collected, self._events)
        return Retraining(config.data, self._fs, self._clock, feed, outside)

    def _events(self, name: str) -> list[Event]:
        return self._store.view().events(name)

    def _model_config(self, name: str) -> ModelConfig | None:
        return self._reloads.config.models.get(name)

    def _keep_references(self) -> None:
        Kept(self._reloads.config.data).keep(loaded.reference for loaded in self._references)

    @property
    def _threads(self) -> list[threading.Thread]:
        return [
            self._committer.thread,
            self._checkpointer.thread,
            self._upkeeper.thread,
            self._evaluation.thread,
            self._retraining.thread,
            self._query_thread,
            self._control_thread,
            self._server.thread,
        ]

    def start(self) -> None:
        """Starts every thread."""
        for pulse in self._pulses_by_thread.values():
            pulse.begin()
        for thread in self._threads:
            thread.start()
        self._collection.start()
        self._http.start(self)
        self._started = True

    @property
    def failed(self) -> bool:
        """True if a thread that must live has died, or the store needs to be opened again."""
        return bool(self._store.broken) or not all(thread.is_alive() for thread in self._threads)

    def goes_on(self) -> bool:
        """False while a thread that must live hangs; what hangs is logged, once, with where. For one thread."""
        before = {each.thread for each in self._pulses.hanging}
        self._pulses.look()
        for each in self._pulses.hanging:
            if each.thread not in before:
                logger.error("%s\n%s", health.silence_problem(each).says, self._pulses.where(each.thread))
        return not self._pulses.hanging

    def stop(self) -> None:
        """Ends the threads in order and leaves everything in segments; raises `StoreError` if that cannot be done."""
        self._collection.stop()
        self._http.stop()
        self._server.stop()
        self._query.stop()
        self._control.stop()
        self._query_thread.join()
        self._control_thread.join()
        self._checkpointer.stop()
        self._upkeeper.stop()
        self._evaluation.stop()
        self._retraining.stop()
        try:
            self._own.close()
        except StoreError as error:
            logger.error("the agent's own session cannot be closed: %s", error)
        self._committer.stop()
        self._ingest.acknowledge(self._committer.synced)
        try:
            self._store.close()
        finally:
            self._doors.close()

    def scrape(self, accept: str) -> Exposition:
        """Everything for Prometheus, in the format that its `Accept` header asks for; raises `StoreError`."""
        return self._exporter.scrape(accept)

    def is_alive(self) -> bool:
        """True while everything runs that must."""
        return not self.failed

    def why_not_ready(self) -> list[str]:
        """Why nothing is acknowledged; empty while it is."""
        return [problem.says for problem in self._problems() if problem.stops]

    def _sync_what_waits(self) -> None:
        if self._store.unsynced_bytes():
            self._store.sync()

    def reload(self) -> dict[str, Any]:
        """Reads the keys, the configuration and the references again; [metrics] counts for clients that connect later.

        Of `[[scrape]]` targets come and go; one that has not changed goes on. Says which keys and references have
        changed and count now, and which keys need a restart. Raises `ConfigError`, and then nothing has changed.
        """
        done = self._reloads.reload()
        keys = self._doors.keyring.refresh(force=True)
        if self._new_references:
            done["references"] = self._new_references
        return {"keys": keys, "metrics": sorted(self._reloads.config.metrics), **done}

    def _load_again(self) -> AgentConfig:
        config = self._load()
        self._http.refresh()
        self._new_references = self._references.reload(config.models)
        self._keep_references()
        return config

    def _apply(self, config: AgentConfig) -> None:
        self._expected.forget()
        self._evaluation.references_changed()
        self._ingest.set_scales(scales_of(config))
        self._rules.models = config.models
        self._retraining.settings_changed()
        self._rules.kept_ms = config.retention[-1]
        self._ingest.rules.changed()
        self._store.set_budgets(budgets_of(config))
        logs.adjust(config.log_format, config.log_level)
        self._rescrape(config)

    def _rescrape(self, config: AgentConfig) -> None:
        wanted = scraped_of(config)
        gone = [collector for target, collector in self._scraped.items() if target not in wanted]
        come = [collector for target, collector in wanted.items() if target not in self._scraped]
        self._scraped = {target: self._scraped.get(target, collector) for target, collector in wanted.items()}
        self._collection.exchange(gone, come)

    def checkpoint(self) -> dict[str, Any]:
        """Moves everything from memory into a segment; raises `StoreError` if the disk refuses."""
        return {"written": self._store.checkpoint()}

    def status(self) -> dict[str, Any]:
        """Accounts, sessions and sizes of the store, and the agent's own state (`agent`).

        agent    version, pid, pid_namespace, uptime_ms, listen, serve, control
                 http             HOST:PORT, null if there is no port
                 health           ok, degraded or failing (`obsagent.health`)
                 problems         what is wrong now and what to do, a sentence each
                 messages         received since the agent began; refused {code: of these}; malformed, unsupported
                 denied           attempts to come in without a key, or with one that may not
                 unread_replies   dropped because their client does not read
                 overloaded_ms    time in which clients were not read, because the disk was too slow
                 failures         {sync, checkpoint, upkeep, evaluation, harm}
                 configuration    {since_ms, reloads, error, restart_needed}: what `Reloads.status` says
                 clock_steps      {forward, back}; last_clock_step null or {by_ms, at_ms: on the clock as it was set}
                 collectors       {name: what `Rounds.status` says}
                 evaluation       how far models are judged: what `Evaluation.status` says
                 harm             {models, episodes}: what `obsagent.harm.report` says
                 references       [{model, version ("" for all), id, rows, features, created_ms, file}]
                 resident_bytes, cpu_seconds
        """
        state = self._store.status()
        self._sink.add_pending(state)
        self._sink.add_refused_labels(state)
        problems = list(self._problems())
        step = self._ingest.step
        state["agent"] = {
            "version": __version__,
            "pid": os.getpid(),
            "pid_namespace": pid_namespace(),
            "uptime_ms": self._clock.monotonic_ms() - self._started_ms,
            "listen": self._reloads.config.listen,
            "serve": self._reloads.config.serve,
            "control": self._reloads.config.control_endpoint,
            "http": str(self._http.address) if self._http.address else None,
            "health": health.health_of(problems),
            "problems": [problem.says for problem in problems],
            "messages": self._ingest.messages,
            "malformed": self._ingest.malformed,
            "unsupported": self._ingest.unsupported,
            "refused": dict(self._ingest.refused),
            "denied": self._doors.refused,
            "unread_replies": self._doors.writers.unread,
            "overloaded_ms": self._server.overloaded_ms,
            "failures": {
                "sync": self._committer.trouble.count,
                "checkpoint": self._checkpointer.trouble.count,
                "upkeep": self._upkeeper.trouble.count,
                "evaluation": self._evaluation.trouble.count,
                "harm": self._retraining.trouble.count,
            },
            "configuration": self._reloads.status(),
            "clock_steps": dict(self._ingest.steps),
            "last_clock_step": {"by_ms": step.by_ms, "at_ms": step.wall_ms} if step else None,
            "collectors": self._collection.status(),
            "evaluation": self._evaluation.status(),
            "references": self._references.status(),
            "harm": self._retraining.status(),
            "resident_bytes": resident_bytes(),
            "cpu_seconds": cpu_seconds(),
        }
        return state

    def _problems(self) -> Iterator[health.Problem]:
        """What is wrong now; any thread asks."""
        found = [
            health.journal_problem(self._committer.trouble),
            health.head_problem(self._checkpointer.trouble),
            health.upkeep_problem(self._upkeeper.trouble),
            health.evaluation_problem(self._evaluation.trouble, self._evaluation.newer),
            health.harm_problem(self._retraining.trouble, self._retraining.newer),
            health.clock_problem(self._ingest.step, self._clock.monotonic_ms()),
            health.http_problem(self._http.trouble),
            health.left_out_problem(self._exporter.left_out),
        ]
        yield from (problem for problem in found if problem is not None)
        if self._reloads.trouble:
            yield health.Problem(self._reloads.trouble)
        if self._store.broken:
            yield health.broken_problem(self._store.broken)
        if self._committer.overloaded():
            yield health.overload_problem(self._store.unsynced_bytes())
        yield from map(health.Problem, (*self._collection.troubles(), *self._retraining.problems()))
        yield from map(health.silence_problem, self._pulses.found)
        if self._started:
            yield from (health.thread_problem(each.name) for each in self._threads if not each.is_alive())

    @property
    def condition(self) -> str:
        """How it is, in a line: the word for its health, and what is wrong."""
        problems = list(self._problems())
        return ": ".join([health.health_of(problems), *(each.says for each in problems[:1])])

    def _every_second(self) -> None:
        self._ingest.heed_clock()
        self._ingest.tell_changed_rules()
        try:
            self._self_report.write()
        except StoreError as error:
            logger.debug("the agent's own metrics are dropped: %s", error)
        listening = not self._committer.overloaded()
        self._sink.suspend_silent(self._clock.monotonic_ms(), listening=listening)  # our own session has just spoken


def _model_sessions(store: Store, listen: str) -> list[ModelSession]:
    """The sessions of this machine that have not ended, silent ones too: they may be at a long computation.

    Who comes over a socket file or the loopback is here, whatever a container calls its host; else the name has to do.
    """
    everybody = listen.startswith(IPC_PREFIX) or is_loopback(listen)
    here = os.uname().nodename
    return [
        ModelSession(each.service, each.worker, each.version, each.pid, each.pid_namespace, each.started_ms)
        for each in store.sessions
        if each.state != "closed" and each.service != selfmetrics.SERVICE and (everybody or each.host == here)
    ]

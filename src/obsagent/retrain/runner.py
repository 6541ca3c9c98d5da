"""Runs commands and calls webhooks, each in a thread of its own, and reports what becomes of them.

Nobody waits for them. A webhook that could work later is called again, some times, with longer and longer pauses; a
command is run once.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from obsagent.limits import RETRAIN_AT_ONCE, RETRAIN_ATTEMPTS
from obsagent.retrain.command import GRACE_S, run_command
from obsagent.retrain.outcome import Outcome
from obsagent.retrain.webhook import call_webhook

logger = logging.getLogger(__name__)

PAUSES_S = tuple(4.0**attempt for attempt in range(RETRAIN_ATTEMPTS - 1))
"""Before each further attempt: six of them in about six minutes."""


class Way(StrEnum):
    """How it is told."""

    COMMAND = "command"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be run: `to` is a command, or one address."""

    episode: str
    model: str
    way: Way
    to: tuple[str, ...]
    timeout_s: float
    evidence: bytes

    @property
    def key(self) -> tuple[str, Way]:
        """An episode has one run of each way."""
        return self.episode, self.way


class Stage(StrEnum):
    """How far a run has come."""

    STARTED = "started"
    """The command runs: it is not run again, whatever happens."""
    RETRIES = "retries"
    """An attempt has failed, and there will be another."""
    WORKED = "worked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """A run has come to a stage."""

    run: Run
    stage: Stage
    attempts: int
    says: str = ""
    code: int | None = None


class Runner:
    """One thread starts runs and takes the reports. What has ended may be started again once its report was taken."""

    def __init__(self, wake: Callable[[], None] = lambda: None, pauses_s: Sequence[float] = PAUSES_S) -> None:
        """`wake` is called when there is something to report."""
        self._wake = wake
        self._pauses_s = pauses_s
        self._stopping = threading.Event()
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._threads: dict[tuple[str, Way], threading.Thread] = {}

    def start(self, run: Run) -> bool:
        """Begins; False if that is going on already, or as much is as may be, or the end is near."""
        if run.key in self._threads or len(self._threads) >= RETRAIN_AT_ONCE or self._stopping.is_set():
            return False
        thread = threading.Thread(target=self._work, args=(run,), name=f"obsagent-retrain-{run.way}", daemon=True)
        self._threads[run.key] = thread
        thread.start()
        return True

    def reports(self) -> list[Report]:
        """What has happened since this was asked."""
        found = []
        while not self._reports.empty():
            report = self._reports.get()
            if report.stage in (Stage.WORKED, Stage.FAILED):
                del self._threads[report.run.key]
            found.append(report)
        return found

    def stop(self) -> None:
        """Ends commands, and calls nobody again; what is in the middle of a call is left to itself."""
        self._stopping.set()
        for (_, way), thread in self._threads.items():
            thread.join(GRACE_S + 1.0 if way is Way.COMMAND else 0.0)

    def _work(self, run: Run) -> None:
        try:
            if run.way is Way.COMMAND:
                self._command(run)
            else:
                self._webhook(run)
        except Exception as error:  # whatever it is: somebody must learn that it did not work
            logger.exception("on_retrain of %s", run.model)
            self._report(run, Stage.FAILED, 1, Outcome(False, f"failed: {type(error).__name__}: {error}"))

    def _command(self, run: Run) -> None:
        def started() -> None:
            self._report(run, Stage.STARTED, 1)

        outcome = run_command(run.to, run.evidence, run.timeout_s, self._stopping, name=run.model, started=started)
        self._ended(run, outcome, 1)

    def _webhook(self, run: Run) -> None:
        (url,) = run.to
        for attempt, pause_s in enumerate((*self._pauses_s, None), 1):
            outcome = call_webhook(url, run.evidence, run.timeout_s, key=run.episode)
            if outcome.worked or not outcome.may_try_again or pause_s is None:
                self._ended(run, outcome, attempt)
                return
            self._report(run, Stage.RETRIES, attempt, outcome)
            if self._stopping.wait(pause_s):
                return  # it is still to be called, by the agent after this one

    def _ended(self, run: Run, outcome: Outcome, attempts: int) -> None:
        tell = logger.info if outcome.worked else logger.error
        tell("on_retrain of %s: the %s %s", run.model, run.way, outcome.says)
        self._report(run, Stage.WORKED if outcome.worked else Stage.FAILED, attempts, outcome)

    def _report(self, run: Run, stage: Stage, attempts: int, outcome: Outcome | None = None) -> None:
        says, code = (outcome.says, outcome.code) if outcome else ("", None)
        self._reports.put(Report(run, stage, attempts, says, code))
        self._wake()

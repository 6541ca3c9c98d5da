"""Runs collectors, each in a thread of its own: one that hangs or fails takes nothing from the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from obsagent.collect.collector import Collector, Unreadable
from obsagent.readings import Reading

logger = logging.getLogger(__name__)

STUCK_AFTER_ROUNDS = 3
"""A round that takes as long as so many should is stuck."""

STUCK_AFTER_S = 10.0
STOP_TIMEOUT_S = 2.0

Take = Callable[[list[Reading]], None]


class Rounds:
    """The rounds of one collector. Its thread is a daemon's: one that hangs in a driver cannot keep the agent alive."""

    def __init__(self, collector: Collector, take: Take) -> None:
        """`take` gets the readings of each round, in the collector's thread."""
        self.collector = collector
        self._take = take
        self._stopping = threading.Event()
        self._began_s: float | None = None
        self._took_s = 0.0
        self._rounds = 0
        self._readings = 0
        self._failures = 0
        self._error = ""
        self.thread = threading.Thread(target=self._run, name=f"obsagent-{collector.name}", daemon=True)

    def start(self) -> None:
        """Begins the first round."""
        self.thread.start()

    def stop(self) -> None:
        """No round follows; does not wait for the one that runs."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._began_s = began_s = time.monotonic()
                self._round()
                self._took_s = time.monotonic() - began_s
                self._began_s = None
                self._stopping.wait(max(self.collector.interval_s - self._took_s, 0.0))
        finally:
            self.collector.close()

    def _round(self) -> None:
        readings: list[Reading] = []
        try:
            for reading in self.collector.collect():
                readings.append(reading)
        except Exception as error:  # whatever a driver or another server does: it is tried again
            self._failed(error)
        else:
            self._worked()
        self._rounds += 1
        self._readings = len(readings)
        if not self._stopping.is_set():
            self._take(readings)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        text = str(error) or type(error).__name__
        if text != self._error:
            logger.warning("%s: %s", self.collector.name, text, exc_info=None if _is_expected(error) else error)
        self._error = text

    def _worked(self) -> None:
        if self._error:
            logger.info("%s: can be read again", self.collector.name)
        self._error = ""

    @property
    def trouble(self) -> str:
        """What is wrong now, in a sentence; empty if nothing is."""
        began_s = self._began_s
        if began_s is not None:
            lasts_s = time.monotonic() - began_s
            if lasts_s > max(STUCK_AFTER_ROUNDS * self.collector.interval_s, STUCK_AFTER_S):
                return f"{self.collector.name}: no answer for {lasts_s:.0f} s"
        return f"{self.collector.name}: {self._error}" if self._error else ""

    def status(self) -> dict[str, Any]:
        """{interval_ms, rounds, readings: of the last round, took_ms, failures, error: now, or empty, note}.

        A `note` says why there is nothing to read, where that is no trouble.
        """
        return {
            "interval_ms": round(self.collector.interval_s * 1000),
            "rounds": self._rounds,
            "readings": self._readings,
            "took_ms": round(self._took_s * 1000, 3),
            "failures": self._failures,
            "error": self.trouble.removeprefix(f"{self.collector.name}: "),
            "note": getattr(self.collector, "note", ""),
        }


class Collection:
    """All collectors of an agent."""

    def __init__(self, collectors: Iterable[Collector], take: Take) -> None:
        """`take` gets the readings of every round, in any thread."""
        self._all = [Rounds(collector, take) for collector in collectors]

    def start(self) -> None:
        """Starts every thread."""
        for each in self._all:
            each.start()

    def stop(self) -> None:
        """Ends the threads, all but those that hang."""
        for each in self._all:
            each.stop()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for each in self._all:
            if each.thread.ident is not None:
                each.thread.join(max(deadline_s - time.monotonic(), 0.0))

    def troubles(self) -> list[str]:
        """What is wrong now, a sentence each."""
        return [each.trouble for each in self._all if each.trouble]

    def status(self) -> dict[str, Any]:
        """The state of each collector by its name."""
        return {each.collector.name: each.status() for each in self._all}


def _is_expected(error: Exception) -> bool:
    return isinstance(error, Unreadable | OSError)

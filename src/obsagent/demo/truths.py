"""Tells the agent whether flights were late, once they have landed: as a job does that runs where truths are known."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from obsagent.by_id.report import TruthReport
from obsagent.demo.flights import NEVER_ARRIVED
from obsagent.demo.model import MODEL
from obsagent.demo.replay import Replay
from obsagent.errors import PendingTruths
from obsagent.record.client import Client

INTERVAL_S = 0.25
TIMEOUT_S = 5.0
LAST_TIMEOUT_S = 30.0


class TruthJob:
    """Of one replay: it tells of the flights that were asked about, whichever version of the model answered."""

    def __init__(self, replay: Replay, obs: Client) -> None:
        """`obs` need not be the client of whoever predicts."""
        self._replay = replay
        self._model = obs.model(MODEL)
        self._stopping = threading.Event()
        self.told = np.zeros(len(replay.flights), dtype=bool)
        """Of which flights the agent has the truth."""
        self.report = TruthReport()
        """What became of all that was told so far."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tells in a thread what is known by then, again and again, for the length of a `with`."""
        thread = threading.Thread(target=self._run, name="demo-truths")
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            try:
                self.tell(self._replay.now_min, TIMEOUT_S)
            except PendingTruths:  # told again the next time; what the agent has taken counts once
                continue

    def tell(self, now_min: float = math.inf, timeout_s: float = LAST_TIMEOUT_S) -> None:
        """Tells what is known at a time of the replay, by default at its end, and was not told yet.

        Raises `PendingTruths` if the agent does not take it in time.
        """
        flights = self._replay.flights
        is_known = (flights.landed_min <= now_min) & (flights.late != NEVER_ARRIVED)
        chosen = np.flatnonzero(is_known & ~np.isnan(self._replay.scores) & ~self.told)
        landed_s = flights.landed_min[chosen] * 60.0
        report = self._model.truths(chosen.tolist(), flights.late[chosen].tolist(), landed_s, timeout=timeout_s)
        self.report = self.report.plus(report)
        self.told[chosen] = True

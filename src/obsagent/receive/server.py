"""The ingest thread: reads the writers' socket, hands messages to `Ingest`, answers what is durable.

Nothing here waits for the disk. When the journal's unsynced part grows beyond its limit (a disk that fails or
is full) the thread stops reading: clients keep their batches and count what they give up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from obsagent.clock import Clock
from obsagent.limits import GAUGE_INTERVAL_MS
from obsagent.pulses import Pulse
from obsagent.receive.ingest import Ingest
from obsagent.wire.socket import ServerSocket

logger = logging.getLogger(__name__)

POLL_MS = 100
MESSAGES_PER_TURN = 256


class Commit(Protocol):
    """The group commit, as the ingest thread sees it."""

    @property
    def synced(self) -> int:
        """The journal is durable up to this position."""
        ...

    def request(self) -> None:
        """Something was written that waits to be synced."""
        ...

    def overloaded(self) -> bool:
        """True while more waits to be synced than may."""
        ...


class IngestServer:
    """Runs until `stop`; `every_second` is called once a second in this thread.

    `overloaded_ms` counts the time in which clients were not read.
    """

    def __init__(
        self,
        socket: ServerSocket,
        ingest: Ingest,
        commit: Commit,
        clock: Clock,
        every_second: Callable[[], None],
    ) -> None:
        """Does nothing before `start`."""
        self._socket = socket
        self._ingest = ingest
        self._commit = commit
        self._clock = clock
        self._every_second = every_second
        self._stopping = False
        self.overloaded_ms = 0
        self.failure: BaseException | None = None
        self.pulse = Pulse()
        self.thread = threading.Thread(target=self._run, name="obsagent-ingest")

    def start(self) -> None:
        """Starts the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Handles what has arrived, then ends the thread."""
        self._stopping = True
        self._socket.wake()
        self.thread.join()

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            logger.exception("the ingest thread failed")
            self.failure = error

    def _loop(self) -> None:
        next_second = self._clock.monotonic_ms()
        while not self._stopping:
            self.pulse.beat()
            now = self._clock.monotonic_ms()
            if now >= next_second:
                next_second = now - (now - next_second) % GAUGE_INTERVAL_MS + GAUGE_INTERVAL_MS
                self._every_second()
                self._commit.request()
            self._turn(min(POLL_MS, max(next_second - self._clock.monotonic_ms(), 0)))
        self._turn(0)

    def _turn(self, timeout_ms: int) -> None:
        if self._commit.overloaded():
            self._commit.request()
            began = self._clock.monotonic_ms()
            threading.Event().wait(POLL_MS / 1000)
            self.overloaded_ms += self._clock.monotonic_ms() - began
        elif self._socket.poll(timeout_ms):
            self._receive()
            self._commit.request()
        self._ingest.acknowledge(self._commit.synced)

    def _receive(self) -> None:
        for _ in range(MESSAGES_PER_TURN):
            message = self._socket.receive()
            if message is None:
                return
            try:
                self._ingest.handle(*message)
            except Exception as error:  # a bug of ours costs one message, and not all clients
                self._ingest.failed(message[0], error)
            if self._commit.overloaded():
                return

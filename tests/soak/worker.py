"""A model process that comes and goes, and one that stays.

Usage: worker.py DIRECTORY SECONDS END. It records for so long, then ends `normally`, without a word (`exit`) or by
`kill`; or it forks (`fork`), and both go on. What it has counted, and what of it was acknowledged, is in a
ledger for each session, DIRECTORY/ledgers/NAME. With `stays` it records until there is a file DIRECTORY/stop.
"""

from __future__ import annotations

import itertools
import mmap
import os
import random
import signal
import struct
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import obsagent
from obsagent.errors import InstrumentError

LEDGER = struct.Struct("<QQ")
"""Samples acknowledged, samples sent."""
VALUES = 20
STEP_S = 0.02
FLUSH_S = 1.0
STAY_FLUSH_S = 60.0


class Ledger:
    """Outlives its process, whatever ends it."""

    def __init__(self, directory: Path) -> None:
        path = directory / "ledgers" / uuid.uuid4().hex
        path.write_bytes(LEDGER.pack(0, 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), LEDGER.size)

    def write(self, acknowledged: int, sent: int) -> None:
        self._memory[:] = LEDGER.pack(acknowledged, sent)


class Recording:
    """One session's samples, and its ledger: what it is about to send first, then what was acknowledged."""

    def __init__(self, client: Any, directory: Path) -> None:
        self._client = client
        self._directory = directory
        self._ledger = Ledger(directory)
        self._chance = random.Random()
        self._sent = 0

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for number in itertools.count():
            if time.monotonic() >= end:
                break
            self._step(number)

    def stay(self) -> None:
        """Until there is a file that says stop; then everything must be acknowledged."""
        while not (self._directory / "stop").exists():
            self._step(1)
        self.flush(STAY_FLUSH_S).raise_if_pending()

    def flush(self, timeout_s: float) -> Any:
        result = self._client.flush(timeout_s)
        self._ledger.write(result.acknowledged, self._sent)
        return result

    def _step(self, number: int) -> None:
        """Some samples; every tenth time one of a label that nobody has seen before, more than there may be."""
        self._ledger.write(self._client.outbox.acknowledged_samples, self._sent + VALUES + 2)
        values = [self._chance.lognormvariate(-4, 1) for _ in range(VALUES)]
        kind = f"k{self._chance.randrange(20)}"
        self._client.histogram("duration", labels=["kind"]).labels(kind=kind).observe_many(values)
        self._client.counter("work").inc()
        self._sent += VALUES + 1
        if number % 10 == 0:
            with suppress(InstrumentError):  # a client may refuse it
                self._client.counter("visits", labels=["user"]).labels(user=f"u{self._chance.random()}").inc()
                self._sent += 1
        time.sleep(STEP_S)


def fork(client: Any, directory: Path, recording: Recording, seconds: float) -> None:
    """Parent and child go on, the child for longer."""
    child = os.fork()
    if child:
        recording.run(seconds)
        os.waitpid(child, 0)
        return
    own = Recording(client, directory)
    own.run(2 * seconds)
    own.flush(FLUSH_S)
    client.close()
    os._exit(0)


def main() -> int:
    directory, seconds, end = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    service = "stays" if end == "stays" else "worker"
    client = obsagent.connect(service=service, endpoint=f"ipc://{directory}/ingest.sock")
    recording = Recording(client, directory)
    if end == "stays":
        recording.stay()
        return 0
    recording.run(seconds)
    if end == "fork":
        fork(client, directory, recording, seconds)
    elif end == "exit":
        os._exit(0)
    elif end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    recording.flush(FLUSH_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())

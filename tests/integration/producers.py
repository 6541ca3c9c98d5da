"""Clients in processes of their own that record without pause, and know what they have recorded: the outside ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

PROGRAM = """
import json, select, sys, time
import obsagent
from obsagent.record import conversation

silence_ms = int(sys.argv[2])
if silence_ms:  # how long it takes until the client gives up on a conversation
    conversation.SILENCE_LIMIT_MS = silence_ms
    conversation.WELCOME_LIMIT_MS = silence_ms
client = obsagent.connect(service=sys.argv[1])
step, hits = client.histogram("step"), client.counter("hits")
while not client.flush(1).acknowledged:
    hits.inc()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    step.observe_many([0.001 * number for number in range(100)])
    hits.inc()
result = client.flush(30)
counts = client.counts()
client.close()
print(json.dumps({"observed": counts.observed, **result._asdict()}))
"""


class Produced(NamedTuple):
    """What a producer says at its end."""

    observed: int
    acknowledged: int
    pending: int
    dropped: int


class Producer:
    """One process; `end` stops it and has its books."""

    def __init__(self, service: str, endpoint: str, silence_ms: int = 0, prefix: Sequence[str] = ()) -> None:
        self.service = service
        command = [*prefix, sys.executable, "-c", PROGRAM, service, str(silence_ms)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OBSAGENT_ENDPOINT": endpoint},
        )

    def wait_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> Produced:
        out, _ = self._process.communicate("end\n", timeout=60)
        assert self._process.returncode == 0
        said: dict[str, Any] = json.loads(out)
        return Produced(said["observed"], said["acknowledged"], said["pending"], said["dropped"])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

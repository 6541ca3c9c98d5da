"""An agent that gives prepared answers over libzmq, in a thread: for tests of readers, in this process or another."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from obsagent.wire.socket import ServeSocket

POLL_MS = 20


@contextmanager
def answering(endpoint: str, body_of: Callable[[str, dict[str, Any]], bytes | None]) -> Iterator[None]:
    """Answers requests with the body that `body_of(kind, fields)` gives (None: not at all) until the block ends."""
    server, stopped = ServeSocket(endpoint), threading.Event()

    def run() -> None:
        while not stopped.is_set():
            request = server.receive(POLL_MS)
            if request is not None:
                identity, kind, fields = request
                body = body_of(kind, fields)
                if body is not None:
                    server.send(identity, "answer", body)
        server.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def answering_in_turn(endpoint: str, answers: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Gives the answers one after the other, the last one for ever; what was asked comes back."""
    asked: list[dict[str, Any]] = []

    def body_of(_: str, fields: dict[str, Any]) -> bytes:
        asked.append(fields)
        return json.dumps(answers[min(len(asked), len(answers)) - 1]).encode()

    with answering(endpoint, body_of):
        yield asked

"""Clients of obsagent in this process: one that nobody listens to, and one that is switched off."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obsagent


@contextmanager
def unheard() -> Iterator[Any]:
    """A client whose agent is absent: recording, draining and batching run, and nothing is sent."""
    with tempfile.TemporaryDirectory(prefix="obs") as directory:
        client = obsagent.connect(service="benchmark", endpoint=f"ipc://{Path(directory)}/absent.sock")
        try:
            yield client
        finally:
            client.close(timeout=0)


def disabled() -> Any:
    """A client under OBSAGENT_DISABLED: the null sink."""
    os.environ["OBSAGENT_DISABLED"] = "1"
    try:
        return obsagent.connect(service="disabled")
    finally:
        del os.environ["OBSAGENT_DISABLED"]


def ring_note(client: Any) -> str:
    """Says whether the drain kept up: a sample that finds its ring full costs less than one that is recorded."""
    counts = client.counts()
    return f"Dropped because the ring was full: {counts.dropped_ring:,} of {counts.observed:,} samples."

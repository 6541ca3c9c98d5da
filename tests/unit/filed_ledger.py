"""A ledger that is flushed to one file, so that tests see what a store hands it and what a restart brings back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

from obsagent.by_id.batches import Batch
from obsagent.fs import Fs
from obsagent.testing.ledger import MemoryLedger

NAME = "ledger.pickle"


class FiledLedger(MemoryLedger):
    """`applied` are the positions of what was applied since it was opened."""

    def __init__(self, directory: Path, fs: Fs, _key: bytes) -> None:
        super().__init__()
        self.directory = directory
        self.position = 0
        self.applied: list[int] = []
        self.wants = False
        self.fails = False
        self.while_writing: Callable[[], object] = int
        fs.make_directory(directory)
        if (directory / NAME).exists():
            self.position, self.known, self._sessions = pickle.loads((directory / NAME).read_bytes())

    def apply(self, batch: Batch, *, position: int, **more: object) -> object:
        self.applied.append(position)
        return super().apply(batch, position=position, **more)  # type: ignore[arg-type]

    def wants_flush(self, now_ms: int) -> bool:
        return self.wants

    def flush(self, position: int, now_ms: int, frozen: Callable[[], object]) -> None:
        state = pickle.dumps((position, self.known, self._sessions))
        frozen()
        self.while_writing()
        if self.fails:
            raise OSError("the disk is full")
        (self.directory / NAME).write_bytes(state)
        self.position = position

"""Writing what is in memory: runs first, then the manifest that makes them count together with a new position."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from obsagent.ledger.alive import Alive
from obsagent.ledger.disk import Disk
from obsagent.ledger.forget import unpacked
from obsagent.ledger.manifest import RunEntry
from obsagent.ledger.merge import write_merged
from obsagent.ledger.run import Run
from obsagent.ledger.sources import Sources
from obsagent.ledger.tables import TABLES


class Flush:
    """Freezes what is in memory when it is made; `write` may then take its time."""

    def __init__(self, disk: Disk, sources: Sources, alive: Alive) -> None:
        """Of everything that was applied until now."""
        self._disk = disk
        self._alive = alive
        count = sum(1 for table in TABLES if sources.memory[table].rows)
        self._first_number = disk.numbers(count)
        self._frozen = sources.freeze(self._first_number)

    def write(self, position: int, state: dict[str, Any]) -> None:
        """What was frozen counts as runs, durably; all of the journal before the position is in them.

        Raises OSError.
        """
        paths: list[Path] = []
        try:
            added = [self._run(number, paths) for number in range(len(self._frozen))]
        except BaseException:
            with suppress(OSError):
                for path in paths:
                    self._disk.remove(path)
            raise
        self._disk.commit(added, flushed=True, position=position, state=state, marks=self._alive.marks)
        self._disk.masks = unpacked(state["forgotten"])

    def _run(self, index: int, paths: list[Path]) -> tuple[Run, RunEntry]:
        table, pieces = [*self._frozen.items()][index]
        number = self._first_number + index
        path = self._disk.path(number, table)
        for _ in write_merged(self._disk.fs, path, table, pieces, self._alive):
            pass
        paths.append(path)
        return self._disk.opened(path, number, number, 0, self._alive.marks)

"""What is remembered of blocks that were read: which frames they have, their accounts and exemplars.

A block never changes, so its index is read, checked and taken apart once. The least recently used go when all of
it takes too much.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from obsagent.limits import EXEMPLAR_BYTES
from obsagent.samples import Exemplar

CACHE_BYTES_MAX = 16 << 20
ACCOUNTS_BYTES = 500
"""About what one row of accounts takes."""

Key = tuple[Path, int, type]


class BlockIndex(NamedTuple):
    """The index of a block's frames as it is stored, and the windows (start, ms) that have any, ascending."""

    lines: bytes
    windows: tuple[int, ...]

    @property
    def memory_bytes(self) -> int:
        """About what it takes."""
        return len(self.lines) + 40 * len(self.windows)


class BlockAccounts(NamedTuple):
    """The accounts of a block by window and service, and service → the sum over all its windows."""

    rows: list[tuple[int, str, list[int]]]
    sums: dict[str, list[int]]

    @property
    def memory_bytes(self) -> int:
        """About what it takes."""
        return ACCOUNTS_BYTES * (len(self.rows) + len(self.sums))


class BlockExemplars(NamedTuple):
    """The exemplars of a block, by window and series."""

    rows: list[Exemplar]

    @property
    def memory_bytes(self) -> int:
        """About what they take."""
        return EXEMPLAR_BYTES * (len(self.rows) + 1)


Remembered = TypeVar("Remembered", BlockIndex, BlockAccounts, BlockExemplars)


class BlockCache:
    """Parts of blocks by file, offset and what they are. Any thread may use it."""

    def __init__(self, bytes_max: int = CACHE_BYTES_MAX) -> None:
        """Empty; forgets the least recently used beyond `bytes_max`."""
        self._bytes_max = bytes_max
        self._parts: OrderedDict[Key, BlockIndex | BlockAccounts | BlockExemplars] = OrderedDict()
        self._lock = threading.Lock()
        self.memory_bytes = 0

    def get(self, path: Path, offset: int, part: type[Remembered], read: Callable[[], Remembered]) -> Remembered:
        """A part of the block that lies there; `read` gets it if it is not remembered, and may raise."""
        key = (path, offset, part)
        with self._lock:
            found = self._parts.get(key)
            if isinstance(found, part):
                self._parts.move_to_end(key)
                return found
        made = read()
        with self._lock:
            if key not in self._parts:
                self._parts[key] = made
                self.memory_bytes += made.memory_bytes
            while self.memory_bytes > self._bytes_max:
                self.memory_bytes -= self._parts.popitem(last=False)[1].memory_bytes
        return made

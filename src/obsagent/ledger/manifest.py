"""The manifest: which runs count, up to where of the journal they reach, and what their numbers stand for.

It stands in two files of which one at least is whole at any time; the one with the higher generation counts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgpack

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError
from obsagent.fs import Fs
from obsagent.ledger.format import FORMAT_VERSION, MANIFEST_HEADER, MANIFEST_MAGIC
from obsagent.ledger.payload import check_payload
from obsagent.ledger.settings import Gap
from obsagent.limits import LEDGER_MANIFEST_BYTES_MAX

NAMES = ("manifest", "manifest.twin")


class RunEntry(NamedTuple):
    """A run that counts."""

    number: int
    newest: int
    """The highest number of those that were merged into it: it orders runs by age."""
    table: int
    level: int
    """How often its rows were merged."""
    rows: int
    first_ms: int
    last_ms: int
    minute_before_ms: int
    hour_before_ms: int
    """How far its windows were made coarser."""


@dataclass(frozen=True, slots=True)
class Marks:
    """From when on rows count, and how fine; they move at a flush only, so that a replay sees the same."""

    cutoffs_ms: tuple[int, ...] = ()
    """Of each model: predictions from before are expired."""
    minute_before_ms: int = 0
    """Windows from before are minutes at least."""
    hour_before_ms: int = 0
    outcomes_before_ms: int = 0
    """Outcomes from before are gone."""
    arrivals_before: int = 0
    """Arrivals from before that position of the journal are gone."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is on the disk."""

    generation: int = 0
    position: int = 0
    """All of the journal before it is in the runs."""
    next_run: int = 1
    marks: Marks = Marks()
    runs: tuple[RunEntry, ...] = ()
    """Oldest first."""
    gaps: tuple[Gap, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    """Names, sessions, counters and what was forgotten, as they were at the position."""

    def encode(self) -> bytes:
        """The bytes of a manifest file."""
        marks = [getattr(self.marks, name) for name in Marks.__slots__]
        runs, gaps = [[*run] for run in self.runs], [[*gap] for gap in self.gaps]
        payload = msgpack.packb([self.position, self.next_run, marks, runs, gaps, self.state])
        header = MANIFEST_HEADER.pack(MANIFEST_MAGIC, FORMAT_VERSION, 0, self.generation, len(payload), 0)[:-4]
        return b"".join([header, crc32c(payload, crc32c(header)).to_bytes(4, "little"), payload])

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Raises CorruptData, StoreError if a newer version wrote it."""
        if len(data) < MANIFEST_HEADER.size or not data.startswith(MANIFEST_MAGIC):
            raise CorruptData("no manifest of a ledger")
        _, version, _, generation, size, crc = MANIFEST_HEADER.unpack_from(data)
        payload = data[MANIFEST_HEADER.size :]
        if len(payload) != size or crc32c(payload, crc32c(data[: MANIFEST_HEADER.size - 4])) != crc:
            raise CorruptData("the checksum is wrong")
        if version > FORMAT_VERSION:
            raise StoreError(f"a newer obsagent wrote it; this one reads version {FORMAT_VERSION}")
        try:
            unpacked = msgpack.unpackb(payload)
        except ValueError as error:
            raise CorruptData(f"not what a manifest holds: {error}") from error
        check_payload(generation, unpacked)
        position, next_run, (cutoffs, *others), runs, gaps, state = unpacked
        return cls(
            *(generation, position, next_run, Marks(tuple(cutoffs), *others)),
            *(tuple(RunEntry(*run) for run in runs), tuple(Gap(*gap) for gap in gaps), state),
        )


def load(directory: Path) -> tuple[Manifest | None, list[tuple[Path, str]]]:
    """The manifest of a directory, None if there is none that can be read; and what is wrong with which file.

    Raises StoreError if a newer version wrote it, OSError.
    """
    found: list[Manifest] = []
    wrong: list[tuple[Path, str]] = []
    for name in NAMES:
        path = directory / name
        with suppress(FileNotFoundError):
            try:
                if path.stat().st_size > LEDGER_MANIFEST_BYTES_MAX:
                    raise CorruptData("longer than a manifest may be")
                found.append(Manifest.decode(path.read_bytes()))
            except CorruptData as error:
                wrong.append((path, str(error)))
            except StoreError as error:
                raise StoreError(f"{path}: {error}") from None
    return max(found, key=lambda each: each.generation, default=None), wrong


def save(manifest: Manifest, directory: Path, fs: Fs) -> Manifest:
    """Writes the next generation; it is durable when this returns. Raises OSError."""
    following = replace(manifest, generation=manifest.generation + 1)
    data = following.encode()
    for name in NAMES:
        fs.close(fs.write_file(directory / name, [data]))
    return following

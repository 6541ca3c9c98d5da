"""What does it cost the agent to keep predictions until their truths come, and to join them?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.agents import scratch
from benchmarks.measure import Effort, Timing
from benchmarks.report import Row, Table, at_most, byte_size, comparison, nanoseconds
from obsagent.by_id.batches import Batch, Ids, Predictions, Truths, Values
from obsagent.fs import Fs
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.tables import Array

BATCH = 1 << 14
ID_DIGITS = 16
NOW_MS = 1_760_000_000_000
SPAN_MS = 29 * 86_400_000
VERSIONS = 3
JOIN_NS, DISK_MB, MEMORY_MB = 2_000, 400, 100
OPEN, JOINED = 611 * BATCH, 128 * BATCH


@dataclass
class Load:
    """A ledger that is fed, and what that took."""

    ledger: Ledger
    position: int = 0
    apply_s: list[float] = field(default_factory=list)
    """Of each batch, processor time of the thread a record."""
    writing_s: float = 0.0
    memory_bytes: int = 0
    """The most that the process held of its own."""

    def apply(self, batch: Batch, records: int) -> int:
        """Returns how many truths found their predictions."""
        self.position += 1
        began = time.thread_time()
        report = self.ledger.apply(
            batch, session=b"one", sequence=self.position, rows=records, dropped=0, position=self.position
        )
        self.apply_s.append((time.thread_time() - began) / records)
        if self.ledger.wants_flush(NOW_MS):
            self.write()
        return report.matched

    def write(self) -> None:
        """Writes, and merges all that is to be merged."""
        began = time.thread_time()
        self.ledger.flush(self.position + 1, NOW_MS)
        while self.ledger.upkeep():
            self.memory_bytes = max(self.memory_bytes, own_memory())
        self.memory_bytes = max(self.memory_bytes, own_memory())
        self.writing_s += time.thread_time() - began


def run(effort: Effort) -> list[Table]:
    """Two tables: time a record, and what an open prediction takes."""
    count, joined = effort.size(OPEN, 4 * BATCH), effort.size(JOINED, 2 * BATCH)
    with scratch() as directory:
        before = own_memory()
        load = Load(Ledger.open(directory / "ledger", Fs(), bytes(32)))
        for batch in _predictions(count):
            load.apply(batch, BATCH)
        load.write()
        taken = Timing("take a prediction in", tuple(load.apply_s))
        size = _disk_bytes(directory / "ledger")
        space = _space(count, size, load.memory_bytes - before)
        wrote = load.writing_s / count
        load.apply_s, load.writing_s = [], 0.0
        matched, lookups = _join(load, count, joined)
        assert matched == joined
        return [
            _time(count, taken, wrote, Timing("join a truth", tuple(load.apply_s)), load.writing_s / joined, lookups),
            space,
        ]


def _join(load: Load, count: int, joined: int) -> tuple[int, Timing]:
    """Truths of random ids, beside looking as many ids up in a dict that has only these."""
    chosen = np.random.default_rng(2).choice(count, joined, replace=False)
    matched, lookups = 0, []
    known = dict.fromkeys(_texts(chosen[: 16 * BATCH]), 1.0)
    for first in range(0, joined, BATCH):
        numbers = chosen[first : first + BATCH]
        texts = _texts(chosen[first % (16 * BATCH) :][:BATCH])
        began = time.thread_time()
        for text in texts:
            known.get(text)
        lookups.append((time.thread_time() - began) / len(texts))
        matched += load.apply(_truths(numbers), len(numbers))
    return matched, Timing("look an id up in a dict", tuple(lookups))


def _time(count: int, taken: Timing, wrote_s: float, joined: Timing, joined_wrote_s: float, lookups: Timing) -> Table:
    rows = [
        Row(f"look an id up in a dict of {16 * BATCH:,}", None, nanoseconds(lookups)),
        Row("**take a prediction in**", None, nanoseconds(taken)),
        Row("write and merge it, in the background", None, f"{wrote_s * 1e9:,.0f} ns"),
        Row("**join a truth**", joined.over(lookups), nanoseconds(joined), (at_most(joined.ns, JOIN_NS, "ns"),)),
        Row("write and merge it, in the background", None, f"{joined_wrote_s * 1e9:,.0f} ns"),
    ]
    title = f"Time a record: batches of {BATCH:,}, {count:,} open predictions, truths in random order"
    return comparison(title, "a dict", rows, "Processor time of the thread that does it.")


def _space(count: int, disk: int, memory: int) -> Table:
    rows = [
        Row(
            "on the disk, counts for maturity and estimates included",
            None,
            byte_size(disk),
            (at_most(disk / 1e6, DISK_MB, "MB"),),
        ),
        Row("each", None, f"{disk / count:.1f} B"),
        Row("in memory (`RssAnon`), at its peak", None, byte_size(memory), (at_most(memory / 1e6, MEMORY_MB, "MB"),)),
    ]
    note = "Files are read through mappings: that is the kernel's cache. A score, a class, one model in three versions."
    cells = [[row.what, row.here, ", ".join(map(str, row.goals))] for row in rows]
    missed = [f"{row.what}, {text}" for row in rows for text in row.missed]
    return Table(f"What {count:,} open predictions take", ["", "here", "goal"], cells, note, missed)


def _predictions(count: int) -> Iterator[Predictions]:
    """Of the last 29 days, in order."""
    chance = np.random.default_rng(1)
    for first in range(0, count, BATCH):
        numbers = np.arange(first, first + BATCH)
        at_ms = NOW_MS - SPAN_MS + (numbers * (SPAN_MS / count)).astype("<i8")
        scores = chance.random(BATCH)
        values = Values((scores > 0.5).astype("<f8").tobytes())
        version = str(first // BATCH % VERSIONS)
        yield Predictions("model", version, "", (), _ids(numbers), at_ms.tobytes(), values, scores.tobytes())


def _truths(numbers: Array) -> Truths:
    at_ms = np.full(len(numbers), NOW_MS, "<i8")
    return Truths("model", _ids(numbers), at_ms.tobytes(), Values((numbers % 2).astype("<f8").tobytes()))


def _ids(numbers: Array) -> Ids:
    powers = 10 ** np.arange(ID_DIGITS)[::-1]
    digits = (numbers[:, None] // powers % 10 + ord("0")).astype("u1")
    return Ids(bytes([ID_DIGITS]) * len(numbers), digits.tobytes())


def _texts(numbers: Array) -> list[str]:
    return [f"{number:0{ID_DIGITS}}" for number in numbers.tolist()]


def _disk_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def own_memory() -> int:
    """Bytes that this process holds of its own, without what is mapped of files."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024

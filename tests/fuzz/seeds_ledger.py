"""Seeds of a ledger's files, as a ledger writes them: a manifest, and a run of each table."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgpack

from fuzz.ledger_check import AT_MS, KEY
from fuzz.seeds_native import Seeds
from obsagent.by_id.batches import Batch, Forgotten, Ids, Predictions, Rows, Truths, Values
from obsagent.fs import Fs
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.run import heap_of

NAMES = [b"r-%d" % number for number in range(6)]
IDS = Ids(bytes(map(len, NAMES)), b"".join(NAMES))
TIMES = struct.pack("<6q", *(AT_MS + 1_000 * number for number in range(6)))
SLICE = (("country", "DE"),)


def _numbers(values: Sequence[float]) -> bytes:
    return struct.pack("<6d", *values)


def _classes(*indices: int) -> Values:
    return Values(struct.pack("<6H", *indices), ("no", "yes", "maybe"))


BATCHES: list[Batch] = [
    Predictions(
        "fraud", "4", "live", SLICE, IDS, TIMES, _classes(0, 1, 1, 2, 0, 1), _numbers([0.1, math.nan, 0.5] * 2)
    ),
    Predictions("price", "1", "", (), IDS, TIMES, Values(_numbers([1.0, -2.5, 0.1, 1e300, 7.0, 7.0])), b""),
    Truths("fraud", IDS, TIMES, _classes(0, 0, 1, 2, 2, 1)),
    Truths("price", IDS, TIMES, Values(_numbers([1.5, -2.5, 0.0, 0.0, 7.0, 3.0]))),
    Rows("fraud", "4", "live", SLICE, IDS, TIMES, tuple(msgpack.packb({"amount": number}) for number in range(6))),
    Forgotten("price", Ids(b"\3", b"r-1")),
]


def ledger_seeds() -> Seeds:
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "ledger"
        ledger = Ledger.open(directory, Fs(), KEY)
        ledger.flush(0, AT_MS)
        yield "manifest_of_nothing", (directory / "manifest").read_bytes()
        for position, batch in enumerate(BATCHES):
            ledger.apply(
                batch, session=bytes(16), sequence=position, rows=len(batch.ids), dropped=1, position=10 + position
            )
            if position == len(BATCHES) - 2:
                ledger.flush(20, AT_MS + 60_000)
        ledger.flush(30, AT_MS + 60_000)
        yield "manifest", (directory / "manifest").read_bytes()
        for path in sorted(directory.glob("*.run")):
            heap = heap_of(path)
            yield path.name.split(".")[1], path.read_bytes() + (heap.read_bytes() if heap.exists() else b"")

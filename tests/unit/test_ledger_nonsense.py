"""Files of a ledger that are sound by their checksums and say nonsense: refused when they are opened, or set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from ledger_lab import KEY, apply, at_ms, predictions

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData
from obsagent.fs import Fs
from obsagent.ledger.encoding import encodings_of
from obsagent.ledger.format import MANIFEST_HEADER
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.manifest import NAMES, Manifest
from obsagent.ledger.tables import COUNTS, normal

WRONG: dict[str, tuple[tuple[Any, ...], Any]] = {
    "position": ((0,), -1),
    "next run": ((1,), 1),
    "cutoffs": ((2, 0), [0, 0]),
    "table": ((3, 0, 2), 99),
    "run twice": ((3, 1, 0), 1),
    "gaps": ((4,), [["truths", 0]]),
    "state": ((5,), None),
    "classes": ((5, "models", 0, 1), [1]),
    "series": ((5, "series", 0, 0), 7),
    "sessions": ((5, "sessions", 0, 0), "text"),
    "flushes": ((5, "flushes"), [["now", 0]]),
    "forgotten": ((5, "forgotten"), [[-1, 0, 0]]),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    ledger = Ledger.open(tmp_path, Fs(), KEY)
    apply(ledger, predictions([("a", 0, 1.0, 0.5)]), 0)
    ledger.flush(1, at_ms(1))
    return tmp_path


def test_what_a_manifest_holds_is_checked(directory: Path) -> None:
    data = (directory / NAMES[0]).read_bytes()
    assert _with(data, (0,), 7).position == 7
    for what, (place, value) in WRONG.items():
        with pytest.raises(CorruptData, match="not what a manifest holds"):
            raise AssertionError(f"{what}: {_with(data, place, value)}")


def _with(data: bytes, place: tuple[Any, ...], value: Any) -> Manifest:
    """The manifest with another value somewhere in its payload."""
    payload = within = msgpack.unpackb(data[MANIFEST_HEADER.size :])
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    packed = msgpack.packb(payload)
    magic, *fields, _, _ = MANIFEST_HEADER.unpack_from(data)
    header = MANIFEST_HEADER.pack(magic, *fields, len(packed), 0)[:-4]
    return Manifest.decode(header + crc32c(packed, crc32c(header)).to_bytes(4, "little") + packed)


def test_counts_are_written_whose_sum_has_no_64_bits() -> None:
    block = {name: np.zeros(3, kind) for name, kind in COUNTS.columns.items()}
    block["bin"] = np.arange(3).astype("i2")
    block["count"] = np.array([2**62, 2**62, 2**62])
    encoding = encodings_of(COUNTS, normal(COUNTS, [block]))["count"]
    assert encoding.decode(encoding.encode(block["count"])).tolist() == [2**62] * 3

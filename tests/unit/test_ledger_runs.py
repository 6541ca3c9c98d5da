"""Runs, the encodings of their columns, keys, and finding keys in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.ledger.alive import Alive
from obsagent.ledger.encoding import combined, encodings_of
from obsagent.ledger.keys import Hasher, keys_of
from obsagent.ledger.manifest import Marks
from obsagent.ledger.memtable import Piece
from obsagent.ledger.merge import run_path, write_merged
from obsagent.ledger.opening import open_directory
from obsagent.ledger.outcomes import error_bins, error_of_bin
from obsagent.ledger.run import Run
from obsagent.ledger.sources import Masks
from obsagent.ledger.tables import COUNTS, PREDICTIONS, Block, Table, normal
from unit.ledger_lab import ids, written_and_read

SIPHASH_128 = {
    0: "a3817f04ba25a8e66df67214",
    1: "da87c1d86b99af4434765911",
    7: "a1f1ebbed8dbc153c0b84aa6",
    8: "3b62a9ba6258f5610f83e264",
    15: "5493e99933b0a8117e08ec0f",
    63: "5150d1772f50834a503e069a",
}
"""Of the bytes 0, 1, …, under the key 0, 1, …, 15, as OpenSSL computes it."""


def test_keys_are_siphash() -> None:
    texts = [bytes(range(count)).decode() for count in range(64)]
    keys = keys_of(ids(texts), bytes(range(16)))
    for count, digits in SIPHASH_128.items():
        assert (keys.hi[count].tobytes() + keys.lo[count].tobytes()).hex() == digits


def test_keys_are_those_of_a_secret_and_a_model() -> None:
    found = {
        tuple(Hasher(secret).keys(model, ids(["a"])).hi.tolist()) for secret in (bytes(16), bytes(32)) for model in "mn"
    }
    assert len(found) == 4


def alive() -> Alive:
    return Alive(Marks(), Masks(), np.zeros(1 << 16, "i8"))


def write(directory: Path, table: Table, *blocks: Block, number: int = 1) -> Run:
    pieces = [Piece(table, normal(table, [block]), []) for block in blocks]
    path = run_path(directory, number, table)
    for _ in write_merged(Fs(), path, table, pieces, alive()):
        pass
    return Run(path, number)


def made(rows: int, seed: int = 1, distinct: int = 1 << 62) -> Block:
    chance = np.random.default_rng(seed)
    hi = chance.integers(0, 1 << 64, min(rows, distinct), "u8")
    return {
        "hi": hi[chance.integers(0, len(hi), rows)] if distinct < rows else hi,
        "lo": chance.integers(0, 4, rows).astype("u4"),
        "at_ms": chance.integers(1, 1 << 31, rows) + 1_700_000_000_000,
        "value": chance.integers(0, 3, rows).astype("f8"),
        "score": np.where(chance.random(rows) < 0.1, np.nan, chance.random(rows)),
        "series": chance.integers(0, 300, rows).astype("u4"),
    }


def same(one: Block, other: Block) -> bool:
    return all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)


@pytest.mark.parametrize("rows", [1, 7, 64, 65, 8_192, 8_193, 30_000])
def test_a_run_has_the_rows_that_were_written(tmp_path: Path, rows: int) -> None:
    block = normal(PREDICTIONS, [made(rows)])
    run = write(tmp_path, PREDICTIONS, block)
    assert run.rows == rows
    assert same(run.slice(0, rows), block)
    some = np.unique(np.random.default_rng(2).integers(0, rows, 100))
    assert all(np.array_equal(run.take(name, some), block[name][some], equal_nan=True) for name in ("at_ms", "score"))
    assert (run.first_ms, run.last_ms) == (block["at_ms"].min(), block["at_ms"].max())
    run.check_all()


@pytest.mark.parametrize(("rows", "distinct"), [(50, 3), (30_000, 1 << 62), (30_000, 20), (20_000, 5_000)])
def test_keys_are_found_where_they_are(tmp_path: Path, rows: int, distinct: int) -> None:
    run = write(tmp_path, PREDICTIONS, made(rows, distinct=distinct))
    own = run.column("hi", 0, rows)
    asked = np.unique(
        np.concatenate([own[:: max(1, rows // 500)], np.random.default_rng(3).integers(0, 1 << 63, 500, "u8")])
    )
    found = run.find(asked)
    begins, ends = np.searchsorted(own, asked, "left"), np.searchsorted(own, asked, "right")
    assert np.array_equal(found.which, np.flatnonzero(ends > begins))
    assert np.array_equal(found.begins, begins[ends > begins])
    assert np.array_equal(found.ends, ends[ends > begins])
    assert np.array_equal(run.lower_bound(asked), np.searchsorted(own, asked, "left"))


def test_merged_runs_have_the_rows_of_all(tmp_path: Path) -> None:
    blocks = [made(20_000, seed) for seed in (1, 2, 3)]
    runs = [write(tmp_path, PREDICTIONS, block, number=number) for number, block in enumerate(blocks)]
    path = run_path(tmp_path, 9, PREDICTIONS)
    steps = [*write_merged(Fs(), path, PREDICTIONS, runs, alive())]
    assert len(steps) > 0
    merged = Run(path, 9)
    assert same(merged.slice(0, merged.rows), normal(PREDICTIONS, blocks))
    assert merged.bytes < sum(run.bytes for run in runs) * 1.02


VALUES = st.one_of(st.floats(width=64), st.floats(width=32), st.integers(-(1 << 40), 1 << 40).map(float))


@given(st.lists(st.lists(VALUES, min_size=1, max_size=8), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_values_are_what_they_were(parts: list[list[float]]) -> None:
    """Also in an encoding that was combined of those of several runs."""
    blocks = [{**made(len(part)), "value": np.array(part)} for part in parts]
    encoding = combined(PREDICTIONS, "value", [encodings_of(PREDICTIONS, block)["value"] for block in blocks])
    for block in blocks:
        assert np.array_equal(written_and_read(encoding, block["value"]), block["value"], equal_nan=True)


def test_narrow_columns_are_narrow() -> None:
    block = made(1_000)
    widths = {name: encoding.width for name, encoding in encodings_of(PREDICTIONS, block).items()}
    assert widths == {"hi": 8, "lo": 1, "at_ms": 4, "value": 1, "score": 8, "series": 2}
    block["score"][:] = np.nan
    assert encodings_of(PREDICTIONS, block)["score"].width == 0


def test_counts_add_up_over_merges(tmp_path: Path) -> None:
    block: dict[str, Any] = {
        "window_ms": np.array([10_000, 10_000, 20_000]),
        "series": np.array([1, 1, 1], "u4"),
        "predicted": np.zeros(3, "u2"),
        "truth": np.zeros(3, "u2"),
        "bin": np.array([-1, -1, 7], "i2"),
        "count": np.array([200, -3, 1]),
    }
    run = write(tmp_path, COUNTS, *[block] * 3)
    assert run.slice(0, run.rows)["count"].tolist() == [591, 3]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_bytes(_of_a_newer_version())
    with pytest.raises(StoreError, match="a newer obsagent wrote it"):
        open_directory(tmp_path, Fs())


def _of_a_newer_version() -> bytes:
    from obsagent._native.codec import crc32c
    from obsagent.ledger.manifest import Manifest

    data = bytearray(Manifest().encode())
    data[8] += 1
    data[24:28] = crc32c(bytes(data[28:]), crc32c(bytes(data[:24]))).to_bytes(4, "little")
    return bytes(data)


def test_errors_of_bins_are_near() -> None:
    errors = np.concatenate([np.logspace(-12, 12, 1_001), -np.logspace(-12, 12, 1_001)])
    assert np.all(np.abs(error_of_bin(error_bins(errors)) / errors - 1) <= 0.011)
    assert error_bins(np.array([0.0, 1e-30])).tolist() == [0, 0]
    assert not math.isnan(error_of_bin(np.array([0]))[0])

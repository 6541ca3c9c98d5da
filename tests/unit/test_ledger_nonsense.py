"""Files of a ledger that are sound by their checksums and say nonsense: refused when they are opened, or set aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from ledger_lab import KEY, apply, at_ms, kept_rows, predictions, truths, written_and_read

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData
from obsagent.fs import Fs
from obsagent.ledger.alive import Alive
from obsagent.ledger.encoding import Encoding, encodings_of
from obsagent.ledger.format import CONSTANT, MANIFEST_HEADER
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.manifest import NAMES, Manifest, Marks
from obsagent.ledger.merge import run_path, write_merged
from obsagent.ledger.run import DamagedRun, Run, heap_of
from obsagent.ledger.run_writer import RunWriter
from obsagent.ledger.sources import Masks
from obsagent.ledger.tables import COUNTS, PREDICTIONS, ROWS, TRUTHS, Block, Table, normal, row_count
from obsagent.ledger.verify import verify

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
    assert written_and_read(encoding, block["count"]).tolist() == [2**62] * 3


def _run_of(directory: Path, table: Table, block: Block, number: int = 1) -> Path:
    path = run_path(directory, number, table)
    path.unlink(missing_ok=True)
    with Fs().new_file(path) as descriptor:
        writer = RunWriter(Fs(), descriptor, table, encodings_of(table, block), row_count(block))
        writer.add(block)
        writer.finish()
    return path


@pytest.mark.parametrize(("table", "column"), [(PREDICTIONS, "series"), (TRUTHS, "model"), (COUNTS, "series")])
def test_rows_of_what_no_manifest_names_are_set_aside(directory: Path, table: Table, column: str) -> None:
    """The first number that stands for nothing, and one far above it."""
    ledger = Ledger.open(directory, Fs(), KEY)
    apply(ledger, truths([("a", 2, 1.0), ("b", 2, 1.0)]), 1)
    ledger.flush(2, at_ms(3))
    path = next(directory.glob(f"*.{table.name}.run"))
    run = Run(path, int(path.name.split(".")[0]))
    block = run.slice(0, run.rows)
    for number in (0, 1, 1 << 31):
        _run_of(directory, table, {**block, column: np.full(run.rows, number, "u4")}, run.number)
        view = Ledger.open_read_only(directory, KEY).view()
        view.find("m", "a")
        reasons = [gap["reason"] for gap in verify(directory)["gaps"]]
        assert reasons == [f"it has rows of a {column} that the manifest does not name"] * (number > 0)
        assert [gap.reason for gap in view.gaps] == [f"{path}: {reason}" for reason in reasons]


def test_a_number_above_the_highest_of_its_column_is_found(directory: Path) -> None:
    """The footer says what the highest series is; one byte of a group says more, and the checksums are right."""
    block = {name: np.zeros(300, kind) for name, kind in PREDICTIONS.columns.items()}
    block["series"] = (np.arange(300) % 3).astype("u4")
    run = Run(_run_of(directory, PREDICTIONS, block), 1)
    assert run.encodings["series"].high == 2
    run.encodings["series"] = replace(run.encodings["series"], high=1)
    with pytest.raises(DamagedRun, match="series in group 0 is above"):
        run.take("series", np.array([0]))
    run.encodings["series"] = Encoding(np.dtype("u4"), CONSTANT, 7, 0)
    with pytest.raises(DamagedRun, match="does not name"):
        run.check_names(1, 7)
    run.check_names(1, 8)


@pytest.mark.parametrize("offset", [1 << 48, (1 << 64) - 1])
def test_offsets_that_no_heap_has_are_damage(directory: Path, offset: int) -> None:
    block = {name: np.zeros(2, kind) for name, kind in ROWS.columns.items()}
    block |= {"hi": np.array([1, 2], "u8"), "at_ms": np.full(2, at_ms(0)), "offset": np.array([0, offset], "u8")}
    path = _run_of(directory, ROWS, block)
    heap_of(path).write_bytes(b"")
    run = Run(path, 1)
    alive = Alive(Marks(), Masks(), np.zeros(1, "i8"))
    with pytest.raises(DamagedRun, match="its heap ends before"):
        for _ in write_merged(Fs(), run_path(directory, 2, ROWS), ROWS, [run], alive):
            pass
    with pytest.raises(DamagedRun, match="its heap ends before"):
        run.blob(1)


def test_a_kept_row_that_says_it_is_endless_is_damage(directory: Path) -> None:
    """So much memory would be asked for, whatever is said of the most that it may take."""
    ledger = Ledger.open(directory, Fs(), KEY)
    apply(ledger, kept_rows([("a", 2, msgpack.packb({"x": 1}))]), 1)
    ledger.flush(2, at_ms(3))
    assert ledger.view().find("m", "a").rows
    path = next(directory.glob(f"*.{ROWS.name}.run"))
    run = Run(path, int(path.name.split(".")[0]))
    endless = bytes.fromhex("28b52ffd e0") + (1 << 50).to_bytes(8, "little") + bytes.fromhex("010000")
    sizes = {"size": np.full(1, len(endless), "u4"), "crc": np.full(1, crc32c(endless), "u4")}
    _run_of(directory, ROWS, {**run.slice(0, 1), **sizes}, run.number)
    heap_of(path).write_bytes(endless)
    view = Ledger.open_read_only(directory, KEY).view()
    assert not view.find("m", "a").rows
    assert [gap.reason for gap in view.gaps] == [f"{path}: row 0 cannot be unpacked"]

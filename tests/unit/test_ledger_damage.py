"""Damaged files of a ledger: found by fsck, set aside, said; the rest goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgpack
import pytest
from faulty_fs import flip
from ledger_lab import KEY, all_outcomes, apply, at_ms, kept_rows, predictions, reopened, truths

from obsagent.by_id.report import TruthReport
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.verify import verify
from obsagent.limits import TIME_MS_MAX


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two runs of each table."""
    ledger = reopened(tmp_path)
    for part in (0, 1):
        names = [f"r{part}-{number}" for number in range(12)]
        at = 100 * part
        apply(ledger, predictions([(name, at, 1.0, 0.25) for name in names]), 10 * part)
        apply(ledger, truths([(name, at, 1.0) for name in names[:6]]), 10 * part + 1)
        apply(ledger, kept_rows([(name, at, msgpack.packb({"x": name})) for name in names[:2]]), 10 * part + 2)
        ledger.flush(10 * part + 3, at_ms(200))
    return tmp_path


def files(directory: Path) -> list[Path]:
    return sorted((directory / "ledger").iterdir())


def test_a_sound_ledger_is_sound(directory: Path) -> None:
    report = verify(directory / "ledger")
    assert report["sound"]
    assert {file["kind"] for file in report["files"]} == {"manifest", "ledger run", "heap"}
    assert len(report["files"]) == len(files(directory))
    assert report["gaps"] == []


def test_a_bit_anywhere_is_found(directory: Path, tmp_path: Path) -> None:
    found = 0
    for path in files(directory):
        content = path.read_bytes()
        for offset in range(0, len(content), 1 + len(content) // 60):
            flip(path, offset, offset % 8)
            report = verify(directory / "ledger")
            wrong = [file["name"] for file in report["files"] if file["problems"]]
            assert wrong in ([path.name], [path.with_suffix(".run").name]), (path.name, offset)
            assert not report["sound"]
            path.write_bytes(content)
            found += 1
    assert found > 500


def test_a_file_that_is_cut_is_found(directory: Path) -> None:
    for path in files(directory):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        assert not verify(directory / "ledger")["sound"]
        path.write_bytes(content)


@pytest.mark.parametrize("table", ["predictions", "truths", "counts", "class_sums", "rows", "arrivals"])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_damaged_run_is_set_aside_and_said(directory: Path, table: str, place: int) -> None:
    path = next(path for path in files(directory) if path.name.endswith(f".{table}.run"))
    flip(path, place % path.stat().st_size)
    ledger = reopened(directory)
    _use(ledger)
    (gap,) = ledger.view().gaps
    assert (gap.table, gap.from_ms, gap.to_ms) == (
        table,
        at_ms(0) // 10_000 * 10_000 if "s" in table and table in ("counts", "class_sums") else at_ms(0),
        gap.to_ms,
    )
    while ledger.upkeep():
        pass
    assert path.with_name(path.name + ".corrupt").exists()
    assert not path.exists()
    ledger = reopened(directory)
    assert ledger.view().gaps == (gap,)
    assert verify(directory / "ledger")["sound"]
    assert verify(directory / "ledger")["gaps"][0]["recorded"]
    _use(ledger)


def _use(ledger: Ledger) -> None:
    """Everything that reads."""
    all_outcomes(ledger)
    names = [f"r{part}-{number}" for part in (0, 1) for number in range(12)]
    for name in names:
        ledger.view().find("m", name)
    ledger.view().arrivals()
    apply(ledger, truths([(name, 200, 0.0) for name in names]), 30)


def test_what_is_in_other_runs_goes_on(directory: Path) -> None:
    path = next(path for path in files(directory) if path.name.endswith(".predictions.run"))
    flip(path, 60)
    ledger = reopened(directory)
    report = apply(ledger, truths([("r0-7", 200, 0.0), ("r1-7", 200, 0.0)]), 30)
    assert report == TruthReport(matched=1, unmatched=1)


def test_one_manifest_is_enough(directory: Path) -> None:
    for name in ("manifest", "manifest.twin"):
        flip(directory / "ledger" / name, 40)
        assert not verify(directory / "ledger")["sound"]
        ledger = reopened(directory)
        assert ledger.view().gaps == ()
        assert ledger.position == 13
        apply(ledger, predictions([(f"new {name}", 0, 1.0, 0.5)]), 20)
        ledger.flush(13, at_ms(200))
        assert verify(directory / "ledger")["sound"]


def test_without_a_manifest_all_time_is_a_gap(directory: Path) -> None:
    for name in ("manifest", "manifest.twin"):
        flip(directory / "ledger" / name, 40)
    ledger = reopened(directory)
    assert [(gap.from_ms, gap.to_ms) for gap in ledger.view().gaps] == [(0, TIME_MS_MAX)]
    assert ledger.position == 0
    assert all(path.suffix == ".corrupt" for path in files(directory))
    apply(ledger, predictions([("a", 0, 1.0, 0.5)]), 1)
    ledger.flush(2, at_ms(1))
    assert len(reopened(directory).view().gaps) == 1


def test_a_missing_run_is_said(directory: Path) -> None:
    path = next(path for path in files(directory) if path.name.endswith(".truths.run"))
    path.unlink()
    assert [file["problems"][0]["what"] for file in verify(directory / "ledger")["files"] if file["problems"]] == [
        "it is missing"
    ]
    assert Ledger.open_read_only(directory / "ledger", KEY).view().gaps[0].reason == "the file is missing"
    assert reopened(directory).view().gaps[0].table == "truths"


def test_a_damaged_heap_loses_rows_only(directory: Path) -> None:
    path = next(path for path in files(directory) if path.suffix == ".heap")
    flip(path, 3)
    ledger = reopened(directory)
    view = ledger.view()
    assert not view.find("m", "r0-0").rows or not view.find("m", "r0-1").rows
    assert view.find("m", "r0-0").predictions
    assert [gap.table for gap in ledger.view().gaps] == ["rows"]
    while ledger.upkeep():
        pass
    assert path.with_name(path.name + ".corrupt").exists()
    shutil.rmtree(directory / "ledger")

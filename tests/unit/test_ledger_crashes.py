"""Power cuts and failing calls at every operation that a ledger makes: with its journal it is what it was."""

from __future__ import annotations

import errno
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from faulty_fs import FailingFs
from ledger_lab import (
    Oracle,
    all_outcomes,
    apply,
    at_ms,
    check_classes,
    forgotten,
    kept_rows,
    predictions,
    reopened,
    truths,
)
from lossy_fs import LossyFs, Survives, nothing, some

from obsagent.by_id.batches import Batch
from obsagent.ledger import upkeep
from obsagent.ledger.ledger import Ledger

SCENARIO = "PTFTKFUPGFUPTFUUUKFUTFGFUUU"
"""Predictions, truths, kept rows, what is to be forgotten (G); flush, upkeep."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEDGER_MERGED_RUNS", 2)


class Life:
    """Batches that a journal keeps, whatever becomes of the ledger."""

    def __init__(self, directory: Path, fs: FailingFs) -> None:
        self.directory = directory
        self.journal: list[Batch] = []
        self.told: list[tuple[str, object]] = []
        self.chance = random.Random(5)
        self.ledger = reopened(directory, fs)

    def step(self, what: str) -> None:
        if what == "F":
            self.ledger.flush(len(self.journal), at_ms(60))
        elif what == "U":
            self.ledger.upkeep()
        else:
            batch, told = self._made(what)
            self.journal.append(batch)
            self.told.append((what, told))
            apply(self.ledger, batch, len(self.journal) - 1)

    def _made(self, what: str) -> tuple[Batch, object]:
        names = [f"r{self.chance.randrange(8)}" for _ in range(4)]
        at = [self.chance.randrange(50) for _ in names]
        value = [float(self.chance.randrange(2)) for _ in names]
        if what == "P":
            rows = [*zip(names, at, value, (self.chance.random() for _ in names), strict=True)]
            return predictions(rows), rows
        if what == "T":
            told = [*zip(names, at, value, strict=True)]
            return truths(told), told
        if what == "K":
            return kept_rows([(name, 1, msgpack.packb({"name": name})) for name in names]), names
        return forgotten(names[:2]), names[:2]


def check(life: Life, ledger: Ledger) -> None:
    """Applies the rest of the journal: nothing is missing, nothing is there twice."""
    assert ledger.view().gaps == ()
    for position in range(ledger.position, len(life.journal)):
        apply(ledger, life.journal[position], position)
    oracle, kept = Oracle(), set()
    for what, told in life.told:
        match what:
            case "P":
                oracle.predict("1", told)  # type: ignore[arg-type]
            case "T":
                oracle.tell(told)  # type: ignore[arg-type]
            case "K":
                kept |= set(told)  # type: ignore[call-overload]
            case "G":
                oracle.forget(told)  # type: ignore[arg-type]
                kept -= set(told)  # type: ignore[call-overload]
    for (outcomes,) in all_outcomes(ledger).values():
        assert outcomes.predictions == oracle.made.total()
        check_classes(outcomes, oracle.joined("1"))
    view = ledger.view()
    for name in (f"r{number}" for number in range(8)):
        found = view.find("m", name)
        assert len(found.predictions) == len(oracle.predictions.get(name, ()))
        assert [row.row for row in found.rows] == ([{"name": name}] if name in kept else [])
    assert view.gaps == ()


def survivors() -> Iterator[Survives]:
    return itertools.cycle([nothing, some(random.Random(1)), some(random.Random(2))])


def test_a_power_cut_at_any_operation_loses_nothing(tmp_path: Path) -> None:
    fs = LossyFs()
    root = tmp_path / "live"
    root.mkdir()
    fs.adopt(root)
    life = Life(root, fs)
    which, count = survivors(), itertools.count()

    def cut(operation: str) -> None:
        number = next(count)
        if operation in ("create", "write") and number % 4:
            return
        target = tmp_path / f"cut{number}"
        fs.power_cut(root, target, next(which))
        check(life, reopened(target))

    fs.each_operation = cut
    for step in SCENARIO:
        life.step(step)
    assert next(count) > 250
    check(life, life.ledger)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_call_that_fails_loses_nothing(tmp_path: Path, error: int) -> None:
    """Each call fails in turn; then it is tried again, or the agent dies and another one begins."""
    operations = _operations(tmp_path / "counted")
    for failing in range(error % 19 + 1, operations, 19):
        fs = FailingFs()
        fs.errno, fs.short_writes = error, error == errno.ENOSPC
        directory = tmp_path / str(failing)
        life = Life(directory, fs)
        fs.failing = range(failing, failing + 1)
        _live(life)
        check(life, reopened(directory))
        check(life, life.ledger)


def _operations(directory: Path) -> int:
    fs = FailingFs()
    life = Life(directory, fs)
    _live(life)
    return len(fs.log)


def _live(life: Life) -> None:
    for step in SCENARIO:
        try:
            life.step(step)
        except OSError:
            life.step(step)

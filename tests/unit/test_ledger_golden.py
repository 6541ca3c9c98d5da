"""Ledgers as older versions wrote them stay readable: `golden/ledger_N`, made by `golden/make_ledger.py`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.make_ledger import contents
from obsagent.fs import Fs
from obsagent.ledger.alive import Alive
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.manifest import Marks
from obsagent.ledger.memtable import Piece
from obsagent.ledger.merge import run_path, write_merged
from obsagent.ledger.run import Run
from obsagent.ledger.sources import Masks
from obsagent.ledger.tables import ARRIVALS
from obsagent.ledger.verify import verify
from unit.ledger_lab import KEY, at_ms

GOLDEN = Path(__file__).parents[1] / "golden"
VERSIONS = sorted(path.stem for path in GOLDEN.glob("ledger_*.json"))


def check(found: Any, expected: Any) -> None:
    """Numbers are the same to within rounding."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        check([*found.values()], [*expected.values()])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    else:
        assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_ledger_says_what_it_said(version: str) -> None:
    expected = json.loads((GOLDEN / version).with_suffix(".json").read_text())
    check(contents(Ledger.open_read_only(GOLDEN / version, KEY).view()), expected)
    assert verify(GOLDEN / version)["sound"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_ledger_goes_on(version: str, tmp_path: Path) -> None:
    expected = json.loads((GOLDEN / version).with_suffix(".json").read_text())
    shutil.copytree(GOLDEN / version, tmp_path / version)
    ledger = Ledger.open(tmp_path / version, Fs(), KEY)
    ledger.flush(1_000, at_ms(201))
    while ledger.upkeep():
        pass
    check(contents(Ledger.open_read_only(tmp_path / version, KEY).view()), expected)


def test_sums_that_runs_of_before_do_not_have_are_unknown_and_stay_so_when_merged(tmp_path: Path) -> None:
    before = [Run(path, 0) for path in sorted((GOLDEN / "ledger_1").glob("*.arrivals.run"))]
    new = before[0].slice(0, 1) | {"position": np.array([10_000]), "loss_fourth": np.array([16.0])}
    path = run_path(tmp_path, 1, ARRIVALS)
    alive = Alive(Marks(), Masks(), np.zeros(1 << 16, "i8"))
    [*write_merged(Fs(), path, ARRIVALS, before, alive)]
    assert np.isnan(Run(path, 1).column("loss_fourth", 0, 3)).all()
    [*write_merged(Fs(), path, ARRIVALS, [*before, Piece(ARRIVALS, new, [])], alive)]
    fourth = Run(path, 1).column("loss_fourth", 0, Run(path, 1).rows)
    assert len(fourth) == sum(run.rows for run in before) + 1
    assert fourth[-1] == 16.0
    assert np.isnan(fourth[:-1]).all()

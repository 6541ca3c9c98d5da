"""Whatever comes in whatever order, and whenever the ledger is written, merged, or begun anew: its outcomes are those
of a recompute from all records.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.by_id.batches import Batch
from obsagent.by_id.report import TruthReport
from obsagent.ledger import merge
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.settings import LedgerSettings
from unit.faulty_fs import FailingFs
from unit.ledger_lab import (
    Oracle,
    all_outcomes,
    apply,
    at_ms,
    check_classes,
    check_numbers,
    forgotten,
    predictions,
    reopened,
    truths,
)

NAMES = st.sampled_from([f"r{number}" for number in range(9)])
SECONDS = st.integers(0, 60)
SCORES = st.one_of(st.floats(0, 1), st.just(math.nan))
CLASSES = st.sampled_from([0.0, 1.0, 2.0])
NUMBERS = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))
VERSIONS = st.sampled_from(["1", "2", "shadow"])


def steps(values: st.SearchStrategy[float], scores: st.SearchStrategy[float]) -> st.SearchStrategy[list[Any]]:
    rows = st.lists(st.tuples(NAMES, SECONDS, values, scores), min_size=1, max_size=6)
    told = st.lists(st.tuples(NAMES, SECONDS, values | st.just(math.nan)), min_size=1, max_size=6)
    return st.lists(
        st.one_of(
            st.tuples(st.just("predict"), VERSIONS, rows),
            st.tuples(st.just("tell"), told),
            st.tuples(st.just("tell"), told),
            st.tuples(st.just("forget"), st.lists(NAMES, min_size=1, max_size=3)),
            st.tuples(st.just("flush")),
            st.tuples(st.just("upkeep")),
            st.tuples(st.just("die"), st.integers(0, 5)),
        ),
        max_size=40,
    )


class Life:
    """A ledger and its journal."""

    def __init__(self, directory: Path, task: str) -> None:
        self._directory = directory
        self._settings = LedgerSettings(task=lambda _: task)
        self.ledger = self._open()
        self.journal: list[Batch] = []
        self.reports: list[TruthReport] = []

    def _open(self) -> Ledger:
        return reopened(self._directory, FailingFs(), self._settings)

    def write(self, batch: Batch) -> TruthReport:
        self.journal.append(batch)
        self.reports.append(apply(self.ledger, batch, len(self.journal) - 1))
        return self.reports[-1]

    def die(self, replayed_too_much: int) -> None:
        """What was not flushed is applied again, and some of what was: that changes nothing."""
        self.ledger = self._open()
        begin = max(0, self.ledger.position - replayed_too_much)
        for position, batch in enumerate(self.journal[begin:], begin):
            report = apply(self.ledger, batch, position)
            assert report == (self.reports[position] if position >= self.ledger.position else TruthReport())

    def do(self, step: Sequence[Any], oracle: Oracle) -> None:
        match step:
            case "predict", version, rows:
                self.write(predictions(rows, version=version))
                oracle.predict(version, rows)
            case "tell", told:
                assert self.write(truths(told)) == oracle.tell(told)
            case "forget", names:
                self.write(forgotten(names))
                oracle.forget(names)
            case ("flush",):
                self.ledger.flush(len(self.journal), at_ms(60))
            case ("upkeep",):
                self.ledger.upkeep()
            case "die", replayed_too_much:
                self.die(replayed_too_much)


def live(todo: list[Any], task: str, check: Any) -> None:
    oracle = Oracle()
    with tempfile.TemporaryDirectory() as directory:
        life = Life(Path(directory), task)
        for step in todo:
            life.do(step, oracle)
        compare(life.ledger, oracle, check)
        life.do(("flush",), oracle)
        while life.ledger.upkeep():
            pass
        compare(life.ledger, oracle, check)
        life.do(("die", 3), oracle)
        compare(life.ledger, oracle, check)
        joined = sum(each.matched for each in life.reports)
        assert life.ledger.session(bytes(16)).report.matched == joined


def compare(ledger: Ledger, oracle: Oracle, check: Any) -> None:
    for version, (whole,) in all_outcomes(ledger).items():
        assert whole.predictions == sum(count for (own, _), count in oracle.made.items() if own == version)
        check(whole, oracle.joined(version))
    for version, windows in all_outcomes(ledger, 70, 10).items():
        for outcomes in windows:
            window = (outcomes.from_ms - at_ms(0)) // 10_000
            assert outcomes.predictions == oracle.made[version, window]
            check(outcomes, oracle.joined(version, window))


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "LEDGER_MERGE_ROWS", 256)


@given(steps(CLASSES, SCORES))
@settings(max_examples=20, deadline=None)
def test_classes(todo: list[Any]) -> None:
    live(todo, "classification", check_classes)


@given(steps(NUMBERS, st.just(math.nan)))
@settings(max_examples=20, deadline=None)
def test_numbers(todo: list[Any]) -> None:
    live(todo, "regression", check_numbers)

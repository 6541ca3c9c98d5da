"""Truths out of a real ledger, for those who judge harm: each once, in order, as far as the journal is on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_lab import BEGIN_MS, KEY, apply, predictions, truths

from obsagent.evaluate.state import Judged
from obsagent.fs import Fs
from obsagent.harm import of_ledger
from obsagent.harm.feed import Predicted
from obsagent.harm.of_ledger import LedgerFeed
from obsagent.ledger.ledger import Ledger

NAN = float("nan")
ONE, TWO = Judged("m", "1", ""), Judged("m", "2", "")


class Desk:
    """A ledger, and its feed as of a synced position."""

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger.open(directory, Fs(), KEY)
        self.synced = 1_000
        self.feed = LedgerFeed(self.ledger.view, lambda: self.synced)

    def predicted(self, position: int, names: str, version: str = "1", slice_: str = "", value: float = 1.0) -> None:
        apply(self.ledger, predictions([(name, 0, value, 0.75) for name in names], "m", version, slice_), position)

    def true(self, position: int, at_s: int, **values: float) -> None:
        apply(self.ledger, truths([(name, at_s, value) for name, value in values.items()]), position)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "ledger")


def test_what_came_is_added_up_by_second_and_version(desk: Desk) -> None:
    desk.predicted(10, "abcd")
    desk.predicted(20, "ab", "2", "DE", value=0.0)
    desk.true(30, 5, a=1.0, b=0.0)
    desk.true(40, 5, c=0.0)
    desk.true(50, 7, d=1.0)
    found = desk.feed.arrivals(-1)
    assert (found.position, found.is_all) == (50, True)
    first, other, last = found.rows
    assert (first.judged, first.slice, first.is_class, first.at_ms) == (ONE, {}, True, BEGIN_MS + 5_000)
    assert (first.count, first.errors) == (3, 2)
    assert first.loss == pytest.approx(0.25**2 + 2 * 0.75**2)
    assert first.loss_squared == pytest.approx(0.25**4 + 2 * 0.75**4)
    assert (other.judged, other.slice, other.count, other.errors) == (TWO, {"country": "DE"}, 2, 1)
    assert (last.judged, last.at_ms, last.count, last.errors) == (ONE, BEGIN_MS + 7_000, 1, 0)


def test_each_truth_is_read_once(desk: Desk) -> None:
    desk.predicted(10, "abcd")
    desk.true(30, 5, a=1.0, b=0.0)
    position = desk.feed.arrivals(-1).position
    assert not desk.feed.arrivals(position).rows
    desk.true(40, 6, b=1.0, a=1.0)  # corrected, and the same again
    desk.true(50, 6, c=1.0)
    found = desk.feed.arrivals(position)
    assert (found.position, [row.count for row in found.rows]) == (50, [1])


def test_what_may_be_lost_with_the_journal_is_not_read(desk: Desk) -> None:
    desk.predicted(10, "abcd")
    desk.true(30, 5, a=1.0)
    desk.true(40, 6, b=1.0)
    desk.synced = 40
    found = desk.feed.arrivals(-1)
    assert (found.position, sum(row.count for row in found.rows)) == (30, 1)
    desk.synced = 41
    assert desk.feed.arrivals(30).position == 40
    desk.synced = 5
    assert desk.feed.arrivals(-1).position == -1


def test_of_very_much_a_part_is_read_and_no_batch_is_cut(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_ledger, "HARM_ARRIVALS", 1)
    desk.predicted(10, "abcd")
    desk.predicted(20, "abcd", "2")
    desk.true(30, 5, a=1.0, b=1.0)
    desk.true(40, 6, c=1.0)
    found = desk.feed.arrivals(-1)
    assert (found.position, found.is_all, sum(row.count for row in found.rows)) == (30, False, 4)
    found = desk.feed.arrivals(found.position)
    assert (found.position, found.is_all, sum(row.count for row in found.rows)) == (40, True, 2)


def test_who_predicts_and_how_much_of_it_is_known(desk: Desk) -> None:
    desk.predicted(10, "abcd")
    desk.predicted(20, "ab", "2", "DE")
    desk.predicted(25, "c", "2", "FR")
    desk.true(30, 5, a=1.0)
    found = desk.feed.predicted("m", BEGIN_MS - 60_000, BEGIN_MS + 60_000)
    assert found == {ONE: Predicted(4, 1), TWO: Predicted(3, 1)}
    assert desk.feed.predicted("m", BEGIN_MS + 60_000, BEGIN_MS + 120_000) == {}
    assert desk.feed.predicted("other", 0, BEGIN_MS + 60_000) == {}


def test_without_a_ledger_there_is_nothing() -> None:
    feed = LedgerFeed(lambda: None, lambda: 100)
    assert not feed.is_there
    assert feed.arrivals(7).position == 7
    assert feed.predicted("m", 0, 1) == {}


def test_numbers_are_absolute_errors(desk: Desk) -> None:
    desk.predicted(10, "ab", value=2.5)
    apply(desk.ledger, predictions([("x", 0, 3.0, NAN), ("y", 0, 7.5, NAN)], "price"), 20)
    apply(desk.ledger, truths([("x", 1, 5.0), ("y", 1, 7.0)], "price"), 30)
    (row,) = desk.feed.arrivals(-1).rows
    assert (row.judged.model, row.is_class, row.count, row.errors) == ("price", False, 2, 0)
    assert (row.loss, row.loss_squared, row.loss_fourth) == (2.5, 4.25, 16.0625)

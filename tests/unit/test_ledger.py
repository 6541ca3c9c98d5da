"""What a ledger says of predictions and truths, keeps, forgets, and lets expire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zstandard

from obsagent.by_id.report import TruthReport
from obsagent.fs import Fs
from obsagent.ledger import upkeep
from obsagent.ledger.format import OTHER
from obsagent.ledger.keys import Hasher
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.names import class_name, positive_class
from obsagent.ledger.settings import LedgerSettings
from obsagent.limits import LEDGER_ARRIVALS_MS, LEDGER_CLASSES_MAX, TIER_RETENTION_MS
from unit.ledger_lab import (
    BEGIN_MS,
    KEY,
    all_outcomes,
    apply,
    at_ms,
    forgotten,
    ids,
    kept_rows,
    predictions,
    reopened,
    truths,
)

DAY_S = 86_400
SECRET = msgpack.packb({"secret": "Müller"})
NAN = math.nan


def outcomes(ledger: Ledger, version: str = "1") -> list[list[int]]:
    (found,) = all_outcomes(ledger, 400 * DAY_S)[version]
    assert found.classes is not None
    confusion: list[list[int]] = found.classes.confusion.tolist()
    return confusion


def settle(ledger: Ledger, position: int, now_ms: int) -> None:
    ledger.flush(position, now_ms)
    while ledger.upkeep():
        pass


def test_reports_say_what_became_of_truths(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, 0.9), ("b", 0, 0.0, 0.1)]), 1)
    told = [("a", 5, 1.0), ("b", 5, 1.0), ("c", 5, 1.0), ("a", 6, 1.0), ("b", 6, 0.0), ("b", 4, 1.0), ("a", 7, NAN)]
    assert apply(ledger, truths(told), 2) == TruthReport(2, 1, 1, 2, 1)
    assert apply(ledger, predictions([("c", 0, 0.0, 0.2)]), 3) == TruthReport()
    assert outcomes(ledger) == [[1, 0], [1, 1]]
    state = ledger.session(bytes(16))
    assert (state.report, state.last_record, state.rows) == (TruthReport(2, 1, 1, 2, 1), 3, 10)
    assert ledger.status()["joined_later"] == 1


def test_all_versions_are_judged_on_the_same_truth(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    for position, (version, value) in enumerate({"1": 0.0, "2": 1.0, "shadow": 0.0}.items()):
        apply(ledger, predictions([("a", 0, value, 0.5)], version=version, slice_="DE"), position)
    apply(ledger, truths([("a", 9, 1.0)]), 4)
    found = {version: one.classes for version, (one,) in all_outcomes(ledger).items()}
    assert {version: one.classes for version, one in found.items() if one} == {
        "1": ("0", "1"),
        "2": ("1",),
        "shadow": ("0", "1"),
    }
    assert [series.slice for series in ledger.view().series()] == [{"country": "DE"}] * 3


def test_other_models_have_other_ids(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, 0.9)], model="m"), 1)
    assert apply(ledger, truths([("a", 1, 1.0)], model="n"), 2) == TruthReport(unmatched=1)


def test_names_and_numbers_meet(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, "1", NAN), ("b", 0, "2.5", NAN), ("c", 0, "x", NAN)]), 1)
    assert apply(ledger, truths([("a", 1, 1.0), ("b", 1, 2.5), ("c", 1, 0.0)]), 2).matched == 3
    assert apply(ledger, truths([("a", 2, "1"), ("b", 2, "0")]), 3) == TruthReport(corrected=1, duplicate=1)
    (found,) = all_outcomes(ledger)["1"]
    assert found.classes is not None
    assert found.classes.classes == ("0", "1", "2.5", "x")
    assert found.classes.confusion.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_the_task_is_told_by_what_is_predicted(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, NAN)]), 1)
    apply(ledger, predictions([("b", 0, 0.5, NAN)]), 2)
    assert [series.task for series in ledger.view().series()] == ["classification", "regression"]
    apply(ledger, predictions([("a", 0, 0.5, 0.2)], model="scored"), 3)
    assert ledger.view().series()[-1].task == "classification"
    ledger.settings = LedgerSettings(task=lambda model: "regression")
    apply(ledger, predictions([("a", 0, 0.5, 0.2)], model="scored"), 4)
    assert ledger.view().series()[-1].task == "regression"
    assert apply(ledger, truths([("a", 1, 0.0), ("b", 1, 0.0)]), 5).matched == 2
    view = ledger.view()
    assert view.outcomes([0], BEGIN_MS, at_ms(10))[0].classes.confusion.tolist() == [[0, 1], [0, 0]]  # type: ignore[union-attr]
    assert view.outcomes([1], BEGIN_MS, at_ms(10))[0].numbers.absolute == 0.5  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="one model, not of 2"):
        view.outcomes([0, 2], BEGIN_MS, at_ms(10))


def test_classes_beyond_the_limit_are_one(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    rows = [(f"r{number}", 0, f"c{number}", NAN) for number in range(LEDGER_CLASSES_MAX + 5)]
    apply(ledger, predictions(rows), 1)
    (found,) = all_outcomes(ledger)["1"]
    assert found.classes is not None
    assert len(found.classes.classes) == LEDGER_CLASSES_MAX + 1
    assert found.classes.predicted[found.classes.classes.index("(other)")] == 5
    assert LEDGER_CLASSES_MAX == OTHER
    assert ledger.view().find("m", f"r{LEDGER_CLASSES_MAX}").predictions[0].value == "(other)"


def test_what_is_no_number_is_not_taken(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, NAN, 0.5), ("b", 0, math.inf, 0.5), ("c", 0, 1.0, 1.5)]), 1)
    status = ledger.status()
    assert (status["predictions"], status["rejected_predictions"], status["clipped_scores"]) == (3, 2, 1)
    assert apply(ledger, truths([("c", 1, math.inf), ("c", 1, NAN)]), 2) == TruthReport(rejected=2)
    (found,) = all_outcomes(ledger)["1"]
    assert (found.predictions, found.joined, found.maturity) == (1, 0, 0.0)


def test_one_id_is_found_with_all_that_is_known(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, "yes", 0.75)]), 1)
    apply(ledger, truths([("a", 9, "no")]), 2)
    apply(ledger, kept_rows([("a", 0, msgpack.packb({"age": 3, "city": None}))]), 3)
    for _ in range(2):
        found = ledger.view().find(None, "a")
        assert found == ledger.view().find("m", "a")
        ((series, when, value, score),) = found.predictions
        assert (series.version, when, value, score) == ("1", BEGIN_MS, "yes", 0.75)
        assert [each[1:] for each in found.truths] == [(at_ms(9), "no")]
        assert found.rows[0].row == {"age": 3, "city": None}
        ledger.flush(4, at_ms(10))
    assert ledger.view().find("n", "a") == ((), (), ())
    assert ledger.view().find("m", "") == ((), (), ())


def test_what_is_forgotten_is_gone_from_the_disk(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    rows = [(f"r{number}", 0, 1.0, 0.5) for number in range(100)]
    for at, name in enumerate(("first", "second")):
        apply(ledger, predictions([*rows, (name, 0, 1.0, 0.5)]), 10 * at)
        apply(ledger, truths([(name, 1, 1.0), ("r1", 1, 1.0)]), 10 * at + 1)
        apply(ledger, kept_rows([(name, 0, SECRET), ("r1", 0, msgpack.packb({}))]), 10 * at + 2)
        settle(ledger, 10 * at + 3, at_ms(10))
    needles = [*_needles("first")]
    assert all(_holds(tmp_path, needle) for needle in needles)
    view = ledger.view()
    before = outcomes(ledger)
    apply(ledger, forgotten(["first", "unknown"], ""), 20)
    assert ledger.view().find("m", "first") == ((), (), ())
    assert apply(ledger, truths([("first", 5, 0.0)]), 21) == TruthReport(unmatched=1)
    apply(ledger, forgotten(["first"]), 22)
    assert ledger.wants_flush(at_ms(11))
    settle(ledger, 23, at_ms(11))
    assert not any(_holds(tmp_path, needle) for needle in needles)
    assert all(_holds(tmp_path, needle) for needle in _needles("second"))
    assert outcomes(ledger) == before
    assert view.find("m", "first").rows
    ledger = reopened(tmp_path)
    assert ledger.view().find("m", "first") == ((), (), ())
    assert ledger.view().find("m", "second").rows
    apply(ledger, predictions([("first", 0, 0.0, 0.5)]), 24)
    assert len(ledger.view().find("m", "first").predictions) == 1


def _needles(name: str) -> Iterator[bytes]:
    yield Hasher(KEY).keys("m", ids([name])).hi.tobytes()
    yield zstandard.compress(msgpack.packb([name.encode(), SECRET]))


def _holds(directory: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_old_predictions_expire(tmp_path: Path) -> None:
    ledger = reopened(tmp_path, settings=LedgerSettings(horizon_ms=lambda model: DAY_S * 1_000))
    apply(ledger, predictions([("old", 0, 1.0, 0.5), ("new", DAY_S, 1.0, 0.5)]), 1)
    apply(ledger, truths([("old", 1, 1.0)]), 2)
    settle(ledger, 3, at_ms(DAY_S + 10))
    assert apply(ledger, truths([("old", DAY_S, 0.0), ("new", DAY_S, 1.0)]), 4) == TruthReport(matched=1, unmatched=1)
    assert apply(ledger, predictions([("older", 5, 1.0, 0.5)]), 5) == TruthReport()
    assert ledger.status()["expired_predictions"] == 1
    assert outcomes(ledger) == [[2]]
    assert [run.rows for run in ledger._sources.runs if run.table.name in ("predictions", "truths")] == [1]


def test_a_truth_stays_as_long_as_its_predictions(tmp_path: Path) -> None:
    """Else it would be taken for the first one when it is corrected, and counted twice."""
    ledger = reopened(tmp_path, settings=LedgerSettings(horizon_ms=lambda model: DAY_S * 1_000))
    apply(ledger, truths([("a", 0, 1.0)]), 1)
    apply(ledger, predictions([("a", DAY_S, 1.0, 0.5), ("a", 100, 1.0, 0.5)]), 2)
    settle(ledger, 3, at_ms(DAY_S + 10))
    assert apply(ledger, truths([("a", DAY_S, 0.0)]), 4) == TruthReport(corrected=1)
    settle(ledger, 5, at_ms(DAY_S + 200))
    assert apply(ledger, truths([("a", DAY_S + 1, 1.0)]), 6) == TruthReport(corrected=1)
    assert outcomes(ledger)[-1][-1] == 1


def test_windows_become_coarser(tmp_path: Path) -> None:
    ledger = reopened(tmp_path, settings=LedgerSettings(horizon_ms=lambda model: 400 * DAY_S * 1_000))
    seconds = [0, 10, 70, 3_700, 22 * DAY_S, 33 * DAY_S, 34 * DAY_S]
    apply(ledger, predictions([(f"r{at}", at, 1.0, 0.5) for at in seconds]), 1)
    apply(ledger, truths([(f"r{at}", at, 0.0) for at in seconds]), 2)
    settle(ledger, 3, at_ms(34 * DAY_S))
    view = ledger.view()
    for at, resolution_ms in ((0, 3_600_000), (22 * DAY_S, 60_000), (34 * DAY_S, 10_000)):
        (found,) = view.outcomes([0], at_ms(at) - 3_600_000, at_ms(at + 1))
        assert (found.resolution_ms, found.predictions > 0) == (resolution_ms, True)
    counts = next(run for run in ledger._sources.runs if run.table.name == "class_sums")
    windows = counts.column("window_ms", 0, counts.rows)
    assert (windows[:2] % 3_600_000 == 0).all()
    assert counts.column("count", 0, counts.rows).tolist() == [3, 1, 1, 1, 1]
    settle(ledger, 4, at_ms(0) + TIER_RETENTION_MS[2] + 10 * DAY_S * 1_000)
    assert sum(one.predictions for one in ledger.view().outcomes([0], 0, at_ms(400 * DAY_S))) == 3


def test_the_oldest_predictions_go_when_the_disk_is_full(tmp_path: Path) -> None:
    ledger = reopened(tmp_path, settings=LedgerSettings(disk_budget=100_000))
    for position in range(10):
        rows = [(f"r{position}-{number}", position * 100 + number % 90, 1.0, 0.5) for number in range(1_000)]
        apply(ledger, predictions(rows), position)
        settle(ledger, position + 1, at_ms(2_000))
    status = ledger.status()
    assert status["disk_bytes"] < 130_000
    assert status["evicted_predictions"] + sum(
        run.rows for run in ledger._sources.runs if run.table.name == "predictions"
    ) == pytest.approx(10_000, rel=0.01)
    assert apply(ledger, truths([("r0-1", 2_000, 1.0), ("r9-1", 2_000, 1.0)]), 11) == TruthReport(
        matched=1, unmatched=1
    )
    (found,) = all_outcomes(ledger)["1"]
    assert (found.predictions, found.joined) == (10_000, 1)


def test_arrivals_are_read_exactly_once(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, 0.75), ("b", 0, 0.0, 0.25), ("c", 0, 1.0, NAN)]), 1)
    apply(ledger, truths([("a", 1, 1.0), ("b", 1, 1.0), ("c", 2, 0.0), ("d", 2, 0.0)]), 2)
    apply(ledger, truths([("a", 3, 0.0)]), 3)
    found = ledger.view().arrivals()
    assert (found.position.tolist(), found.count.tolist(), found.errors.tolist()) == ([2], [3], [2])
    assert (found.loss.tolist(), found.at_ms.tolist()) == ([0.25**2 + 0.75**2 + 1], [at_ms(2)])
    ledger.flush(4, at_ms(10))
    ledger = reopened(tmp_path)
    assert ledger.view().arrivals(2).count.tolist() == []
    apply(ledger, predictions([("d", 0, 1.0, 0.5)]), 4)
    assert ledger.view().arrivals(2).position.tolist() == [4]
    assert ledger.view().arrivals().count.tolist() == [3, 1]


def test_arrivals_of_long_ago_are_kept_as_long_as_others(tmp_path: Path) -> None:
    """Truths that are told of last year have come today, and who judges by them has not read them yet."""
    years = LedgerSettings(horizon_ms=lambda model: 4_000 * DAY_S * 1_000)
    ledger = reopened(tmp_path, settings=years)
    apply(ledger, predictions([("a", 0, 1.0, 0.75)]), 1)
    apply(ledger, truths([("a", 1, 0.0)]), 2)
    today_ms = at_ms(800 * DAY_S)
    settle(ledger, 3, today_ms)
    assert ledger.view().arrivals().count.tolist() == [1]
    ledger = reopened(tmp_path, settings=years)
    apply(ledger, truths([("b", 1, 0.0)]), 4)
    settle(ledger, 5, today_ms + LEDGER_ARRIVALS_MS - 3_600_000)
    assert ledger.view().arrivals().count.tolist() == [1]
    settle(ledger, 5, today_ms + LEDGER_ARRIVALS_MS)
    assert ledger.view().arrivals().count.tolist() == []


def test_outcomes_are_kept_as_long_as_is_configured(tmp_path: Path) -> None:
    years = LedgerSettings(horizon_ms=lambda model: 4_000 * DAY_S * 1_000)
    for directory, settings, predicted in (
        (tmp_path / "default", years, []),
        (tmp_path / "longer", replace(years, retention_ms=lambda: (1, 2, 801 * DAY_S * 1_000)), [1]),
    ):
        ledger = reopened(directory, settings=settings)
        apply(ledger, predictions([("a", 0, 1.0, 0.75)]), 1)
        settle(ledger, 2, at_ms(800 * DAY_S))
        assert [one.predictions for one in ledger.view().outcomes([0], 0, at_ms(10)) if one.predictions] == predicted


def test_a_view_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEDGER_MERGED_RUNS", 2)
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, 0.75)]), 1)
    ledger.flush(2, at_ms(10))
    view = ledger.view()
    for position in range(2, 6):
        apply(ledger, predictions([(f"b{position}", 0, 1.0, 0.75)]), position)
        settle(ledger, position + 1, at_ms(10))
    assert len([path for path in (tmp_path / "ledger").iterdir() if "predictions" in path.name]) == 2
    (found,) = view.outcomes([0], BEGIN_MS, at_ms(10))
    assert found.predictions == 1
    assert view.find("m", "a").predictions
    assert not view.find("m", "b2").predictions


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([("a", 0, 1.0, 0.75)]), 1)
    ledger.close(2, at_ms(10))
    directory = tmp_path / "ledger"
    (directory / "00000099.truths.run").write_bytes(b"left over")
    before = {path: path.read_bytes() for path in directory.iterdir()}
    reader = Ledger.open_read_only(directory, KEY)
    assert reader.view().find("m", "a").predictions
    assert {path: path.read_bytes() for path in directory.iterdir()} == before
    assert Ledger.open_read_only(tmp_path / "none", KEY).view().series() == []
    reopened(tmp_path)
    assert not (directory / "00000099.truths.run").exists()


def test_a_session_is_known_by_its_last_record(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    ledger.apply(predictions([("a", 0, 1.0, 0.5)]), session=b"s", sequence=7, rows=2, dropped=3, position=1)
    ledger.apply(forgotten(["a"]), session=b"", sequence=0, rows=0, dropped=0, position=2)
    for _ in range(2):
        assert (ledger.is_duplicate(b"s", 7), ledger.is_duplicate(b"s", 8), ledger.is_duplicate(b"t", 1)) == (
            True,
            False,
            False,
        )
        assert ledger.session(b"s")[:3] == (7, 2, 3)
        ledger.close(3, at_ms(1))
        ledger = reopened(tmp_path)
    assert ledger.status()["sessions"] == 1


def test_a_flush_comes_when_it_is_due(tmp_path: Path) -> None:
    ledger = reopened(tmp_path)
    assert not ledger.wants_flush(BEGIN_MS)
    apply(ledger, predictions([("a", 0, 1.0, 0.5)]), 1)
    assert not ledger.wants_flush(BEGIN_MS)
    assert ledger.wants_flush(BEGIN_MS + 5 * 60_000)
    ledger.flush(2, BEGIN_MS)
    assert ledger.position == 2
    assert not ledger.wants_flush(BEGIN_MS + 3_599_000)
    assert ledger.wants_flush(BEGIN_MS + 3_600_000)


def test_what_a_positive_class_is_called() -> None:
    assert positive_class(["no", "yes"]) == "yes"
    assert positive_class(["0", "1"]) == "1"
    assert positive_class(["True", "False"]) == "True"
    assert positive_class(["ham", "spam"]) == "spam"
    assert positive_class(["a", "b"], "a") == "a"
    assert positive_class(["a"]) is None
    assert positive_class(["fraud", "ok"], "", {"fraud": 0.8, "ok": 0.1}) == "fraud"
    assert positive_class(["fraud", "yes"], "", {"fraud": 0.8, "yes": 0.1}) == "yes"
    assert positive_class(["fraud", "ok"], "", {"fraud": 0.8}) == "ok"


@pytest.mark.parametrize(
    ("predicted", "told", "positive", "negative"),
    [
        ([("0", 0.1), ("1", 0.7)], ["maybe"], "1", "0"),
        ([("ok", 0.2), ("fraud", 0.6)], ["ok", "frad", ""], "fraud", "ok"),
        ([("0", 0.1)], ["1", "maybe"], "1", "0"),
        ([("0", 0.1), ("1", 0.7), ("2", 0.4)], [], "1", ""),
        ([("a", 0.8), ("b", 0.7)], ["c"], "a", ""),
        ([("a", math.nan), ("b", math.nan)], ["c"], "b", ""),
        ([("a", math.nan), ("b", math.nan)], [], "b", "a"),
        ([("0", 0.1)], [], "", ""),
        ([("1", 0.9)], ["2", "3"], "1", ""),
    ],
)
def test_which_two_classes_are_told_apart(
    tmp_path: Path, predicted: list[tuple[str, float]], told: list[str], positive: str, negative: str
) -> None:
    ledger = reopened(tmp_path)
    apply(ledger, predictions([(f"r{at}", 0, *each) for at, each in enumerate(predicted)]), 1)
    if told:
        apply(ledger, truths([(f"r{at % len(predicted)}", 1, each) for at, each in enumerate(told)]), 2)
    (model,) = ledger.asked().models()
    assert (model.positive, model.negative) == (positive, negative)


def test_who_reads_without_settings_knows_what_they_said(tmp_path: Path) -> None:
    rows = [("a", 0, "ham", 0.9), ("b", 0, "spam", 0.2), ("c", 0, "ham", 0.8)]
    ledger = reopened(tmp_path)
    apply(ledger, predictions(rows), 1)
    assert ledger.asked().models()[0].positive == "ham"
    ledger.settings = LedgerSettings(positive=lambda _: "spam")
    settle(ledger, 2, at_ms(9))
    (model,) = Ledger.open_read_only(tmp_path / "ledger", KEY).asked().models()
    assert (model.positive, model.task) == ("spam", "classification")
    ledger.settings = LedgerSettings()
    apply(ledger, predictions(rows[:1]), 2)
    settle(ledger, 3, at_ms(9))
    assert Ledger.open_read_only(tmp_path / "ledger", KEY).asked().models()[0].positive == "ham"
    assert [class_name(value) for value in (1.0, 2.5, -0.0, 1e22)] == ["1", "2.5", "0", "10000000000000000000000"]


def test_files_are_written_through_the_seam(tmp_path: Path) -> None:
    """Reading a directory of nothing makes it."""
    assert Ledger.open(tmp_path / "a" / "b", Fs(), KEY).position == 0
    assert np.array_equal([*(tmp_path / "a" / "b").iterdir()], [])

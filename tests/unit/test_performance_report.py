"""The report on performance, and how it is shown: beside the reference, in two widths, in pipes, as CSV, as a code."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import numpy as np
import pytest

from obsagent import cli
from obsagent.answer.expected import ExpectedOutcomes
from obsagent.answer.mistakes import QueryError
from obsagent.cli import performance_text
from obsagent.cli.table import columns_of
from obsagent.evaluate.performance_report import performance_report
from obsagent.evaluate.verdicts import verdict
from obsagent.performance import RegressionSums
from obsagent.reference.errors import ErrorCounter
from unit.fake_ledger import FakeLedger
from unit.fake_view import FakeGap
from unit.feature_lab import LABEL, Lab

NOW_MS = 1_767_258_125_250
MINUTE_MS = 60_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Judged:
    """`fraud`: version 4 as the reference says in DE, by chance alone in FR; 5, its shadow, worse. `price`: numbers."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.ledger = self.lab.view.ledger = FakeLedger()
        self.chance = random.Random(2)
        self.lab.joints[LABEL] = ExpectedOutcomes(LABEL, ("0", "1"), ("0", "1"), self._cells(), 1024)
        self.lab.configured["fraud"] = LABEL
        for number in range(1500):
            self._request(number)
        for number in range(300):
            truth = self.chance.gauss(20, 5)
            self.ledger.predict("price", f"p{number}", NOW_MS - MINUTE_MS, truth + self.chance.gauss(0, 2), version="1")
            self.ledger.tell("price", f"p{number}", truth)

    def _cells(self) -> dict[tuple[int, int, int], int]:
        cells: dict[tuple[int, int, int], int] = {}
        for _ in range(20_000):
            score = self.chance.random()
            key = int(score * 1024), int(score >= 0.5), int(self.chance.random() < score)
            cells[key] = cells.get(key, 0) + 1
        return cells

    def _request(self, number: int) -> None:
        score, country = self.chance.random(), self.chance.choice(("DE", "FR"))
        at_ms = NOW_MS - (1500 - number) * MINUTE_MS // 2
        noisy = min(max(score + self.chance.gauss(0, 0.9), 0.0), 1.0)
        for version, variant, own in (("4", "live", score), ("5", "shadow", noisy)):
            self.ledger.predict("fraud", f"f{number}", at_ms, int(own >= 0.5), own, version, variant, country=country)
        if number < 1400:
            self.ledger.tell("fraud", f"f{number}", int(self.chance.random() < (score if country == "DE" else 0.5)))

    def report(self, words: str = "") -> dict[str, Any]:
        report = performance_report(words, self.lab.view, self.lab, NOW_MS)
        return dict(json.loads(json.dumps(report, allow_nan=False)))


@pytest.fixture(scope="module")
def judged() -> Judged:
    return Judged()


def row_of(report: dict[str, Any], **wanted: str) -> dict[str, Any]:
    (row,) = [
        row
        for row in report["rows"]
        if all({**row, **row["labels"]}.get(name) == value for name, value in wanted.items())
    ]
    return dict(row)


def test_metrics_stand_beside_their_estimate_and_the_reference(judged: Judged) -> None:
    report = judged.report("model=fraud by country")
    german, french = (row_of(report, version="4", country=country) for country in ("DE", "FR"))
    auc = german["metrics"]["roc_auc"]
    assert auc["low"] < auc["value"] < auc["high"]
    assert 0 < auc["bound"] < 0.01
    assert auc["reference"]["value"] == pytest.approx(0.83, abs=0.02)
    assert auc["estimate"]["low"] < auc["value"] < auc["estimate"]["high"]
    assert auc["estimate"]["standard_error"] > 0
    assert (auc["verdict"], french["metrics"]["roc_auc"]["verdict"]) == ("same", "worse")
    assert french["metrics"]["brier"]["verdict"] == "worse"
    assert german["metrics"]["mcc"]["estimate"] is None
    assert german["metrics"]["calibration_error"]["verdict"] is None
    assert german["reference"] == LABEL


def test_how_much_of_the_truth_is_known(judged: Judged) -> None:
    row = row_of(judged.report(), model="fraud", version="4")
    assert row["maturity"] == {"predictions": 1500, "truths": 1400, "share": pytest.approx(1400 / 1500)}
    assert row["watermark"] < "2026-01-01T08:30"
    assert row["task"] == "two classes"
    assert row["positive"] == "1"
    assert row["confusion"]["classes"] == ["0", "1"]
    assert sum(map(sum, row["confusion"]["counts"])) == 1400


def test_rivals_share_their_truths(judged: Judged) -> None:
    (rival,) = judged.report("model=fraud")["rivals"]
    assert (rival["first"]["version"], rival["second"]["variant"]) == ("4", "shadow")
    assert rival["truths"] == 1400
    assert rival["low"] <= rival["difference"] <= rival["high"]
    assert rival["better"] == "first"
    assert rival["anytime_p_value"] < 0.05
    by_country = judged.report("model=fraud by country")["rivals"]
    assert [each["labels"] for each in by_country] == [{"country": "DE"}, {"country": "FR"}]
    assert judged.report("model=fraud version=4")["rivals"] == []


def test_numbers_have_metrics_of_their_own_and_no_reference(judged: Judged) -> None:
    row = row_of(judged.report(), model="price")
    assert list(row["metrics"])[:3] == ["mae", "rmse", "mape"]
    assert row["metrics"]["mae"]["value"] == pytest.approx(1.6, abs=0.2)
    assert (row["confusion"], row["reference"], row["positive"]) == (None, None, None)
    assert {metric["verdict"] for metric in row["metrics"].values()} == {None}


def test_numbers_are_compared_with_the_errors_of_their_reference() -> None:
    judged = Judged()
    judged.lab.configured["price"] = LABEL
    for size, said in ((2.0, "same"), (1.0, "worse"), (4.0, "better")):
        chance = np.random.default_rng(1)
        truths = chance.normal(20, 5, 5_000)
        predicted = truths + chance.normal(0, size, 5_000)
        counter = ErrorCounter()
        counter.add(predicted.tolist(), truths.tolist())
        judged.lab.joints[LABEL] = ExpectedOutcomes(LABEL, ("x",), ("x",), {}, errors=counter.result())
        metrics = row_of(judged.report("model=price"), model="price")["metrics"]
        wanted = RegressionSums()
        wanted.update(truths, predicted)
        for name, metric in metrics.items():
            found = wanted.quantile(int(name[-2:]) / 100, absolute=True) if "error" in name else wanted.measure(name)
            assert metric["reference"]["value"] == pytest.approx(found.value), name
            assert metric["reference"]["low"] == pytest.approx(found.low), name
        told = {name: metrics[name]["verdict"] for name in ("mae", "rmse", "r2", "error_p50")}
        assert told == dict.fromkeys(told, said)


@pytest.mark.parametrize(
    ("name", "now", "then", "found"),
    [
        ("recall", (0.6, 0.7), (0.75, 0.8), "worse"),
        ("recall", (0.85, 0.9), (0.75, 0.8), "better"),
        ("recall", (0.6, 0.75), (0.75, 0.8), "same"),
        ("brier", (0.3, 0.4), (0.1, 0.2), "worse"),
        ("mae", (1.0, 2.0), (2.5, 3.0), "better"),
        ("bias", (1.0, 2.0), (2.5, 3.0), None),
        ("recall", (None, None), (0.75, 0.8), None),
        ("recall", (0.6, 0.7), None, None),
    ],
)
def test_a_verdict_needs_intervals_that_do_not_touch(name: str, now: Any, then: Any, found: str | None) -> None:
    was = {"low": then[0], "high": then[1]} if then else None
    assert verdict(name, {"low": now[0], "high": now[1]}, was) == found


def test_clauses_that_a_report_has_no_place_for(judged: Judged) -> None:
    for clause in ("step 1h", "vs 1d ago", "where recall above 1", "top 3", "bottom 3"):
        with pytest.raises(QueryError, match="`obsagent performance` knows filters, by and ranges; for"):
            judged.report(clause)
    with pytest.raises(QueryError, match="has no label `contry`"):
        judged.report("by contry")


def test_nothing_to_show_says_why(judged: Judged) -> None:
    assert "no prediction with an id has ever come with version=9" in judged.report("version=9")["empty"]
    assert "no prediction with an id in the last 1s" in judged.report("since 1s")["empty"]
    report = performance_report("", Lab().view, Lab(), NOW_MS)
    assert report["rows"] == report["rivals"] == []
    assert "no prediction with an id in the last 1w, nor ever" in report["empty"]


def shown(report: dict[str, Any], width: int | None, monkeypatch: pytest.MonkeyPatch, **options: bool) -> list[str]:
    stream: io.StringIO = io.StringIO() if width is None else Terminal()
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setenv("NO_COLOR", "1")
    performance_text.write(report, stream, **options)
    assert "\x1b" not in stream.getvalue()
    lines = stream.getvalue().splitlines()
    if width is not None:
        assert max(map(columns_of, lines)) <= width
    return lines


@pytest.mark.parametrize("width", [80, 200, None])
def test_it_fits_and_says_what_is_worse(judged: Judged, width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(judged.report("model=fraud"), width, monkeypatch)
    text = "\n".join(lines)
    assert lines[0].startswith("fraud/4 · 1,400 truths of 1,500 predictions (93.3 %)")
    assert "nearly complete until" in text
    (auc,) = [line.split() for line in lines if line.startswith("roc_auc")][:1]
    assert len(auc) == 6 or auc[-1] == "worse"
    assert "on the same truths" in text
    assert "the intervals of now and of the reference do not touch" in text.replace("\n", " ")
    by_country = shown(judged.report("model=fraud version=4 by country"), width, monkeypatch)
    assert by_country[1].split()[:2] == ["of", "roc_auc"]
    assert [line.split()[0] for line in by_country[2:4]] == ["country=DE", "country=FR"]
    assert "precision" not in "\n".join(by_country)
    every = shown(judged.report("model=fraud version=4 by country"), width, monkeypatch, every=True)
    assert "precision" in "\n".join(every)


def test_without_a_reference_it_says_so(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(judged.report("model=price"), 80, monkeypatch)
    assert "reference" not in lines[2]
    assert "no reference with truths to compare with" in "\n".join(lines)


def test_gaps_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    ledger = lab.view.ledger = FakeLedger()
    ledger.predict("fraud", "a", NOW_MS, 1, 0.5)
    ledger.lost.append(FakeGap(NOW_MS - MINUTE_MS, NOW_MS, "a run is damaged"))
    report = performance_report("", lab.view, lab, NOW_MS)
    assert report["gaps"][0]["reason"] == "a run is damaged"
    assert "a run is damaged" in " ".join(shown(report, 80, monkeypatch))


def test_csv_has_a_line_for_every_metric(judged: Judged) -> None:
    stream = io.StringIO()
    report = judged.report("model=fraud by country")
    performance_text.write_csv(report, stream)
    lines = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert len(lines) == sum(len(row["metrics"]) for row in report["rows"])
    first = lines[0]
    assert (first["labels"], first["metric"], first["reference_id"]) == ("country=DE", "roc_auc", LABEL)
    assert float(first["low"]) < float(first["value"]) < float(first["high"])
    assert float(first["estimate_low"]) < float(first["estimate"])


@pytest.fixture
def asked(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.cli.performance.ask_report", lambda _args, _name, text: judged.report(text))


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("model=fraud", 0),
        ("model=fraud --exit-match", 3),
        ("model=fraud version=4 country=DE --exit-match", 0),
        ("model=fraud version=5 country=FR --metric roc_auc --exit-match", 3),
        ("model=fraud --metric calibration_error --exit-match", 0),
        ("model=price --exit-match --format json", 0),
        ("model=fraud by country --format csv", 0),
        ("version=9 --exit-match", 0),
    ],
)
def test_exit_codes(words: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["performance", *words.split()]) == code
    assert capsys.readouterr().out


@pytest.mark.usefixtures("asked")
def test_a_metric_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["performance", "model=fraud", "--metric", "recal"]) == 2
    assert "no metric `recal` here: there are roc_auc, " in capsys.readouterr().err
    assert cli.main(["performance", "model=fraud", "--metric", "recall,f1", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [list(row["metrics"]) for row in report["rows"]] == [["recall", "f1"], ["recall", "f1"]]

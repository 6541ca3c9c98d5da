"""The reports on drift and quality, and how they are shown: in terminals of two widths, in pipes, as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from obsagent import cli
from obsagent.answer.mistakes import QueryError
from obsagent.cli import drift_text, quality_text
from obsagent.cli.table import columns_of
from obsagent.evaluate.drift_report import drift_report
from obsagent.evaluate.evaluator import Evaluator
from obsagent.evaluate.quality_report import quality_report
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import State
from unit.feature_lab import LABEL, Lab

BEGIN_MS = 1_767_254_400_000  # 2026-01-01T08:00:00Z
WINDOW_MS = 10_000
NOW_MS = BEGIN_MS + 402_000


def settings(_model: str) -> Settings:
    return Settings(days=7)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watched:
    """Forty windows: `amount` moves in the 26th, `age` has nulls from the 31st, `land` new values at the end."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.state = State()
        for name, importance in (("amount", 0.5), ("age", 0.2), ("prediction.score", 1.0), ("gone", 0.1)):
            self.lab.learn_numbers(name, importance=importance)
        self.lab.learn_lands()
        for number in range(40):
            self._window(BEGIN_MS + number * WINDOW_MS, number)
        Evaluator(self.state, self.lab, settings).look(self.lab.view, NOW_MS, budget_s=60)

    def _window(self, at_ms: int, number: int) -> None:
        lab = self.lab
        lab.numbers("amount", at_ms, lab.normal(100, 0 if number < 25 else 1.2))
        lab.numbers("age", at_ms, lab.normal(100 if number < 30 else 70))
        if number >= 30:
            lab.others("age", at_ms, nulls=30)
        lab.numbers("prediction.score", at_ms, lab.normal(100))
        lab.lands(at_ms, lab.some_lands(100) if number < 38 else ["XX"] * 100)
        lab.numbers("extra", at_ms, lab.normal(10), "")
        lab.rows(at_ms, 100)

    def drift(self, words: str = "") -> dict[str, Any]:
        report = drift_report(words, self.lab.view, self.lab, self.state, settings, NOW_MS)
        json.dumps(report, allow_nan=False)
        return report

    def quality(self, words: str = "") -> dict[str, Any]:
        report = quality_report(words, self.lab.view, self.lab, NOW_MS)
        json.dumps(report, allow_nan=False)
        return report


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


def shown(write: Any, report: dict[str, Any], width: int | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream: io.StringIO = io.StringIO() if width is None else Terminal()
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setenv("NO_COLOR", "1")
    write(report, stream)
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    if width is not None:
        assert max(map(columns_of, lines)) <= width
    return lines


# --- drift


def test_features_come_by_severity_with_what_they_are_compared_by(watched: Watched) -> None:
    report = watched.drift("model=fraud")
    features = {each["feature"]: each for each in report["features"]}
    assert set(features) == {"amount", "age", "land", "prediction.score"}
    severities = [each["severity"] for each in report["features"]]
    assert severities == sorted(severities, reverse=True)
    amount = features["amount"]
    assert amount["severity"] == pytest.approx(0.5 * amount["standardised"])
    assert (amount["kind"], amount["reference"], amount["samples"]) == ("number", LABEL, 4_000)
    assert amount["psi"] > 0.05
    assert amount["wasserstein"] == pytest.approx(15 / 40 * 1.2, rel=0.1)
    assert amount["ks_gap"] > 0
    assert features["land"]["ks"] is None
    assert report["without_reference"] == [{"model": "fraud", "version": "4", "variant": "live", "feature": "extra"}]


def test_alarms_say_since_when_and_how_seldom_they_are_false(watched: Watched) -> None:
    report = watched.drift()
    features = {each["feature"]: each for each in report["features"]}
    assert {name for name, each in features.items() if each["alarm"]} == {"amount", "age", "land"}
    assert "2026-01-01T08:03:50" <= features["amount"]["alarm"]["since"] <= "2026-01-01T08:04:20"
    assert "2026-01-01T08:04:40" <= features["age"]["alarm"]["since"] <= "2026-01-01T08:05:10"
    assert features["prediction.score"]["evidence"]["10s"]["log10_evalue"] < 2
    (model,) = report["models"]
    assert model["false_alarms"] == {"days": 7, "says": "at most one false alarm in 7 days"}
    assert {alarm["feature"] for alarm in report["alarms"]} == {"amount", "age", "land"}
    assert all(alarm["ended"] is None for alarm in report["alarms"])


def test_histograms_are_over_the_same_bins_and_add_up(watched: Watched) -> None:
    for feature in watched.drift()["features"]:
        bins = feature["histogram"]
        assert len(bins["bins"]) == len(bins["reference"]) == len(bins["current"])
        assert sum(bins["reference"]) == pytest.approx(1)
        assert sum(bins["current"]) == pytest.approx(1)
    (land,) = watched.drift("feature=land")["features"]
    assert land["histogram"]["bins"] == ["DE", "FR", "IT", "(others)"]
    assert land["histogram"]["categories"] == ["DE", "FR", "IT"]


def test_filters_ranges_slices_and_top(watched: Watched) -> None:
    assert [each["feature"] for each in watched.drift("feature=amount,age top 1")["features"]] == [
        watched.drift("feature=amount,age")["features"][0]["feature"]
    ]
    assert watched.drift("feature=amount since 1m")["features"][0]["samples"] == 600
    with pytest.raises(QueryError, match="use `obsagent query`"):
        watched.drift("since 1h step 1m")
    with pytest.raises(QueryError, match="has no label `fature`"):
        watched.drift("fature=amount")


def test_nothing_to_show_says_why(watched: Watched) -> None:
    assert "version has been 4" in watched.drift("version=5")["empty"]
    empty = Lab()
    report = drift_report("", empty.view, empty, State(), settings, NOW_MS)
    assert report["features"] == report["models"] == []
    assert "no features in the last 1d" in report["empty"]
    empty.numbers("amount", NOW_MS, empty.normal(10), "")
    report = drift_report("", empty.view, empty, State(), settings, NOW_MS)
    assert "obsagent reference fit FILE --model fraud" in report["empty"]


@pytest.mark.parametrize("width", [80, 200, None])
def test_a_drift_report_fits_and_has_both_histograms(
    watched: Watched, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown(drift_text.write, watched.drift(), width, monkeypatch)
    assert lines[0] == "fraud/4"
    assert lines[1].split()[:2] == ["feature", "severity"]
    heads = [line.split() for line in lines if line.split()[1:] == ["reference", "now"]]
    assert len(heads) == 3
    assert any("4.00 %" in line or "5 %" in line for line in lines if line.startswith("(others)"))
    text = " ".join(lines)
    assert "3 of 4 features have drifted" in text
    assert "at most one false alarm in 7 days" in text
    assert "without a reference: extra" in text


@pytest.mark.parametrize("width", [80, 200, None])
def test_a_long_name_is_whole_above_its_histogram(
    watched: Watched, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = watched.drift("feature=amount")
    name = report["features"][0]["feature"] = "the_age_of_the_account_in_days_since_it_was_opened"
    lines = shown(drift_text.write, report, width, monkeypatch)
    at = lines.index(name)
    assert lines[at + 1].split() == ["reference", "now"]
    (middle,) = (line for line in lines if line.startswith("-1 … 0 "))
    assert middle.index("█") < 30


def test_a_terminal_without_blocks_is_shown_none(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", errors="replace")
    drift_text.write(watched.drift(), stream)
    stream.flush()
    assert b"#" in raw.getvalue()


def test_drift_as_csv(watched: Watched) -> None:
    stream = io.StringIO()
    drift_text.write_csv(watched.drift(), stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert {row["feature"]: row["drifted"] for row in rows}["amount"] == "1"
    assert {row["feature"]: row["since"] for row in rows}["prediction.score"] == ""


# --- quality


def found_of(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["feature"], each["finding"]): each for each in report["findings"]}


def test_findings_come_by_severity_with_since_when_and_how_to_look_closer(watched: Watched) -> None:
    report = watched.quality("model=fraud since 10m")
    found = found_of(report)
    assert set(found) == {
        ("gone", "missing_feature"),
        ("age", "null"),
        ("land", "unseen"),
        ("amount", "out_of_range"),
        ("extra", "extra_feature"),
    }
    assert report["findings"][0]["feature"] == "gone"
    ranks = [("high", "medium", "low").index(each["severity"]) for each in report["findings"]]
    assert ranks == sorted(ranks)
    assert found["age", "null"]["since"] == "2026-01-01T08:05:00.000Z"
    assert found["land", "unseen"]["since"] == "2026-01-01T08:06:20.000Z"
    assert found["gone", "missing_feature"]["since"] is None
    assert found["land", "unseen"]["share"] == 0.05
    look = found["age", "null"]["look"]
    assert look == "obsagent query null_share model=fraud version=4 variant=live feature=age since 10m step 20s"
    (model,) = report["models"]
    assert (model["reference"], model["features"], model["rows"]) == (LABEL, 5, 4_000)


def test_what_looks_closer_can_be_asked(watched: Watched) -> None:
    from obsagent.answer.execute import answer
    from obsagent.answer.language import parse
    from obsagent.answer.options import Options
    from obsagent.cli.shell_words import split_line

    for finding in watched.quality("since 10m")["findings"]:
        words = split_line(finding["look"] + " ").words[2:]
        answer(parse(" ".join(words)), watched.lab.view, NOW_MS, Options(references=watched.lab))


def test_a_model_that_has_fallen_silent_and_a_feature_that_stopped() -> None:
    lab = Lab()
    lab.learn_numbers("amount")
    lab.learn_numbers("age")
    lab.numbers("amount", NOW_MS, lab.normal(50))
    lab.numbers("age", NOW_MS - 3_600_000, lab.normal(50))
    lab.numbers("amount", NOW_MS - 7_200_000, lab.normal(50), model="old")
    found = found_of(quality_report("since 10m", lab.view, lab, NOW_MS))
    assert found["age", "missing_feature"]["since"] == "2026-01-01T07:06:50.000Z"
    assert found["", "silent"]["model"] == "old"


def test_all_is_well_and_nothing_is_there_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    lines = shown(quality_text.write, quality_report("", lab.view, lab, NOW_MS), 80, monkeypatch)
    assert lines[0].startswith("no features in the last 1d")
    lab.learn_numbers("amount")
    lab.numbers("amount", NOW_MS, lab.normal(500))
    lines = shown(quality_text.write, quality_report("", lab.view, lab, NOW_MS), 80, monkeypatch)
    assert lines[0] == "nothing is wrong with the data"


@pytest.mark.parametrize("width", [80, 200, None])
def test_a_quality_report_fits(watched: Watched, width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    report = watched.quality("since 10m")
    for finding in report["findings"]:
        finding["look"] = "obsagent query …"
    text = " ".join(" ".join(shown(quality_text.write, report, width, monkeypatch)).split())
    assert "the reference has it, and it does not come, nor ever did" in text
    assert "5 findings" in text


def test_quality_as_csv(watched: Watched) -> None:
    stream = io.StringIO()
    quality_text.write_csv(watched.quality("since 10m"), stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [row["severity"] for row in rows] == [each["severity"] for each in watched.quality("since 10m")["findings"]]


# --- the commands


@pytest.fixture
def asked(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Agents that answer with these reports."""
    texts: list[tuple[str, str]] = []

    def drift(_agent: object, text: str) -> dict[str, Any]:
        texts.append(("drift", text))
        return watched.drift(text)

    def quality(_agent: object, text: str) -> dict[str, Any]:
        texts.append(("quality", text))
        return watched.quality(text)

    monkeypatch.setattr("obsagent.ask.AgentClient.drift", drift)
    monkeypatch.setattr("obsagent.ask.AgentClient.quality", quality)
    return texts


def test_commands_print_and_match(asked: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["drift", "model=fraud", "since", "1h", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"]
    assert cli.main(["drift", "feature=amount", "--exit-match"]) == 3
    assert cli.main(["drift", "feature=prediction.score", "--exit-match"]) == 0
    assert cli.main(["quality", "--exit-match", "--format", "csv"]) == 3
    capsys.readouterr()
    assert cli.main(["quality", "feature=land", "--severity", "high", "--exit-match"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert cli.main(["drift", "step", "1m"]) == 2
    assert "obsagent drift: `obsagent drift` knows filters" in capsys.readouterr().err
    assert cli.main(["quality", "--format", "xml"]) == 2
    assert asked[0] == ("drift", "model=fraud since 1h")


def test_without_an_agent_the_command_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert cli.main(["drift", "--agent", f"ipc://{tmp_path}/none.sock"]) == 1
    assert "no agent is listening" in capsys.readouterr().err
    assert cli.main(["quality", "--data", str(tmp_path)]) == 1
    assert "there is no store" in capsys.readouterr().err

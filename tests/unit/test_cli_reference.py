"""`obsagent reference fit`, `show` and `diff`."""

from __future__ import annotations

import csv
import json
import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from reference_lab import category, number, of_numbers, whole

from obsagent import cli
from obsagent.cli.complete import WantsFiles, choices
from obsagent.reference import Reference
from obsagent.reference.rebin import even_edges, rebinned

ROWS = 2_000


def write_data(path: Path, seed: int, shift: float = 0.0, countries: str = "DE FR") -> None:
    chance = Random(seed)
    lines = ["amount,country,score,said,was"]
    for _ in range(ROWS):
        score = chance.random()
        amount = f"{chance.gauss(10 + shift, 2):.3f}" if chance.random() > 0.05 else ""
        was = int(chance.random() < score)
        lines.append(f"{amount},{chance.choice(countries.split())},{score:.4f},{int(score > 0.5)},{was}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(Path("data.csv"), 1)


def run(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(["reference", *words.split()])
    return (code, *capsys.readouterr())


FIT = "fit data.csv --model fraud --version 4 --truth was --prediction said --score score"


def test_fit_writes_a_reference_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(FIT, capsys)
    assert (code, err) == (0, "")
    reference = Reference.load("fraud-4.ref")
    assert out.startswith(f"fraud-4.ref: the reference {reference.id} of fraud 4: 2,000 rows, 2 features;")
    assert (reference.model, reference.version, reference.rows) == ("fraud", "4", ROWS)
    code, out, _ = run(f"{FIT} --out other.ref --format json", capsys)
    told = json.loads(out)
    assert (code, told["id"], told["file"], told["source"]) == (0, reference.id, "other.ref", "data.csv")
    assert [path.name for path in Path().iterdir() if path.suffix == ".tmp"] == []


def test_options_of_columns(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run("fit data.csv --model fraud --drop score,said --drop was --categories amount", capsys)
    assert code == 0
    found = Reference.load("fraud.ref")
    assert {name: each.kind for name, each in found.features.items()} == {"amount": "category", "country": "category"}
    assert run("fit data.csv --model fraud --features amount,score", capsys)[0] == 0
    assert list(Reference.load("fraud.ref").features) == ["amount", "score"]
    Path("a.csv").write_text('"x,y",b\n1,2\n')
    assert cli.main(["reference", "fit", "a.csv", "--model", "m", "--features", "x,y"]) == 0
    assert list(Reference.load("m.ref").features) == ["x,y"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit", "expected: obsagent reference fit FILE --model NAME"),
        ("fit data.csv", "expected: obsagent reference fit FILE --model NAME"),
        ("fit data.csv data.csv --model m", "expected: obsagent reference fit FILE --model NAME"),
        ("show", "expected: obsagent reference show FILE"),
        ("diff a", "expected: obsagent reference diff OLD NEW"),
        ("show a --model m", "--model is for `reference fit`"),
        ("diff a b --feature x", "--feature is for `reference show`"),
        ("fit data.csv --model m --truth ws", "data.csv has no column `ws`; did you mean `was`?"),
        ("fit data.csv --model m --out nowhere/x.ref", "there is no directory nowhere"),
        ("fit data.csv --model m --out .", "--out .: a directory"),
        ("fit data.csv --model m --out data.csv", "--out data.csv is the data itself"),
        ("fit data.csv --model a/b", "'a/b.ref' is no name of a file: say where to write with --out FILE"),
        ("fit data.csv --model m --delimiter ab", "--delimiter 'ab': expected one character, or tab"),
        ("fit data.csv --model m --encoding klingon", "there is no encoding 'klingon'"),
        ("fit data.csv --model m --names a,b", "--names has 2 names, data.csv 5 columns"),
        ("fit data.csv --model m --drop a,,b", "expected names of columns with commas between them"),
        ("fit data.csv --model m --format csv", "--format csv is for"),
        ("show fraud.ref --feature amnt", "the reference has no column amnt; did you mean amount?"),
    ],
)
def test_wrong_usage_exits_with_2(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole().save("fraud.ref")
    code, out, err = run(words, capsys)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit none.csv --model m", "none.csv cannot be read: No such file or directory"),
        ("fit empty.csv --model m", "empty.csv is empty"),
        ("show none.ref", "none.ref cannot be read"),
        ("show data.csv", "data.csv: this is no reference; obsagent reference fit makes one"),
        ("diff data.csv data.csv", "data.csv: this is no reference"),
        ("fit data.csv --model m --importance none.json", "--importance none.json cannot be read"),
        ("fit data.csv --model m --importance data.csv", "--importance data.csv: expected JSON such as"),
        ("fit data.csv --model m --importance empty.csv", "--importance empty.csv is empty"),
        ("fit data.csv --model m --importance other.json", "an importance is given for `other`, which is no feature"),
    ],
)
def test_what_cannot_be_done_exits_with_1(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.csv").write_text("")
    Path("other.json").write_text('{"other": 1}')
    code, out, err = run(words, capsys)
    assert (code, out) == (1, "")
    assert says in err
    assert not Path("m.ref").exists()


def test_importances_from_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("i.json").write_text('{"amount": 3, "country": 1}')
    Path("i.csv").write_text("feature,importance\namount,3\ncountry,1\n")
    for name in ("i.json", "i.csv"):
        assert run(f"{FIT} --importance {name}", capsys)[0] == 0
        features = Reference.load("fraud-4.ref").features
        assert [each.importance for each in features.values()] == [0.75, 0.25]


def test_show_prints_a_table_with_histograms(capsys: pytest.CaptureFixture[str]) -> None:
    run(FIT, capsys)
    code, out, _ = run("show fraud-4.ref", capsys)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["feature", "kind", "missing", "distinct", "min", "p50", "mean", "max", "distribution"]
    assert [line.split()[0] for line in lines[1:6]] == [
        "amount",
        "country",
        "prediction.score",
        "prediction.value",
        "truth",
    ]
    assert re.search(r"[▁▂▃▄▅▆▇█]{16}$", lines[1])
    assert "fraud 4 · 2,000 rows of data.csv" in out
    assert "joint: 1,024 bins of scores, 2 predictions, 2 truths" in out


def test_show_prints_the_whole_histogram_of_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    run(FIT, capsys)
    code, out, _ = run("show fraud-4.ref --feature country --feature amount", capsys)
    assert code == 0
    counts = dict(re.findall(r"^(DE|FR|\(missing\)) +([\d,]+) ", out, re.MULTILINE))
    assert int(counts["DE"].replace(",", "")) + int(counts["FR"].replace(",", "")) == ROWS
    amount = out.split("\namount  ")[1]
    bars = re.findall(r"([\d,]+) +[\d.]+ %", amount)
    assert sum(int(each.replace(",", "")) for each in bars) == pytest.approx(ROWS, abs=10)
    assert "(missing)" in amount


def test_show_tells_programs(capsys: pytest.CaptureFixture[str]) -> None:
    whole().save("fraud.ref")
    told = json.loads(run("show fraud.ref --format json", capsys)[1])
    assert (told["id"], told["model"], told["rows"]) == (whole().id, "fraud", 10)
    amount = told["columns"][0]
    assert (amount["feature"], amount["role"], amount["counts"]) == ("amount", "feature", [0, 3, 3, 0])
    assert amount["quantiles"]["p50"] == pytest.approx(1.75, abs=0.3)
    rows = [*csv.DictReader(run("show fraud.ref --format csv", capsys)[1].splitlines())]
    assert [row["feature"] for row in rows][:3] == ["amount", "country", "nothing"]
    assert (rows[0]["null_share"], rows[1]["mean"]) == ("0.1", "")


def test_diff_says_what_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    run(FIT, capsys)
    write_data(Path("data.csv"), 2, shift=2.0, countries="DE IT")
    run(f"{FIT} --drop score --out new.ref".replace("--score score", ""), capsys)
    code, out, _ = run("diff fraud-4.ref new.ref", capsys)
    assert code == 0
    assert re.search(r"^prediction.score +removed", out, re.MULTILINE)
    assert re.search(r"^country +same .*new: IT; gone: FR", out, re.MULTILINE)
    told = json.loads(run("diff fraud-4.ref new.ref --format json", capsys)[1])
    columns = {each["feature"]: each for each in told["columns"]}
    assert columns["amount"]["psi"] > 0.5
    assert columns["amount"]["wasserstein"] == pytest.approx(1.0, abs=0.15)
    assert columns["amount"]["ks"] == pytest.approx(0.38, abs=0.06)
    assert columns["country"]["js_distance"] > 0.5
    assert columns["truth"]["psi"] < 0.02
    rows = [*csv.DictReader(run("diff fraud-4.ref new.ref --format csv", capsys)[1].splitlines())]
    assert {row["feature"]: row["change"] for row in rows}["prediction.score"] == "removed"


def test_diff_of_the_same_and_of_other_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    whole().save("a.ref")
    whole(features={"amount": category(), "country": category(), "more": number()}).save("b.ref")
    told = json.loads(run("diff a.ref a.ref --format json", capsys)[1])["columns"]
    assert {each["change"] for each in told} == {"same"}
    assert [each["psi"] for each in told if each["psi"] is not None] == [0.0] * 5
    told = json.loads(run("diff a.ref b.ref --format json", capsys)[1])["columns"]
    changes = {each["feature"]: each["change"] for each in told}
    assert (changes["amount"], changes["nothing"], changes["more"]) == ("other kind", "removed", "added")
    assert "number → category" in run("diff a.ref b.ref", capsys)[1]


def test_counts_over_other_edges() -> None:
    feature = number(counts=(0, 4, 2, 0), sums=(0.0, 4.5, 5.0, 0.0), count=6)
    same = rebinned(feature, feature.edges)
    assert (same.counts, same.sums, same.guessed) == ([0, 4, 2, 0], [0.0, 4.5, 5.0, 0.0], 0.0)
    halves = rebinned(feature, [0.5, 1.125, 1.75, 3.0])
    assert halves.counts == [0, 2, 2, 2, 0]
    assert halves.guessed == pytest.approx(4 / 6)
    outside = rebinned(feature, [10.0, 20.0])
    assert outside.counts == [6, 0, 0]
    point = number(edges=(0.0, 1.0, math.nextafter(1.0, 2)), counts=(0, 5, 1, 0), sums=(0.0, 0.0, 1.0, 0.0))
    assert rebinned(point, [0.0, 0.5, 1.0]).counts == [0, 5, 1, 0]
    assert even_edges(1.0, 1.0, 4) == [1.0, 2.0]


def test_progress_is_shown_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    parent, child = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "obsagent", "reference", *FIT.split()],
            stdout=subprocess.PIPE,
            stderr=child,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            check=True,
        )
        shown = os.read(parent, 1 << 16).decode()
    finally:
        os.close(child)
        os.close(parent)
    assert done.stdout.startswith(b"fraud-4.ref: the reference")
    assert "data.csv: counting" in shown
    assert run(FIT, capsys)[2] == ""


def test_the_shell_completes_actions_options_and_files() -> None:
    assert {"fit", "show", "diff"} <= {each.text for each in choices(["reference"], "")}
    assert "--truth" in [each.text for each in choices(["reference", "fit", "data.csv"], "--tr")]
    for words in (["reference", "fit"], ["reference", "show"], ["reference", "fit", "x", "--out"], ["config", "check"]):
        with pytest.raises(WantsFiles):
            choices(words, "")


def test_the_errors_of_numbers_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "price.ref"
    of_numbers().save(path)
    assert cli.main(["reference", "show", str(path)]) == 0
    assert "errors: MAE 0.875, RMSE 1.52, bias 0.625, R² -3.23, of 4 rows" in capsys.readouterr().out
    assert cli.main(["reference", "show", str(path), "--format", "json"]) == 0
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert (errors["rows"], errors["mae"], errors["bias"]) == (4, 0.875, 0.625)

"""Fitting references: exact counts over the bins, columns of every kind, what goes wrong."""

from __future__ import annotations

import csv
import gzip
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from obsagent.errors import ObsagentError, UsageError
from obsagent.reference import CATEGORY, NUMBER, PREDICTION, SCORE, FeatureReference, Reference
from obsagent.reference.columns import Cells
from obsagent.reference.fit import fit, windows_of
from obsagent.reference.joint import JointCounter
from obsagent.reference.learning import CATEGORIES_COUNTED, CategoryLearner, edges_of_few
from obsagent.reference.options import FitOptions
from obsagent.reference.reader import read
from obsagent.reference.source import open_source
from obsagent.reference.writer import pack
from obsagent.sketches import TDigest


def written(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def fitted(path: Path, **options: Any) -> tuple[Reference, str]:
    """The reference, as it comes back from a file, and the remarks."""
    source = open_source(path, missing=options.pop("missing", ()), names=options.pop("names", None))
    reference, remarks = fit(source, FitOptions(model="fraud", **options))
    assert pack(read(pack(reference))) == pack(reference)
    return reference, "\n".join(remarks)


def fit_of(directory: Path, **columns: Sequence[Any]) -> tuple[dict[str, FeatureReference], str]:
    reference, remarks = fitted(written(directory / "data.csv", columns))
    return dict(reference.features), remarks


def check_exact(feature: FeatureReference, values: Sequence[float]) -> None:
    """Counts and sums are those of `numpy.histogram` over the edges."""
    array, edges = np.array(values), np.array(feature.edges)
    counts, _ = np.histogram(array, edges)
    assert feature.counts == (0, *counts.tolist(), 0)
    assert sum(feature.counts) == feature.count == len(values)
    in_bins = np.digitize(array, [*edges[:-1], math.nextafter(edges[-1], math.inf)]) - 1
    for at, total in enumerate(feature.sums[1:-1]):
        inside = array[in_bins == at]
        if abs(total) == math.inf:
            continue
        assert total == pytest.approx(math.fsum(inside), rel=1e-12, abs=1e-12 * float(np.abs(inside).sum()) + 5e-324)


def test_counts_and_sums_are_exact(tmp_path: Path) -> None:
    chance = Random(1)
    values = [round(chance.lognormvariate(3, 1), 2) for _ in range(5_000)]
    features, _ = fit_of(tmp_path, amount=values)
    amount = features["amount"]
    check_exact(amount, values)
    assert 120 <= len(amount.edges) <= 130
    assert max(amount.counts) < 3 * 5_000 / 128
    assert amount.spread is not None
    assert (amount.spread.min, amount.spread.max) == (min(values), max(values))
    assert amount.spread.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert amount.stddev == pytest.approx(np.std(values), rel=1e-9)
    assert amount.spread.m3 / 5_000 == pytest.approx(np.mean((np.array(values) - np.mean(values)) ** 3), rel=1e-6)
    assert amount.spread.m4 / 5_000 == pytest.approx(np.mean((np.array(values) - np.mean(values)) ** 4), rel=1e-6)
    assert amount.distinct == pytest.approx(len({*values}), rel=0.06)
    digest = TDigest.from_bytes(amount.tdigest)
    assert (digest.count, digest.compression) == (5_000, 100)


def test_each_of_few_values_has_a_bin_of_its_own(tmp_path: Path) -> None:
    chance = Random(2)
    ages = [chance.randint(18, 90) for _ in range(3_000)]
    flags = [chance.randint(0, 1) for _ in range(3_000)]
    features, _ = fit_of(tmp_path, age=ages, flag=flags)
    for name, values in (("age", ages), ("flag", flags)):
        feature = features[name]
        assert feature.type == "int"
        assert dict(zip(map(int, feature.edges), feature.counts[1:-1], strict=False)) == Counter(values)
        assert (feature.distinct, feature.distinct_is_exact) == (len({*values}), True)
        check_exact(feature, values)


def test_a_value_that_fills_a_bin_has_it_alone(tmp_path: Path) -> None:
    chance = Random(3)
    values = [0.0 if chance.random() < 0.6 else round(chance.expovariate(1), 6) for _ in range(4_000)]
    features, _ = fit_of(tmp_path, x=values)
    feature = features["x"]
    check_exact(feature, values)
    assert feature.counts[1 + feature.edges.index(0.0)] == values.count(0.0)


def test_the_greatest_double_has_a_bin(tmp_path: Path) -> None:
    most = 1.7976931348623157e308
    assert edges_of_few([1.0, most]) == (1.0, math.nextafter(most, 0), most)
    assert edges_of_few([]) == ()
    assert edges_of_few([-0.0]) == (0.0, 5e-324)
    features, _ = fit_of(tmp_path, x=[1.0, most, -most, most])
    check_exact(features["x"], [1.0, most, -most, most])


def test_what_is_missing_or_not_finite_is_counted_apart(tmp_path: Path) -> None:
    cells = ["1", "", "nan", "inf", "-inf", "NA", "2.5", "-Infinity", "null", "3"] * 30
    features, remarks = fit_of(tmp_path, x=cells)
    x = features["x"]
    assert (x.kind, x.count, x.null_count, x.nan_count) == (NUMBER, 90, 90, 30)
    assert (x.positive_infinity_count, x.negative_infinity_count, x.wrong_type_count) == (30, 60, 0)
    assert (x.samples, x.null_share, x.infinity_share) == (300, 0.3, 0.3)
    check_exact(x, [1, 2.5, 3] * 30)
    assert remarks == "data.csv has too few rows (300) to see how much its windows differ by nature"


def test_the_kinds_of_columns(tmp_path: Path) -> None:
    columns = {
        "country": ["NA", "DE", "Österreich", "日本", ""] * 40,
        "flag": ["true", "false", "", "True", "FALSE"] * 40,
        "day": ["2013-01-01", "2013-01-02", "2013-01-02", "2013-01-03", ""] * 40,
        "nothing": [""] * 200,
        "code": ["1", "2", "x", "3.0", "4"] * 40,
        "underscored": ["1_000", "2_000", "1", "1_000", "2_000"] * 40,
        "same": ["7"] * 200,
    }
    features, remarks = fit_of(tmp_path, **columns)
    assert {name: (each.kind, each.type) for name, each in features.items()} == {
        "country": (CATEGORY, "text"),
        "flag": (NUMBER, "bool"),
        "day": (CATEGORY, "text"),
        "nothing": (NUMBER, "null"),
        "code": (CATEGORY, "text"),
        "underscored": (CATEGORY, "text"),
        "same": (NUMBER, "int"),
    }
    assert features["country"].categories == ("DE", "NA", "Österreich", "日本")
    assert features["country"].category_counts == (40, 40, 40, 40, 0)
    assert features["country"].null_count == 40
    assert features["flag"].counts == (0, 80, 80, 0)
    assert set(features["code"].categories) == {"1", "2", "x", "3", "4"}
    assert features["nothing"].edges == ()
    assert features["same"].is_constant
    assert "`nothing` has no value" in remarks
    assert "`same` is constant" in remarks


def test_a_few_texts_in_a_column_of_numbers_are_of_a_wrong_type(tmp_path: Path) -> None:
    features, remarks = fit_of(tmp_path, x=["error" if row == 700 else str(row) for row in range(1_000)])
    assert (features["x"].kind, features["x"].count, features["x"].wrong_type_count) == (NUMBER, 999, 1)
    assert "`x` is a column of numbers in which 1 values are none" in remarks


@pytest.mark.parametrize("first", ["number", "text"])
def test_a_column_is_what_most_of_it_is_whatever_comes_first(first: str, tmp_path: Path) -> None:
    """Its first rows, more than are read at once, are of the other kind."""
    numbers, texts = [str(row % 900) for row in range(20_000)], [f"c{row % 5}" for row in range(20_000)]
    if first == "number":
        features, _ = fit_of(tmp_path, x=numbers + texts)
        assert features["x"].kind == CATEGORY
        assert dict(zip(features["x"].categories, features["x"].category_counts, strict=False))["c3"] == 4_000
        assert features["x"].distinct == 905
    else:
        few = [texts[0]] * 300 + ["5"] * 20_000 + numbers * 3
        features, _ = fit_of(tmp_path, x=few)
        assert (features["x"].kind, features["x"].wrong_type_count) == (NUMBER, 300)
        check_exact(features["x"], [float(cell) for cell in few[300:]])


def test_as_many_categories_as_rows(tmp_path: Path) -> None:
    rows = 30_000
    texts = ["often" if row % 10 == 0 else f"u{row}" for row in range(rows)]
    features, remarks = fit_of(tmp_path, id=texts)
    feature = features["id"]
    assert (feature.categories[0], feature.category_counts[0]) == ("often", rows // 10)
    assert sum(feature.category_counts) == feature.count == rows
    assert feature.distinct == pytest.approx(27_001, rel=0.06)
    assert not feature.distinct_is_exact
    assert "`id` has about 2" in remarks
    assert "an id? --drop leaves it out" in remarks


def test_categories_are_looked_for_in_bounded_memory() -> None:
    learner = CategoryLearner()
    chance = Random(4)
    frequent = [f"f{index}" for index in range(60)]
    for _ in range(20):
        rare = [chance.randbytes(8).hex() for _ in range(2_500)]
        learner.take([*chance.choices(frequent, k=2_500), *rare])
        assert len(learner._counts) <= CATEGORIES_COUNTED
    assert {*frequent} <= {*learner.categories()}
    assert learner.count == 100_000


def test_long_texts_are_no_categories_of_their_own(tmp_path: Path) -> None:
    features, _ = fit_of(tmp_path, text=["a" * 300, "b", "ä" * 128, "ä" * 129] * 10)
    assert features["text"].categories == ("b", "ä" * 128)
    assert features["text"].category_counts == (10, 10, 20)


def test_whole_numbers_beyond_doubles_are_said_to_be_rounded(tmp_path: Path) -> None:
    features, remarks = fit_of(tmp_path, id=[10**17 + row for row in range(500)], huge=["9" * 400] * 500)
    assert features["id"].type == "int"
    assert "`id` has whole numbers beyond 2^53, which are rounded" in remarks
    assert features["huge"].positive_infinity_count == 500
    reference, _ = fitted(tmp_path / "data.csv", categories=["id"])
    assert reference.features["id"].distinct == 500


def test_one_row(tmp_path: Path) -> None:
    features, remarks = fit_of(tmp_path, x=[1.5], c=["a"])
    check_exact(features["x"], [1.5])
    assert (features["c"].category_counts, features["x"].kappa0) == ((1, 0), 1.0)
    assert "too few rows (1)" in remarks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "data.csv is empty"),
        ("\n\n", "data.csv is empty"),
        ("a,b\n", "data.csv has no rows"),
        ("a,a\n1,2\n", "two columns are called `a`"),
        ("1,2\n3,4\n", "the first line has only numbers: if columns have no names, give them with --names"),
        ("a,b\n1,2\n3\n", "a row of 1 cells where the header has 2, up to line 3: 3"),
        ("a,b\n1,2,3\n", "a row of 3 cells where the header has 2"),
        ('a,b\n1,"2\n3,4\n', "unexpected end of data"),
        ('a,b\n1,"2"3\n', "line 2: ',' expected after '\"'"),
        ("a\n" + "x" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_said(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(ObsagentError) as caught:
        fitted(tmp_path / "data.csv")
    assert says in str(caught.value)
    assert caught.value.exit_code == 1


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"name\n" + b"ok\n" * 5_000 + "Österreich\n".encode("latin-1"))
    with pytest.raises(ObsagentError, match=r"not utf-8 .*; --encoding names another, such as latin-1"):
        fitted(tmp_path / "data.csv")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a\n1\n2\n" * 1_000)[:-20])
    with pytest.raises(ObsagentError, match=r"x\.csv\.gz: damaged gzip"):
        fitted(tmp_path / "x.csv.gz")


def test_lines_separators_and_marks_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes('\ufeffa;b c\r\n1;x\r\n\r\n2;"y;z\r\nw"\r\n'.encode())
    reference, _ = fitted(path)
    assert list(reference.features) == ["a", "b c"]
    assert reference.rows == 2
    assert reference.features["b c"].categories == ("x", "y;z\r\nw")
    path.write_text("\ta\n0\t1.5\n1\t2.5\n")
    reference, remarks = fitted(path)
    assert (list(reference.features), "`(column 1)` is left out: it has no name" in remarks) == (["a"], True)
    path.write_text("1,2\n3,4\n")
    reference, _ = fitted(path, names=["x", "y"])
    assert (reference.rows, reference.features["y"].edges[:2]) == (2, (2.0, 4.0))


def test_which_columns_are_what(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {name: [1, 2, 3] * 10 for name in ("a", "b", "plz", "s", "p", "t")})
    reference, _ = fitted(path, truth="t", prediction="p", score="s", drop=["b"], categories=["plz"])
    assert list(reference.features) == ["a", "plz"]
    assert reference.features["plz"].kind == CATEGORY
    assert list(reference.outputs) == [PREDICTION, SCORE]
    assert reference.left_out == {"b": "it is not among the features"}
    reference, _ = fitted(path, features=["b", "a"])
    assert list(reference.features) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"truth": "tt"}, "data.csv has no column `tt`; did you mean `t`?"),
        ({"drop": ["zzz"]}, "has no column `zzz`; there are `a`, `b`, `t`"),
        ({"truth": "a", "score": "a"}, "truth, prediction and score are different columns"),
        ({"truth": "t", "drop": ["t"]}, "`t` is the truth, the prediction or the score"),
        ({"drop": ["a", "b", "t"]}, "no column of data.csv is left to watch"),
        ({"drop": ["a"], "categories": ["a"]}, "--categories: `a` is left out"),
        ({}, "a feature cannot be called prediction.value"),
        ({"permutation": True, "truth": "t"}, "--importance permutation needs --truth and --score"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    names = ("a", "b", "t") if options else ("a", "prediction.value")
    path = written(tmp_path / "data.csv", {name: [1, 2] for name in names})
    with pytest.raises(UsageError) as caught:
        fitted(path, **options)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_joint_of_scores_predictions_and_truths(tmp_path: Path) -> None:
    chance = Random(5)
    scores = [round(chance.random(), 4) for _ in range(4_000)]
    predicted = [int(score > 0.5) for score in scores]
    truths = ["" if chance.random() < 0.1 else int(chance.random() < score) for score in scores]
    columns = {"x": scores, "s": scores, "p": predicted, "t": truths}
    reference, _ = fitted(written(tmp_path / "data.csv", columns), truth="t", prediction="p", score="s")
    joint = reference.joint
    assert joint is not None
    assert (joint.score_low, joint.score_high, joint.score_bins) == (0.0, 1.0, 1024)
    assert {*joint.predicted} == {*joint.truths} == {"0", "1"}
    at_p, at_t = joint.predicted.index, joint.truths.index
    expected = Counter(
        (min(int(score * 1024), 1023), at_p(str(p)), -1 if t == "" else at_t(str(t)))
        for score, p, t in zip(scores, predicted, truths, strict=True)
    )
    assert joint.cells == expected
    assert reference.truth is not None
    assert (reference.truth.kind, reference.truth.null_count) == (CATEGORY, truths.count(""))
    assert reference.outputs[SCORE].kind == NUMBER


def test_the_joint_of_quantities(tmp_path: Path) -> None:
    chance = Random(6)
    truths = [round(chance.gauss(10, 3), 3) for _ in range(2_000)]
    predicted = [round(truth + chance.gauss(0, 1), 3) for truth in truths]
    reference, _ = fitted(
        written(tmp_path / "data.csv", {"x": truths, "p": predicted, "t": truths}), truth="t", prediction="p"
    )
    joint = reference.joint
    assert joint is not None
    assert (joint.score_bins, len(joint.truths)) == (0, len(reference.truth.edges) + 1)  # type: ignore[union-attr]
    by_truth = Counter(dict.fromkeys(range(len(joint.truths)), 0))
    for (_, _, truth), rows in joint.cells.items():
        by_truth[truth] += rows
    assert tuple(by_truth[at] for at in range(len(joint.truths))) == reference.truth.counts  # type: ignore[union-attr]


def test_a_joint_of_too_many_cells_has_fewer_score_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.reference.joint.REFERENCE_JOINT_CELLS_MAX", 100)
    joint = JointCounter(["a"], ["b"], (-2.0, 2.0))
    joint.add([-2 + 4 * step / 999 for step in range(1_000)] + [None, math.nan], [0] * 1_002, [0] * 1_002)
    found = joint.result()
    assert (found.score_low, found.score_high, found.score_bins) == (-2.0, 2.0, 64)
    assert sum(found.cells.values()) == 1_002
    assert found.cells[-1, 0, 0] == 2
    assert {score for score, _, _ in found.cells} == {-1, *range(64)}


def test_a_score_of_texts_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {"x": [1, 2], "s": ["high", "low"], "t": [0, 1]})
    with pytest.raises(ObsagentError, match="the score, s, holds texts; expected numbers"):
        fitted(path, score="s", truth="t")


def test_windows_that_differ_lower_kappa0(tmp_path: Path) -> None:
    chance = Random(7)
    rows = 10_000
    alike = [chance.gauss(0, 1) for _ in range(rows)]
    shifting = [chance.gauss(row // 500 % 2, 1) for row in range(rows)]
    ordered = [row / rows for row in range(rows)]
    reference, remarks = fitted(written(tmp_path / "data.csv", {"a": alike, "b": shifting, "c": ordered}))
    a, b, c = (reference.features[name].kappa0 for name in "abc")
    assert reference.windows == 100
    assert c < b < a <= rows
    assert a > 4 * b
    assert "`c` differs much from one part of the data to the next" in remarks
    assert "`a`" not in remarks


@pytest.mark.parametrize(
    ("rows", "columns", "windows"), [(499, 1, 0), (500, 1, 10), (10**7, 5, 100), (10**7, 5_000, 20)]
)
def test_how_many_windows(rows: int, columns: int, windows: int) -> None:
    assert windows_of(rows, columns) == windows


def test_importances_add_up_to_one(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {"a": [1, 2], "b": [1, 2], "c": [1, 2]})
    reference, _ = fitted(path, importances={"a": 3.0, "b": 1.0})
    assert [each.importance for each in reference.features.values()] == [0.75, 0.25, None]
    for importances, says in (({"z": 1.0}, "`z`, which is no feature"), ({"a": -1.0}, "from 0"), ({"a": 0.0}, "are 0")):
        with pytest.raises(ObsagentError, match=says):
            fitted(path, importances=importances)


def test_importances_by_permutation(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    chance = Random(8)
    strong = [chance.gauss(0, 1) for _ in range(3_000)]
    weak = [chance.choice("ab") for _ in range(3_000)]
    noise = ["" if chance.random() < 0.1 else chance.gauss(0, 1) for _ in range(3_000)]
    scores = [1 / (1 + math.exp(-2 * s - 0.7 * (w == "a"))) for s, w in zip(strong, weak, strict=True)]
    truths = [int(chance.random() < score) for score in scores]
    columns = {"noise": noise, "strong": strong, "weak": weak, "s": scores, "t": truths}
    reference, remarks = fitted(written(tmp_path / "data.csv", columns), truth="t", score="s", permutation=True)
    found = {name: each.importance for name, each in reference.features.items()}
    assert sum(each or 0.0 for each in found.values()) == pytest.approx(1.0)
    assert found["strong"] > 0.7 > 0.3 > found["weak"] > found["noise"]  # type: ignore[operator]
    assert remarks == ""


def test_scores_that_have_nothing_to_do_with_the_features_give_no_importances(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    chance = Random(9)
    columns = {name: [round(chance.random(), 3) for _ in range(500)] for name in "as"} | {"t": [0, 1] * 250}
    reference, remarks = fitted(written(tmp_path / "data.csv", columns), truth="t", score="s", permutation=True)
    assert reference.features["a"].importance is None
    assert "no importances: of the score's variance the features explain" in remarks


def test_data_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {"a": range(1_000)})
    source, told = open_source(path), []

    def grow(doing: str, _done: float) -> None:
        if not told:
            path.write_text(path.read_text() + "1\n")
        told.append(doing)

    with pytest.raises(ObsagentError, match=r"data\.csv has changed while it was read"):
        fit(source, FitOptions("fraud"), grow)
    assert {*told} == {"learning", "counting"}


def test_a_reference_fitted_again_has_the_same_id(tmp_path: Path) -> None:
    columns = {"a": [1.5, 2.5, ""] * 100, "b": list("xyz") * 100}
    first, _ = fitted(written(tmp_path / "one.csv", columns))
    second, _ = fitted(written(tmp_path / "two.csv", columns))
    assert first.id == second.id
    assert (first.source, second.source) == ("one.csv", "two.csv")


def test_words_for_missing_values(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {"c": ["NA", "DE", "unknown"] * 10, "x": ["-999", "1", "2"] * 10})
    reference, _ = fitted(path, missing=["unknown", "-999", "NA"])
    assert reference.features["c"].categories == ("DE",)
    assert reference.features["c"].null_count == 20
    assert (reference.features["x"].null_count, reference.features["x"].count) == (10, 20)


def test_cells_as_numbers() -> None:
    found = Cells(["1", " 2 ", "x", "", "1_0", "nan", "1e400", "TRUE"]).numbers()
    assert (found.nulls, found.others, found.type) == (1, 2, "float")
    assert [*found.values][:2] == [1.0, 2.0]  # type: ignore[misc]

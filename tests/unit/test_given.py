"""What `features()` takes, in every form; and what it says of what it does not take."""

from __future__ import annotations

import array
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from model_lab import Lab

from obsagent.errors import FeatureError

ROWS = {"amount": [1.0, 2.0, 3.0], "age": [30.0, 40.0, 50.0]}
MATRIX = np.array([[1.0, 30.0], [2.0, 40.0], [3.0, 50.0]])
NAMES = ["amount", "age"]


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ({"amount": 1.5, "age": 30}, None),
        ([1.5, 30], NAMES),
        ((1.5, 30), ("amount", "age")),
        (np.array([1.5, 30]), NAMES),
        (np.array([1.5, 30], dtype=np.float32), np.array(NAMES)),
        (array.array("d", [1.5, 30]), NAMES),
        (pd.Series([1.5, 30], index=NAMES), None),
        (pd.Series([1.5, 30]), NAMES),
        (pa.array([1.5, 30]), NAMES),
        ({"amount": np.float64(1.5), "age": np.int64(30)}, None),
        ({"amount": 1.5, "age": 30, "more": 1}, NAMES),
        (iter([1.5, 30]), NAMES),
    ],
)
def test_a_row_in_any_form(lab: Lab, features: Any, names: Any) -> None:
    lab.model().features(features, names=names)
    assert lab.columns == {"amount": [1.5], "age": [30]}
    assert lab.total("feature_rows") == 1


@pytest.mark.parametrize(
    ("features", "names"),
    [
        (ROWS, None),
        ([{"amount": a, "age": b} for a, b in MATRIX.tolist()], None),
        (MATRIX.tolist(), NAMES),
        ([tuple(row) for row in MATRIX.tolist()], NAMES),
        (list(MATRIX), NAMES),
        (MATRIX, NAMES),
        (np.asfortranarray(MATRIX), NAMES),
        (MATRIX.astype(np.float32), NAMES),
        (MATRIX.astype(np.int8), NAMES),
        (MATRIX.astype(np.uint64), NAMES),
        (MATRIX.astype(np.float16), NAMES),
        (MATRIX.astype(">f8"), NAMES),
        (np.repeat(MATRIX, 2, axis=0)[::2], NAMES),
        (MATRIX.astype(object), NAMES),
        (pd.DataFrame(ROWS), None),
        (pd.DataFrame({**ROWS, "more": 1}), NAMES),
        (pd.DataFrame(ROWS, dtype="Float64"), None),
        (pd.DataFrame(ROWS, dtype="float64[pyarrow]"), None),
        (pd.DataFrame(ROWS, index=[3, 1, 2]), None),
        (pa.table(ROWS), None),
        (pa.RecordBatch.from_pydict(ROWS), None),
        ({name: np.array(column) for name, column in ROWS.items()}, None),
        ({name: pd.Series(column) for name, column in ROWS.items()}, None),
        ({name: pa.array(column) for name, column in ROWS.items()}, None),
        (np.array(list(zip(*ROWS.values(), strict=True)), dtype=[("amount", "f8"), ("age", "f4")]), None),
    ],
)
def test_rows_in_any_form(lab: Lab, features: Any, names: Any) -> None:
    lab.model().features(features, names=names)
    assert lab.columns == ROWS
    assert lab.total("feature_rows") == 3


def test_columns_of_every_type_of_pandas(lab: Lab) -> None:
    frame = pd.DataFrame(
        {
            "plain": [1.0, float("nan"), 3.0],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "text": ["a", None, "b"],
            "string": pd.array(["a", None, "b"], dtype="string"),
            "category": pd.Categorical(["a", None, "b"]),
            "arrow": pd.array(["a", None, "b"], dtype="string[pyarrow]"),
            "bools": [True, False, True],
        }
    )
    lab.model().features(frame)
    columns = lab.columns
    assert columns["plain"][0] == 1.0
    assert columns["plain"][1] != columns["plain"][1]
    assert sorted(columns["nullable"], key=str) == [1.0, 3.0, None]
    assert sorted(columns["flag"], key=str) == [0.0, 1.0, None]
    for name in ("text", "string", "category", "arrow"):
        assert columns[name] == ["a", None, "b"]
    assert columns["bools"] == [True, False, True]


def test_columns_of_every_type_of_arrow(lab: Lab) -> None:
    table = pa.table(
        {
            "number": pa.chunked_array([[1, None], [3]]),
            "word": pa.array(["a", None, "b"]),
            "dictionary": pa.array(["a", None, "b"]).dictionary_encode(),
            "flag": pa.array([True, None, False]),
            "decimal": pa.array([1, None, 3], pa.decimal128(5, 2)),
            "large": pa.array([2**60, None, 1], pa.int64()),
        }
    )
    lab.model().features(table)
    columns = lab.columns
    assert sorted(columns["number"], key=str) == [1.0, 3.0, None]
    assert columns["word"] == columns["dictionary"] == ["a", None, "b"]
    assert sorted(columns["flag"], key=str) == [False, None, True]
    assert sorted(columns["decimal"], key=str) == [1.0, 3.0, None]
    assert sorted(columns["large"], key=str) == [1.0, float(2**60), None]


def test_columns_of_every_type_of_polars(lab: Lab) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "number": [1, None, 3],
            "word": ["a", None, "b"],
            "category": pl.Series(["a", None, "b"], dtype=pl.Categorical),
            "flag": [True, None, False],
        }
    )
    model = lab.model()
    model.features(frame)
    columns = lab.columns
    assert sorted(columns["number"], key=str) == [1.0, 3.0, None]
    assert columns["word"] == columns["category"] == ["a", None, "b"]
    assert sorted(columns["flag"], key=str) == [0.0, 1.0, None]
    with pytest.raises(FeatureError, match="collect"):
        model.features(frame.lazy())


def test_what_is_masked_is_null_and_text_in_an_array_is_a_category(lab: Lab) -> None:
    lab.model().features(np.ma.masked_array(MATRIX, mask=[[0, 1], [0, 0], [1, 0]]), names=NAMES)
    assert lab.columns == {"amount": [1.0, 2.0, None], "age": [None, 40.0, 50.0]}
    other = Lab()
    other.model().features(np.array([["a", "x"], ["b", "y"]]), names=["one", "two"])
    assert other.columns == {"one": ["a", "b"], "two": ["x", "y"]}


def test_names_that_are_no_text_are_written_as_text(lab: Lab) -> None:
    model = lab.model()
    model.features({1: 0.5, "2": 1.5})
    model.features(pd.DataFrame({1: [2.5]}))
    assert lab.columns == {"1": [0.5, 2.5], "2": [1.5]}


def test_values_of_any_type_never_raise(lab: Lab) -> None:
    odd = [object(), b"bytes", [1, 2], {"a": 1}, 1 + 2j, "", None, float("nan")]
    lab.model().features({"first": 1.0, **{f"f{index}": value for index, value in enumerate(odd)}})
    assert len(lab.columns) == 9


@pytest.mark.parametrize(
    ("features", "names", "said"),
    [
        (5, None, "features must be a mapping"),
        ("abc", NAMES, "features must be a mapping"),
        (None, None, "features must be a mapping"),
        ([1.0, 2.0], None, r"give names=\[…\]"),
        (MATRIX, None, r"give names=\[…\]"),
        (MATRIX, ["one"], "1 names for rows of 2 features"),
        ([1.0], NAMES, "2 names for 1 features"),
        ([[1.0]], NAMES, "2 names for a row of 1 features"),
        ([[1.0, 2.0], [1.0]], NAMES, "2 names for a row of 1 features"),
        (np.zeros((2, 2, 2)), NAMES, "3 dimensions"),
        (MATRIX, ["a", "a"], "'a' stands twice"),
        (MATRIX, "ab", "not the text 'ab'"),
        (MATRIX, 5, "names must be a sequence"),
        ({"a": [1.0], "b": [1.0, 2.0]}, None, "different lengths"),
        ({"a": [1.0], "b": 2.0}, None, "'b' is a float, where other features are columns"),
        ({"prediction.value": 1.0}, None, "choose another name"),
        (MATRIX, ["a", "prediction.score"], "choose another name"),
        (pd.DataFrame(ROWS), ["amount", "years"], "no column is called 'years'; there are amount, age"),
        ([{"a": 1.0}, 5], None, "row 1 of the features is a int"),
    ],
)
def test_wrong_arguments_raise_and_say_what_would_do(lab: Lab, features: Any, names: Any, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        lab.model().features(features, names=names)


def test_no_rows_are_no_rows(lab: Lab) -> None:
    model = lab.model()
    model.features({})
    model.features([], names=[])
    model.features(np.zeros((0, 2)), names=NAMES)
    model.features(pd.DataFrame({"a": []}))
    assert not any(lab.columns.values())


def test_nothing_that_is_large_is_imported() -> None:
    program = """
import sys
from model_lab import Lab
lab = Lab()
lab.model().features({"a": 1.0, "b": "x"})
lab.model().features([1.0, "x"], names=["a", "b"])
lab.model().predictions([1, 2], scores=[0.5, 0.5], ids=["a", "b"])
assert not {"numpy", "pandas", "polars", "pyarrow"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent)

"""Rows that are kept whole: by a share, by id, of errors only; dropped and hashed columns; every form of features."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import obsagent
from obsagent.errors import FeatureError
from obsagent.limits import RECORD_ROW_BYTES_MAX
from obsagent.record.models.kept_rows import chosen, is_chosen, packed
from obsagent.testing import Memory
from obsagent.wire.rules import Rules

ALL = Rules(keep_rows=1.0)


def kept(memory: Memory) -> dict[str, dict[str, Any]]:
    memory._take_in()
    known = memory._agent.store.ledger.known
    return {text: msgpack.unpackb(each.row) for (_, text), each in known.items() if each.row is not None}


def model_with(memory: Memory, rules: Rules) -> Any:
    memory._agent.rules["fraud", ""] = rules
    return obsagent.connect("shop").model("fraud")


@pytest.mark.parametrize(
    ("features", "more"),
    [
        ([{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}], {}),
        ({"a": [1.0, 2.0], "b": ["x", "y"]}, {}),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), {}),
        (pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), {}),
        (pa.table({"a": [1.0, 2.0], "b": ["x", "y"]}), {}),
        ([[1.0, "x"], [2.0, "y"]], {"names": ["a", "b"]}),
    ],
    ids=["mappings", "columns", "pandas", "polars", "arrow", "lists"],
)
def test_rows_of_every_form_are_kept_by_their_ids(obsagent_memory: Memory, features: Any, more: Any) -> None:
    model_with(obsagent_memory, ALL).features(features, ids=["r1", "r2"], **more)
    assert kept(obsagent_memory) == {"r1": {"a": 1.0, "b": "x"}, "r2": {"a": 2.0, "b": "y"}}


@pytest.mark.parametrize("matrix", [np.array([[1.0, 2.0], [3.0, 4.0]]), memoryview(np.array([[1.0, 2.0], [3.0, 4.0]]))])
def test_rows_of_a_matrix_are_kept(obsagent_memory: Memory, matrix: Any) -> None:
    fraud = model_with(obsagent_memory, ALL)
    for _ in range(2):  # the second time the names are known
        fraud.features(matrix, names=["a", "b"], ids=[1, 2])
    assert kept(obsagent_memory) == {"1": {"a": 1.0, "b": 2.0}, "2": {"a": 3.0, "b": 4.0}}


def test_nothing_is_kept_unless_it_is_wanted(obsagent_memory: Memory) -> None:
    model_with(obsagent_memory, Rules()).features({"a": 1.0}, ids="r1")
    assert kept(obsagent_memory) == {}


def test_what_is_dropped_and_hashed_leaves_as_it_should(obsagent_memory: Memory) -> None:
    rules = Rules(keep_rows=1.0, drop=frozenset({"email"}), hash=frozenset({"card"}), hash_key=bytes(32))
    model_with(obsagent_memory, rules).features({"a": None, "email": "a@b.c", "card": 4711, "b": True}, ids="r1")
    row = kept(obsagent_memory)["r1"]
    assert row.keys() == {"a", "card", "b"}
    assert (row["a"], row["b"], len(row["card"])) == (None, 1.0, 16)


def test_errors_only_are_those_of_requests_that_failed(obsagent_memory: Memory) -> None:
    fraud = model_with(obsagent_memory, Rules(keep_rows="errors"))
    obs = obsagent.connect("shop")
    for number, status in enumerate((200, 404, 500)):
        with obs.request("/score", id=f"r{number}", model=fraud) as request:
            request.features({"a": number})
            request.status = status
    request = obs.request("/score", id="r3", model=fraud).__enter__()
    request.features({"a": 3})
    request.features({"b": 4})
    request.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    fraud.features({"a": 5}, ids="r4")
    assert kept(obsagent_memory) == {"r2": {"a": 2}, "r3": {"a": 3, "b": 4}}


def test_rows_of_a_request_have_the_ids_of_its_predictions(obsagent_memory: Memory) -> None:
    fraud = model_with(obsagent_memory, ALL)
    with obsagent.connect("shop").request("/score", id="r", model=fraud) as request:
        request.features([{"a": 1.0}, {"a": 2.0}])
        request.predictions([0, 1], ids=["x", "y"])
    assert kept(obsagent_memory) == {"x": {"a": 1.0}, "y": {"a": 2.0}}


def test_a_row_without_an_id_is_kept_under_one_of_its_own(obsagent_memory: Memory) -> None:
    model_with(obsagent_memory, ALL).features({"a": 1.0})
    ((text, row),) = kept(obsagent_memory).items()
    assert (len(text), row) == (16, {"a": 1.0})


def test_the_same_ids_are_kept_everywhere(obsagent_memory: Memory) -> None:
    fraud = model_with(obsagent_memory, Rules(keep_rows=0.25))
    ids = [f"r{number}" for number in range(2_000)]
    fraud.features({"a": list(range(2_000))}, ids=ids)
    found = kept(obsagent_memory)
    assert found.keys() == {text for text in ids if is_chosen(text, 0.25)}
    assert 400 < len(found) < 600
    assert all(row["a"] == int(text[1:]) for text, row in found.items())


def test_chance_keeps_the_share_that_is_wanted() -> None:
    rows = list(chosen(0.1, 100_000, None, has_failed=False))
    assert 9_000 < len(rows) < 11_000
    assert rows == sorted(set(rows))
    assert list(chosen(1.0, 5, None, has_failed=False)) == [0, 1, 2, 3, 4]
    assert list(chosen(0.0, 5, None, has_failed=False)) == []
    assert list(chosen("errors", 2, None, has_failed=True)) == [0, 1]


def test_rows_that_are_too_large_are_dropped_and_counted(obsagent_memory: Memory) -> None:
    model_with(obsagent_memory, ALL).features({f"f{n}": "x" * 1_000 for n in range(100)}, ids="r1")
    assert obsagent.connect("shop").flush().dropped_records == 1
    assert kept(obsagent_memory) == {}
    assert packed({"a": 1 << 70, "b": object(), "c": "x" * 2_000, "d": b"\xff"}, ALL) is not None
    assert RECORD_ROW_BYTES_MAX == 65_536


def test_what_came_before_the_rules_is_kept_as_they_say(obsagent_memory: Memory) -> None:
    fraud = model_with(obsagent_memory, Rules(keep_rows=1.0, drop=frozenset({"email"})))
    row = {"a": 1.0, "email": "a@b.c"}
    fraud.features(row, ids="r1")
    row["a"] = 2.0
    assert kept(obsagent_memory) == {"r1": {"a": 1.0}}


@pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"], "ab", [None, "b"]])
def test_ids_that_do_not_fit_the_rows_are_refused(obsagent_memory: Memory, ids: Any) -> None:
    with pytest.raises(FeatureError):
        model_with(obsagent_memory, ALL).features([{"a": 1.0}, {"a": 2.0}], ids=ids)


def test_rows_of_another_time_are_kept_with_it(obsagent_memory: Memory) -> None:
    fraud = model_with(obsagent_memory, ALL)
    now_s = obsagent_memory.clock.wall_ms() / 1000
    fraud.features(
        [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], ids=["r1", "r2", "r3"], at=[now_s - 86_400, now_s, now_s - 1e9]
    )
    assert kept(obsagent_memory) == {"r1": {"a": 1.0}, "r2": {"a": 2.0}}

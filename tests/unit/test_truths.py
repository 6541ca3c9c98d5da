"""Predictions by id and their truths, through a client and an agent in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import obsagent
from obsagent.by_id.report import TruthReport
from obsagent.errors import FeatureError, PendingTruths
from obsagent.testing import Memory
from obsagent.wire.rules import Rules


def ledger(memory: Memory) -> Any:
    memory._take_in()
    return memory._agent.store.ledger


def known(memory: Memory, model: str = "fraud") -> dict[str, list[Any]]:
    """Id → what was predicted."""
    return {
        text: [value for _, _, value in each.predictions]
        for (name, text), each in ledger(memory).known.items()
        if name == model and each.predictions
    }


def test_predictions_with_ids_are_kept_and_others_are_not(obsagent_memory: Memory) -> None:
    obs = obsagent.connect("shop")
    fraud = obs.model("fraud", version="4")
    fraud.prediction(1, id="a")
    fraud.prediction(None, id="nothing")
    fraud.prediction(0.5, score=0.1)
    fraud.predictions([1.0, 2.0], ids=["b", 7])
    fraud.predictions(np.array([3, 4]), scores=np.array([0.1, 0.2]), ids=np.array([8, 9]))
    with obs.request("/score", id="r-1", model=fraud) as request:
        request.prediction(0.5)
    with obs.request("/score", model=fraud) as request:
        request.prediction(0.5)
    assert known(obsagent_memory) == {"a": [1.0], "b": [1.0], "7": [2.0], "8": [3.0], "9": [4.0], "r-1": [0.5]}


def test_truths_meet_predictions_and_are_reported(obsagent_memory: Memory) -> None:
    fraud = obsagent.connect("shop").model("fraud")
    fraud.predictions([1.0, 0.0], ids=["a", "b"])
    obsagent.connect("shop").flush()
    assert fraud.truths(["a", "x"], [1, 0]) == TruthReport(matched=1, unmatched=1)
    assert fraud.truths(["a", "x", "b"], [1, 1, None]) == TruthReport(duplicate=1, corrected=1, rejected=1)
    assert fraud.truths([], []) == TruthReport()
    assert ledger(obsagent_memory).known["fraud", "x"].truth == 1.0


def test_truths_of_a_time_beyond_the_horizon_are_rejected(obsagent_memory: Memory) -> None:
    fraud = obsagent.connect("shop").model("fraud")
    now_s = obsagent_memory.clock.wall_ms() / 1000
    report = fraud.truths(["a", "b", "c"], [1, 0, 1], at=[now_s, now_s - 31 * 86_400, now_s + 60])
    assert report == TruthReport(unmatched=1, rejected=2)


def test_a_test_sees_each_truth(obsagent_memory: Memory) -> None:
    fraud = obsagent.connect("shop").model("fraud")
    fraud.truths(["a", 7], ["ok", None])
    fraud.truths(["b"], [1.5], at=1_700_000_000)
    assert obsagent_memory.truths == [
        ("fraud", "a", "ok", None),
        ("fraud", "7", None, None),
        ("fraud", "b", 1.5, 1_700_000_000.0),
    ]


def test_many_truths_go_in_many_batches(obsagent_memory: Memory) -> None:
    fraud = obsagent.connect("shop").model("fraud")
    ids = range(30_000)
    fraud.predictions(list(range(30_000)), ids=ids)
    obsagent.connect("shop").flush()
    assert fraud.truths(ids, np.arange(30_000) % 2) == TruthReport(matched=30_000)


def test_what_is_hashed_is_hashed_in_truths_too(obsagent_memory: Memory) -> None:
    obsagent_memory._agent.rules["fraud", ""] = Rules(hash=frozenset({"prediction.value"}), hash_key=bytes(32))
    fraud = obsagent.connect("shop").model("fraud")
    fraud.predictions(["alice", "bob"], ids=["a", "b"])
    values = known(obsagent_memory)
    assert all(len(value) == 16 for (value,) in values.values())
    fraud.truths(["a"], ["alice"])
    assert [ledger(obsagent_memory).known["fraud", "a"].truth] == values["a"]


def test_what_is_dropped_leaves_in_no_record(obsagent_memory: Memory) -> None:
    obsagent_memory._agent.rules["fraud", ""] = Rules(drop=frozenset({"prediction.value"}))
    fraud = obsagent.connect("shop").model("fraud")
    fraud.predictions(["alice", "bob"], ids=["a", "b"])
    assert known(obsagent_memory) == {}
    with pytest.raises(FeatureError, match="drops"):
        fraud.truths(["a"], ["alice"])


@pytest.mark.parametrize(
    ("ids", "values"), [(["a"], [1, 2]), ("a", [1]), ([None], [1]), ([""], [1]), (["x" * 129], [1])]
)
def test_truths_that_are_none_are_refused(obsagent_memory: Memory, ids: Any, values: Any) -> None:
    with pytest.raises(FeatureError):
        obsagent.connect("shop").model("fraud").truths(ids, values)


def test_classes_numbers_and_bools_come_as_they_are_called(obsagent_memory: Memory) -> None:
    fraud = obsagent.connect("shop").model("fraud")
    fraud.predictions([True, "yes", 1, 2.5, None, float("nan")], ids=list("abcdef"))
    fraud.predictions([np.int64(3), np.float32(0.5)], ids=["g", "h"])
    assert known(obsagent_memory) == {
        "a": ["True"],
        "b": ["yes"],
        "c": ["1"],
        "d": ["2.5"],
        "g": ["3"],
        "h": ["0.5"],
    }


def test_a_slice_and_a_variant_go_along(obsagent_memory: Memory) -> None:
    obs = obsagent.connect("shop")
    fraud, shadow = obs.model("fraud", version="4"), obs.model("fraud", version="5", variant="shadow")
    for model in (fraud, shadow):
        with obs.request("/score", id="r", model=model) as request:
            request.slice(country="DE")
            request.prediction(1)
    found = ledger(obsagent_memory).known["fraud", "r"].predictions
    assert sorted(found) == [("4", "live", 1.0), ("5", "shadow", 1.0)]


def test_a_disabled_client_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    assert obsagent.connect("off").model("fraud").truths(["a"], [1]) == TruthReport()


def test_without_an_agent_truths_are_pending(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    obs = obsagent.connect("shop", endpoint=f"ipc://{tmp_path}/nobody.sock")
    with pytest.raises(PendingTruths, match="none of the truths"):
        obs.model("fraud").truths(["a"], [1], timeout=0.1)
    obs.close(0.1)


def test_values_that_raise_cost_their_batch_alone(obsagent_memory: Memory) -> None:
    obs = obsagent.connect("shop")
    fraud = obs.model("fraud")
    fraud.predictions([1.0, np.array([1, 2])], ids=["a", "b"])
    obs.flush()
    fraud.predictions([1.0, 2.0], ids=["c", "d"], at=[1e300, -1e300])
    fraud.prediction(1.0, id="e")
    assert known(obsagent_memory) == {"e": [1.0]}
    assert obs.flush().dropped_records == 2
    assert fraud.truths(["e"], [1], at=1e200) == TruthReport(rejected=1)

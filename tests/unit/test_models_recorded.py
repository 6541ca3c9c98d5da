"""Models from `obs.model` to the answers of an agent in memory: every column, every time, every account."""

from __future__ import annotations

import datetime
import os
from typing import Any

import numpy as np
import pytest

import obsagent
from obsagent._native.codec import Groups
from obsagent._native.ring import Recorder, observe_matrix, observe_row
from obsagent.errors import FeatureError, UsageError
from obsagent.limits import HORIZON_MS
from obsagent.samples import Kind
from obsagent.testing.memory import FOREVER_MS, Memory
from obsagent.testing.predictions import Prediction
from obsagent.wire.rules import ColumnRule, Rules

RULES = Rules(
    reference="0123456789abcdef",
    features={"amount": ColumnRule("number", edges=(0.0, 1.0, 2.0))},
    outputs={"prediction.score": ColumnRule("number", edges=(0.0, 0.5, 1.0))},
    drop=frozenset({"email"}),
    hash=frozenset({"card"}),
    hash_key=bytes(32),
)


def served(memory: Memory, rules: Rules | None = None) -> Any:
    """A client, and a model that has these rules."""
    if rules is not None:
        memory._agent.rules["fraud", "4"] = rules
    obs = obsagent.connect(service="fraud")
    return obs, obs.model("fraud", version="4")


def answered(memory: Memory, text: str) -> dict[str, float]:
    """The one stat of a query by feature."""
    return {row.labels["feature"]: next(iter(row.values.values())) for row in memory.query(text)}


def balanced(obs: Any) -> None:
    account = next(each for name, each in obs._agent.store.accounts().items() if name != "obsagent")
    lost = account.dropped_ring + account.dropped_budget + account.dropped_expired + account.rejected_value
    assert account.observed == account.stored + lost


def test_what_a_request_gives_can_be_asked(obsagent_memory: Memory) -> None:
    obs, fraud = served(obsagent_memory, RULES)
    with obs.request("/score", id="r-1", model=fraud) as request:
        request.slice(country="DE")
        request.features({"amount": 1.5, "email": "a@b.c", "merchant": "bakery", "age": None})
        request.prediction("ok", score=0.25)
    for feature in ("amount", "merchant", "age", "prediction.value", "prediction.score"):
        assert obsagent_memory.count("feature", feature=feature, country="DE") == 1
    assert answered(obsagent_memory, "p50 feature model=fraud by feature")["amount"] == pytest.approx(1.5, rel=0.006)
    assert "email" not in {each.labels.get("feature") for each in obsagent_memory._agent.store.view().series()}
    assert obsagent_memory.count("feature_rows", country="DE") == 1
    assert obsagent_memory.count("predictions", variant="live") == 1
    assert obsagent_memory.count("requests", model="fraud", version="4", variant="live", status=200) == 1
    assert obsagent_memory.predictions == [
        Prediction("fraud", "4", "live", "ok", 0.25, "r-1", {"country": "DE"}),
    ]
    assert obs.flush().pending == 0
    balanced(obs)


def test_a_columns_own_series_is_of_no_worker(obsagent_memory: Memory) -> None:
    _, fraud = served(obsagent_memory, RULES)
    fraud.features({"amount": 1.0})
    obsagent_memory._take_in()
    labels = [each.labels for each in obsagent_memory._agent.store.view().series() if each.kind is Kind.COLUMN]
    assert [each.get("worker") for each in labels] == [None]
    assert labels[0]["reference"] == "01234567"


def test_a_version_is_the_clients_unless_it_is_told(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="fraud", version="7")
    assert obs.model("fraud").version == "7"
    assert obs.model("fraud") is obs.model("fraud", version="7", variant="live")
    assert obs.model("fraud", version="8").version == "8"
    obs.model("fraud").features({"a": 1.0})
    assert obsagent_memory.count("feature_rows", version="7") == 1


def test_matrices_are_read_where_they_lie(obsagent_memory: Memory) -> None:
    _, fraud = served(obsagent_memory)
    chance = np.random.default_rng(3)
    matrix = chance.normal(size=(1_500, 3))
    names = ["a", "b", "c"]
    for rows in (matrix, np.asfortranarray(matrix), matrix.astype(np.float32), matrix[::-1], matrix[0]):
        fraud.features(rows, names=names)
    assert obsagent_memory.count("feature_rows") == 4 * 1_500 + 1
    means = answered(obsagent_memory, "mean feature by feature")
    expected = (4 * matrix.sum(axis=0) + matrix[0]) / 6_001
    assert [means[name] for name in names] == pytest.approx(expected.tolist(), rel=1e-5)


def test_rows_and_matrices_reach_columns_of_any_make() -> None:
    class Noted(list[Any]):
        observe = list.append

        def observe_many(self, values: Any) -> None:
            self.extend(values.tolist())

    recorder = Recorder(6)
    ours, noted = recorder.column(recorder.define(Kind.COLUMN)), Noted()
    observe_row({"a": ours, "b": noted}, {"a": 1.0, "b": "x"})
    observe_matrix((noted, ours), np.arange(4.0).reshape(2, 2))
    observe_matrix((ours, noted), np.array([7.0, 8.0]))
    assert noted == ["x", 0.0, 2.0, 8.0]
    assert recorder.observed == 4
    for wrong in (np.zeros((2, 3)), np.zeros(3), np.zeros((1, 1, 2))):
        with pytest.raises(ValueError, match="2 columns"):
            observe_matrix((ours, noted), wrong)
    with pytest.raises((TypeError, BufferError)):
        observe_matrix((ours, noted), [1.0, 2.0])
    observe_matrix((ours,), np.zeros((0, 1)))
    recorder.stop()


# Predictions of another time


def test_predictions_of_another_time_are_in_their_window(obsagent_memory: Memory) -> None:
    obs, fraud = served(obsagent_memory, RULES)
    now = obsagent_memory.clock.now()
    before = [now - datetime.timedelta(minutes=minutes) for minutes in (60, 60, 30)]
    fraud.predictions(["ok", "fraud", None], scores=[0.25, 0.75, 0.5], ids=["a", "b", "c"], at=before)
    fraud.prediction("ok", 0.1, at=now.timestamp() - 60)
    fraud.predictions(["ok"])
    with obs.request("/score", model=fraud) as request:
        request.slice(country="DE")
        request.prediction("ok", 0.9, at=now - datetime.timedelta(minutes=45))
    assert obsagent_memory.count("predictions") == 6
    by_time = obsagent_memory.query("sum predictions since 65m step 5m")[0]
    sums = [point["sum"] for point in by_time.points if point["sum"]]
    assert sums[:3] == [2, 1, 1]
    assert sum(sums[3:]) == 2  # a minute ago and now, which may be in two steps
    assert answered(obsagent_memory, "count feature since 2h by feature")["prediction.score"] == 5
    assert obsagent_memory.query("count feature feature=prediction.score country=DE since 2h")[0]["count"] == 1
    assert obsagent_memory.predictions[0].at == before[0].timestamp()
    assert obs.flush()[1:] == (0, 0, 0, 0, 0, 0, 0)
    balanced(obs)


def test_what_is_too_old_or_ahead_is_rejected_and_counted(obsagent_memory: Memory) -> None:
    obs, fraud = served(obsagent_memory)
    now = obsagent_memory.clock.now().timestamp()
    fraud.predictions([1, 2, 3], scores=[0.1, 0.2, 0.3], at=[now - HORIZON_MS / 1000, now + 60, now])
    assert obsagent_memory.count("predictions") == 1
    assert obs.flush().rejected == 6
    balanced(obs)


@pytest.mark.parametrize("at", ["today", object(), [1.0], float("nan"), ["x"] * 2, [None, None]])
def test_what_is_no_time_raises(obsagent_memory: Memory, at: Any) -> None:
    _, fraud = served(obsagent_memory)
    with pytest.raises(FeatureError, match=r"at=|times for"):
        fraud.predictions([1, 2], at=at)


def test_of_another_time_columns_count_as_now(obsagent_memory: Memory) -> None:
    """The same values, counted by the compiled core and by the client's other way."""
    rules = Rules(
        outputs={
            "prediction.value": ColumnRule("category", categories=("ok", "1")),
            "prediction.score": ColumnRule("number", edges=(0.0, 0.5, 1.0)),
        }
    )
    _, fraud = served(obsagent_memory, rules)
    values = ["ok", "other", None, 1, 1.0, 2.5, float("nan"), object(), True, np.float64(1.0)]
    scores = [0.25, None, float("nan"), float("inf"), "text", 2, -1, 0.5, True, np.float32(0.5)]
    fraud.predictions(values, scores)
    before = obsagent_memory.clock.now().timestamp() - 600
    fraud.predictions(values, scores, at=before)
    obsagent_memory._take_in()
    view = obsagent_memory._agent.store.view()
    for feature in ("prediction.value", "prediction.score"):
        (series,) = (each.id for each in view.series() if each.labels.get("feature") == feature)
        columns = []
        for start_ms, end_ms in ((0, int(before * 1000) + 10_000), (int(before * 1000) + 10_000, FOREVER_MS)):
            groups = Groups({series: 0}, 1)
            view.collect(start_ms, end_ms, groups)
            assert groups.samples(0) == len(values)
            columns.append((groups.column(0), groups.histogram(0)))
        assert columns[0] == columns[1]


# Categories that are nearly all new


def test_categories_that_are_nearly_all_new_are_refused_and_told(
    obsagent_memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    obs, fraud = served(obsagent_memory)
    obs.step()  # learns the rules
    for number in range(500):
        fraud.features({"user": f"user-{number:016x}", "country": f"c{number % 30}", "word": chr(97 + number % 26)})
    (record,) = caplog.records
    assert "nearly every category of user is a new one" in record.message
    obs.step()
    (row,) = obs.refused_labels.rows()
    assert (row.metric, row.label, row.reason) == ("feature", "user", "near-unique")
    assert 300 <= row.refused <= 301
    assert obsagent_memory.count("feature", feature="user") == 500


def test_a_forked_child_is_a_session_of_its_own_with_the_same_rules(obsagent_memory: Memory) -> None:
    obs, fraud = served(obsagent_memory, RULES)
    fraud.features({"amount": 1.0, "email": "a"})
    assert obs.flush().pending == 0
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fraud.features({"amount": 2.0, "email": "b"})
            fraud.predictions([1], at=obsagent_memory.clock.now())
            found = obs.flush()
            os.write(write, f"{found.acknowledged} {found.pending}".encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 100) == b"4 0"
    os.close(read)


def test_strictness_needs_no_patience_in_memory(obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_STRICT", "1")
    _, fraud = served(obsagent_memory, RULES)
    with pytest.raises(FeatureError, match="unknown amuont and missing amount"):
        fraud.features({"amuont": 1.0})
    fraud.features({"amount": 1.0})


def test_a_client_that_is_off_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    obs = obsagent.connect(service="off")
    model = obs.model("fraud")
    model.features({"a": 1.0})
    model.predictions([1])
    with obs.request("/score", model=model) as request:
        request.slice(country="DE")
        request.features(object())
        request.prediction(1)
    assert obs.flush() == (0, 0, 0, 0, 0, 0, 0, 0)


def test_features_can_be_asked_by_their_name(obsagent_memory: Memory) -> None:
    obs, fraud = served(obsagent_memory, RULES)
    fraud.features({"amount": [1.0, 3.0, None, "x"], "merchant": ["a", "b", "a", None]})
    with obs.request("/score", model=fraud) as request:
        request.slice(country="DE")
        request.features({"amount": 5.0})
        request.prediction("ok")
    features = obsagent_memory.features(model="fraud")
    assert list(features) == ["amount", "merchant", "prediction.value"]
    amount, merchant = features["amount"], features["merchant"]
    assert (amount.samples, amount.numbers, amount.nulls, amount.wrong_types) == (5, 3, 1, 1)
    assert (amount.mean, amount.min, amount.max) == (3.0, 1.0, 5.0)
    assert (merchant.categories, merchant.other_categories, merchant.nulls) == ({"a": 2, "b": 1}, 0, 1)
    assert merchant.mean is None
    assert round(merchant.distinct) == 2
    assert list(obsagent_memory.features(country="DE")) == ["amount", "prediction.value"]
    with pytest.raises(UsageError, match="no label `land`"):
        obsagent_memory.features(land="DE")

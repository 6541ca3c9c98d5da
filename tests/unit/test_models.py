"""The models of a client: rules, what waits for them, slices, caps, and what `OBSAGENT_STRICT` refuses."""

from __future__ import annotations

import hmac
import threading
from typing import Any

import numpy as np
import pytest
from model_lab import Lab

from obsagent.errors import FeatureError, InstrumentError
from obsagent.limits import CLIENT_SERIES, FEATURE_SERIES, HELD_BACK_BYTES, MODELS_PER_CLIENT
from obsagent.record.models import held_back, models
from obsagent.record.models.columns import category_text, hashed
from obsagent.samples import Kind
from obsagent.wire.rules import ColumnRule, Rules

KEY = bytes(range(32))
RULES = Rules(
    reference="0123456789abcdef",
    features={
        "amount": ColumnRule("number", edges=(0.0, 1.0, 2.0)),
        "country": ColumnRule("category", categories=("DE", "FR")),
        "card": ColumnRule("category", categories=("4711",)),
        "email": ColumnRule("category"),
    },
    outputs={"prediction.score": ColumnRule("number", edges=(0.0, 0.5, 1.0))},
    drop=frozenset({"email"}),
    hash=frozenset({"card"}),
    hash_key=KEY,
)


def names_of(lab: Lab) -> list[str]:
    return [each.labels["feature"] for each in lab.registry.definitions if each.metric == "feature"]


# Who they are


def test_the_same_arguments_give_the_same_model() -> None:
    lab = Lab()
    model = lab.models.model("fraud", "4", "canary")
    assert lab.models.model("fraud", "4", "canary") is model
    assert lab.models.model("fraud", "4", "live") is not model
    assert lab.models.names == [("fraud", "4")]
    assert model.labels == {"model": "fraud", "version": "4", "variant": "canary"}
    assert lab.models.model("fraud", "", "live").labels == {"model": "fraud", "variant": "live"}


@pytest.mark.parametrize(
    ("name", "version", "variant"),
    [("", "", "live"), (None, "", "live"), ("x", "", "champion"), ("x" * 2000, "", "live"), ("x", "4" * 2000, "live")],
)
def test_a_model_has_a_name_and_one_of_three_variants(name: Any, version: Any, variant: Any) -> None:
    with pytest.raises(FeatureError):
        Lab().models.model(name, version, variant)


def test_models_have_a_bound() -> None:
    lab = Lab()
    for number in range(MODELS_PER_CLIENT):
        lab.models.model("m", str(number), "live")
    with pytest.raises(FeatureError, match="one model more"):
        lab.models.model("m", "one more", "live")


@pytest.mark.parametrize("name", ["feature", "feature_rows", "predictions"])
def test_the_metrics_of_models_are_built_in(name: str) -> None:
    with pytest.raises(InstrumentError, match=r"client\.model\(\)"):
        Lab().registry.define(Kind.COUNTER, name, "", "", ())


# Rules


def test_columns_are_named_by_their_model_and_reference() -> None:
    lab = Lab(rules=RULES)
    model = lab.model()
    model.features({"amount": 0.5, "country": "DE", "new": 1})
    model.prediction(1, score=0.7)
    labels = {each.labels.pop("feature"): each.labels for each in lab.registry.definitions if each.metric == "feature"}
    of_model = {"model": "fraud", "version": "4", "variant": "live", "reference": "01234567"}
    assert labels == dict.fromkeys(["amount", "country", "new", "prediction.value", "prediction.score"], of_model)
    assert lab.series("feature_rows", model="fraud")[0].total == 1
    assert lab.series("predictions", variant="live")[0].total == 1


def test_a_reference_says_in_which_bins_a_column_counts() -> None:
    lab = Lab(rules=RULES)
    model = lab.model()
    model.features({"amount": 0.5, "country": "DE", "new": 1})
    model.prediction("yes", score=0.7)
    (amount,), (country,) = lab.series("feature", feature="amount"), lab.series("feature", feature="country")
    assert amount.edges == [0.0, 1.0, 2.0]
    assert country.categories == ["DE", "FR"]
    assert lab.series("feature", feature="new")[0].edges is None
    assert lab.series("feature", feature="prediction.score")[0].edges == [0.0, 0.5, 1.0]


@pytest.mark.threat("R1")
@pytest.mark.parametrize(
    "features",
    [
        {"amount": 1.0, "email": "a@b.c", "card": 4711},
        [{"amount": 1.0, "email": "a@b.c", "card": 4711}],
        {"amount": [1.0], "email": ["a@b.c"], "card": [4711]},
        {"amount": np.array([1.0]), "email": np.array(["a@b.c"]), "card": np.array([4711])},
    ],
)
def test_what_is_dropped_or_hashed_is_in_no_column(features: Any) -> None:
    lab = Lab(rules=RULES)
    lab.model().features(features)
    digest = hmac.digest(KEY, b"4711", "sha256").hex()[:16]
    assert lab.columns == {"amount": [1.0], "card": [digest]}
    assert lab.series("feature", feature="card")[0].categories == [digest]
    assert "email" not in names_of(lab)


def test_hashes_tell_values_apart_and_keep_what_is_missing() -> None:
    lab = Lab(rules=Rules(hash=frozenset({"c"}), hash_key=KEY))
    model = lab.model()
    for value in ("a", "b", "a", None, 3, 3.0, "3", True, float("nan")):
        model.features({"c": value})
    found = lab.values("c")
    assert found[0] == found[2] != found[1]
    assert found[3] is None
    assert found[4] == found[5] == found[6]
    assert found[8] != found[8]
    assert all(len(each) == 16 for each in found[:3])
    assert hashed("a", KEY) != hashed("a", KEY[::-1])
    assert [category_text(each) for each in (3.0, 3.5, "x", b"y", True, None)] == ["3", "3.5", "x", "y", "True", "None"]


def test_predictions_can_be_dropped_too() -> None:
    lab = Lab(rules=Rules(drop=frozenset({"prediction.value"})))
    lab.model().predictions([1, 0], scores=[0.9, 0.1])
    assert lab.columns == {"prediction.score": [0.9, 0.1]}
    assert lab.total("predictions") == 2


def test_other_rules_count_from_then_on_in_series_of_their_own() -> None:
    lab = Lab(rules=RULES)
    model = lab.model()
    model.features({"amount": 1.0})
    lab.models.take_rules("fraud", "4", RULES)
    model.features({"amount": 2.0})
    lab.models.take_rules("fraud", "4", Rules(reference="fedcba9876543210", drop=frozenset({"country"})))
    model.features({"amount": 3.0, "country": "DE"})
    lab.models.take_rules("fraud", "4", Rules(drop=frozenset({"amount"})))
    model.features({"amount": 4.0})
    assert lab.values("amount", reference="01234567") == [1.0, 2.0]
    assert lab.values("amount", reference="fedcba98") == [3.0]
    assert lab.values("amount") == [1.0, 2.0, 3.0]
    assert lab.values("country") == []


# What waits for the rules


@pytest.mark.threat("R2")
def test_nothing_is_encoded_before_the_rules_have_come() -> None:
    lab = Lab()
    model = lab.models.model("fraud", "4", "live")
    row, matrix = {"amount": 1.0, "email": "a@b.c"}, np.array([[2.0], [3.0]])
    model.features(row)
    model.features(matrix, names=["amount"])
    model.predictions([1], scores=[0.5])
    assert lab.registry.definitions == []
    assert lab.models.held_samples > 0
    row["amount"] = matrix[0, 0] = 99.0
    lab.models.take_rules("fraud", "5", RULES)
    assert lab.registry.definitions == []
    lab.models.take_rules("fraud", "4", RULES)
    assert lab.columns == {"amount": [1.0, 2.0, 3.0], "prediction.value": [1], "prediction.score": [0.5]}
    assert lab.models.held_samples == 0
    assert lab.recorder.dropped == 0


def test_what_waits_has_a_budget_and_what_does_not_fit_is_counted() -> None:
    lab = Lab()
    model = lab.models.model("fraud", "4", "live")
    rows = HELD_BACK_BYTES // 8 // 10 // 3
    for number in range(5):
        model.features(np.full((rows, 10), float(number)), names=[f"f{index}" for index in range(10)])
    assert lab.recorder.dropped == 3 * rows * 11
    assert lab.models.held_samples == 2 * rows * 11
    lab.model()
    assert set(lab.values("f0")) == {3.0, 4.0}


def test_what_waits_for_too_long_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(models.time, "monotonic", lambda: now[0])
    lab = Lab()
    lab.models.model("fraud", "4", "live").features({"amount": 1.0})
    now[0] += held_back.HELD_BACK_AGE_S + 1
    lab.models.each_second()
    assert (lab.recorder.dropped, lab.models.held_samples) == (2, 0)


def test_a_child_of_a_client_that_was_closed_records_again() -> None:
    lab = Lab()
    model = lab.models.model("fraud", "4", "live")
    lab.models.close()
    model.features({"amount": 1.0})
    assert (lab.recorder.dropped, lab.models.held_samples) == (2, 0)
    lab.models.after_fork()
    model.features({"amount": 2.0})
    assert (lab.recorder.dropped, lab.models.held_samples) == (2, 2)


def test_the_rules_of_a_version_are_those_of_all_its_variants() -> None:
    lab = Lab(rules=RULES)
    lab.model(variant="live")
    shadow = lab.models.model("fraud", "4", "shadow")
    shadow.features({"amount": 1.0, "email": "a@b.c"})
    assert lab.columns == {"amount": [1.0]}


def test_many_threads_lose_nothing() -> None:
    lab = Lab()
    model = lab.models.model("fraud", "4", "live")
    start = threading.Barrier(5)

    def give() -> None:
        start.wait()
        for number in range(200):
            model.features({f"f{number % 7}": 1.0})

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    lab.models.take_rules("fraud", "4", Rules())
    for thread in threads:
        thread.join()
    assert sum(map(len, lab.columns.values())) == 800
    assert len(names_of(lab)) == 7


# Strictness


def test_strictness_refuses_what_the_reference_does_not_have() -> None:
    lab = Lab(is_strict=True, rules=RULES)
    model = lab.model()
    whole = {"amount": 1.0, "country": "DE", "card": 1}
    model.features(whole)
    model.features({**whole, "email": "a@b.c"})
    with pytest.raises(FeatureError, match=r"fraud: missing card; the reference has amount, card, country, email"):
        model.features({"amount": 1.0, "country": "DE"})
    with pytest.raises(FeatureError, match="unknown amuont and missing amount"):
        model.features({"amuont": 1.0, "country": "DE", "card": 1})
    assert lab.total("feature_rows") == 2


def test_without_a_reference_strictness_goes_by_the_first_features() -> None:
    lab = Lab(is_strict=True)
    model = lab.model()
    model.features({"a": 1.0, "b": 2.0})
    with pytest.raises(FeatureError, match="missing b; the first ones were a, b"):
        model.features({"a": 1.0})
    Lab().model().features({"a": 1.0})


# Slices and caps


def test_nearly_unique_slices_are_refused_and_told(caplog: pytest.LogCaptureFixture) -> None:
    lab = Lab()
    model = lab.model()
    from obsagent.record.models.given import Row

    for number in range(600):
        lab.models.record(model, (("user", f"u-{number:012d}-{number:012d}"),), Row({"amount": 1.0}))
    assert len(lab.values("amount")) == 600
    assert len(names_of(lab)) < 300
    (overflow,) = lab.series("feature", overflow="true", feature="amount")
    assert len(overflow.values) > 300
    (row,) = lab.registry.refusals.rows()
    assert (row.metric, row.label, row.reason) == ("feature", "user", "near-unique")
    assert len([each for each in caplog.records if "slice user" in each.message]) == 1
    lab.models.record(model, (("country", "DE"),), Row({"amount": 1.0}))
    assert lab.values("amount", country="DE") == [1.0]


def test_a_thousand_features_in_several_variants_fit_the_defaults() -> None:
    lab = Lab()
    row = {f"f{number}": 1.0 for number in range(1000)}
    for variant in ("live", "canary", "shadow"):
        lab.model(variant=variant).features(row)
    assert len(names_of(lab)) == 3000 < FEATURE_SERIES < CLIENT_SERIES
    assert not lab.registry.refusals.rows()


def test_beyond_the_cap_columns_share_one_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.models.series.FEATURE_SERIES", 3)
    lab = Lab()
    lab.registry._series_per_metric = 2
    lab.model().features({f"f{number}": float(number) for number in range(5)})
    assert {each.labels.get("overflow") for each in lab.registry.definitions if each.metric == "feature"} == {
        None,
        "true",
    }
    assert lab.series("feature", overflow="true")[0].values == [3.0, 4.0]
    (row,) = lab.registry.refusals.rows()
    assert (row.metric, row.label, row.reason, row.refused) == ("feature", "feature", "metric", 2)

import math
import pickle
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from obsagent.demo.model import FEATURES, MODEL, VERSIONS, DelayModel, cached_model_path, roc_auc
from obsagent.demo.reference import fit_reference
from obsagent.reference.reference import Reference
from unit.demo_data import made_up_flights


def pairwise_auc(scores: list[float], late: list[int]) -> float:
    """The definition: over all pairs of a late flight and one in time, wins count one and ties a half."""
    positives = [score for score, is_late in zip(scores, late, strict=True) if is_late]
    negatives = [score for score, is_late in zip(scores, late, strict=True) if not is_late]
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_auc_is_the_share_of_pairs_in_the_right_order(levels: int) -> None:
    seeded = random.Random(levels)
    scores = [seeded.randrange(levels) / levels for _ in range(200)]
    late = [int(seeded.random() < 0.3 + 0.4 * score) for score in scores]
    assert roc_auc(np.array(scores), np.array(late)) == pytest.approx(pairwise_auc(scores, late), abs=1e-12)


def test_auc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(roc_auc(np.array([0.1, 0.9]), np.array([1, 1])))
    assert math.isnan(roc_auc(np.array([]), np.array([])))


@pytest.fixture
def model() -> DelayModel:
    weather = {("EWR", 1357020000 // 3600): (39.0, 26.0, 59.0, 270.0, 10.0, 20.0, 0.0, 1012.0, 10.0)}
    return DelayModel(None, {"UA": 0}, {"EWR": 0, "JFK": 1}, {"IAH": 0}, weather)


FLIGHT = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "scheduled": "2013-01-01T01:30-05:00", "distance": 1400}


def test_features_of_a_flight(model: DelayModel) -> None:
    assert model.features([FLIGHT]).tolist() == [
        [0, 0, 0, 1, 90, 1400, 39.0, 26.0, 59.0, 270.0, 10.0, 20.0, 0.0, 1012.0, 10.0]
    ]


def test_what_training_has_not_seen_is_missing(model: DelayModel) -> None:
    features = model.features([{**FLIGHT, "carrier": "ZZ", "origin": "LGA", "dest": "ANC"}])
    assert np.isnan(features[0, :3]).all()
    assert np.isnan(features[0, 6:]).all()
    assert features.shape == (1, 15)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scheduled": "yesterday"}, ValueError),
        ({"scheduled": 7}, TypeError),
        ({"distance": "far"}, ValueError),
        ({"carrier": ["UA"]}, TypeError),
    ],
)
def test_a_wrong_field_raises_what_the_server_answers_422_to(model, change, error) -> None:
    with pytest.raises(error):
        model.features([{**FLIGHT, **change}])


@pytest.mark.parametrize("field", sorted(FLIGHT))
def test_a_missing_field_raises(model, field) -> None:
    with pytest.raises(KeyError):
        model.features([{name: value for name, value in FLIGHT.items() if name != field}])


def test_a_model_survives_its_file(model, tmp_path) -> None:
    model.save(tmp_path / "model.pickle")
    assert DelayModel.load(tmp_path / "model.pickle") == model


def test_another_pickle_is_no_model(tmp_path) -> None:
    (tmp_path / "model.pickle").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(TypeError, match="holds no delay model"):
        DelayModel.load(tmp_path / "model.pickle")


def test_versions_follow_each_other_over_the_year_and_know_no_future() -> None:
    assert VERSIONS[0].live_from == 1
    for old, new in pairwise(VERSIONS):
        assert old.live_from < new.live_from
        assert new.trained_to < new.live_from


def test_the_training_of_a_version_in_words() -> None:
    assert [version.training for version in VERSIONS] == ["January and February", "January to June"]


def test_each_version_and_seed_is_kept_in_a_file_of_its_own(tmp_path) -> None:
    paths = {cached_model_path(tmp_path, version, seed) for version in VERSIONS for seed in (0, 1)}
    assert len(paths) == 2 * len(VERSIONS)


class Classifier:
    """Later in the day is later: the score is the minute of the day."""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        scores = features[:, FEATURES.index("departs_min")] / 1440
        return np.column_stack([1 - scores, scores])


def test_columns_have_names_in_the_place_of_codes(model: DelayModel) -> None:
    columns = model.columns([FLIGHT], model.features([FLIGHT]))
    assert tuple(columns) == FEATURES
    assert columns["carrier"] == ["UA"]
    assert (columns["departs_min"].tolist(), columns["temp"].tolist()) == ([90], [39.0])


def test_the_reference_has_what_the_version_learned_from(tmp_path: Path) -> None:
    flights = made_up_flights(3_000)
    flights.late[:] = (np.arange(3_000) % 1440 > 700).astype(np.int8)
    flights.late[:500] = -1
    model = DelayModel(Classifier(), {"UA": 0}, {"EWR": 0}, {"IAH": 0}, {})
    fit_reference(flights, model, VERSIONS[0], tmp_path / "delays.ref", seed=0)
    reference = Reference.load(tmp_path / "delays.ref")
    assert (reference.model, reference.rows) == (MODEL, 2_500)
    assert set(reference.features) == set(FEATURES)
    importances = {name: each.importance for name, each in reference.features.items()}
    assert max(importances, key=importances.__getitem__) == "departs_min"
    assert set(reference.outputs) == {"prediction.score", "prediction.value"}

"""What version 1 of the model learned from, frozen into a reference: the agent judges the whole year by it."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from obsagent.demo.flights import NEVER_ARRIVED, Flights
from obsagent.demo.model import FEATURES, MODEL, THRESHOLD, DelayModel, Version, roc_auc
from obsagent.reference.fit import fit
from obsagent.reference.options import FitOptions
from obsagent.reference.source import open_source

TRUTH, SAID, SCORE = "late", "said", "score"
JUDGED_ROWS = 4_000
"""So many rows tell the importances well enough."""


def fit_reference(flights: Flights, model: DelayModel, version: Version, path: Path, seed: int) -> None:
    """Writes the reference of the flights that a version was trained on, as `obsagent reference fit` would."""
    chosen = np.flatnonzero((flights.months() <= version.trained_to) & (flights.late != NEVER_ARRIVED))
    records = flights.records(chosen)
    features = model.features(records)
    scores, late = model.scores(features), flights.late[chosen]
    columns = {
        **model.columns(records, features),
        TRUTH: late.tolist(),
        SAID: (scores > THRESHOLD).astype(int).tolist(),
        SCORE: scores.tolist(),
    }
    importances = permutation_importances(model, features, late, seed)
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "training.csv"
        with data.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        options = FitOptions(MODEL, truth=TRUTH, prediction=SAID, score=SCORE, importances=importances)
        reference, _ = fit(open_source(data), options)
    reference.save(path)


def permutation_importances(model: DelayModel, features: np.ndarray, late: np.ndarray, seed: int) -> dict[str, float]:
    """How much of its AUC the model loses if one feature is shuffled, for each; at least a little."""
    chance = np.random.default_rng(seed)
    rows = chance.permutation(len(features))[:JUDGED_ROWS]
    sample, truth = features[rows], late[rows]
    whole = roc_auc(model.scores(sample), truth)
    lost = {}
    for index, name in enumerate(FEATURES):
        shuffled = sample.copy()
        shuffled[:, index] = chance.permutation(shuffled[:, index])
        lost[name] = max(whole - roc_auc(model.scores(shuffled), truth), 1e-4)
    return lost

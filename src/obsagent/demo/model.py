"""The demo's model: will a flight arrive more than 15 minutes late, judged by what is known before it leaves.

Version 1 is trained on January and February only, so that it decays by itself: winter is not summer. Version 2 is
trained on the first half of the year and takes over in July.
"""

from __future__ import annotations

import calendar
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from obsagent.demo.flights import NAME_COLUMNS, NEVER_ARRIVED, WEATHER_COLUMNS, Flights, Weather
from obsagent.fs import Fs

MODEL = "delays"
FEATURES = (*NAME_COLUMNS, "weekday", "departs_min", "distance", *WEATHER_COLUMNS)
"""The columns of the matrix; the first three are codes in it."""
THRESHOLD = 0.5
CACHE_NAME = "model-{name}-seed-{seed}-sklearn-{release}.pickle"
REFERENCE_NAME = "model-{name}-seed-{seed}-sklearn-{release}.ref"
NO_WEATHER = (float("nan"),) * len(WEATHER_COLUMNS)


@dataclass(frozen=True)
class Version:
    """One version of the model: trained on January to `trained_to`, live from `live_from` on (months, 1 to 12)."""

    name: str
    trained_to: int
    live_from: int

    @property
    def training(self) -> str:
        """The months of its training, as one says it."""
        joint = "and" if self.trained_to == 2 else "to"
        return f"January {joint} {calendar.month_name[self.trained_to]}"


VERSIONS = (Version("1", trained_to=2, live_from=1), Version("2", trained_to=6, live_from=7))


@dataclass
class DelayModel:
    """A fitted classifier with what it needs to turn a request into features.

    The vocabularies hold the values seen in training; another value becomes NaN, which the trees take as missing.
    """

    classifier: Any
    carriers: dict[str, int]
    origins: dict[str, int]
    dests: dict[str, int]
    weather: Weather

    def features(self, flights: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """One row a flight, shape (flights, 15), float64.

        Raises `KeyError`, `TypeError` or `ValueError` for a flight that lacks a field or holds a wrong one.
        """
        matrix: np.ndarray = np.array([self._row(flight) for flight in flights], dtype=np.float64)
        return matrix

    @staticmethod
    def columns(flights: Sequence[Mapping[str, Any]], features: np.ndarray) -> dict[str, Any]:
        """The features of the same flights by name, with names in the place of codes."""
        names = {name: [flight[name] for flight in flights] for name in NAME_COLUMNS}
        return names | dict(zip(FEATURES[len(names) :], features.T[len(names) :], strict=True))

    def _row(self, flight: Mapping[str, Any]) -> tuple[float, ...]:
        scheduled = datetime.fromisoformat(flight["scheduled"])
        nan = float("nan")
        return (
            self.carriers.get(flight["carrier"], nan),
            self.origins.get(flight["origin"], nan),
            self.dests.get(flight["dest"], nan),
            scheduled.weekday(),
            scheduled.hour * 60 + scheduled.minute,
            flight["distance"],
            *self.weather.get((flight["origin"], int(scheduled.timestamp()) // 3600), NO_WEATHER),
        )

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Probability of a late arrival for each row."""
        scores: np.ndarray = self.classifier.predict_proba(features)[:, 1]
        return scores

    def save(self, path: Path) -> None:
        """Write the model, at once, for the server's workers to load."""
        files = Fs()
        files.close(files.write_file(path, [pickle.dumps(self, protocol=5)]))

    @staticmethod
    def load(path: Path) -> DelayModel:
        """Read what `save` wrote. Only for files of one's own: a pickle can run code."""
        model = pickle.loads(path.read_bytes())
        if not isinstance(model, DelayModel):
            raise TypeError(f"{path} holds no delay model")
        return model


def fit(flights: Flights, weather: Weather, last_month: int, seed: int = 0) -> DelayModel:
    """Train on the flights of January to `last_month` (1 to 12) that arrived."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    chosen = np.flatnonzero((flights.months() <= last_month) & (flights.late != NEVER_ARRIVED))
    records = flights.records(chosen)
    classifier = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.2, random_state=seed)
    carriers, origins, dests = (_vocabulary(records, name) for name in NAME_COLUMNS)
    model = DelayModel(classifier, carriers, origins, dests, weather)
    classifier.fit(model.features(records), flights.late[chosen])
    return model


def _vocabulary(records: Sequence[Mapping[str, object]], name: str) -> dict[str, int]:
    return {value: code for code, value in enumerate(sorted({str(record[name]) for record in records}))}


def cached_model_path(cache: Path, version: Version, seed: int) -> Path:
    """Where a fitted model is kept: another release of scikit-learn could not read it, so it is in the name."""
    return cache / CACHE_NAME.format(name=version.name, seed=seed, release=metadata.version("scikit-learn"))


def cached_reference_path(cache: Path, version: Version, seed: int) -> Path:
    """Where the reference of a fitted model is kept."""
    return cache / REFERENCE_NAME.format(name=version.name, seed=seed, release=metadata.version("scikit-learn"))


def roc_auc(scores: np.ndarray, late: np.ndarray) -> float:
    """Area under the ROC curve: how often a late flight scores above one in time, ties counting half.

    NaN unless there are both late flights and flights in time.
    """
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[level]
    positives = int(np.count_nonzero(late))
    negatives = len(late) - positives
    if not positives or not negatives:
        return float("nan")
    return float((rank[late.astype(bool)].sum() - positives * (positives + 1) / 2) / (positives * negatives))

"""What numbers in the ledger's tables stand for: models, their classes, and series.

Numbers are given in order of arrival and never taken back, so that a replay of the journal gives the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from obsagent.by_id.batches import Values
from obsagent.ledger.format import OTHER
from obsagent.ledger.settings import CLASSIFICATION, REGRESSION, LedgerSettings
from obsagent.ledger.tables import Array
from obsagent.limits import LEDGER_CLASSES_MAX, LEDGER_MODELS_MAX, LEDGER_SERIES_MAX

OVERFLOW = (("overflow", "true"),)
POSITIVE_NAMES = ("1", "true", "yes", "positive", "y", "t")
NO_TIME_MS = -(1 << 62)


@dataclass(frozen=True, slots=True)
class LedgerSeries:
    """Who predicted, of which slice, and whether classes or numbers."""

    number: int
    model: str
    version: str
    variant: str
    slice: dict[str, str]
    task: str


@dataclass(slots=True)
class Model:
    """What is known of a model by what it predicted."""

    number: int
    name: str
    classes: list[str] = field(default_factory=list)
    has_scores: bool = False
    has_names: bool = False
    has_other_numbers: bool = False
    """Other than 0 and 1."""
    overflowing: int = 0
    """Values whose class has no code of its own any more."""
    score_counts: list[int] = field(default_factory=list)
    """By code: so many predictions of the class had a score."""
    score_sums: list[float] = field(default_factory=list)
    said_task: str = ""
    """What the settings said at the last flush: for who reads the ledger without them."""
    said_positive: str = ""
    _codes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._codes = {name: code for code, name in enumerate(self.classes)}

    def learn(self, values: Array | None, *, has_scores: bool) -> None:
        """What predictions tell of the task; `values` are None if they are names."""
        self.has_scores |= has_scores
        self.has_names |= values is None
        if values is not None and not self.has_other_numbers:
            self.has_other_numbers = bool(((values != 0) & (values != 1)).any())

    def learn_scores(self, codes: Array, scores: Array) -> None:
        """Which classes are predicted at high scores, and which at low ones."""
        is_scored = (codes < len(self.classes)) & ~np.isnan(scores)
        codes, scores = codes[is_scored].astype(np.int64), scores[is_scored]
        counts, sums = np.bincount(codes).tolist(), np.bincount(codes, scores).tolist()
        self.score_counts = [sum(both) for both in zip_longest(self.score_counts, counts, fillvalue=0)]
        self.score_sums = [sum(both) for both in zip_longest(self.score_sums, sums, fillvalue=0.0)]

    def task(self, settings: LedgerSettings) -> str:
        """What it is by the settings, else by what was predicted."""
        is_class = self.has_scores or self.has_names or not self.has_other_numbers
        return settings.task(self.name) or self.said_task or (CLASSIFICATION if is_class else REGRESSION)

    def remember(self, settings: LedgerSettings) -> None:
        """What the settings say of it."""
        self.said_task, self.said_positive = settings.task(self.name), settings.positive(self.name)

    def codes_of_names(self, names: Sequence[str]) -> Array:
        """The code of each name; a new name gets one."""
        return np.array([self._code(name) for name in names], "u2")

    def codes_of_numbers(self, values: Array) -> Array:
        """The code of the class that each number names."""
        places = np.clip(values, 0, LEDGER_CLASSES_MAX - 1).astype(np.int64)
        if (places == values).all():  # as classes mostly are, and then nothing needs to be sorted
            distinct = np.flatnonzero(np.bincount(places))
            codes = np.zeros(LEDGER_CLASSES_MAX, "u2")
            codes[distinct] = self.codes_of_names([str(value) for value in distinct.tolist()])
            return codes.take(places)
        distinct, index = np.unique(values, return_inverse=True)
        return self.codes_of_names([class_name(value) for value in distinct.tolist()])[index]

    def numbers_of_codes(self, codes: Array) -> Array:
        """The number that each class's name says; NaN if it says none."""
        numbers = np.array([*map(number_of, self.classes), np.nan], "f8")
        return numbers[np.minimum(codes.astype(np.int64), len(numbers) - 1)]

    def name_of(self, code: int) -> str | None:
        """The name of a class; None for those without a code of their own."""
        return self.classes[code] if code < len(self.classes) else None

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is not None:
            return code
        if len(self.classes) >= LEDGER_CLASSES_MAX:
            self.overflowing += 1
            return OTHER
        self._codes[name] = len(self.classes)
        self.classes.append(name)
        return self._codes[name]

    def positive(self, settings: LedgerSettings) -> str | None:
        """The class whose probability the scores are, as far as classes are known."""
        means = {
            name: total / count
            for name, total, count in zip(self.classes, self.score_sums, self.score_counts, strict=False)
            if count
        }
        return positive_class(self.classes, settings.positive(self.name) or self.said_positive, means)

    def negative(self, settings: LedgerSettings) -> str | None:
        """The other class of a model that tells two apart; None of more classes, and while that is not known.

        A truth may say anything: where scores are of the positive class, as low ones of the other class show, a name
        that was never predicted makes no third class.
        """
        positive = self.positive(settings)
        others = [code for code, name in enumerate(self.classes) if name != positive]
        if len(others) > 1:
            others = [code for code in others if code < len(self.score_counts) and self.score_counts[code]]
        if positive not in self.classes or len(others) != 1:
            return None
        (code,) = others
        is_low = len(self.classes) <= 2 or self.score_sums[code] < self.score_counts[code] / 2
        return self.classes[code] if is_low else None

    def positive_code(self, settings: LedgerSettings) -> int | None:
        """The code of that class."""
        name = self.positive(settings)
        return None if name is None else self._codes.get(name)


def class_name(value: float) -> str:
    """What a number is called as a class: as Python writes it, whole ones without `.0`."""
    return str(int(value)) if value.is_integer() else repr(value)


def number_of(name: str) -> float:
    """The number that a class's name says; NaN if it says none."""
    try:
        return float(name)
    except ValueError:
        return np.nan


def positive_class(
    classes: Iterable[str], configured: str = "", mean_scores: Mapping[str, float] | None = None
) -> str | None:
    """The name of the class whose probability scores are: the configured one, a `1` or `yes`, the one that is predicted
    at the highest scores, or the second in order.

    None if there are fewer than two classes and none of them is called so.
    """
    names = sorted(set(classes))
    if configured:
        return configured
    called_so = [name for wanted in POSITIVE_NAMES for name in names if name.lower() == wanted]
    if called_so or len(names) < 2:
        return called_so[0] if called_so else None
    means = mean_scores or {}
    return max(names, key=lambda name: means.get(name, 0.0)) if len(means) > 1 else names[1]


class Names:
    """All models and series."""

    def __init__(self, packed: dict[str, Any] | None = None) -> None:
        """Empty, or what `pack` gave."""
        self.models: list[Model] = []
        self.series: list[LedgerSeries] = []
        self._models: dict[str, Model] = {}
        self._series: dict[tuple[Any, ...], LedgerSeries] = {}
        for name, classes, *flags in (packed or {}).get("models", ()):
            self._add_model(Model(len(self.models), name, list(classes), *flags))
        for model, version, variant, slice_, task in (packed or {}).get("series", ()):
            self._add_series(self.models[model].name, version, variant, tuple(map(tuple, slice_)), task)

    def pack(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "models": [
                [
                    *(each.name, [*each.classes], each.has_scores, each.has_names, each.has_other_numbers),
                    *(each.overflowing, each.score_counts, each.score_sums, each.said_task, each.said_positive),
                ]
                for each in self.models
            ],
            "series": [
                [self._models[each.model].number, each.version, each.variant, [*each.slice.items()], each.task]
                for each in self.series
            ],
        }

    def copy(self) -> Names:
        """Another one that says the same, and stays so."""
        return Names(self.pack())

    def model(self, name: str) -> Model | None:
        """The model of a name; a new one if there is room for it, else None."""
        found = self._models.get(name)
        if found is None and len(self.models) < LEDGER_MODELS_MAX:
            found = self._add_model(Model(len(self.models), name))
        return found

    def known_model(self, name: str) -> Model | None:
        """The model of a name, if it is known."""
        return self._models.get(name)

    def series_of(
        self, model: Model, version: str, variant: str, slice_: tuple[tuple[str, str], ...], task: str
    ) -> LedgerSeries:
        """A series; beyond the limit all new ones of a model are one."""
        found = self._series.get((model.name, version, variant, slice_, task))
        if found is not None:
            return found
        if len(self.series) >= LEDGER_SERIES_MAX:
            version, variant, slice_ = "", "", OVERFLOW
        found = self._series.get((model.name, version, variant, slice_, task))
        return found or self._add_series(model.name, version, variant, slice_, task)

    def _add_model(self, model: Model) -> Model:
        self.models.append(model)
        self._models[model.name] = model
        return model

    def _add_series(
        self, model: str, version: str, variant: str, slice_: tuple[tuple[str, str], ...], task: str
    ) -> LedgerSeries:
        series = LedgerSeries(len(self.series), model, version, variant, dict(slice_), task)
        self.series.append(series)
        self._series[model, version, variant, slice_, task] = series
        return series

    def models_of_series(self) -> Array:
        """The number of the model of each series."""
        return np.array([self._models[each.model].number for each in self.series], "i8")


def values_of(values: Values) -> Array:
    """The numbers of a batch, or the indices into its names."""
    return np.frombuffer(values.data, "<f8" if values.names is None else "<u2")

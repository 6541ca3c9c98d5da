"""A ledger in a few lines: raw predictions and truths, joined anew for each question, as answers ask for them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from obsagent.answer.outcomes import CLASSIFICATION, ERROR_OCTAVES, NO_BIN, NONE, NUMBER, REGRESSION
from obsagent.limits import SCORE_BINS, WINDOW_MS

EPSILON = float(np.finfo(np.float64).eps)
COUNTS = ("window_ms", "series", "predicted", "truth", "bin", "count")
CLASS_SUMS = ("window_ms", "series", "predicted", "truth", "count", "score", "score_squared", "log_score", "log_rest")
NUMBER_SUMS = (
    *("window_ms", "series", "count", "error", "absolute", "squared"),
    *("relative_count", "relative", "truth", "truth_squared"),
)


class FakeSeries(NamedTuple):
    number: int
    model: str
    version: str
    variant: str
    slice: dict[str, str]
    task: str


class Made(NamedTuple):
    """A prediction."""

    series: int
    id: str
    at_ms: int
    value: Any
    score: float | None


@dataclass
class FakeModel:
    name: str
    task: str
    positive: str = ""
    classes: list[str] = field(default_factory=list)

    @property
    def negative(self) -> str:
        others = [name for name in self.classes if name != self.positive]
        return others[0] if self.positive and len(others) == 1 else ""

    def code(self, name: Any) -> int:
        if str(name) not in self.classes:
            self.classes.append(str(name))
        return self.classes.index(str(name))


class FakeOutcomes(NamedTuple):
    counts: Mapping[str, Any]
    class_sums: Mapping[str, Any]
    number_sums: Mapping[str, Any]


class FakePairs(NamedTuple):
    rows: int
    first_wrong: int
    second_wrong: int
    difference: float
    difference_squared: float


class FakeLedger:
    """Implements `obsagent.answer.outcomes.Ledger`; `predict` and `tell` fill it."""

    def __init__(self) -> None:
        self.known: dict[str, FakeModel] = {}
        self.every: list[FakeSeries] = []
        self.made: list[Made] = []
        self.truths: dict[tuple[str, str], Any] = {}
        self.window_ms = WINDOW_MS
        self.lost: list[Any] = []

    # --- filling

    def model(self, name: str, task: str = CLASSIFICATION, positive: str = "1") -> FakeModel:
        return self.known.setdefault(name, FakeModel(name, task, positive if task == CLASSIFICATION else ""))

    def predict(
        self,
        model: str,
        id: str,
        at_ms: int,
        value: Any,
        score: float | None = None,
        version: str = "4",
        variant: str = "live",
        **slice_: str,
    ) -> None:
        is_number = isinstance(value, float)
        known = self.model(model, REGRESSION if is_number else CLASSIFICATION)
        if not is_number:
            known.code(value)
        wanted = FakeSeries(0, model, version, variant, slice_, known.task)
        found = next((each for each in self.every if each._replace(number=0) == wanted), None)
        if found is None:
            found = wanted._replace(number=len(self.every))
            self.every.append(found)
        self.made.append(Made(found.number, id, at_ms, value, score))

    def tell(self, model: str, id: str, truth: Any) -> None:
        if not isinstance(truth, float):
            self.model(model).code(truth)
        self.truths[model, id] = truth

    # --- what answers ask

    def models(self) -> list[FakeModel]:
        return list(self.known.values())

    def series(self) -> list[FakeSeries]:
        return list(self.every)

    def window_ms_from(self, _from_ms: int) -> int:
        return self.window_ms

    def outcomes(self, numbers: Collection[int], from_ms: int, to_ms: int, step_ms: int = 0) -> FakeOutcomes:
        counts: Counter[tuple[int, ...]] = Counter()
        of_classes: defaultdict[tuple[int, ...], Any] = defaultdict(lambda: np.zeros(5))
        of_numbers: defaultdict[tuple[int, ...], Any] = defaultdict(lambda: np.zeros(8))
        for made in self.made:
            window_ms = made.at_ms - made.at_ms % WINDOW_MS
            if made.series not in numbers or not from_ms <= window_ms < to_ms:
                continue
            step = window_ms - (window_ms - from_ms) % step_ms if step_ms else from_ms
            model = self.known[self.every[made.series].model]
            truth = self.truths.get((model.name, made.id))
            if model.task == REGRESSION:
                counts[step, made.series, NUMBER, NONE, 0] += 1
                if truth is not None:
                    counts[step, made.series, NUMBER, NUMBER, error_bin(made.value - truth)] += 1
                    of_numbers[step, made.series] += number_sums(made.value, truth)
                continue
            place = (step, made.series, model.code(made.value))
            score_bin = NO_BIN if made.score is None else min(int(made.score * SCORE_BINS), SCORE_BINS - 1)
            counts[*place, NONE, score_bin] += 1
            if truth is not None:
                counts[*place, model.code(truth), score_bin] += 1
                if made.score is not None:
                    of_classes[*place, model.code(truth)] += class_sums(made.score)
        return FakeOutcomes(
            arrays(COUNTS, ((*key, count) for key, count in counts.items())),
            arrays(CLASS_SUMS, ((*key, *sums) for key, sums in of_classes.items())),
            arrays(NUMBER_SUMS, ((*key, *sums) for key, sums in of_numbers.items())),
        )

    def gaps(self) -> list[Any]:
        return self.lost

    def pairs(self, first: Collection[int], second: Collection[int], from_ms: int, to_ms: int) -> FakePairs:
        sides: list[dict[str, Made]] = [{}, {}]
        for made in sorted(self.made, key=lambda made: made.at_ms):
            for side, numbers in zip(sides, (first, second), strict=True):
                if made.series in numbers and from_ms <= made.at_ms - made.at_ms % WINDOW_MS < to_ms:
                    side[made.id] = made
        losses = []
        for name in sides[0].keys() & sides[1].keys():
            model = self.every[sides[0][name].series].model
            if (model, name) in self.truths:
                losses.append([loss(side[name].value, self.truths[model, name]) for side in sides])
        apart = [other - one for one, other in losses]
        return FakePairs(
            len(losses),
            sum(each < 0 for each in apart),
            sum(each > 0 for each in apart),
            sum(apart),
            sum(each * each for each in apart),
        )


def loss(value: Any, truth: Any) -> float:
    return abs(value - truth) if isinstance(value, float) else float(str(value) != str(truth))


def class_sums(score: float) -> Any:
    inside = min(max(score, EPSILON), 1 - EPSILON)
    return np.array([1, score, score**2, math.log(inside), math.log1p(-inside)])


def number_sums(value: float, truth: float) -> Any:
    error = value - truth
    ratio = abs(error / truth) if truth else 0.0
    return np.array([1, error, abs(error), error**2, truth != 0, ratio, truth, truth**2])


def error_bin(error: float) -> int:
    if abs(error) < 2.0**-ERROR_OCTAVES:
        return 0
    return int(math.copysign(math.floor((math.log2(abs(error)) + ERROR_OCTAVES) * 32) + 1, error))


def arrays(names: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    columns = list(names)
    whole = {"window_ms", "series", "predicted", "bin", "count", "relative_count"}
    if "predicted" in columns:
        whole.add("truth")
    given = list(zip(*rows, strict=True)) or [()] * len(columns)
    return {
        name: np.array(values, np.int64 if name in whole else np.float64)
        for name, values in zip(columns, given, strict=True)
    }

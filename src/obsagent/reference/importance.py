"""How much a model depends on each feature, where only its scores are known: permutation importance of a stand-in.

A gradient-boosting model learns to give the scores from the features, on half of a sample of rows. On the other half a
feature's values are exchanged among the rows at random, and the importance is by how much the stand-in then misses the
truth more (Breiman, Random Forests, 2001; Fisher, Rudin, Dominici, All Models are Wrong, but Many are Useful, 2019).
"""

from __future__ import annotations

import importlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from obsagent.errors import ObsagentError
from obsagent.reference.columns import Chunk
from obsagent.reference.counting import CategoryCounter, NumberCounter
from obsagent.reference.options import FitOptions, shares_of

ROWS_MAX = 20_000
CELLS_MAX = 20_000_000
ROWS_MIN = 100
REPEATS = 5
POOR_FIT = 0.5
NO_FIT = 0.05


def load_sklearn() -> tuple[Any, Any]:
    """numpy and sklearn.ensemble; raises `ObsagentError` that says how they are installed."""
    try:
        return importlib.import_module("numpy"), importlib.import_module("sklearn.ensemble")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("numpy", "sklearn"):
            raise
        raise ObsagentError(
            "--importance permutation needs scikit-learn: pip install 'obsagent[importance]'; a FILE does without"
        ) from None


class Sample:
    """Rows at random, as numbers: categories are those of their bins."""

    def __init__(self, rows: int, features: Sequence[str], options: FitOptions) -> None:
        """Of `rows` rows in all; the truth and the score are kept with the features."""
        count = min(rows, ROWS_MAX, CELLS_MAX // len(features))
        self._rows = sorted(Random(0).sample(range(rows), count))
        self._names = [*features]
        self._options = options
        self._begin = 0
        self._columns = {name: array("d") for name in [*features, options.score, options.truth] if name is not None}
        self._categories: set[str] = set()

    def add(self, chunk: Chunk, counters: Mapping[str, NumberCounter | CategoryCounter]) -> None:
        """The next rows."""
        end = self._begin + chunk.rows
        chosen = self._rows[bisect_left(self._rows, self._begin) : bisect_left(self._rows, end)]
        places = [row - self._begin for row in chosen]
        self._begin = end
        for name, values in self._columns.items():
            column, counter = chunk.columns[name].at(places), counters[name]
            if isinstance(counter, CategoryCounter):
                self._categories.add(name)
                values.extend(float("nan") if place < 0 else float(place) for place in counter.places(column))
            else:
                values.extend(_finite(value) for value in column.floats())

    def importances(self, progress: Callable[[float], None]) -> tuple[dict[str, float], str | None]:
        """Shares that add up to 1, or none, and a remark; raises `ObsagentError` if there are too few rows."""
        numpy, ensemble = load_sklearn()
        matrix = numpy.column_stack([numpy.frombuffer(self._columns[name]) for name in self._names])
        scores = numpy.frombuffer(self._columns[str(self._options.score)])
        truths = numpy.frombuffer(self._columns[str(self._options.truth)])
        usable = numpy.isfinite(scores) & numpy.isfinite(truths)
        if usable.sum() < ROWS_MIN:
            raise ObsagentError(f"--importance permutation needs {ROWS_MIN} rows with a score and a truth")
        matrix, scores, truths = matrix[usable], scores[usable], self._target(numpy, scores, truths, usable)
        order = numpy.random.default_rng(0).permutation(len(scores))
        learn, judge = order[: len(order) // 2], order[len(order) // 2 :]
        mask = [name in self._categories for name in self._names]
        model = ensemble.HistGradientBoostingRegressor(random_state=0, categorical_features=mask if any(mask) else None)
        model.fit(matrix[learn], scores[learn])
        fit = float(model.score(matrix[judge], scores[judge]))
        if fit < NO_FIT:
            return {}, f"no importances: of the score's variance the features explain {max(fit, 0.0):.0%}"
        increases = self._increases(numpy, model, matrix[judge], truths[judge], progress)
        if not any(increases.values()):
            return {}, "no importances: without any one of the features the truth is missed no more than with it"
        poor = f"importances are rough: of the score's variance the features explain {fit:.0%}"
        return shares_of(increases, self._names), poor if fit < POOR_FIT else None

    def _target(self, numpy: Any, scores: Any, truths: Any, usable: Any) -> Any:
        """What the stand-in is judged by: the truth as a number; if that is one of several classes, the score."""
        scores, truths = scores[usable], truths[usable]
        if self._options.truth not in self._categories:
            return truths
        classes = numpy.unique(truths)
        if len(classes) != 2:
            return scores
        first, second = (scores[truths == each].mean() for each in classes)
        return (truths == classes[int(second >= first)]).astype(float)

    def _increases(
        self, numpy: Any, model: Any, matrix: Any, target: Any, progress: Callable[[float], None]
    ) -> dict[str, float]:
        chance = numpy.random.default_rng(1)

        def loss(rows: Any) -> float:
            return float(((model.predict(rows) - target) ** 2).mean())

        base, found = loss(matrix), {}
        for at, name in enumerate(self._names):
            kept, total = matrix[:, at].copy(), 0.0
            for _ in range(REPEATS):
                matrix[:, at] = chance.permutation(kept)
                total += loss(matrix) - base
            matrix[:, at] = kept
            found[name] = max(0.0, total / REPEATS)
            progress((at + 1) / len(self._names))
        return found


def _finite(value: float | None) -> float:
    return value if value is not None and value - value == 0.0 else float("nan")

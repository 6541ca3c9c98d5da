"""Counts of a model that tells any number of classes apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import CLASSES_MAX
from obsagent.performance import arrays, class_measures
from obsagent.performance.arrays import Ints
from obsagent.performance.binary import EPSILON
from obsagent.performance.counts import Counts
from obsagent.performance.measured import Measured
from obsagent.performance.moments import Moments


class ClassCounts(Counts):
    """How often which truth met which prediction.

    `names`: the classes; `cells`: int64 (truth, predicted), in their order; `losses`: moments of −ln of the probability
    given to the truth, where probabilities were given.
    """

    KIND = "classes"
    _measures = class_measures.MEASURES

    def __init__(self, names: Sequence[Any]) -> None:
        """Nothing counted yet. Raises `PerformanceError` unless there are 2 to 1,000 different names."""
        self.names = checked_names(names)
        self.cells: Ints = np.zeros((len(self.names), len(self.names)), dtype=np.int64)
        self.losses = Moments()

    @classmethod
    def from_arrays(cls, cells: Any, names: Sequence[Any], losses: Moments | None = None) -> Self:
        """Counts that others have added up: (truth, predicted). Raises `PerformanceError` for what does not fit."""
        found = cls(names)
        found.cells = arrays.counts(cells, (len(found.names), len(found.names)), "cells")
        found.losses = losses or Moments()
        return found

    @property
    def rows(self) -> int:
        """How many truths there are."""
        return int(self.cells.sum())

    def update(self, truths: Sequence[Any], predicted: Sequence[Any], probabilities: Any = None) -> None:
        """Takes rows: names of classes; probabilities (rows, classes), in the order of `names`.

        Raises `PerformanceError` for what does not fit, and nothing has changed then.
        """
        actual, chosen = codes_of(truths, self.names), codes_of(predicted, self.names)
        if len(actual) != len(chosen):
            raise PerformanceError(f"there are {len(actual)} truths and {len(chosen)} predictions")
        losses = self._losses(actual, probabilities)
        size = len(self.names)
        self.cells += np.bincount(actual * size + chosen, minlength=size * size).reshape(size, size)
        self.losses.merge(losses)

    def merge(self, other: Self) -> None:
        """Adds what the other has counted. Raises `PerformanceError` if it has other classes, or another order."""
        if self.names != other.names:
            raise PerformanceError("counts of different classes do not merge")
        self.cells += other.cells
        self.losses.merge(other.losses)

    def of_class(self, name: Any, confidence: float = 0.95) -> dict[str, Measured]:
        """Precision, recall and F₁ of one class against all others. Raises `PerformanceError` if there is none."""
        return class_measures.of_class(self, int(codes_of([name], self.names)[0]), confidence)

    def _losses(self, actual: Ints, probabilities: Any) -> Moments:
        if probabilities is None:
            return Moments()
        given = arrays.probabilities(probabilities, (len(actual), len(self.names)))
        return Moments.of(-np.log(np.clip(given[np.arange(len(actual)), actual], EPSILON, 1 - EPSILON)))

    def _state(self) -> dict[str, Any]:
        return {"names": list(self.names), "cells": self.cells, "losses": self.losses.to_state()}

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        return cls.from_arrays(state["cells"], state["names"], Moments.from_state(state["losses"], is_positive=True))


def checked_names(names: Sequence[Any]) -> tuple[Any, ...]:
    """The names of classes. Raises `PerformanceError` unless there are 2 to 1,000 different ones."""
    found = tuple(names)
    if not 2 <= len(found) <= CLASSES_MAX or len({*found}) != len(found) or any(name != name for name in found):
        raise PerformanceError(f"2 to {CLASSES_MAX:,} classes with different names are expected")
    return found


def codes_of(given: Sequence[Any], names: Sequence[Any]) -> Ints:
    """The place of each class among the names. Raises `PerformanceError` for one that is none of them."""
    place = {name: at for at, name in enumerate(names)}
    classes = given.tolist() if isinstance(given, np.ndarray) else given
    try:
        return np.array([place[name] for name in classes], dtype=np.int64)
    except (KeyError, TypeError) as error:
        raise PerformanceError(f"there is no class {error}; the classes are named when counting begins") from None

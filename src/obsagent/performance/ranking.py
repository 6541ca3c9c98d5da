"""Sums of rankings: what comes when scores and relevances are lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import RANKING_CUTOFF_MAX, RANKING_GAIN_MAX
from obsagent.performance import arrays
from obsagent.performance.arrays import Floats
from obsagent.performance.confusion import NO_ROWS
from obsagent.performance.counts import Counts
from obsagent.performance.intervals import around
from obsagent.performance.measured import Measured
from obsagent.performance.moments import Moments

Measure: TypeAlias = "Callable[[RankingSums, float], Measured]"


class RankingSums(Counts):
    """Moments of NDCG@k and of the reciprocal rank, a list (a question, a user, a page) one row.

    Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques (TOIS 20, 2002), with linear gains and log₂
    discounts, as scikit-learn's `ndcg_score`: tied scores share the mean gain of their places, and a list without a
    relevant item counts 0. MRR: the mean of 1 / the place of the first relevant item, 0 without one; of tied items the
    relevant ones come last, so that ties never flatter.
    """

    KIND = "ranking"

    def __init__(self, cutoffs: Sequence[int] = (5, 10)) -> None:
        """`cutoffs`: the k of NDCG@k. Raises `PerformanceError` unless they are 1 or more, and different."""
        self.cutoffs = tuple(int(each) for each in cutoffs)
        if (
            not self.cutoffs
            or not 1 <= min(self.cutoffs) <= max(self.cutoffs) <= RANKING_CUTOFF_MAX
            or len({*self.cutoffs}) != len(self.cutoffs)
        ):
            raise PerformanceError(f"cutoffs are different whole numbers from 1 on, not {cutoffs!r}")
        self.gains = [Moments() for _ in self.cutoffs]
        self.reciprocals = Moments()

    @property
    def _measures(self) -> dict[str, Any]:
        gains = {f"ndcg@{k}": _mean_of(found) for k, found in zip(self.cutoffs, self.gains, strict=True)}
        return {**gains, "mrr": _mean_of(self.reciprocals)}

    @property
    def rows(self) -> int:
        """How many lists there are."""
        return self.reciprocals.rows

    def update(self, relevances: Sequence[Any], scores: Sequence[Any]) -> None:
        """Takes lists, each of relevances (0 and more) and as many scores, of any length from 1 on.

        Raises `PerformanceError` for what does not fit, and nothing has changed then.
        """
        if len(relevances) != len(scores):
            raise PerformanceError(f"there are {len(relevances)} lists of relevances and {len(scores)} of scores")
        found = [self._of_list(*each) for each in zip(relevances, scores, strict=True)]
        if found:
            columns = np.array(found)
            for moments, column in zip((*self.gains, self.reciprocals), columns.T, strict=True):
                moments.merge(Moments.of(column))

    def merge(self, other: Self) -> None:
        """Adds what the other has counted. Raises `PerformanceError` if it has other cutoffs."""
        if self.cutoffs != other.cutoffs:
            raise PerformanceError("sums of different cutoffs do not merge")
        for mine, others in zip((*self.gains, self.reciprocals), (*other.gains, other.reciprocals), strict=True):
            mine.merge(others)

    def _of_list(self, relevances: Any, scores: Any) -> list[float]:
        gains = arrays.column(relevances, "relevances")
        order = -arrays.column(scores, "scores", len(gains))
        if not gains.size or (gains < 0).any():
            raise PerformanceError("relevances: lists of numbers from 0 on, none of them empty")
        _, group, sizes = np.unique(order, return_inverse=True, return_counts=True)
        shared = (np.bincount(group, weights=gains) / sizes).repeat(sizes)
        best = np.sort(gains)[::-1]
        discounts = 1 / np.log2(np.arange(len(gains)) + 2.0)
        ndcg = [_share(shared[:k] @ discounts[:k], best[:k] @ discounts[:k]) for k in self.cutoffs]
        return [*ndcg, _reciprocal(gains, order)]

    def _state(self) -> dict[str, Any]:
        return {
            "cutoffs": list(self.cutoffs),
            "gains": [each.to_state() for each in self.gains],
            "reciprocals": self.reciprocals.to_state(),
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        found = cls(state["cutoffs"])
        found.gains = [Moments.from_state(each, is_positive=True) for each in state["gains"]]
        found.reciprocals = Moments.from_state(state["reciprocals"], is_positive=True)
        if len(found.gains) != len(found.cutoffs):
            raise PerformanceError("gains of other cutoffs")
        if any(each.rows != found.rows or each.mean > RANKING_GAIN_MAX for each in (*found.gains, found.reciprocals)):
            raise PerformanceError("gains of other lists, or above 1")
        return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _reciprocal(gains: Floats, order: Floats) -> float:
    """1 / the place of the first relevant item, the last of those tied with it that are not."""
    if not gains.any():
        return 0.0
    first = order[gains > 0].min()
    return 1 / (1 + int((order < first).sum()) + int(((order == first) & (gains == 0)).sum()))


def _mean_of(moments: Moments) -> Measure:
    def measure(_: RankingSums, confidence: float) -> Measured:
        if not moments.rows:
            return Measured.undefined(NO_ROWS)
        return Measured.within(moments.mean, around(moments.mean, moments.error, confidence, 0.0, 1.0))

    return measure

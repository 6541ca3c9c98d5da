"""What a score means: the share of positives at it, in a reference."""

from __future__ import annotations

import numpy as np

from obsagent.errors import PerformanceError
from obsagent.limits import SCORE_BINS
from obsagent.performance.arrays import Floats, Ints
from obsagent.performance.bins import middles


class Calibration:
    """Isotonic regression of the truth on the score, over the bins of scores.

    Pool adjacent violators: Ayer, Brunk, Ewing, Reid, Silverman (Ann. Math. Statist. 26, 1955); Zadrozny, Elkan,
    Transforming classifier scores into accurate multiclass probability estimates (KDD 2002). A bin in which the
    reference has nothing lies on the line between its neighbours, as in scikit-learn's `IsotonicRegression`.

    `probabilities`: of a positive truth, a bin; `blocks`: which bins were pooled; `variances`: of each block's
    probability, with half a row of either class more, so that no block is certain.
    """

    def __init__(self, negatives: Ints, positives: Ints) -> None:
        """Counts of the reference, a bin. Raises `PerformanceError` without any."""
        rows = (negatives + positives).astype(np.float64)
        seen = np.flatnonzero(rows)
        if not seen.size:
            raise PerformanceError("the reference has no truth of a prediction with a score")
        starts, self.rows, hits = _pooled(rows[seen], positives[seen].astype(np.float64))
        of_seen = np.searchsorted(starts, np.arange(len(seen)), side="right") - 1
        self.probabilities: Floats = np.interp(middles(), middles()[seen], (hits / self.rows)[of_seen])
        nearest = np.rint(np.interp(np.arange(SCORE_BINS), seen, np.arange(len(seen)))).astype(np.int64)
        self.blocks: Ints = of_seen[nearest]
        smoothed = (hits + 0.5) / (self.rows + 1)
        self.variances: Floats = smoothed * (1 - smoothed) / self.rows

    def variance(self, rows: Ints, gradient: Floats) -> float:
        """Of Σ gradient × positives, of so many predictions a bin: how truths fall, and how well the blocks are known.

        `rows`: (…, 1024); `gradient`: of the same shape.
        """
        falling = float((rows * self.probabilities * (1 - self.probabilities) * np.square(gradient)).sum())
        per_bin = np.sum(rows * gradient, axis=tuple(range(rows.ndim - 1)))
        weights = np.bincount(self.blocks, weights=per_bin, minlength=len(self.variances))
        return falling + float((np.square(weights) * self.variances).sum())


def _pooled(rows: Floats, hits: Floats) -> tuple[Ints, Floats, Floats]:
    """The blocks whose shares rise: where each begins, its rows and its hits."""
    blocks: list[tuple[int, float, float]] = []
    for start, (n, hit) in enumerate(zip(rows.tolist(), hits.tolist(), strict=True)):
        block = (start, n, hit)
        while blocks and blocks[-1][2] * block[1] >= block[2] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    starts, pooled, pooled_hits = zip(*blocks, strict=True)
    return np.array(starts), np.array(pooled), np.array(pooled_hits)

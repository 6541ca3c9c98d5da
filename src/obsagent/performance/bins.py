"""The bins that scores are counted in: 1,024 of equal width, and one more for rows without a score."""

from __future__ import annotations

import numpy as np

from obsagent.limits import SCORE_BINS
from obsagent.performance.arrays import Floats, Ints

NO_SCORE = SCORE_BINS
CELLS = SCORE_BINS + 1


def bin_of(scores: Floats, low: float = 0.0, high: float = 1.0) -> Ints:
    """The bin of each score over [low, high]: ⌊1024 (score − low) / (high − low)⌋, the last one closed.

    What lies beyond is in the first bin or the last; NaN in `NO_SCORE`. References count scores in the same bins.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        place = np.clip((scores - low) / (high - low) * SCORE_BINS, 0, SCORE_BINS - 1)
    return np.where(np.isnan(place), NO_SCORE, np.nan_to_num(place)).astype(np.int64)


def middles(low: float = 0.0, high: float = 1.0) -> Floats:
    """The middle of every bin."""
    return low + (np.arange(SCORE_BINS, dtype=np.float64) + 0.5) * ((high - low) / SCORE_BINS)

"""Rows with truths for tests of performance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]


def binary_rows(seed: int, size: int, digits: int | None = None) -> Rows:
    """Truths, predictions and scores of a model that is not calibrated."""
    chance = np.random.default_rng(seed)
    scores = chance.beta(1.5, 2.5, size)
    truths = (chance.random(size) < scores**1.3).astype(np.int64)
    if digits is not None:
        scores = scores.round(digits)
    return truths, (scores >= 0.5).astype(np.int64), scores

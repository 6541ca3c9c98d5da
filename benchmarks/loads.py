"""The values that are recorded: seeded, and drawn once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]

MEDIAN_S = 0.018  # a latency in seconds
SIGMA = 0.7  # p99 is five times the median
PARETO_SHAPE = 1.5
SEED = 20_250_101


def lognormal(count: int, seed: int = SEED) -> Values:
    """Latencies of a well-behaved server."""
    return np.random.default_rng(seed).lognormal(np.log(MEDIAN_S), SIGMA, count)


def pareto(count: int, seed: int = SEED) -> Values:
    """Latencies with a heavy tail: the mean exists, the variance does not."""
    return (np.random.default_rng(seed).pareto(PARETO_SHAPE, count) + 1) * MEDIAN_S

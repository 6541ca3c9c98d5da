"""Performance: how good a model is, from truths, and what it probably is before they come; usable alone.

Counts that add up, of streams of rows and of each other:

    BinaryCounts, ClassCounts                 `update(truths, predicted, …)`, `merge(other)`, `to_bytes()`, `from_bytes`;
    RegressionSums, RankingSums               `measure(name)`, `measures()`: values with confidence intervals

Before truths come, from a reference and the predictions alone:

    CBPE                                      what two classes' metrics are if scores mean what they meant

Everything is numpy on arrays, and as scikit-learn defines it; where something is undefined, it says why. What is
wrongly given raises `obsagent.errors.PerformanceError`.
"""

from __future__ import annotations

from obsagent.errors import PerformanceError
from obsagent.performance.binary import BinaryCounts
from obsagent.performance.cbpe import CBPE
from obsagent.performance.classes import ClassCounts
from obsagent.performance.estimate import Estimate
from obsagent.performance.measured import Measured
from obsagent.performance.ranking import RankingSums
from obsagent.performance.regression import RegressionSums

__all__ = [
    "CBPE",
    "BinaryCounts",
    "ClassCounts",
    "Estimate",
    "Measured",
    "PerformanceError",
    "RankingSums",
    "RegressionSums",
]

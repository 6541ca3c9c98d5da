"""Performance: how good a model is, from truths, and what it probably is before they come; usable alone.

Counts that add up, of streams of rows and of each other:

    BinaryCounts, ClassCounts                 `update(truths, predicted, …)`, `merge(other)`, `to_bytes()`,
    RegressionSums, RankingSums               `from_bytes`; `measure(name)`, `measures()`: with confidence intervals

Before truths come, from a reference and the predictions alone:

    CBPE, ClassCBPE, ProbabilityCBPE          what the metrics are if scores mean what they meant, with standard errors:
                                              of two classes; of more, by the predicted one's probability, or by all
    bbse                                      how often which class is true now, if only that has changed

Numbers have no estimate of this kind: a direct loss estimate has to be learnt from the features of single rows, which
counts do not have; and a loss that is learnt from predictions alone knows nothing of what the features say.

Decisions:

    paired_test, disagreements                which of two models is better on the same truths, at any moment
    RiskBounds, risk_interval                 the risk of a model, bounded at every moment at once; `risk_upper`: at one
    HarmDetector                              recommends retraining, with a kept rate of false recommendations

Everything is numpy on arrays, and as scikit-learn defines it; where something is undefined, it says why. What is
wrongly given raises `obsagent.errors.PerformanceError`.
"""

from __future__ import annotations

from obsagent.errors import PerformanceError
from obsagent.performance.binary import BinaryCounts
from obsagent.performance.cbpe import CBPE
from obsagent.performance.class_cbpe import ClassCBPE
from obsagent.performance.classes import ClassCounts
from obsagent.performance.estimate import Estimate
from obsagent.performance.harm import Harm, HarmDetector
from obsagent.performance.label_shift import LabelShift, bbse
from obsagent.performance.measured import Measured
from obsagent.performance.paired import Paired, disagreements, paired_test
from obsagent.performance.probability_cbpe import ProbabilityCBPE
from obsagent.performance.ranking import RankingSums
from obsagent.performance.regression import RegressionSums
from obsagent.performance.risk import RiskBounds, risk_interval, risk_upper

__all__ = [
    "CBPE",
    "BinaryCounts",
    "ClassCBPE",
    "ClassCounts",
    "Estimate",
    "Harm",
    "HarmDetector",
    "LabelShift",
    "Measured",
    "Paired",
    "PerformanceError",
    "ProbabilityCBPE",
    "RankingSums",
    "RegressionSums",
    "RiskBounds",
    "bbse",
    "disagreements",
    "paired_test",
    "risk_interval",
    "risk_upper",
]

"""References: what a model's data looked like when it was trained, frozen into a file (FORMAT.md).

The agent reads them to tell drift; `obsagent reference fit` makes them. Reading one loads no numpy, pandas or pyarrow.
"""

from obsagent.reference.feature import CATEGORY, NUMBER, FeatureReference, Joint, Spread
from obsagent.reference.reference import PREDICTION, SCORE, Reference

__all__ = ["CATEGORY", "NUMBER", "PREDICTION", "SCORE", "FeatureReference", "Joint", "Reference", "Spread"]

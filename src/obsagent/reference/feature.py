"""What a reference knows of one column: how its values fall into frozen bins, and what they are like as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

NUMBER = "number"
CATEGORY = "category"


class Spread(NamedTuple):
    """Moments of finite numbers: `m2`, `m3`, `m4` are sums of powers of the differences from the mean."""

    mean: float
    m2: float
    m3: float
    m4: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """One column of the data that a model was trained on.

    A column of numbers has k + 1 ascending edges and k bins by numpy.histogram's rule: [e_i, e_{i+1}), the last one
    closed. Its `counts` and `sums` are those below the first edge, in each bin, and above the last edge. A column of
    categories has `category_counts` for each of its `categories` and, last, for all others. What is missing, NaN or
    infinite, or of another type than the column, is in no bin.
    """

    kind: str
    """`number` or `category`."""
    type: str
    """What the values were: `float`, `int`, `bool`, `text`, or `null` where there was none."""
    count: int = 0
    """Finite numbers, or categories."""
    null_count: int = 0
    nan_count: int = 0
    positive_infinity_count: int = 0
    negative_infinity_count: int = 0
    wrong_type_count: int = 0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    sums: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    category_counts: tuple[int, ...] = ()
    distinct: float = 0.0
    """How many different values there were: exactly, or within HyperLogLog's error."""
    distinct_is_exact: bool = True
    spread: Spread | None = None
    """None without a finite number."""
    tdigest: bytes = b""
    """Of the finite numbers, as `obsagent.sketches.TDigest.to_bytes` writes it."""
    kappa0: float = 0.0
    """How alike the data's own consecutive windows are: the concentration of the Dirichlet-multinomial that their
    counts follow, at most the number of rows; 0 if there was nothing to bin."""
    importance: float | None = None
    """How much the model depends on it, in [0, 1], all of them together 1; None if nobody said."""

    @property
    def samples(self) -> int:
        """All rows that had the column: numbers, categories, missing values and all others."""
        infinities = self.positive_infinity_count + self.negative_infinity_count
        return self.count + self.null_count + self.nan_count + infinities + self.wrong_type_count

    @property
    def bin_counts(self) -> tuple[int, ...]:
        """The counts over all bins, whatever the kind: what lies outside, or in no category, has bins of its own."""
        return self.counts if self.kind == NUMBER else self.category_counts

    @property
    def null_share(self) -> float:
        """Missing values of all samples."""
        return self._share(self.null_count)

    @property
    def nan_share(self) -> float:
        """NaN of all samples."""
        return self._share(self.nan_count)

    @property
    def infinity_share(self) -> float:
        """Both infinities of all samples."""
        return self._share(self.positive_infinity_count + self.negative_infinity_count)

    @property
    def wrong_type_share(self) -> float:
        """Values of another type than the column's of all samples."""
        return self._share(self.wrong_type_count)

    @property
    def stddev(self) -> float | None:
        """Of the finite numbers, as a population's; None without one."""
        return math.sqrt(self.spread.m2 / self.count) if self.spread and self.count else None

    @property
    def is_constant(self) -> bool:
        """True if all values were the same one."""
        return self.distinct_is_exact and self.distinct == 1

    def _share(self, count: int) -> float:
        return count / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Joint:
    """How often which score, prediction and truth came together.

    Scores are binned into `score_bins` bins of one width over [score_low, score_high], predictions and truths by the
    bins of their own columns (`Reference.outputs`, `Reference.truth`), as `predicted` and `truths` name them.
    """

    score_low: float
    score_high: float
    score_bins: int
    predicted: tuple[str, ...]
    truths: tuple[str, ...]
    cells: Mapping[tuple[int, int, int], int]
    """(score bin, index of the prediction, index of the truth) → rows. An index is that behind the last name for a
    value of none of the names; −1 stands for a value that is missing, or that was not given."""

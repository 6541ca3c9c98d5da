"""Derived metrics of features: from the merged columns of the asked time, against a reference where they need one.

metric ──► Figure: its unit, and how it is computed from (what was counted, what is expected)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from obsagent import drift
from obsagent.answer.expected import Expected
from obsagent.answer.feature_counts import Counted, are_comparable, are_numbers, filled_bins
from obsagent.answer.measure import Estimate, exact
from obsagent.answer.values import RATIO

NOTHING = Estimate(None)
Compare = Callable[[Expected, Counted], Estimate]


class Figure(NamedTuple):
    """One derived metric. `compare` has the reference's word; `alone` needs what was counted alone."""

    unit: str = ""
    compare: Compare | None = None
    alone: Callable[[Counted], Estimate] | None = None
    merges_features: bool = False
    """True if it means something of several features together."""

    @property
    def needs_reference(self) -> bool:
        """True if it says how far something is from a reference."""
        return self.compare is not None


def _share(part: float, whole: float) -> Estimate:
    return exact(part / whole) if whole else NOTHING


def _of_bins(function: Callable[[Iterable[float], Iterable[float]], float]) -> Compare:
    """A divergence over all bins in which there is anything."""

    def compare(expected: Expected, found: Counted) -> Estimate:
        if not are_comparable(expected, found) or not expected.samples:
            return NOTHING
        return exact(float(function(*filled_bins(expected, found))))

    return compare


def _ks(expected: Expected, found: Counted) -> Estimate:
    """At the edges, where it is exact; between them it may be more."""
    if not are_numbers(expected, found):
        return NOTHING
    assert found.counts is not None
    value = drift.ks(expected.counts, found.counts)
    return Estimate(float(value), {"absolute": value.gap} if value.gap else 0, float(value), value + value.gap)


def _wasserstein(expected: Expected, found: Counted) -> Estimate:
    if not are_numbers(expected, found) or not expected.sums or not found.sums:
        return NOTHING
    if not all(map(math.isfinite, (*expected.sums, *found.sums))):
        return NOTHING  # the sum of large numbers is beyond what a double holds
    assert found.counts is not None
    return exact(
        drift.wasserstein(
            expected.counts, found.counts, expected.edges, reference_sums=expected.sums, current_sums=found.sums
        )
    )


def standardised(expected: Expected, found: Counted) -> float | None:
    """The Jensen-Shannon distance, as a multiple of what chance alone makes at so many samples.

    Of a window of N samples of the reference, whose windows scatter as if each were drawn of κ₀, the divergence (in
    nats) is (k - 1) / 8 · (1 / N + 1 / κ₀) on average, of k bins: an eighth of χ² / N. None if they cannot be
    compared.
    """
    if not are_comparable(expected, found) or not expected.samples:
        return None
    reference, current = filled_bins(expected, found)
    by_chance = max(len(reference) - 1, 1) / 8 * (1 / found.samples + 1 / expected.concentration)
    distance = float(drift.js_distance(reference, current))  # base 2
    return distance / math.sqrt(by_chance / math.log(2))


def _severity(expected: Expected, found: Counted) -> Estimate:
    times = standardised(expected, found)
    return exact(None if times is None else expected.importance * times)


def _out_of_range(expected: Expected, found: Counted) -> Estimate:
    if not expected.is_number or found.counts is None or len(found.counts) != len(expected.counts):
        return NOTHING
    return _share(found.counts[0] + found.counts[-1] + found.infinities, found.numbers)


def _unseen(expected: Expected, found: Counted) -> Estimate:
    if expected.is_number or found.counts is None or len(found.counts) != len(expected.counts):
        return NOTHING
    return _share(found.counts[-1], sum(found.counts))


def is_constant(found: Counted) -> bool:
    """True if there is one value and no other, nulls aside."""
    if found.finite and not found.categories:
        return found.low == found.high and not (found.nans or found.infinities)
    return bool(found.categories) and not found.numbers and (found.distinct or 2.0) < 1.5


def _constant(found: Counted) -> Estimate:
    values = found.numbers + found.nans + found.categories
    return exact(int(is_constant(found))) if values else NOTHING


def _distinct(found: Counted) -> Estimate:
    if found.distinct is None:
        return NOTHING
    spread = found.distinct * found.distinct_error
    bound = {"relative": found.distinct_error} if found.distinct_error else 0
    return Estimate(found.distinct, bound, found.distinct - spread, found.distinct + spread)


def _of_samples(part: Callable[[Counted], int]) -> Callable[[Counted], Estimate]:
    return lambda found: _share(part(found), found.samples)


MISSING_SHARE = "missing_share"

FIGURES = {
    "psi": Figure(compare=_of_bins(drift.psi)),
    "js_distance": Figure(compare=_of_bins(drift.js_distance)),
    "kl": Figure(compare=_of_bins(drift.kl)),
    "hellinger": Figure(compare=_of_bins(drift.hellinger)),
    "total_variation": Figure(compare=_of_bins(drift.total_variation)),
    "linf": Figure(compare=_of_bins(drift.linf)),
    "chi_squared": Figure(compare=_of_bins(drift.chi_squared)),
    "cramers_v": Figure(compare=_of_bins(drift.cramers_v)),
    "ks": Figure(compare=_ks),
    "wasserstein": Figure(compare=_wasserstein),
    "drift_severity": Figure(compare=_severity),
    "out_of_range_share": Figure(RATIO, compare=_out_of_range),
    "unseen_share": Figure(RATIO, compare=_unseen),
    "null_share": Figure(RATIO, alone=_of_samples(lambda found: found.nulls), merges_features=True),
    "nan_share": Figure(RATIO, alone=_of_samples(lambda found: found.nans), merges_features=True),
    "infinite_share": Figure(RATIO, alone=_of_samples(lambda found: found.infinities), merges_features=True),
    "wrong_type_share": Figure(RATIO, alone=_of_samples(lambda found: found.wrong_types), merges_features=True),
    "constant": Figure(alone=_constant),
    "distinct": Figure(alone=_distinct),
    MISSING_SHARE: Figure(RATIO),
}
"""Name → figure. `missing_share` needs the rows besides. What they say in words is in `words.py`."""


def missing(found: Counted | None, rows: int) -> Estimate:
    """The share of rows without the feature; never below 0, though rows and features may be cut off differently."""
    return _share(max(0, rows - (found.samples if found else 0)), rows)

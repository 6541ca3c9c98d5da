"""What became of truths: how many met a prediction, and how many did not."""

from __future__ import annotations

from typing import NamedTuple


class TruthReport(NamedTuple):
    """Counts of truths; those of a session are cumulative."""

    matched: int = 0
    """That met predictions."""
    unmatched: int = 0
    """Of whose id nothing was predicted so far; they wait."""
    corrected: int = 0
    """That say another thing than the truth before."""
    duplicate: int = 0
    """That say the same again, or are older than what is known."""
    rejected: int = 0
    """That say nothing (null, NaN), or are of a time beyond the model's horizon."""

    def plus(self, other: TruthReport) -> TruthReport:
        """Both together."""
        return TruthReport(*map(int.__add__, self, other))

    def minus(self, other: TruthReport) -> TruthReport:
        """What has come since `other`."""
        return TruthReport(*map(int.__sub__, self, other))

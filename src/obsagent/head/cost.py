"""What each metric costs the store, measured where it is paid: at the checkpoints.

Bytes are those of the encoded rows before compression: what a metric adds to a segment is about that times the
ratio of the store as a whole. Counting begins when the store is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from obsagent.head.series import SeriesTable
from obsagent.head.state import HeadWindow


@dataclass(slots=True)
class Cost:
    """Samples and row bytes that checkpoints have written."""

    samples: int = 0
    bytes: int = 0

    def add(self, other: Cost) -> None:
        """Count another cost in."""
        self.samples += other.samples
        self.bytes += other.bytes


class CostBook:
    """Costs by metric since `since_ms`."""

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self._costs: dict[str, Cost] = {}

    def add(self, costs: Mapping[str, Cost]) -> None:
        """Count in what one checkpoint wrote."""
        for metric, cost in costs.items():
            self._costs.setdefault(metric, Cost()).add(cost)

    def copy(self) -> dict[str, Cost]:
        """The costs as they are now."""
        return {metric: Cost(cost.samples, cost.bytes) for metric, cost in self._costs.items()}


def cost_of(windows: Iterable[HeadWindow], row_bytes: Mapping[int, int], table: SeriesTable) -> dict[str, Cost]:
    """Metric → cost of windows that nobody changes any more, of whose series the rows took `row_bytes`."""
    samples: Counter[int] = Counter()
    for window in windows:
        samples.update(window.samples.sample_counts())
    costs: dict[str, Cost] = {}
    for series_id, size in row_bytes.items():
        series = table.get(series_id)
        if series is not None:
            costs.setdefault(series.metric, Cost()).add(Cost(samples[series_id], size))
    return costs

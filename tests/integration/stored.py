"""Reads what a store holds, bucket for bucket, without an agent."""

from __future__ import annotations

from pathlib import Path

from obsagent._native.codec import Groups
from obsagent.head.store import Store
from obsagent.sketches import LogHist

FOREVER_MS = 1 << 60


def stored_histogram(data: Path, metric: str, **labels: str) -> LogHist:
    """All samples of a metric with these labels, over all time, as one histogram."""
    view = Store.open_read_only(data).view()
    chosen = [
        series.id
        for series in view.series()
        if series.metric == metric and all(series.labels.get(name) == value for name, value in labels.items())
    ]
    groups = Groups(dict.fromkeys(chosen, 0), 1)
    view.collect(0, FOREVER_MS, groups)
    encoded = groups.histogram(0)
    return LogHist() if encoded is None else LogHist._from_compact(encoded)

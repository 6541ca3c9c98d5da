"""Why series were refused: the metrics with too many of them, and in each the label that makes them many."""

from __future__ import annotations

from typing import Any

from obsagent.head.series import SeriesTable, is_overflow
from obsagent.samples import Series

CULPRITS_MAX = 10
EXAMPLES = 3


def culprits(table: SeriesTable) -> list[dict[str, Any]]:
    """`{"metric", "series", "refused", "label", "values", "examples"}`, most series first; [] if none was refused.

    The metrics are those whose series were refused, and the one that has most, which may have used up the
    budget of all. `label` is the one with most distinct values (null: no labels), `examples` its newest ones.
    """
    if not table.refused:
        return []
    suspects = {*table.refused, max(table.metrics(), key=lambda metric: len(table.ids_of(metric)))}
    found = [_culprit(metric, table) for metric in sorted(suspects)]
    return sorted(found, key=lambda each: -each["series"])[:CULPRITS_MAX]


def _culprit(metric: str, table: SeriesTable) -> dict[str, Any]:
    known = [series for series_id in table.ids_of(metric) if (series := table.get(series_id)) is not None]
    values = _values([series for series in known if not is_overflow(series)])
    label = max(values, key=lambda name: len(values[name]), default=None)
    return {
        "metric": metric,
        "series": len(known),
        "refused": table.refused.get(metric, 0),
        "label": label,
        "values": len(values[label]) if label else 0,
        "examples": list(values[label])[: -EXAMPLES - 1 : -1] if label else [],
    }


def _values(every: list[Series]) -> dict[str, dict[str, None]]:
    """Label → its distinct values, in the order in which they came."""
    found: dict[str, dict[str, None]] = {}
    for series in every:
        for label, value in series.labels.items():
            found.setdefault(label, {})[value] = None
    return found

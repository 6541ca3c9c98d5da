"""`--exemplars`: for each row the largest observations that can be found again, such as the slowest requests.

A histogram keeps the largest observation with an id of each window and series; of those in the asked time a row shows
the largest. Other kinds of metric, and what is computed from others, have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from obsagent.answer.instants import iso_utc
from obsagent.answer.plan import Direct, Plan
from obsagent.answer.rows import Row
from obsagent.answer.view import View
from obsagent.exemplars import rank
from obsagent.limits import EXEMPLARS_PER_ROW
from obsagent.samples import Exemplar, Kind, Series

Answer = dict[str, Any]


def add_exemplars(plan: Plan, view: View, rows: Sequence[Row], shown: Sequence[Answer]) -> None:
    """Adds `exemplars` to each row of the answer, `shown`, and to each of its steps."""
    members = [_series_of(row) for row in rows]
    every = {series_id for series in members for series_id in series}
    step_ms = plan.steps.step_ms if plan.steps else 0
    found = view.collect_exemplars(every, plan.span.read_from_ms, plan.span.to_ms, step_ms) if every else ()
    for row, series, answer in zip(rows, members, shown, strict=True):
        own = [each for each in found if each.series_id in series]
        answer["exemplars"] = _largest(own, series)
        for point, step in zip(row.points, answer.get("points", ()), strict=True):
            inside = (each for each in own if point.span.from_ms <= each.window_ms < point.span.to_ms)
            step["exemplars"] = _largest(inside, series)


def _series_of(row: Row) -> dict[int, Series]:
    """The series behind a row of a histogram, by id."""
    output = row.output
    if not isinstance(output, Direct) or output.source.kind is not Kind.HISTOGRAM:
        return {}
    groups = (group for group in output.source.groups if group.key == row.key)
    return {series.id: series for group in groups for series in group.series}


def _largest(found: Iterable[Exemplar], series: dict[int, Series]) -> list[Answer]:
    largest = sorted(found, key=rank, reverse=True)[:EXEMPLARS_PER_ROW]
    return [
        {
            "value": each.value,
            "time": iso_utc(each.time_ms),
            "trace_id": each.trace_id or None,
            "request_id": each.request_id or None,
            "labels": dict(series[each.series_id].labels),
        }
        for each in largest
    ]

"""Why an answer is empty, and what would not be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from obsagent.answer.durations import format_duration
from obsagent.answer.language import Query
from obsagent.answer.mistakes import did_you_mean, listing, nearest
from obsagent.answer.plan import Plan
from obsagent.answer.view import View
from obsagent.samples import Series


def why_empty(plan: Plan, view: View) -> str:
    """One line for an answer without series."""
    query = plan.query
    every_series = list(view.series())
    if plan.kind is None:
        return _unknown_metric(query, {series.metric for series in every_series}, view, plan.to_ms)
    of_metric = [series for series in every_series if series.metric == query.metric]
    if not plan.groups:
        return _nothing_passes(query, of_metric)
    filters = "".join(f" {each}" for each in query.filters)
    return f"no `{query.metric}{filters}` in the last {query.since}{_last_sample(query.metric, view, plan.to_ms)}"


def _unknown_metric(query: Query, metrics: set[str], view: View, now_ms: int) -> str:
    said = f"no `{query.metric}` in the last {query.since}"
    if not metrics:
        return f"{said}: the store holds no metric yet; no client has sent a sample"
    near = nearest(query.metric, metrics)
    if near:
        return f"{said}; did you mean `{near}`?{_last_sample(near, view, now_ms, '')}"
    return f"{said}, nor ever; there are {listing(sorted(metrics), last='and')}"


def _nothing_passes(query: Query, of_metric: list[Series]) -> str:
    """Names the filters that no series passes, with the values that exist."""
    for each in query.filters:
        values = {series.labels.get(each.label, "") for series in of_metric}
        if not any(each.accepts(value) for value in values):
            hint = did_you_mean(each.values[0], values) if each.values else ""
            have = listing(sorted(value for value in values if value), last="and")
            return f"no `{query.metric}` with {each}; {each.label} has been {have}{hint}"
    return f"no `{query.metric}` with {_all_filters(query.filters)} at once"


def _all_filters(filters: Iterable[object]) -> str:
    return " ".join(map(str, filters))


def _last_sample(metric: str, view: View, now_ms: int, separator: str = ";") -> str:
    last_ms = view.metric_last_ms(metric)
    if last_ms is None:
        return f"{separator} no sample of it is stored"
    at = datetime.fromtimestamp(last_ms // 1000, UTC)
    same_day = now_ms - last_ms < 86_400_000
    shown = at.strftime("%H:%M:%SZ" if same_day else "%Y-%m-%d %H:%M:%SZ")
    return f"{separator} last sample {shown}, {format_duration(max(0, now_ms - last_ms))} ago"

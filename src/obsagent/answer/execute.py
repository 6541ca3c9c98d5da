"""Runs a query on a view and says how good the answer is.

The answer is a dict that goes into JSON as it is:

    query       the text
    metric      {"name", "kind", "unit"}; kind is null for a metric that the store does not know
    from, to    the asked time, ISO 8601 in UTC
    covered     {"from", "to"}: the time that was read, whole windows; null if the store holds none of it
    losses      {"dropped": {reason: samples}, "rejected": {reason: samples}, "pending": samples,
                "overflow_series": series that the budget refused} of the services that the answer is about
    series      one object a row, sorted by labels: {"labels", "count", "error_bound": {stat: bound},
                "values": {stat: number or null}}, and "not_finite" if NaN or infinities were observed.
                A bound is 0 (exact) or {"relative": share of the value}
    empty       why, only if there are no series
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from obsagent._native.codec import Groups
from obsagent.answer.empty import why_empty
from obsagent.answer.language import Query
from obsagent.answer.measure import Measured, measure_counter, measure_gauge, measure_histogram
from obsagent.answer.plan import Plan, plan
from obsagent.answer.view import Coverage, View
from obsagent.samples import Kind

DROPPED = ("ring", "budget", "expired")
REJECTED = ("value", "frame", "time")

Answer = dict[str, Any]
Span = tuple[int, int]


def answer(query: Query, view: View, now_ms: int) -> Answer:
    """The answer to `query` as of `now_ms`; raises `QueryError` for what has no meaning."""
    planned = plan(query, view.series(), now_ms)
    span, rows = _read(planned, view)
    result: Answer = {
        "query": query.text,
        "metric": {
            "name": query.metric,
            "kind": planned.kind.word if planned.kind else None,
            "unit": planned.unit,
        },
        "from": iso_utc(planned.from_ms),
        "to": iso_utc(planned.to_ms),
        "covered": {"from": iso_utc(span[0]), "to": iso_utc(span[1])} if span else None,
        "losses": _losses(planned, view),
        "series": rows,
    }
    if not rows:
        result["empty"] = why_empty(planned, view)
    return result


def iso_utc(at_ms: int) -> str:
    """`2026-01-31T09:12:07.250Z`."""
    whole = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _read(planned: Plan, view: View) -> tuple[Span | None, list[dict[str, Any]]]:
    """The covered time and the rows that have samples."""
    per_series = planned.kind is Kind.GAUGE  # last values combine by a rule of their own, not by merging
    mapping: dict[int, int] = {}
    members: list[list[int]] = []
    group_count = 0
    for group in planned.groups:
        own = range(group_count, group_count + (len(group.series) if per_series else 1))
        mapping.update((series.id, own[index if per_series else 0]) for index, series in enumerate(group.series))
        members.append(list(own))
        group_count = own.stop
    groups = Groups(mapping, group_count)
    span = _covered(planned, view.collect(planned.read_from_ms, planned.to_ms, groups))
    seconds = (span[1] - span[0]) / 1000 if span else 0.0
    rows = []
    for group, own_groups in zip(planned.groups, members, strict=True):
        measured = _measure(planned, groups, own_groups, seconds, group.series[0].across)
        if measured is not None:
            rows.append(_row(group.labels, measured))
    return span, rows


def _covered(planned: Plan, coverage: Coverage) -> Span | None:
    """From the first window's start to the last one's end, but not beyond now."""
    if coverage.first_ms is None or coverage.last_ms is None:
        return None
    return max(coverage.first_ms, planned.read_from_ms), min(coverage.last_ms, planned.to_ms)


def _measure(planned: Plan, groups: Groups, members: list[int], seconds: float, across: str) -> Measured | None:
    if planned.kind is Kind.GAUGE:
        return measure_gauge(groups, members, planned.stats, across)
    if planned.kind is Kind.COUNTER:
        return measure_counter(groups, members[0], planned.stats, seconds)
    return measure_histogram(groups, members[0], planned.stats, seconds)


def _row(labels: dict[str, str], measured: Measured) -> dict[str, Any]:
    row: dict[str, Any] = {
        "labels": labels,
        "count": measured.count,
        "error_bound": measured.error_bound,
        "values": measured.values,
    }
    if measured.not_finite:
        row["not_finite"] = measured.not_finite
    return row


def _losses(planned: Plan, view: View) -> dict[str, Any]:
    dropped = dict.fromkeys(DROPPED, 0)
    rejected = dict.fromkeys(REJECTED, 0)
    pending = 0
    for service, accounts in view.accounts(planned.read_from_ms, planned.to_ms).items():
        if planned.services is not None and service not in planned.services:
            continue
        for reason in DROPPED:
            dropped[reason] += accounts["dropped"].get(reason, 0)
        for reason in REJECTED:
            rejected[reason] += accounts["rejected"].get(reason, 0)
        settled = accounts["stored"] + sum(accounts["dropped"].values()) + sum(accounts["rejected"].values())
        pending += max(0, accounts["observed"] - settled)
    return {
        "dropped": dropped,
        "rejected": rejected,
        "pending": pending,
        "overflow_series": view.overflowed.get(planned.query.metric, 0),
    }

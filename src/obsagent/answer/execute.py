"""Runs a query on a view and says how good the answer is.

The answer is a dict that goes into JSON as it is. A key in brackets is there only if the query asks for it:

    query       the text
    metric      {"name", "kind", "unit"}; kind is "derived" for what is computed from others, null for a metric that
                the store does not know
    [metrics]   the same for each, if the query names several
    from, to    the asked time, ISO 8601 in UTC
    covered     {"from", "to"}: the time that was read, whole windows; null if the store holds none of it
    [step_ms]   length of a step
    [widened]   {"asked_step_ms", "window_ms"} where steps are longer than was asked for, since of a part of the time
                only such windows are kept
    losses      {"dropped": {reason: samples}, "rejected": {reason: samples}, "pending": samples,
                "overflow_series": series that the budget refused} of the services that the answer is about
    [gaps]      [{"from", "to", "reason"}]: parts of the asked time of which something that was stored is lost, so that
                the answer may say less than it should; only where there are any
    [vs]        {"what", "from", "to", "covered", "losses", [gaps]} of the other side
    [where]     {"stat", "above" or "below": number in the unit of the stat}
    [apart]     {"service": "host"} where rows with this label are the machine's, and the others what runs on it
    series      one object a row, by labels:
                    [metric]     of several
                    labels, count (samples behind the row)
                    values       {stat: number or null}
                    error_bound  {stat: 0 if exact, else {"relative" | "absolute" | "rank": bound}, or of a classic
                                 histogram beyond its last edge {"above": edge}, before its first {"below": edge}}
                    [not_finite] if NaN or infinities were observed: {"nan" | "positive_infinity" | …: samples}
                    [reference]  id of the reference that a feature is compared with, of a metric that needs one; null
                                 if there is none
                    [maturity]   {"predictions", "truths", "share"} of a metric of predictions: how many with ids there
                                 were, and how many of them have a truth; of points and of the other side too
                    [interval]   {stat: [low, high] or null}, and [confidence], 0.95: between what such a metric lies;
                                 of points and of the other side too
                    [watermark]  the time up to which truths are nearly complete: of the predictions behind it fewer
                                 than 9 in 10 have one; null if there is no such time
                    [why]        why such a value is null
                    [left_out]   {reference: samples} that count over the bins of another reference ("": of none), and
                                 so not here
                    [points]     {"from", "to", "count", "values", "error_bound"} of each step that has samples
                    [vs]         {"count", "values", "error_bound", [points]} of the other side, or null
                    [change]     {stat: {"absolute", "relative", "beyond_error"}}
                    [exemplars]  the largest observations that have an id, largest first, of a histogram: {"value",
                                 "time", "trace_id", "request_id", "labels"}, ids null where unknown; of each point too
    [empty]     why, if there are no series
    [explain]   {"reads": what was read, "promql": [query], "notes": [text]}
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from obsagent.answer.compare import changes, other_key, other_query, other_span, with_gone
from obsagent.answer.empty import no_reference, no_truths, why_empty
from obsagent.answer.exemplars import add_exemplars
from obsagent.answer.explain import explain
from obsagent.answer.gather import gather
from obsagent.answer.instants import iso_utc
from obsagent.answer.measure import Measured
from obsagent.answer.of_outcomes import OfOutcomes
from obsagent.answer.options import TDIGEST, Options
from obsagent.answer.outcome_metrics import figure_of
from obsagent.answer.outcomes import Gap, Ledger
from obsagent.answer.plan import Output, Plan, plan
from obsagent.answer.query import Query
from obsagent.answer.ranges import Span, resolve
from obsagent.answer.rows import Row, limited, passing, rows_of, with_reference, with_truths
from obsagent.answer.select import SERVICE
from obsagent.answer.stats import Stat
from obsagent.answer.view import View
from obsagent.errors import UsageError
from obsagent.samples import MACHINE, Kind

DROPPED = ("ring", "budget", "expired")
REJECTED = ("value", "frame", "time")
DEFAULTS = Options()

Answer = dict[str, Any]


class _Side:
    """One side of a question: its plan, and what was read for it."""

    def __init__(self, planned: Plan, view: View, options: Options) -> None:
        self.plan = planned
        digests = options.sketch == TDIGEST
        self.gathered = gather(planned, view, digests=digests)
        self.rows = rows_of(planned, self.gathered, digest=digests, references=options.references)

    @property
    def covered(self) -> dict[str, str] | None:
        """The time that was read."""
        return _span(self.gathered.covered) if self.gathered.covered else None


def answer(query: Query, view: View, now_ms: int, options: Options = DEFAULTS) -> Answer:
    """The answer to `query` as of `now_ms`; raises `QueryError` for what has no meaning."""
    began = time.perf_counter()
    series = list(view.series())
    span = resolve(query, view, now_ms, options.zone)
    versus = query.versus
    before = other_span(span, versus) if versus else span
    ledger = view.ledger if any(figure_of(term.metric.text) for term in query.terms) else None
    window_ms = _window_ms(view, ledger, min(span.from_ms, before.from_ms))
    planned = plan(query, series, span, window_ms, ledger)
    _check_sketch(planned, options)
    side = _Side(planned, view, options)
    other = None
    if versus is not None:
        other = _Side(plan(other_query(query, versus), series, before, window_ms, ledger), view, options)
    told, untold = with_truths(side.rows)
    compared, alone = with_reference(told)
    measured = with_gone(compared, other.rows, query) if other else compared
    rows = limited(planned, passing(planned, measured))
    result = _head(planned, side, view, window_ms)
    if other is not None:
        result["vs"] = _other_head(query, other, view)
    result["series"] = [_row(planned, row) for row in rows]
    if other is not None:
        _compare(planned, rows, other.rows, result["series"])
    if options.exemplars:
        add_exemplars(planned, view, rows, result["series"])
    if not rows and untold and not measured:
        result["empty"] = no_truths(planned, untold)
    elif not rows and alone and not measured:
        result["empty"] = no_reference(planned, alone)
    elif not rows:
        result["empty"] = why_empty(planned, view, now_ms, options.zone, measured)
    if options.explain:
        took_ms = (time.perf_counter() - began) * 1000
        reads = [each.gathered.reads for each in (side, other) if each]
        result["explain"] = explain(planned, side.gathered.covered, reads, took_ms)
    return result


def _window_ms(view: View, ledger: Ledger | None, from_ms: int) -> int:
    """The length of the longest windows that are kept from then on, of what is asked for."""
    return max(view.window_ms_from(from_ms), ledger.window_ms_from(from_ms) if ledger else 0)


def _check_sketch(planned: Plan, options: Options) -> None:
    if options.sketch != TDIGEST:
        return
    for output in planned.outputs:
        for source in output.sources:
            if source.kind not in (Kind.HISTOGRAM, None):
                raise UsageError(f"`{source.metric.text}` is a {source.kind.word}: only histograms keep t-digests")
            if source.groups and not any(series.sketch == TDIGEST for series in source.series):
                name = source.metric.text
                raise UsageError(
                    f'`{name}` keeps no t-digest: define it with sketch="tdigest", or ask without --sketch'
                )


def _head(planned: Plan, side: _Side, view: View, window_ms: int) -> Answer:
    query = planned.query
    result: Answer = {"query": query.text, "metric": _metric(planned.outputs[0])}
    if len(planned.outputs) > 1:
        result["metrics"] = [_metric(output) for output in planned.outputs]
    result |= {**_span(planned.span), "covered": side.covered}
    if planned.steps:
        result["step_ms"] = planned.steps.step_ms
        if planned.steps.step_ms != query.step_ms:
            result["widened"] = {"asked_step_ms": query.step_ms, "window_ms": window_ms}
    result["losses"] = _losses(planned, view)
    result |= _gaps(planned, view)
    if any(source.is_apart for source in planned.sources):
        result["apart"] = {SERVICE: MACHINE}
    if query.where:
        side_word = "above" if query.where.is_above else "below"
        result["where"] = {"stat": query.where.stat.name, side_word: planned.limits[0]}
    return result


def _other_head(query: Query, other: _Side, view: View) -> Answer:
    assert query.versus is not None
    return {
        "what": query.versus.text,
        **_span(other.plan.span),
        "covered": other.covered,
        "losses": _losses(other.plan, view),
        **_gaps(other.plan, view),
    }


def _metric(output: Output) -> Answer:
    return {"name": output.name, "kind": output.kind, "unit": output.unit}


def _span(span: Span) -> dict[str, str]:
    return {"from": iso_utc(span.from_ms), "to": iso_utc(span.to_ms)}


def _row(planned: Plan, row: Row) -> Answer:
    shown = row.output.shown
    result: Answer = {"metric": row.output.name} if len(planned.outputs) > 1 else {}
    result |= {"labels": dict(row.key), **_numbers(row.measured, shown)}
    if row.measured.not_finite:
        result["not_finite"] = row.measured.not_finite
    result |= row.measured.stated
    if planned.steps:
        result["points"] = _points(row)
    return result


def _compare(planned: Plan, rows: list[Row], others: list[Row], series: list[Answer]) -> None:
    """Adds the other side to each row."""
    versus = planned.query.versus
    assert versus is not None
    by_key = {(row.output.name, row.key): row for row in others}
    for row, shown in zip(rows, series, strict=True):
        before = by_key.get(other_key(row, versus))
        shown["vs"] = _numbers(before.measured, row.output.shown) if before else None
        if before and planned.steps:
            shown["vs"]["points"] = _points(before)
        shown["change"] = changes(row.output.shown, row.measured, before.measured) if before else {}


def _points(row: Row) -> list[Answer]:
    return [{**_span(point.span), **_numbers(point.measured, row.output.shown)} for point in row.points]


def _numbers(measured: Measured, shown: tuple[Stat, ...]) -> Answer:
    estimates = {stat.name: measured.estimates[stat.name] for stat in shown}
    return {
        "count": measured.count,
        "error_bound": {name: estimate.error_bound for name, estimate in estimates.items()},
        "values": {name: estimate.value for name, estimate in estimates.items()},
        **measured.beside,
    }


def _losses(planned: Plan, view: View) -> Answer:
    dropped = dict.fromkeys(DROPPED, 0)
    rejected = dict.fromkeys(REJECTED, 0)
    pending = 0
    services = planned.services
    for service, accounts in view.accounts(planned.span.read_from_ms, planned.span.to_ms).items():
        if services is not None and service not in services:
            continue
        for reason in DROPPED:
            dropped[reason] += accounts["dropped"].get(reason, 0)
        for reason in REJECTED:
            rejected[reason] += accounts["rejected"].get(reason, 0)
        settled = accounts["stored"] + sum(accounts["dropped"].values()) + sum(accounts["rejected"].values())
        pending += max(0, accounts["observed"] - settled)
    names = {source.metric.text for source in planned.sources}
    names |= {series.metric for source in planned.sources for series in source.series}
    refused = sum(view.overflowed.get(name, 0) for name in names)
    return {"dropped": dropped, "rejected": rejected, "pending": pending, "overflow_series": refused}


def _gaps(planned: Plan, view: View) -> Answer:
    """The gaps in the time that was read, cut to it; an age without a range looks back through everything."""
    from_ms, to_ms = planned.span.read_from_ms, planned.span.to_ms
    if planned.asks_age and not planned.query.has_range:
        from_ms = 0
    inside = [
        {**_span(Span(max(gap.from_ms, from_ms), min(gap.to_ms, to_ms))), "reason": gap.reason}
        for gap in (*view.gaps(from_ms, to_ms), *_outcome_gaps(planned, view))
        if gap.from_ms < to_ms and gap.to_ms > from_ms
    ]
    return {"gaps": inside} if inside else {}


def _outcome_gaps(planned: Plan, view: View) -> Sequence[Gap]:
    """Those of the ledger, if it was asked."""
    asked = any(isinstance(output, OfOutcomes) for output in planned.outputs)
    return view.ledger.gaps() if asked and view.ledger is not None else ()

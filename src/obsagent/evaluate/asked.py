"""Reading for a report: the features that some filters let through, each with its reference, over a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo

from obsagent.answer.durations import format_duration
from obsagent.answer.empty import why_empty
from obsagent.answer.expected import Expected, References
from obsagent.answer.gather import GatheredRecords, gather
from obsagent.answer.language import parse
from obsagent.answer.measure import measure_counter
from obsagent.answer.mistakes import QueryError
from obsagent.answer.of_features import FEATURE, Compared, OfFeatures, choose, compared, key_of_rows
from obsagent.answer.plan import Plan, plan
from obsagent.answer.query import Name, Query, Range, Since, Term
from obsagent.answer.ranges import Span, resolve
from obsagent.answer.select import Group
from obsagent.answer.stats import Stat
from obsagent.answer.view import View
from obsagent.evaluate.levels import DAY_MS
from obsagent.evaluate.state import Judged
from obsagent.limits import QUERY_POINTS, WINDOW_MS
from obsagent.samples import Series

STEPS = 48
"""Into so many steps a time is cut to find out since when something is as it is."""

NAMED = ("model", "version", "variant", FEATURE)
METRIC = "missing_share"
"""Stands for all metrics of features: it reads both the features and the rows."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the time, and what came in it; None if nothing did."""

    span: Span
    row: Compared | None
    rows: int


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature of one version of a model, of the whole or of what `by` groups it into."""

    judged: Judged
    feature: str
    labels: dict[str, str]
    """Those that `by` names beside."""
    row: Compared
    rows: int
    """Rows that were given, with the feature or without it."""
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked and what was found."""

    query: Query
    span: Span
    covered: Span | None
    rows: list[FeatureRow]
    series: list[Series]
    """All series of the features that the filters let through, whenever they came."""
    empty: str = ""
    """Why nothing was found."""
    step_ms: int = field(default=0)


def read(
    words: str, command: str, view: View, references: References, now_ms: int, zone: tzinfo | None, *, steps: bool
) -> Asked:
    """Reads what a command's words ask for; raises `QueryError` for a mistake in them.

    Without a range it is the last day.
    """
    query = _query(words, command)
    every = list(view.series())
    known = {label for series in every if series.metric == FEATURE for label in series.labels}
    by = [Name(label) for label in NAMED if label in known and label not in [name.text for name in query.by]]
    query = replace(query, by=(*by, *query.by))
    span = resolve(query, view, now_ms, zone)
    window_ms = view.window_ms_from(span.from_ms)
    planned = plan(query, every, span, window_ms)
    if steps:
        groups = sum(len(source.groups) for source in planned.sources)
        step_ms = _step_ms(span, groups, window_ms)
        planned = plan(replace(query, step_ms=step_ms), every, span, window_ms)
    gathered = gather(planned, view)
    rows = list(_rows(planned, gathered, references))
    source = planned.outputs[0].sources[0]
    empty = "" if rows else why_empty(planned, view, now_ms, zone, [])
    step_ms = planned.steps.step_ms if planned.steps else 0
    return Asked(query, span, gathered.covered, rows, list(source.series), empty, step_ms)


def _query(words: str, command: str) -> Query:
    """The words behind a command as a query about features."""
    query = parse(f"{METRIC} {words}")
    refused = {"step": query.step_ms, "vs": query.versus, "where": query.where, "bottom": _is_bottom(query)}
    for clause, is_there in refused.items():
        if is_there:
            at = query.text.find(clause, len(METRIC))
            summary = f"`obsagent {command}` knows filters, by, ranges and top; for `{clause}` use `obsagent query`"
            raise QueryError(summary, query.text, at, at + len(clause))
    if not query.has_range:
        query = replace(query, range=Range(Since(DAY_MS), f"since {format_duration(DAY_MS)}"))
    return replace(query, terms=(Term(Name(METRIC, 0, len(METRIC))),))


def _is_bottom(query: Query) -> bool:
    return query.limit is not None and not query.limit.is_top


def _step_ms(span: Span, groups: int, window_ms: int) -> int:
    """As many steps as there may be, at most `STEPS`."""
    count = max(1, min(STEPS, QUERY_POINTS // max(groups, 1) - 1))
    width_ms = max(span.to_ms - span.from_ms, WINDOW_MS)
    return max(window_ms, -(-width_ms // count // WINDOW_MS) * WINDOW_MS)


def _rows(planned: Plan, gathered: GatheredRecords, references: References) -> Iterable[FeatureRow]:
    (output,) = planned.outputs
    assert isinstance(output, OfFeatures)
    numbers = range(planned.steps.count) if planned.steps else (0,)
    for group in output.source.groups:
        members = gathered.of(output.source, group.key)
        if members is None or FEATURE not in group.labels:
            continue
        places = dict(zip(members.references, members.groups, strict=True))
        samples = {name: sum(gathered.groups.samples(place, n) for n in numbers) for name, place in places.items()}
        chosen = choose(group.series, samples, references)
        row = compared(gathered.groups, places, numbers, chosen)
        if row is not None:
            steps = _steps(planned, output, gathered, group, places, chosen) if planned.steps else []
            judged = Judged(*(group.labels.get(label, "") for label in NAMED[:3]))
            labels = {label: value for label, value in group.labels.items() if label not in NAMED}
            rows = _row_count(output, gathered, group, numbers)
            yield FeatureRow(judged, group.labels[FEATURE], labels, row, rows, steps)


def _steps(
    planned: Plan,
    output: OfFeatures,
    gathered: GatheredRecords,
    group: Group,
    places: dict[str, int],
    chosen: Expected | None,
) -> list[Step]:
    assert planned.steps is not None
    return [
        Step(
            planned.steps.span(number),
            compared(gathered.groups, places, [number], chosen),
            _row_count(output, gathered, group, [number]),
        )
        for number in range(planned.steps.count)
    ]


def _row_count(output: OfFeatures, gathered: GatheredRecords, group: Group, numbers: Sequence[int]) -> int:
    """Rows of the same model and slices; 0 where nobody counted them."""
    members = gathered.of(output.rows, key_of_rows(group.key)) if output.rows else None
    if members is None:
        return 0
    counted = measure_counter(gathered.groups, members.groups[0], numbers, [Stat("sum")], 1.0)
    return int(counted.estimates["sum"].value or 0) if counted else 0

"""The rows of an answer: what was gathered, measured by row and by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from obsagent.answer.expected import NO_REFERENCES, Expected, References
from obsagent.answer.gather import GatheredRecords, Members
from obsagent.answer.measure import (
    Estimate,
    Measured,
    divide,
    exact,
    measure_classic,
    measure_counter,
    measure_gauge,
    measure_histogram,
    within,
)
from obsagent.answer.of_features import OfFeatures, choose, compared, key_of_rows, measured
from obsagent.answer.plan import COUNT, Direct, Divided, Output, Plan, keys_of
from obsagent.answer.ranges import Span
from obsagent.answer.select import Key, Source
from obsagent.answer.stats import AGE, CLASSIC, Stat
from obsagent.samples import Kind

SUM = Stat("sum")
COUNTED = ("sum", "count", "rate")
"""Statistics that are 0 where there is nothing."""


@dataclass(slots=True)
class Point:
    """One step of a row."""

    span: Span
    measured: Measured


@dataclass(slots=True)
class Row:
    """One row: an output under the labels of one group."""

    output: Output
    key: Key
    measured: Measured
    points: list[Point] = field(default_factory=list)


def rows_of(
    plan: Plan, gathered: GatheredRecords, *, digest: bool = False, references: References = NO_REFERENCES
) -> list[Row]:
    """The rows that have samples, or an age, by output and labels."""
    reader = _Reader(plan, gathered, digest, references)
    rows = (reader.row(output, key) for output in plan.outputs for key in keys_of(output))
    return [row for row in rows if row is not None]


class _Reader:
    def __init__(self, plan: Plan, gathered: GatheredRecords, digest: bool, references: References) -> None:
        self._plan = plan
        self._gathered = gathered
        self._digest = digest
        self._references = references
        self._chosen: dict[Key, Expected | None] = {}
        self._all_steps: Sequence[int] = range(plan.steps.count) if plan.steps else (0,)

    def row(self, output: Output, key: Key) -> Row | None:
        measured = self._measure(output, key, self._all_steps, self._gathered.covered)
        if isinstance(output, Direct):
            measured = self._with_age(output, key, measured)
        if measured is None:
            return None
        return Row(output, key, measured, list(self._points(output, key)))

    def _points(self, output: Output, key: Key) -> Iterable[Point]:
        steps, covered = self._plan.steps, self._gathered.covered
        if steps is None or covered is None:
            return
        for step in self._all_steps:
            span = steps.span(step)
            part = Span(max(span.from_ms, covered.from_ms), min(span.to_ms, covered.to_ms))
            measured = self._measure(output, key, [step], part)
            if measured is not None:
                yield Point(span, measured)

    def _measure(self, output: Output, key: Key, steps: Sequence[int], covered: Span | None) -> Measured | None:
        seconds = max(0, covered.to_ms - covered.from_ms) / 1000 if covered else 0.0
        if isinstance(output, Direct):
            return self._source(output.source, key, output.needed, steps, seconds)
        if isinstance(output, OfFeatures):
            return self._of_features(output, key, steps)
        return self._divided(output, key, steps, seconds)

    def _of_features(self, output: OfFeatures, key: Key, steps: Sequence[int]) -> Measured | None:
        """A row exists where there are columns: they are merged, and then compared."""
        members = self._gathered.of(output.source, key)
        if members is None:
            return None
        places = dict(zip(members.references, members.groups, strict=True))
        row = compared(self._gathered.groups, places, steps, self._reference(output.source, key, places))
        if row is None:
            return None
        if output.rows is None:
            return measured(output, row, None)
        rows = self._source(output.rows, key_of_rows(key), [SUM], steps, 0.0)
        return measured(output, row, int(rows.estimates[SUM.name].value or 0) if rows else None)

    def _reference(self, source: Source, key: Key, places: Mapping[str, int]) -> Expected | None:
        """What a row is compared with, in all of its steps."""
        if key not in self._chosen:
            groups, steps = self._gathered.groups, self._all_steps
            samples = {name: sum(groups.samples(place, step) for step in steps) for name, place in places.items()}
            series = next(group.series for group in source.groups if group.key == key)
            self._chosen[key] = choose(series, samples, self._references)
        return self._chosen[key]

    def _divided(self, output: Divided, key: Key, steps: Sequence[int], seconds: float) -> Measured | None:
        """A row exists where there is something to divide by; what was never counted above it is 0."""
        bottom = self._source(output.denominator, key, [output.denominator_stat], steps, seconds)
        if bottom is None:
            return None
        top = self._source(output.numerator, key, [output.numerator_stat], steps, seconds)
        nothing = exact(0) if output.numerator_stat.name in COUNTED else None
        above = top.estimates[output.numerator_stat.name] if top else nothing
        quotient = divide(above, bottom.estimates[output.denominator_stat.name])
        return Measured(bottom.count, {output.stat.name: quotient, COUNT.name: exact(bottom.count)})

    def _source(
        self, source: Source, key: Key, stats: Iterable[Stat], steps: Sequence[int], seconds: float
    ) -> Measured | None:
        members = self._gathered.of(source, key)
        if members is None or source.kind is None:
            return None
        return self._by_kind(source, members, [stat for stat in stats if stat.name != AGE], steps, seconds)

    def _by_kind(
        self, source: Source, members: Members, stats: list[Stat], steps: Sequence[int], seconds: float
    ) -> Measured | None:
        groups = self._gathered.groups
        if source.kind is Kind.GAUGE:
            return measure_gauge(groups, members.groups, steps, stats, source.unit, members.across)
        if source.kind is CLASSIC:
            return measure_classic(groups, members.groups, members.parts, steps, stats, source.unit, seconds)
        if source.kind is Kind.COUNTER:
            return measure_counter(groups, members.groups[0], steps, stats, seconds)
        return measure_histogram(groups, members.groups, steps, stats, source.unit, seconds, digest=self._digest)

    def _with_age(self, output: Direct, key: Key, measured: Measured | None) -> Measured | None:
        """With the time since the last sample, which may lie before the asked time: then all else is null."""
        if not any(stat.name == AGE for stat in output.needed):
            return measured
        members = self._gathered.of(output.source, key)
        if members is None or members.last_window is None:
            return measured
        if measured is None:
            measured = Measured(0, {stat.name: _of_nothing(stat) for stat in output.needed})
        # The last sample lies in a window that ends then.
        start_ms, end_ms = members.last_window
        since_end_ms = max(0, self._plan.span.to_ms - end_ms)
        measured.estimates[AGE] = within(since_end_ms / 1000, (end_ms - start_ms) / 1000)
        return measured


def with_reference(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows, and those of a metric that needs a reference where none of its rows has one."""
    compared = {row.output.name for row in rows if row.measured.stated.get("reference")}
    alone = [row for row in rows if "reference" in row.measured.stated and row.output.name not in compared]
    left = {id(row) for row in alone}
    return [row for row in rows if id(row) not in left], alone


def _of_nothing(stat: Stat) -> Estimate:
    return exact(0) if stat.name in COUNTED else Estimate(None)


def passing(plan: Plan, rows: list[Row]) -> list[Row]:
    """The rows, or with steps the points of rows, on the right side of `where`."""
    where = plan.query.where
    if where is None:
        return rows
    limits = {output.name: limit for output, limit in zip(plan.outputs, plan.limits, strict=True)}

    def passes(output: Output, measured: Measured) -> bool:
        name = where.stat.name
        if not isinstance(output, Direct) and name != COUNT.name:
            name = output.stat.name
        return where.accepts(_certain(measured.estimates[name], is_above=where.is_above), limits[output.name])

    if plan.steps is None:
        return [row for row in rows if passes(row.output, row.measured)]
    for row in rows:
        row.points = [point for point in row.points if passes(row.output, point.measured)]
    return [row for row in rows if row.points]


def _certain(estimate: Estimate, *, is_above: bool) -> float | None:
    """The value; of one that is only known to lie beyond, no more than that: it is above an edge, and below nothing."""
    if estimate.value is None:
        return None
    if math.isinf(estimate.high):
        return math.nextafter(estimate.low, math.inf) if is_above else math.inf
    return -math.inf if math.isinf(estimate.low) and is_above else estimate.value


def limited(plan: Plan, rows: list[Row]) -> list[Row]:
    """`top` or `bottom` so many groups, by the first stat of the first metric that they have, best first.

    Of several metrics each keeps the same groups. Null is neither large nor small: it comes last.
    """
    limit = plan.query.limit
    if limit is None:
        return rows
    chosen: dict[Key, Row] = {}
    for row in rows:
        chosen.setdefault(row.key, row)
    ranked = sorted(chosen.values(), key=_rank(limit.is_top))
    order = {row.key: place for place, row in enumerate(ranked[: limit.count])}
    names = [output.name for output in plan.outputs]
    kept = [row for row in rows if row.key in order]
    return sorted(kept, key=lambda row: (names.index(row.output.name), order[row.key]))


def _rank(is_top: bool) -> Callable[[Row], tuple[bool, float]]:
    def rank(row: Row) -> tuple[bool, float]:
        value = row.measured.estimates[row.output.shown[0].name].value
        return (True, 0.0) if value is None else (False, -value if is_top else value)

    return rank

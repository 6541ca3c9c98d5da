"""Reading for a plan: one pass over the store fills one native group for each row, metric and step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from obsagent._native.codec import Groups
from obsagent.answer.plan import Plan
from obsagent.answer.ranges import Span
from obsagent.answer.select import Key, Source
from obsagent.answer.view import Reads, View
from obsagent.samples import Kind


@dataclass(frozen=True, slots=True)
class Members:
    """The native groups of one row of one metric, and how its gauges combine."""

    groups: tuple[int, ...]
    across: str
    last_window: tuple[int, int] | None = None
    """Start and end (ms) of the newest window with a sample, if that was asked for."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was read. `covered` is None if the store holds none of the asked time."""

    groups: Groups
    members: Mapping[tuple[str, Key], Members]
    covered: Span | None
    reads: Reads

    def of(self, source: Source, key: Key) -> Members | None:
        """Where the samples of a row are; None if the metric has no such row."""
        return self.members.get((source.metric.text, key))


def gather(plan: Plan, view: View, *, digests: bool = False) -> Gathered:
    """Read what a plan needs, t-digests only if they are asked for."""
    last = _last_samples(plan, view)
    mapping: dict[int, int] = {}
    members: dict[tuple[str, Key], Members] = {}
    count = 0
    for source in plan.sources:
        per_series = source.kind is Kind.GAUGE  # last values combine by a rule of their own, not by merging
        for group in source.groups:
            own = range(count, count + (len(group.series) if per_series else 1))
            for index, series in enumerate(group.series):
                mapping[series.id] = own[index if per_series else 0]
            found = (last[series.id] for series in group.series if series.id in last)
            newest = max(found, key=itemgetter(1), default=None)
            members[source.metric.text, group.key] = Members(tuple(own), group.series[0].across, newest)
            count = own.stop
    steps = plan.steps
    if steps:
        groups = Groups(mapping, count, steps.first_ms, steps.step_ms, steps.count, digests=digests)
    else:
        groups = Groups(mapping, count, digests=digests)
    coverage = view.collect(plan.span.read_from_ms, plan.span.to_ms, groups, steps.step_ms if steps else 0)
    covered = None
    if coverage.first_ms is not None and coverage.last_ms is not None:
        # Whole windows, but not beyond now.
        covered = Span(coverage.first_ms, min(coverage.last_ms, coverage.to_ms))
    return Gathered(groups, members, covered, coverage.reads)


def _last_samples(plan: Plan, view: View) -> Mapping[int, tuple[int, int]]:
    """When each series was last seen. Without a range in the query it is looked for in all that is stored."""
    if not plan.asks_age:
        return {}
    series = {each.id for source in plan.sources for each in source.series}
    return view.last_samples(series, plan.span.read_from_ms if plan.query.has_range else 0)

"""Reading for a plan: one pass over the store fills one native group for each row, metric and step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from obsagent._native.codec import Groups
from obsagent.answer.classic import Part, parts_of
from obsagent.answer.of_features import REFERENCE, OfFeatures
from obsagent.answer.plan import Plan
from obsagent.answer.ranges import Span
from obsagent.answer.select import Group, Key, Source
from obsagent.answer.stats import CLASSIC
from obsagent.answer.view import Reads, View
from obsagent.samples import Kind


@dataclass(frozen=True, slots=True)
class Members:
    """The native groups of one row of one metric, and how its gauges combine."""

    groups: tuple[int, ...]
    across: str
    last_window: tuple[int, int] | None = None
    """Start and end (ms) of the newest window with a sample, if that was asked for."""
    parts: tuple[Part, ...] = ()
    """What each native group is, of a classic histogram."""
    references: tuple[str, ...] = ()
    """Over the bins of which reference each native group counts, of a column; empty for those of none."""


@dataclass(frozen=True, slots=True)
class GatheredRecords:
    """What was read. `covered` is None if the store holds none of the asked time."""

    groups: Groups
    members: Mapping[tuple[str, Key], Members]
    covered: Span | None
    reads: Reads

    def of(self, source: Source, key: Key) -> Members | None:
        """Where the samples of a row are; None if the metric has no such row."""
        return self.members.get((source.metric.text, key))


def gather(plan: Plan, view: View, *, digests: bool = False) -> GatheredRecords:
    """Read what a plan needs, t-digests only if they are asked for."""
    last = _last_samples(plan, view)
    mapping: dict[int, int] = {}
    members: dict[tuple[str, Key], Members] = {}
    count = 0
    for source in plan.sources:
        for group in source.groups:
            places, parts = _places(source, group)
            references = _references(group) if source.kind is Kind.COLUMN else ()
            mapping |= {series.id: count + place for series, place in zip(group.series, places, strict=True)}
            found = (last[series.id] for series in group.series if series.id in last)
            newest = max(found, key=itemgetter(1), default=None)
            own = range(count, count + max(places) + 1)
            members[source.metric.text, group.key] = Members(
                tuple(own), group.series[0].across, newest, parts, references
            )
            count = own.stop
    steps = plan.steps
    columns = any(isinstance(output, OfFeatures) for output in plan.outputs)
    if steps:
        groups = Groups(mapping, count, steps.first_ms, steps.step_ms, steps.count, digests=digests, columns=columns)
    else:
        groups = Groups(mapping, count, digests=digests, columns=columns)
    coverage = view.collect(plan.span.read_from_ms, plan.span.to_ms, groups, steps.step_ms if steps else 0)
    covered = None
    if coverage.first_ms is not None and coverage.last_ms is not None:
        # Whole windows, but not beyond now.
        covered = Span(coverage.first_ms, min(coverage.last_ms, coverage.to_ms))
    return GatheredRecords(groups, members, covered, coverage.reads)


def _places(source: Source, group: Group) -> tuple[list[int], tuple[Part, ...]]:
    """Which of the row's native groups each series goes into: one for all, if they merge."""
    if source.kind is Kind.GAUGE:  # last values combine by a rule of their own, not by merging
        return list(range(len(group.series))), ()
    if source.kind is Kind.COLUMN:  # the bins of one reference are not those of another
        references = _references(group)
        return [references.index(series.labels.get(REFERENCE, "")) for series in group.series], ()
    if source.kind is not CLASSIC:
        return [0] * len(group.series), ()
    parts = parts_of(group.series)
    places = {part: place for place, part in enumerate(dict.fromkeys(parts))}
    return [places[part] for part in parts], tuple(places)


def _references(group: Group) -> tuple[str, ...]:
    return tuple(sorted({series.labels.get(REFERENCE, "") for series in group.series}))


def _last_samples(plan: Plan, view: View) -> Mapping[int, tuple[int, int]]:
    """When each series was last seen. Without a range in the query it is looked for in all that is stored."""
    if not plan.asks_age:
        return {}
    series = {each.id for source in plan.sources for each in source.series}
    return view.last_samples(series, plan.span.read_from_ms if plan.query.has_range else 0)

"""Which series of a metric a query reads, and how they group into rows.

A query that asks for something meaningless (a label that does not exist, a metric of two kinds) ends here, in an
error that points at the word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from obsagent.answer import classic
from obsagent.answer.mistakes import QueryError, did_you_mean, listing
from obsagent.answer.patterns import matching
from obsagent.answer.query import EQUAL, MATCHES, Filter, Name, Query
from obsagent.answer.stats import CLASSIC, MetricKind
from obsagent.samples import MACHINE, SHARED_OUT, Kind, Series

WORKER_LABELS = frozenset({"worker", "host"})
OVERFLOW = "overflow"
SERVICE = "service"

Key = tuple[tuple[str, str], ...]
"""The labels of a row in the order of `by`, with their values."""


@dataclass(frozen=True, slots=True)
class Group:
    """Series that are answered as one row, under `labels` (those of `by`)."""

    labels: dict[str, str]
    series: tuple[Series, ...]

    @property
    def key(self) -> Key:
        """What tells it from other groups."""
        return tuple(self.labels.items())


@dataclass(frozen=True, slots=True)
class Source:
    """A metric as a query reads it. `kind` is None if the store does not know the metric.

    `is_apart`: the machine's own series are rows of their own, as what the others have is part of it.
    """

    metric: Name
    kind: MetricKind | None = None
    unit: str = ""
    groups: tuple[Group, ...] = ()
    is_apart: bool = False

    @property
    def series(self) -> Iterable[Series]:
        """All series of all groups."""
        return (series for group in self.groups for series in group.series)


def select(query: Query, metric: Name, every_series: Iterable[Series]) -> Source:
    """What to read of a metric; raises `QueryError` for what has no meaning."""
    of_metric = series_of(metric.text, every_series)
    if not of_metric:
        return Source(metric)
    _check_labels(query, metric, of_metric)
    matching_series = _matching(of_metric, query.filters)
    kind = _only_kind(query, metric, matching_series or of_metric)
    if kind is Kind.GAUGE:
        matching_series = _choose_gauges(query, matching_series, of_metric)
    unit = next((series.unit for series in of_metric if series.unit), "")
    is_apart = _is_apart(query, metric, matching_series)
    return Source(metric, kind, unit, _group(query.by, matching_series, is_apart=is_apart), is_apart)


def series_of(name: str, every_series: Iterable[Series]) -> list[Series]:
    """The series of a metric; of a classic histogram those of its parts."""
    every = list(every_series)
    return [series for series in every if series.metric == name] + classic.series_of(name, every)


def _kind_of(series: Series, name: str) -> MetricKind:
    """A part of a classic histogram has a name of its own."""
    return series.kind if series.metric == name else CLASSIC


def passes(labels: Mapping[str, str], filters: Iterable[Filter]) -> bool:
    """True if labels pass all filters; a label that is not there has the value ""."""
    return all(accepts(each, labels.get(each.label, "")) for each in filters)


def accepts(condition: Filter, value: str) -> bool:
    """True if a label of this value passes the filter."""
    if condition.operator == MATCHES:
        return bool(matching(condition.values[0], [value]))
    return condition.lists(value) is (condition.operator == EQUAL)


def _matching(series: list[Series], filters: tuple[Filter, ...]) -> list[Series]:
    """The series that pass; an expression is searched for once in each distinct value."""
    for each in filters:
        values = {one.labels.get(each.label, "") for one in series}
        if each.operator == MATCHES:
            good = matching(each.values[0], values)
        else:
            good = frozenset(value for value in values if accepts(each, value))
        series = [one for one in series if one.labels.get(each.label, "") in good]
    return series


def _check_labels(query: Query, metric: Name, of_metric: list[Series]) -> None:
    """Every label of a filter or of `by` must exist on at least one series of the metric."""
    known = {label for series in of_metric for label in series.labels}
    if all(series.metric != metric.text for series in of_metric):
        known.discard(classic.EDGE)
    named = [(each.label, each.start) for each in query.filters] + [(each.text, each.start) for each in query.by]
    for label, start in named:
        if label not in known:
            have = f"its labels are {listing(sorted(known), last='and')}" if known else "it has no labels"
            summary = f"`{metric.text}` has no label `{label}`: {have}{did_you_mean(label, known)}"
            raise QueryError(summary, query.text, start, start + len(label))


def _only_kind(query: Query, metric: Name, series: list[Series]) -> MetricKind:
    by_kind: dict[MetricKind, set[str]] = {}
    for each in sorted(series, key=lambda each: each.kind):
        by_kind.setdefault(_kind_of(each, metric.text), set()).add(each.labels.get("service", ""))
    if len(by_kind) == 1:
        return next(iter(by_kind))
    where = [f"a {kind.word} in {listing(sorted(services), last='and')}" for kind, services in by_kind.items()]
    summary = f"`{metric.text}` is {listing(where, last='and')}: choose with service=NAME"
    raise QueryError(summary, query.text, metric.start, metric.end)


def check_is_of_one(query: Query, name: Name, source: Source, labels: Sequence[str]) -> None:
    """A number that means nothing of several models, or features, together needs rows, or filters, of each.

    Raises `QueryError` if a row would mix several values of one of the labels.
    """
    for group in source.groups:
        mixed = [label for label in labels if len({series.labels.get(label, "") for series in group.series}) > 1]
        if mixed:
            by = ",".join([*(each.text for each in query.by), *mixed])
            choose = listing([f"{label}=NAME" for label in mixed], last="and")
            summary = (
                f"`{name.text}` is of one {' of one '.join(reversed(mixed))}: add `by {by}`, or choose with {choose}"
            )
            raise QueryError(summary, query.text, name.start, name.end)


def _choose_gauges(query: Query, series: list[Series], of_metric: Iterable[Series]) -> list[Series]:
    """The gauges combined across workers, or each worker's own if the query is about workers or hosts.

    What there is in only one of the two forms is answered from that one: the machine's own gauges have no workers.
    """
    named = {each.label for each in query.filters} | {each.text for each in query.by}
    per_worker = not named.isdisjoint(WORKER_LABELS)
    has_form = {_combined(each) for each in of_metric if ("worker" in each.labels) is per_worker}
    return [each for each in series if ("worker" in each.labels) is per_worker or _combined(each) not in has_form]


def _combined(series: Series) -> Key:
    """The labels of the combined series that a worker's gauge is part of; of one without a worker its own."""
    is_own = "worker" not in series.labels
    return tuple(sorted(label for label in series.labels.items() if is_own or label[0] not in WORKER_LABELS))


def _is_apart(query: Query, metric: Name, series: Iterable[Series]) -> bool:
    """True if the machine's series would be added to those of what runs on it."""
    if metric.text in SHARED_OUT or any(each.text == SERVICE for each in query.by):
        return False
    return len({_is_machine(each) for each in series}) > 1


def _is_machine(series: Series) -> bool:
    return series.labels.get(SERVICE) == MACHINE and "worker" not in series.labels


def _group(by: tuple[Name, ...], series: list[Series], *, is_apart: bool) -> tuple[Group, ...]:
    """Groups by the values of the `by` labels, in the order of those values.

    What overflowed its budget has lost its labels; it stays a row of its own, marked `overflow`, rather than
    be mistaken for samples with empty labels. So does what belongs to the machine, marked `service`, if it `is_apart`.
    """
    members: dict[Key, list[Series]] = {}
    for each in series:
        key = [(label.text, each.labels.get(label.text, "")) for label in by]
        lost_labels = any(label.text not in each.labels for label in by)
        if OVERFLOW in each.labels and lost_labels:
            key.append((OVERFLOW, each.labels[OVERFLOW]))
        if is_apart and _is_machine(each):
            key.append((SERVICE, MACHINE))
        members.setdefault(tuple(key), []).append(each)
    ordered = sorted(members, key=lambda key: [value for _, value in key])
    return tuple(Group(dict(key), tuple(members[key])) for key in ordered)

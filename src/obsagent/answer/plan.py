"""What a query reads: from names to series, groups and statistics.

A query that asks for something meaningless (a label that does not exist, a quantile of a counter) ends here,
in an error that points at the word. One that merely finds nothing gets a plan without groups that says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from obsagent.answer.language import Filter, Label, Query
from obsagent.answer.mistakes import QueryError, did_you_mean, listing
from obsagent.answer.stats import MEANING, Stat, default_stats, works_for
from obsagent.clock import window_start
from obsagent.samples import Kind, Series

WORKER_LABELS = frozenset({"worker", "host"})
OVERFLOW = "overflow"

DERIVED = frozenset({"error_rate", "psi", "js_distance", "roc_auc", "recall", "accuracy", "truth_maturity"})
"""Metrics that the full language computes from others."""


@dataclass(frozen=True, slots=True)
class Group:
    """Series that are answered as one row, under `labels` (those of `by`)."""

    labels: dict[str, str]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read and what to make of it.

    `from_ms` is the asked start; reading begins at `read_from_ms`, the start of its window. `services` are
    those whose losses touch the answer; None means all. `kind` is None if the metric is unknown.
    """

    query: Query
    from_ms: int
    to_ms: int
    kind: Kind | None = None
    unit: str = ""
    stats: tuple[Stat, ...] = ()
    groups: tuple[Group, ...] = ()
    services: frozenset[str] | None = None

    @property
    def read_from_ms(self) -> int:
        """Start of the window that holds `from_ms`."""
        return window_start(self.from_ms)


def plan(query: Query, every_series: Iterable[Series], now_ms: int) -> Plan:
    """The plan of `query` at `now_ms`; raises `QueryError` for what has no meaning."""
    from_ms = max(0, now_ms - query.since_ms)
    of_metric = [series for series in every_series if series.metric == query.metric]
    if not of_metric:
        _refuse_derived(query)
        return Plan(query, from_ms, now_ms)
    _check_labels(query, of_metric)
    matching = [series for series in of_metric if _passes(series, query.filters)]
    kind = _only_kind(query, matching or of_metric)
    stats = query.stats or default_stats(kind)
    _check_stats(query, kind)
    if kind is Kind.GAUGE:
        matching = _choose_gauges(query, matching)
    groups = _group(query.by, matching)
    if any(stat.name == "last" for stat in stats):
        _check_across(query, groups)
    return Plan(
        query=query,
        from_ms=from_ms,
        to_ms=now_ms,
        kind=kind,
        unit=next((series.unit for series in of_metric if series.unit), ""),
        stats=stats,
        groups=groups,
        services=_services(matching),
    )


def _passes(series: Series, filters: tuple[Filter, ...]) -> bool:
    return all(each.accepts(series.labels.get(each.label, "")) for each in filters)


def _refuse_derived(query: Query) -> None:
    if query.metric in DERIVED:
        summary = f"`{query.metric}` is computed from other metrics; that is not built yet"
        raise QueryError(summary, query.text, query.metric_start, query.metric_end)


def _check_labels(query: Query, of_metric: list[Series]) -> None:
    """Every label of a filter or of `by` must exist on at least one series of the metric."""
    known = {label for series in of_metric for label in series.labels}
    named = [(each.label, each.start) for each in query.filters] + [(each.name, each.start) for each in query.by]
    for label, start in named:
        if label not in known:
            have = f"its labels are {listing(sorted(known), last='and')}" if known else "it has no labels"
            summary = f"`{query.metric}` has no label `{label}`: {have}{did_you_mean(label, known)}"
            raise QueryError(summary, query.text, start, start + len(label))


def _only_kind(query: Query, series: list[Series]) -> Kind:
    kinds = sorted({each.kind for each in series})
    if len(kinds) == 1:
        return kinds[0]
    by_kind = {kind: sorted({each.labels.get("service", "") for each in series if each.kind is kind}) for kind in kinds}
    where = [f"a {kind.word} in {listing(services, last='and')}" for kind, services in by_kind.items()]
    summary = f"`{query.metric}` is {listing(where, last='and')}: choose with service=NAME"
    raise QueryError(summary, query.text, query.metric_start, query.metric_end)


def _check_stats(query: Query, kind: Kind) -> None:
    for stat in query.stats:
        if stat.word not in MEANING[kind]:
            summary = f"`{query.metric}` is a {kind.word}: it has no {stat.name}; ask for {listing(works_for(kind))}"
            raise QueryError(summary, query.text, stat.start, stat.end)


def _choose_gauges(query: Query, series: list[Series]) -> list[Series]:
    """The gauges combined across workers, or each worker's own if the query is about workers or hosts.

    A gauge that has only one of the two forms is answered from that one.
    """
    named = {each.label for each in query.filters} | {each.name for each in query.by}
    per_worker = not named.isdisjoint(WORKER_LABELS)
    chosen = [each for each in series if ("worker" in each.labels) is per_worker]
    return chosen or series


def _check_across(query: Query, groups: tuple[Group, ...]) -> None:
    for group in groups:
        ways = sorted({series.across for series in group.series})
        if len(ways) > 1:
            summary = (
                f"`{query.metric}` is combined across workers by {listing(ways, last='and')} "
                "in different services: choose with service=NAME or group by service"
            )
            raise QueryError(summary, query.text, query.metric_start, query.metric_end)


def _group(by: tuple[Label, ...], series: list[Series]) -> tuple[Group, ...]:
    """Groups by the values of the `by` labels, in the order of those values.

    What overflowed its budget has lost its labels; it stays a row of its own, marked `overflow`, rather than
    be mistaken for samples with empty labels.
    """
    members: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for each in series:
        key = [(label.name, each.labels.get(label.name, "")) for label in by]
        lost_labels = any(label.name not in each.labels for label in by)
        if OVERFLOW in each.labels and lost_labels:
            key.append((OVERFLOW, each.labels[OVERFLOW]))
        members.setdefault(tuple(key), []).append(each)
    ordered = sorted(members, key=lambda key: [value for _, value in key])
    return tuple(Group(dict(key), tuple(members[key])) for key in ordered)


def _services(series: list[Series]) -> frozenset[str] | None:
    services = [each.labels.get("service") for each in series]
    return frozenset(name for name in services if name) if services and all(services) else None

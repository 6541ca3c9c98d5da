"""From a view of the store to the families that are exported.

counters, histograms   their totals since the store began, whatever of it is still kept; they never go back
classic histograms     of other servers' pages: the totals of their parts, put together again
gauges                 the last value, combined over workers as the agent does once a second; none that is stale
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from obsagent._native.codec import Groups
from obsagent.export.family import Exemplar, Family, Labels, Point, Value
from obsagent.export.presence import Presence
from obsagent.export.scraped import assembled
from obsagent.exported import constant_labels, family_name, label_name, unit_word
from obsagent.head.totals import RunningTotals
from obsagent.head.view import View
from obsagent.limits import EXPORT_COMBINED_GAUGE_MS, EXPORT_EXEMPLARS_MS, EXPORT_GAUGE_MS
from obsagent.samples import Kind, Series
from obsagent.sketches import LogHist

PER_WORKER = ("worker", "host")
NOT_DESCRIBED = "Not described where it is recorded"


class Collected(NamedTuple):
    """The families by name, and what could not be exported, a sentence each."""

    families: list[Family]
    left_out: list[str]


class Collector:
    """Makes families of views, one after the other. Belongs to one thread at a time."""

    def __init__(self) -> None:
        """Reads nothing before the first view."""
        self._totals = RunningTotals()
        self._presence = Presence()
        self._sums: dict[int, tuple[int, float]] = {}

    def collect(self, view: View) -> Collected:
        """What is to be exported now; raises `StoreError`."""
        every = [series for series in view.series() if series.kind is not Kind.COLUMN]  # see `answer`, not a scrape
        groups = Groups({series.id: index for index, series in enumerate(every)}, len(every))
        self._totals.collect(view, groups)
        samples = {series.id: groups.samples(index) for index, series in enumerate(every)}
        present = self._presence.present(view, samples, every)
        combined = {_combined(series) for series in every if _is_of_worker(series)}
        index_of = {series.id: index for index, series in enumerate(every)}
        classic = assembled(every, present, lambda part: self._counted(groups, index_of[part.id], part))
        shown: list[tuple[Series, Value]] = [*classic.histograms]
        for index, series in enumerate(every):
            if series.id in classic.parts:
                continue
            value: Value | None
            if series.kind is Kind.GAUGE:
                value = _gauge(groups, index, series, combined, view.now_ms)
            else:
                value = self._total(groups, index, series) if series.id in present else None
            if value is not None:
                shown.append((series, value))
        return _families(shown, _exemplars(view, [series.id for series, _ in shown if series.kind is Kind.HISTOGRAM]))

    def _total(self, groups: Groups, index: int, series: Series) -> float | LogHist | None:
        if series.kind is Kind.COUNTER:
            return self._counted(groups, index, series)
        encoded = groups.histogram(index)
        return None if encoded is None else LogHist._from_compact(encoded)

    def _counted(self, groups: Groups, index: int, series: Series) -> float:
        count, total = groups.counter(index)
        return self._not_back(series.id, count, total)

    def _not_back(self, series_id: int, count: int, total: float) -> float:
        """A sum of floats depends in its last bit on its order, and less would be read as a counter that began anew."""
        known_count, known_total = self._sums.get(series_id, (0, 0.0))
        if known_count <= count:
            total = max(total, known_total)
        self._sums[series_id] = count, total
        return total


def _is_of_worker(series: Series) -> bool:
    return series.kind is Kind.GAUGE and "worker" in series.labels


def _combined(series: Series) -> tuple[str, Labels]:
    """What tells the combined series of a gauge from others."""
    return series.metric, tuple(sorted(label for label in series.labels.items() if label[0] not in PER_WORKER))


def _gauge(groups: Groups, index: int, series: Series, combined: set[tuple[str, Labels]], now_ms: int) -> float | None:
    if _is_of_worker(series):
        return None
    last = groups.gauge(index)
    fresh_ms = EXPORT_COMBINED_GAUGE_MS if _combined(series) in combined else EXPORT_GAUGE_MS
    return None if last is None or now_ms - last[1] > fresh_ms else last[0]


def _exemplars(view: View, histograms: Sequence[int]) -> dict[int, tuple[Exemplar, ...]]:
    """Series → the exemplars of the last minute: whoever scrapes less often misses some."""
    found: dict[int, tuple[Exemplar, ...]] = {}
    for each in view.collect_exemplars(histograms, view.now_ms - EXPORT_EXEMPLARS_MS, view.now_ms + 1):
        ids = (("trace_id", each.trace_id), ("request_id", each.request_id))
        labels = tuple((name, value) for name, value in ids if value)
        found[each.series_id] = (*found.get(each.series_id, ()), Exemplar(labels, each.value, each.time_ms))
    return found


def _families(shown: Iterable[tuple[Series, Value]], exemplars: dict[int, tuple[Exemplar, ...]]) -> Collected:
    families: dict[str, Family] = {}
    owners: dict[str, str] = {}
    taken: set[tuple[str, Labels]] = set()
    left_out: list[str] = []
    for series, value in shown:
        name = family_name(series.metric, series.kind, series.unit)
        family = families.get(name) or Family(name, series.kind, unit_word(series.unit), series.help)
        labels = exported_labels(dict(constant_labels(series.metric)) | series.labels, series.metric)
        clash = _clash(family, series, owners) or ("another series" if (name, labels) in taken else "")
        if clash:
            left_out.append(f"`{series.metric}` of {series.labels.get('service', 'no service')}: {clash} is {name} too")
            continue
        families[name] = family
        owners.update(dict.fromkeys(family.names(), name))
        taken.add((name, labels))
        family.help = series.help if family.help in ("", NOT_DESCRIBED) else family.help
        family.help = family.help or NOT_DESCRIBED
        family.points.append(Point(labels, value, _created(series), exemplars.get(series.id, ())))
    return Collected([families[name] for name in sorted(families)], list(dict.fromkeys(left_out)))


def _clash(family: Family, series: Series, owners: dict[str, str]) -> str:
    """What else has one of the family's names; empty if nothing has."""
    if family.kind is not series.kind:
        return f"a {family.kind.word}"
    return next((owners[name] for name in family.names() if owners.get(name, family.name) != family.name), "")


def _created(series: Series) -> int | None:
    return None if series.kind is Kind.GAUGE else (series.created_ms or None)


def exported_labels(labels: dict[str, str], metric: str = "") -> Labels:
    """A metric's labels under their exported names. Those that become one join their values; empty ones are none."""
    named: dict[str, str] = {}
    for label, value in sorted(labels.items()):
        if value:
            name = label_name(label, metric)
            named[name] = f"{named[name]};{value}" if name in named else value
    return tuple(sorted(named.items()))

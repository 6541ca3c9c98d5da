"""What there is to ask about: services, metrics, labels and their values.

The catalogue is a dict that goes into JSON as it is:

    services    [{"name", "versions", "hosts", "sessions": that are live, "last_ms"}], by name; `last_ms` is null
                where the store has forgotten the sessions (two hours after they ended)
    metrics     [{"name", "kind", "unit", "help", "series", "labels": {label: {"values", "count"}}, "services",
                "last_ms"}], by name; at most 200 values a label, the first ones in order; `count` counts them all; a
                classic histogram is one metric, without its `le`, instead of those of its counts
    events      [{"name", "services", "count": that are kept, "last_ms"}], by name
    models, references, features
                as `model_catalogue.py` says

Lists of names are sorted. Times are milliseconds since the epoch, or null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

from obsagent.answer import classic
from obsagent.answer.model_catalogue import model_catalogue
from obsagent.answer.stats import CLASSIC
from obsagent.answer.view import Clients, View
from obsagent.limits import CATALOGUE_VALUES
from obsagent.samples import Event, Series

INFO = "_info"
"""Metrics so called tell of versions of everything, and not of the service's."""

Catalogue = dict[str, Any]


def catalogue(view: View, service: str | None = None) -> Catalogue:
    """Everything in the view, or what belongs to one service; an unknown service has an empty catalogue."""
    metrics: dict[str, list[Series]] = {}
    services: dict[str, list[Series]] = {}
    for series in view.series():
        name = series.labels.get("service", "")
        if service is None or name == service:
            metrics.setdefault(series.metric, []).append(series)
            services.setdefault(name, []).append(series)
    classics = {name: _taken(name, metrics) for name in classic.names(chain.from_iterable(metrics.values()))}
    clients = view.clients_by_service()
    names = {name for name in (*services, *clients) if name and service in (None, name)}
    found = {
        "services": [_service(name, services.get(name, ()), clients.get(name)) for name in sorted(names)],
        "metrics": [
            *(_metric(name, metrics[name], view) for name in metrics if metrics[name]),
            *(_classic(name, parts, view) for name, parts in classics.items()),
        ],
        "events": _events(view.events(), service),
        **model_catalogue(
            [each for each in view.series() if service in (None, each.labels.get("service", ""))],
            view.ledger if service is None else None,
        ),
    }
    found["metrics"].sort(key=lambda metric: metric["name"])
    return found


def _service(name: str, of_service: Iterable[Series], clients: Clients | None) -> Catalogue:
    values = _label_values(series for series in of_service if not series.metric.endswith(INFO))
    return {
        "name": name,
        "versions": sorted(values.get("version", ())),
        "hosts": sorted(values.get("host", ())),
        "sessions": clients.live if clients else 0,
        "last_ms": clients.last_ms if clients else None,
    }


def _metric(name: str, of_metric: list[Series], view: View) -> Catalogue:
    values = _label_values(of_metric)
    return {
        "name": name,
        "kind": of_metric[0].kind.word,
        "unit": next((series.unit for series in of_metric if series.unit), ""),
        "help": next((series.help for series in of_metric if series.help), ""),
        "series": len(of_metric),
        "labels": {label: _values(values[label]) for label in sorted(values)},
        "services": sorted(values.get("service", ())),
        "last_ms": view.metric_last_ms(name),
    }


def _taken(name: str, metrics: dict[str, list[Series]]) -> list[Series]:
    """The series of a classic histogram, taken out of the metrics that they are by themselves."""
    named = [name + suffix for suffix in classic.SUFFIXES]
    parts = classic.series_of(name, chain.from_iterable(metrics.get(each, ()) for each in named))
    ids = {each.id for each in parts}
    for each in named:
        metrics[each] = [series for series in metrics.get(each, ()) if series.id not in ids]
    return parts


def _classic(name: str, parts: list[Series], view: View) -> Catalogue:
    """One metric: its edges are no label of it, and its series are those that have all edges."""
    whole = [replace(each, labels={key: value for key, value in each.labels.items() if key != "le"}) for each in parts]
    last_ms = [at for each in {part.metric for part in parts} if (at := view.metric_last_ms(each)) is not None]
    return {
        **_metric(name, whole, view),
        "kind": CLASSIC.word,
        "series": len({tuple(sorted(each.labels.items())) for each in whole}),
        "last_ms": max(last_ms, default=None),
    }


def _events(every: Iterable[Event], service: str | None) -> list[Catalogue]:
    by_name: dict[str, list[Event]] = {}
    for event in every:
        if service in (None, event.labels.get("service")):
            by_name.setdefault(event.name, []).append(event)
    return [
        {
            "name": name,
            "services": sorted({event.labels.get("service", "") for event in events}),
            "count": len(events),
            "last_ms": max(event.at_ms for event in events),
        }
        for name, events in sorted(by_name.items())
    ]


def _values(values: set[str]) -> Catalogue:
    return {"values": sorted(values)[:CATALOGUE_VALUES], "count": len(values)}


def _label_values(every: Iterable[Series]) -> dict[str, set[str]]:
    """Label → its distinct values, empty ones left out."""
    found: dict[str, set[str]] = {}
    for series in every:
        for label, value in series.labels.items():
            if value:
                found.setdefault(label, set()).add(value)
    return found

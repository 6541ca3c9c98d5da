"""What has drifted: every feature with its reference, most severe first. What `obsagent drift` shows.

The report is a dict that goes into JSON as it is; times are ISO 8601 in UTC:

    from, to, covered   as in an answer (`obsagent.answer.execute`)
    models      [{"model", "version", "variant", "alpha", "against", "false_alarms": {"days", "says"},
                  "judged": {level: {"until", "features": how many are judged at it}}}]
    features    [{"model", "version", "variant", "feature", "labels": {what `by` names}, "kind": number or category,
                  "reference", "samples", "importance", "severity", "standardised",
                  "psi", "js_distance", "ks", "ks_gap", "wasserstein": null where they have no meaning,
                  "alarm": null or {"since", "raised", "window", "log10_evalue"}, of those that go on the first one
                  "evidence": {level: {"log10_evalue", "until", "samples", "stands_out"}} of the last window judged,
                  "histogram": null or {"bins": [label], "edges" or "categories", "reference": [share],
                                        "current": [share]}, both over the same bins
                 }] by severity; `prediction.value` and `prediction.score` are among them
    alarms      [{"model", "version", "variant", "feature", "slice", "window", "since", "raised", "ended": null while it
                  goes on, "log10_evalue"}] newest first: those that go on, and those that ended within the time
    without_reference   [{"model", "version", "variant", "feature"}]
    [empty]     why there are no features
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import tzinfo
from itertools import pairwise
from typing import Any

from obsagent.answer.empty import no_reference_of
from obsagent.answer.expected import Expected, References
from obsagent.answer.feature_counts import Counted, all_bins, are_comparable
from obsagent.answer.feature_metrics import FIGURES, standardised
from obsagent.answer.instants import iso_utc
from obsagent.answer.view import View
from obsagent.evaluate.asked import Asked, FeatureRow, read
from obsagent.evaluate.chart import Chart
from obsagent.evaluate.family import Alarm, ChartKey
from obsagent.evaluate.levels import LEVELS
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import Judged, State

Report = dict[str, Any]
SettingsOf = Callable[[str], Settings]
FIGURES_SHOWN = ("psi", "js_distance", "ks", "wasserstein")
BESIDES = ("null or NaN", "-infinity", "+infinity", "wrong type")
EDGE_DIGITS = 4


def drift_report(
    words: str,
    view: View,
    references: References,
    state: State,
    settings: SettingsOf,
    now_ms: int,
    zone: tzinfo | None = None,
) -> Report:
    """The report on what filters, range and `top` in `words` choose; raises `QueryError` for a mistake in them."""
    asked = read(words, "drift", view, references, now_ms, zone, steps=False)
    compared = [row for row in asked.rows if row.row.expected is not None]
    alone = [row for row in asked.rows if row.row.expected is None]
    features = sorted((_feature(row, state) for row in compared), key=_by_severity)
    if asked.query.limit:
        features = features[: asked.query.limit.count]
    report: Report = {
        "from": iso_utc(asked.span.from_ms),
        "to": iso_utc(asked.span.to_ms),
        "covered": _covered(asked),
        "models": [_model(judged, settings, state) for judged in _models(asked)],
        "features": features,
        "alarms": _alarms(asked, state),
        "without_reference": [{**_of(row.judged), "feature": row.feature} for row in alone],
    }
    if not features:
        report["empty"] = asked.empty or no_reference_of(asked.series)
    return report


def _covered(asked: Asked) -> Report | None:
    if asked.covered is None:
        return None
    return {"from": iso_utc(asked.covered.from_ms), "to": iso_utc(asked.covered.to_ms)}


def _of(judged: Judged) -> Report:
    return {"model": judged.model, "version": judged.version, "variant": judged.variant}


def _models(asked: Asked) -> list[Judged]:
    return sorted({row.judged for row in asked.rows})


def _model(judged: Judged, settings: SettingsOf, state: State) -> Report:
    chosen = settings(judged.model)
    families = state.levels.get(judged, {})
    return {
        **_of(judged),
        "alpha": chosen.alpha,
        "against": chosen.against,
        "tolerance": chosen.tolerance,
        "false_alarms": {"days": chosen.days, "says": chosen.rate},
        "judged": {
            name: {"until": iso_utc(family.next_ms), "features": len(family.charts)}
            for name, family in families.items()
            if family.charts
        },
    }


def _feature(row: FeatureRow, state: State) -> Report:
    expected, found = row.row.expected, row.row.found
    assert expected is not None
    times = standardised(expected, found) if found else None
    figures = {name: _figure(name, expected, found) for name in FIGURES_SHOWN}
    key = ChartKey(row.feature, expected.reference, _slice_of(row.labels))
    return {
        **_of(row.judged),
        "feature": row.feature,
        "labels": row.labels,
        "kind": "number" if expected.is_number else "category",
        "reference": expected.reference,
        "samples": found.samples if found else 0,
        "importance": expected.importance,
        "severity": None if times is None else expected.importance * times,
        "standardised": times,
        **figures,
        "ks_gap": _gap(expected, found),
        "alarm": _alarm(state, row.judged, key),
        "evidence": _evidence(state, row.judged, key),
        "histogram": histogram(expected, found) if found else None,
    }


def _slice_of(labels: dict[str, str]) -> str:
    """The chart of what one label of `by` names; of several there is none."""
    named = [f"{label}={value}" for label, value in labels.items()]
    return named[0] if len(named) == 1 else ",".join(named)


def _figure(name: str, expected: Expected, found: Counted | None) -> float | int | None:
    compare = FIGURES[name].compare
    return compare(expected, found).value if compare and found else None


def _gap(expected: Expected, found: Counted | None) -> float | None:
    compare = FIGURES["ks"].compare
    bound = compare(expected, found).error_bound if compare and found else None
    return float(bound["absolute"]) if isinstance(bound, dict) else None


def _alarm(state: State, judged: Judged, key: ChartKey) -> Report | None:
    families = state.levels.get(judged, {}).values()
    going_on = [family.alarms[key] for family in families if key in family.alarms]
    first = min(going_on, key=lambda alarm: alarm.since_ms, default=None)
    if first is None:
        return None
    return {
        "since": iso_utc(first.since_ms),
        "raised": iso_utc(first.raised_ms),
        "window": first.level,
        "log10_evalue": first.log_e / math.log(10),
    }


def _evidence(state: State, judged: Judged, key: ChartKey) -> Report:
    families = state.levels.get(judged, {})
    charts = {level.name: families[level.name].charts.get(key) for level in LEVELS if level.name in families}
    return {name: _chart(chart) for name, chart in charts.items() if chart is not None and chart.count}


def _chart(chart: Chart) -> Report:
    return {
        "log10_evalue": chart.last_log_e / math.log(10),
        "until": iso_utc(chart.last_ms),
        "samples": chart.samples,
        "stands_out": chart.flagged,
    }


def _by_severity(feature: Report) -> tuple[bool, float, str]:
    """What has an alarm comes first among equals; what cannot be compared last."""
    severity = feature["severity"]
    return severity is None, -(severity or 0.0), feature["feature"]


def _alarms(asked: Asked, state: State) -> list[Report]:
    """Of the models and features that were asked for."""
    known = {(row.judged, row.feature) for row in asked.rows}
    every = [
        (judged, alarm)
        for judged, families in state.levels.items()
        for family in families.values()
        for alarm in family.alarms.values()
    ]
    every += [(judged, alarm) for judged, alarm in state.ended if alarm.ended_ms > asked.span.from_ms]
    shown = [(judged, alarm) for judged, alarm in every if (judged, alarm.feature) in known]
    return [_shown(judged, alarm) for judged, alarm in sorted(shown, key=lambda item: -item[1].raised_ms)]


def _shown(judged: Judged, alarm: Alarm) -> Report:
    return {
        **_of(judged),
        "feature": alarm.feature,
        "slice": alarm.slice,
        "window": alarm.level,
        "since": iso_utc(alarm.since_ms),
        "raised": iso_utc(alarm.raised_ms),
        "ended": iso_utc(alarm.ended_ms) if alarm.ended_ms else None,
        "log10_evalue": alarm.log_e / math.log(10),
    }


def histogram(expected: Expected, found: Counted) -> Report | None:
    """Both over the same bins, as shares of all samples; what neither has is left out at the ends."""
    if not are_comparable(expected, found):
        return None
    reference, current = all_bins(expected, found)
    labels = [*_labels(expected), *BESIDES]
    total, count = sum(reference), sum(current)
    shown = [
        (label, one / total if total else 0.0, other / count)
        for number, (label, one, other) in enumerate(zip(labels, reference, current, strict=True))
        if one or other or _is_inside(number, expected)
    ]
    bins: Report = {
        "bins": [label for label, _, _ in shown],
        "reference": [one for _, one, _ in shown],
        "current": [other for _, _, other in shown],
    }
    return bins | ({"edges": list(expected.edges)} if expected.is_number else {"categories": list(expected.categories)})


def _is_inside(number: int, expected: Expected) -> bool:
    """True for a bin between the edges; those at the ends are left out where there is nothing in them."""
    return expected.is_number and 0 < number < len(expected.counts) - 1


def _labels(expected: Expected) -> Iterable[str]:
    if not expected.is_number:
        return [*expected.categories, "(others)"]
    edges = [f"{edge:.{EDGE_DIGITS}g}" for edge in expected.edges]
    inner = [f"{low} … {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *inner, f"above {edges[-1]}"] if edges else ["below", "above"]

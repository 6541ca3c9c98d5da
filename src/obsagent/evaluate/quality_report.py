"""What is wrong with the data that models are given. What `obsagent quality` shows.

The report is a dict that goes into JSON as it is; times are ISO 8601 in UTC:

    from, to, covered   as in an answer (`obsagent.answer.execute`)
    models      [{"model", "version", "variant", "reference": null if there is none, "features": that came, "rows",
                  "dropped": [features that the configuration keeps in the model's process: they are not missing]}]
    findings    [{"model", "version", "variant", "feature": empty if it is of all, "labels": {what `by` names},
                  "finding": missing_feature, extra_feature, silent, missing, null, nan, infinite, wrong_type,
                             out_of_range, unseen or constant; stopped, stale or type_change (`evaluate.changes`);
                             duplicates (`evaluate.duplicates`); lost or overflow (`evaluate.lost`)
                  "severity": high, medium or low; "share", "expected": null where it is none; "says",
                  "since": null if it began before the time, "samples", "look": the query that shows more
                 }] by severity and importance
    [empty]     why nothing could be looked at; without findings and without this all is well
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, TypeAlias

from obsagent.answer.durations import format_duration
from obsagent.answer.expected import References
from obsagent.answer.instants import iso_utc
from obsagent.answer.of_features import FEATURE
from obsagent.answer.view import View
from obsagent.evaluate.asked import Asked, FeatureRow, Step, read
from obsagent.evaluate.changes import Change, changes
from obsagent.evaluate.duplicates import duplicates
from obsagent.evaluate.findings import HIGH, LOW, SEVERITIES, Finding, findings
from obsagent.evaluate.lost import lost, overflowed
from obsagent.evaluate.state import Judged

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and where it was made."""

    judged: Judged
    feature: str
    labels: dict[str, str]
    finding: Finding
    samples: int
    since_ms: int | None = None
    importance: float = 1.0
    service: str = ""
    """What is of a service is not of one model alone."""


Drops: TypeAlias = Callable[[str], Collection[str]]
"""Which columns of a model its configuration drops."""


def quality_report(
    words: str,
    view: View,
    references: References,
    now_ms: int,
    zone: tzinfo | None = None,
    drops: Drops = lambda _: (),
) -> Report:
    """The report on what filters and range in `words` choose; raises `QueryError` for a mistake in them."""
    asked = read(words, "quality", view, references, now_ms, zone, steps=True)
    found = [each for rows in _together(asked.rows) for each in _of_rows(rows, references)]
    found += _schema(asked, view, references, drops)
    found += _of_services(asked, view)
    found.sort(key=_by_severity)
    if asked.query.limit:
        found = found[: asked.query.limit.count]
    report: Report = {
        "from": iso_utc(asked.span.from_ms),
        "to": iso_utc(asked.span.to_ms),
        "covered": None,
        "models": [_model(judged, asked, references, drops) for judged in sorted({row.judged for row in asked.rows})],
        "findings": [_shown(each, asked) for each in found],
    }
    if asked.covered:
        report["covered"] = {"from": iso_utc(asked.covered.from_ms), "to": iso_utc(asked.covered.to_ms)}
    if asked.empty and not found:
        report["empty"] = asked.empty
    return report


def _model(judged: Judged, asked: Asked, references: References, drops: Drops) -> Report:
    rows = [row for row in asked.rows if row.judged == judged]
    return {
        "model": judged.model,
        "version": judged.version,
        "variant": judged.variant,
        "reference": references.current(judged.model, judged.version) or None,
        "features": len({row.feature for row in rows}),
        "rows": max((row.rows for row in rows), default=0),
        "dropped": sorted(drops(judged.model)),
    }


def _together(rows: Iterable[FeatureRow]) -> list[dict[str, FeatureRow]]:
    """Features by name, those together that are of the same rows."""
    found: dict[tuple[Judged, frozenset[tuple[str, str]]], dict[str, FeatureRow]] = {}
    for row in rows:
        found.setdefault((row.judged, frozenset(row.labels.items())), {})[row.feature] = row
    return list(found.values())


def _of_rows(features: dict[str, FeatureRow], references: References) -> Iterator[Found]:
    """What is wrong with features of the same rows."""
    steps = zip(*(row.steps for row in features.values()), strict=True)
    rows = [_rows_in(each) for each in steps]
    for row in features.values():
        yield from _of_row(row, rows, references)
    first = next(iter(features.values()))
    for change in duplicates(features):
        samples = max(row.row.every.samples for row in features.values())
        yield Found(first.judged, "", first.labels, change.finding, samples, change.since_ms)


def _rows_in(steps: Sequence[Step]) -> int:
    """How many rows there were: where nobody has counted them, as many as any feature has values."""
    counted = max(step.rows for step in steps)
    return counted or max(step.row.every.samples if step.row else 0 for step in steps)


INSTEAD = {"missing": "stopped", "wrong_type": "type_change"}
"""What says less than another finding of the same feature."""


def _of_row(row: FeatureRow, rows: Sequence[int], references: References) -> Iterator[Found]:
    importance = row.row.expected.importance if row.row.expected else 1.0
    is_extra = row.row.expected is None and references.current(row.judged.model, row.judged.version) != ""
    changed = list(changes(row, rows))
    said = {each.finding.what for each in changed}
    if is_extra:
        said.add("stopped")  # nobody has said that every row has it
        changed = [each for each in changed if each.finding.what != "stopped"]
    for finding in findings(row.row, row.rows):
        if INSTEAD.get(finding.what) not in said:
            changed.append(Change(finding, _since(row.steps, finding)))
    for change in changed:
        samples = row.row.every.samples
        yield Found(row.judged, row.feature, row.labels, change.finding, samples, change.since_ms, importance)


def _of_services(asked: Asked, view: View) -> Iterator[Found]:
    """What was lost of all that the services of these models record; it may be of features, or of something else."""
    if FEATURE in {each.label for each in asked.query.filters}:
        return  # nobody knows of which feature it was
    services: dict[str, Judged] = {}
    for series in asked.series:
        services.setdefault(series.labels.get("service", ""), _judged_of(series.labels))
    span = asked.span.from_ms, asked.span.to_ms
    for service, finding in (*lost(view, services, *span), *overflowed(view, services, *span)):
        yield Found(services[service], "", {}, finding, 0, service=service)


def _since(steps: Iterable[Step], finding: Finding) -> int | None:
    """Start of the steps at the end of the time that all have it; None if the first one with samples has it too.

    One that comes and goes is there since it came last; in steps without samples nothing is known.
    """
    since_ms: int | None = None
    is_first = True
    for step in steps:
        if step.row is None:
            continue
        has_it = any(each.what == finding.what for each in findings(step.row, step.rows))
        if not has_it:
            since_ms, is_first = None, False
        elif since_ms is None and not is_first:
            since_ms = step.span.from_ms
    return since_ms


def _schema(asked: Asked, view: View, references: References, drops: Drops) -> list[Found]:
    """Features that a reference has and that do not come, and those that come and that it does not have."""
    found: list[Found] = []
    came = {(row.judged, row.feature) for row in asked.rows}
    known = {_judged_of(series.labels) for series in asked.series}
    chosen = {each.label for each in asked.query.filters}
    for judged in sorted(known):
        reference = references.current(judged.model, judged.version)
        wanted = references.features(reference) if reference else ()
        features = {feature for each, feature in came if each == judged}
        if not features:
            found += _silent(judged, asked, view)
            continue
        if not wanted or FEATURE in chosen:
            continue
        absent = set(wanted) - features - set(drops(judged.model))
        found += [_missing(judged, name, asked, view) for name in sorted(absent)]
        for name in sorted(features - set(wanted)):
            says = "it comes, and the reference does not have it: nothing of it is compared"
            finding = Finding("extra_feature", LOW, 1.0, None, says, "null_share")
            found.append(Found(judged, name, {}, finding, _samples(asked, judged, name)))
    return found


def _judged_of(labels: dict[str, str]) -> Judged:
    return Judged(labels.get("model", ""), labels.get("version", ""), labels.get("variant", ""))


def _samples(asked: Asked, judged: Judged, feature: str) -> int:
    return sum(row.row.every.samples for row in asked.rows if (row.judged, row.feature) == (judged, feature))


def _last_ms(judged: Judged, feature: str | None, asked: Asked, view: View) -> int | None:
    """End of the newest window with a sample of a feature, or of any."""
    ids = [
        series.id
        for series in asked.series
        if _judged_of(series.labels) == judged and feature in (None, series.labels.get(FEATURE))
    ]
    seen = view.last_samples(ids, 0) if ids else {}
    return max((end_ms for _, end_ms in seen.values()), default=None)


def _missing(judged: Judged, feature: str, asked: Asked, view: View) -> Found:
    last_ms = _last_ms(judged, feature, asked, view)
    says = "the reference has it, and it does not come" + ("" if last_ms else ", nor ever did")
    finding = Finding("missing_feature", HIGH, 1.0, 0.0, says, "missing_share")
    return Found(judged, feature, {}, finding, 0, last_ms)


def _silent(judged: Judged, asked: Asked, view: View) -> list[Found]:
    """A version of which nothing has come in the asked time, though it has before."""
    last_ms = _last_ms(judged, None, asked, view)
    if last_ms is None or last_ms > asked.span.to_ms:
        return []
    silent = format_duration(max(asked.span.to_ms - last_ms, 0) // 1000 * 1000)
    finding = Finding("silent", LOW, 1.0, None, f"no features for {silent}", "null_share")
    return [Found(judged, "", {}, finding, 0, last_ms)]


def _by_severity(found: Found) -> tuple[Any, ...]:
    finding = found.finding
    return (SEVERITIES.index(finding.severity), -finding.share * found.importance, found.judged, found.feature)


def _shown(found: Found, asked: Asked) -> Report:
    return {
        "model": found.judged.model,
        "version": found.judged.version,
        "variant": found.judged.variant,
        "feature": found.feature,
        "labels": found.labels,
        "finding": found.finding.what,
        "severity": found.finding.severity,
        "share": found.finding.share,
        "expected": found.finding.expected,
        "says": found.finding.says,
        "since": None if found.since_ms is None else iso_utc(found.since_ms),
        "samples": found.samples,
        "look": _look(found, asked),
    }


LOOK_BY = {"lost": " by outcome", "overflow": " by model"}


def _look(found: Found, asked: Asked) -> str:
    """The query that shows how it went; values with spaces are quoted for the query, and so for a shell."""
    labels = {**found.judged.labels, **({FEATURE: found.feature} if found.feature else {}), **found.labels}
    grouped = "" if found.feature else " by feature"
    if found.service:
        labels, grouped = {"service": found.service}, LOOK_BY[found.finding.what]
    filters = " ".join(f"{label}={_quoted(value)}" for label, value in labels.items())
    step = f" step {format_duration(asked.step_ms)}" if asked.step_ms else ""
    return f"obsagent query {found.finding.metric} {filters}{grouped} {asked.query.range.text}{step}"


def _quoted(value: str) -> str:
    plain = value and all(character.isalnum() or character in "._-/:" for character in value)
    return value if plain else "'\"" + value.replace('"', '\\"') + "\"'"

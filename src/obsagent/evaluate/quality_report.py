"""What is wrong with the data that models are given. What `obsagent quality` shows.

The report is a dict that goes into JSON as it is; times are ISO 8601 in UTC:

    from, to, covered   as in an answer (`obsagent.answer.execute`)
    models      [{"model", "version", "variant", "reference": null if there is none, "features": that came, "rows"}]
    findings    [{"model", "version", "variant", "feature", "labels": {what `by` names},
                  "finding": missing_feature, extra_feature, silent, missing, null, nan, infinite, wrong_type,
                             out_of_range, unseen or constant
                  "severity": high, medium or low; "share", "expected": null where it is none; "says",
                  "since": null if it began before the time, "samples", "look": the query that shows more
                 }] by severity and importance
    [empty]     why nothing could be looked at; without findings and without this all is well
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.answer.expected import References
from obsagent.answer.instants import iso_utc
from obsagent.answer.of_features import FEATURE
from obsagent.answer.view import View
from obsagent.evaluate.asked import Asked, FeatureRow, Step, read
from obsagent.evaluate.findings import HIGH, LOW, SEVERITIES, Finding, findings
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


def quality_report(words: str, view: View, references: References, now_ms: int, zone: tzinfo | None = None) -> Report:
    """The report on what filters and range in `words` choose; raises `QueryError` for a mistake in them."""
    asked = read(words, "quality", view, references, now_ms, zone, steps=True)
    found = [each for row in asked.rows for each in _of_row(row, references)]
    found += _schema(asked, view, references)
    found.sort(key=_by_severity)
    if asked.query.limit:
        found = found[: asked.query.limit.count]
    report: Report = {
        "from": iso_utc(asked.span.from_ms),
        "to": iso_utc(asked.span.to_ms),
        "covered": None,
        "models": [_model(judged, asked, references) for judged in sorted({row.judged for row in asked.rows})],
        "findings": [_shown(each, asked) for each in found],
    }
    if asked.covered:
        report["covered"] = {"from": iso_utc(asked.covered.from_ms), "to": iso_utc(asked.covered.to_ms)}
    if asked.empty and not found:
        report["empty"] = asked.empty
    return report


def _model(judged: Judged, asked: Asked, references: References) -> Report:
    rows = [row for row in asked.rows if row.judged == judged]
    return {
        "model": judged.model,
        "version": judged.version,
        "variant": judged.variant,
        "reference": references.current(judged.model, judged.version) or None,
        "features": len({row.feature for row in rows}),
        "rows": max((row.rows for row in rows), default=0),
    }


def _of_row(row: FeatureRow, references: References) -> Iterator[Found]:
    importance = row.row.expected.importance if row.row.expected else 1.0
    is_extra = row.row.expected is None and references.current(row.judged.model, row.judged.version) != ""
    for finding in findings(row.row, row.rows):
        if is_extra and finding.what == "missing":
            continue  # nobody has said that every row has it
        since_ms = _since(row.steps, finding)
        yield Found(row.judged, row.feature, row.labels, finding, row.row.every.samples, since_ms, importance)


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


def _schema(asked: Asked, view: View, references: References) -> list[Found]:
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
        found += [_missing(judged, name, asked, view) for name in wanted if name not in features]
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


def _look(found: Found, asked: Asked) -> str:
    """The query that shows how it went; values with spaces are quoted for the query, and so for a shell."""
    labels = {**found.judged.labels, **({FEATURE: found.feature} if found.feature else {}), **found.labels}
    filters = " ".join(f"{label}={_quoted(value)}" for label, value in labels.items())
    grouped = "" if found.feature else " by feature"
    step = f" step {format_duration(asked.step_ms)}" if asked.step_ms else ""
    return f"obsagent query {found.finding.metric} {filters}{grouped} {asked.query.range.text}{step}"


def _quoted(value: str) -> str:
    plain = value and all(character.isalnum() or character in "._-/:" for character in value)
    return value if plain else "'\"" + value.replace('"', '\\"') + "\"'"

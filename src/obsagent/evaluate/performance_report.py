"""How good models are: metrics beside their estimates and their reference. What `obsagent performance` shows.

The report is a dict that goes into JSON as it is; times are ISO 8601 in UTC:

    from, to, covered   as in an answer (`obsagent.answer.execute`)
    confidence  of all intervals
    rows        [{"model", "version", "variant", "labels": {what `by` names},
                  "task": two classes, classes or numbers, "positive": the positive class, null if there is none,
                  "reference": id of the configured reference, null without one,
                  "maturity": {"predictions", "truths", "share"}, "watermark": until when truths are nearly complete,
                  null if they never are,
                  "of_neither": truths that name neither of two classes, and are left out of all metrics,
                  "confusion": null of numbers, else {"classes": [name], "counts": [[truth's row by predicted class]]},
                  "metrics": {name: {"value", "low", "high", "bound": that of bins, "why": there is no value,
                                     "estimate": null or {"value", "low", "high", "standard_error"} before truths,
                                     "reference": null or {"value", "low", "high"},
                                     "verdict": worse or better than the reference beyond both intervals, same, or null
                                     where nothing can be said}}
                 }] by model, version, variant and labels
    rivals      [{"model", "labels", "first": {"version", "variant"}, "second": {"version", "variant"},
                  "truths": of requests that both predicted, "first_wrong", "second_wrong": that only one got wrong,
                  "difference", "low", "high": of the error rates, or mean |error|, second less first,
                  "p_value", "anytime_p_value": of classes (`obsagent.performance.paired_test`), else null,
                  "better": first, second, or null if that may be chance}]
    [gaps]      [{"from", "to", "reason"}]: parts of the time of which something is lost
    [empty]     why there are no rows
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from typing import Any

from obsagent.answer.empty import why_empty
from obsagent.answer.expected import References
from obsagent.answer.gather import gather
from obsagent.answer.instants import iso_utc
from obsagent.answer.of_outcomes import MODEL, OfOutcomes, of_outcomes
from obsagent.answer.outcome_metrics import TRUTHS
from obsagent.answer.plan import Plan
from obsagent.answer.query import Name, Query
from obsagent.answer.ranges import Span, resolve
from obsagent.answer.view import View
from obsagent.evaluate.asked import command_query
from obsagent.evaluate.levels import DAY_MS

Report = dict[str, Any]

NAMED = (MODEL, "version", "variant")
SINCE_MS = 7 * DAY_MS


def performance_report(
    words: str, view: View, references: References, now_ms: int, zone: tzinfo | None = None
) -> Report:
    """The report on what filters, `by` and range in `words` choose; raises `QueryError` for a mistake in them."""
    query = _by_version(command_query(words, "performance", TRUTHS, SINCE_MS, takes_top=False))
    span = resolve(query, view, now_ms, zone)
    output = of_outcomes(query, query.terms[0], view.ledger)
    report: Report = {"from": iso_utc(span.from_ms), "to": iso_utc(span.to_ms), "covered": None}
    planned = Plan(query, span, (output,), None, (0.0,))
    report |= _judged(planned, output, view, references)
    if not report["rows"]:
        report["empty"] = why_empty(planned, view, now_ms, zone, [])
    return report


def _by_version(query: Query) -> Query:
    """Versions and variants are judged one by one, whatever else is asked for."""
    by = [Name(label) for label in NAMED if label not in [name.text for name in query.by]]
    return replace(query, by=(*by, *query.by))


def _judged(planned: Plan, output: OfOutcomes, view: View, references: References) -> Report:
    """What was read of the ledger, which alone needs numpy."""
    gathered = gather(planned, view)
    if gathered.outcomes is None or view.ledger is None or not output.source.groups:
        return {"confidence": None, "rows": [], "rivals": []}
    from obsagent.answer.outcome_rows import OutcomeRows
    from obsagent.evaluate.judged_rows import judged_row
    from obsagent.evaluate.rivals import rivals
    from obsagent.performance.counts import CONFIDENCE

    groups = output.source.groups
    rows = OutcomeRows(gathered.outcomes, groups, references)
    found = [(group, row) for group in groups if (row := judged_row(rows, group)) is not None]
    gaps = [gap for gap in view.ledger.gaps() if gap.from_ms < planned.span.to_ms and gap.to_ms > planned.span.from_ms]
    return {
        "covered": _times(gathered.covered) if gathered.covered else None,
        "confidence": CONFIDENCE,
        "rows": [row for _, row in found],
        "rivals": rivals(view.ledger, [(group, row["task"]) for group, row in found], planned.span),
        **({"gaps": [{**_times(Span(gap.from_ms, gap.to_ms)), "reason": gap.reason} for gap in gaps]} if gaps else {}),
    }


def _times(span: Span) -> Report:
    return {"from": iso_utc(span.from_ms), "to": iso_utc(span.to_ms)}

"""`--explain`: what was read for an answer, and the PromQL that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obsagent.answer.plan import Plan
from obsagent.answer.promql import promql
from obsagent.answer.query import Between, Day
from obsagent.answer.ranges import Span
from obsagent.answer.view import Reads

COUNTS = ("segments", "blocks", "frames", "bytes", "raw_bytes", "head_windows")


def explain(plan: Plan, covered: Span | None, reads: Sequence[Reads], took_ms: float) -> dict[str, Any]:
    """`{"reads": {"segments", "blocks", "frames", "bytes", "raw_bytes", "head_windows", "ms"}, "promql", "notes"}`."""
    counted: dict[str, Any] = {name: sum(getattr(each, name) for each in reads) for name in COUNTS}
    counted["ms"] = round(took_ms, 3)
    when = plan.query.range.when
    is_past = (isinstance(when, Between) and when.end is not None) or (isinstance(when, Day) and when.days_ago > 0)
    queries, notes = promql(plan, is_past=is_past, covered=covered)
    versus = plan.query.versus
    if versus is not None:
        notes.append(f"`vs {versus.text}` is a second query" + (" with `offset`" if versus.earlier_ms else ""))
    return {"reads": counted, "promql": queries, "notes": notes}

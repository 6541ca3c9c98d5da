"""`vs`: the same question about another time or with another filter, and what has changed beyond the error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from obsagent.answer.measure import Estimate, Measured
from obsagent.answer.query import Query, Versus
from obsagent.answer.ranges import Span
from obsagent.answer.rows import Row
from obsagent.answer.select import Key
from obsagent.answer.stats import Stat


def other_query(query: Query, versus: Versus) -> Query:
    """The question about the other side: `vs version=3` takes the place of what is said about `version`.

    Asked `by version`, every version is compared with that one.
    """
    if versus.filter is None:
        return replace(query, versus=None)
    label = versus.filter.label
    kept = tuple(each for each in query.filters if each.label != label)
    by = tuple(each for each in query.by if each.text != label)
    return replace(query, versus=None, filters=(*kept, versus.filter), by=by)


def other_key(row: Row, versus: Versus) -> tuple[str, Key]:
    """Which row of the other side belongs to a row of this one."""
    dropped = versus.filter.label if versus.filter else None
    return row.output.name, tuple(pair for pair in row.key if pair[0] != dropped)


def other_span(span: Span, versus: Versus) -> Span:
    """The other side's time."""
    return span.earlier(versus.earlier_ms)


def with_gone(rows: list[Row], others: Iterable[Row], query: Query) -> list[Row]:
    """The rows, and for each that is only on the other side one without numbers."""
    if query.versus and query.versus.filter and query.versus.filter.label in [each.text for each in query.by]:
        return rows  # the other side is one row for many
    known = {(row.output.name, row.key) for row in rows}
    gone = [_empty(row) for row in others if (row.output.name, row.key) not in known]
    if not gone:
        return rows
    names = list(dict.fromkeys(row.output.name for row in [*rows, *gone]))
    return sorted([*rows, *gone], key=lambda row: (names.index(row.output.name), [value for _, value in row.key]))


def _empty(row: Row) -> Row:
    nothing = {name: Estimate(None) for name in row.measured.estimates}
    return Row(row.output, row.key, Measured(0, nothing))


def changes(shown: Iterable[Stat], now: Measured, before: Measured) -> dict[str, Any]:
    """Stat → absolute and relative change, and whether the error bounds leave no doubt that there is one.

    A stat that is null on either side is left out; so is the relative change where there was 0.
    """
    found = {}
    for stat in shown:
        new, old = now.estimates[stat.name], before.estimates[stat.name]
        if new.value is None or old.value is None:
            continue
        absolute = new.value - old.value
        relative = absolute / abs(old.value) if old.value else None
        beyond = new.low > old.high or new.high < old.low
        found[stat.name] = {"absolute": absolute, "relative": relative, "beyond_error": beyond}
    return found

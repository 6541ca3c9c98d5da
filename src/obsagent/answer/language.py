"""The query language.

    query    = expr { filter } [ "by" label { "," label } ] [ range ] [ "step" duration ]
               [ "vs" ( duration "ago" | filter ) ] [ "where" stat ( "above" | "below" ) value ]
               [ ( "top" | "bottom" ) count ]
    expr     = [ stat { "," stat } ] metric { "," metric } | [ stat ] metric "/" [ stat ] metric
    stat     = "p" number | "mean" | "min" | "max" | "sum" | "count" | "rate" | "stddev" | "last" | "age"
             | "under" value | "over" value
    filter   = label ( "=" | "!=" | "not" ) value { "," value } | label ( "matches" | "=~" ) regex
    value    = word | digit "xx" | quoted
    range    = "since" ( duration | time | event ) | "from" time "to" time | "today" | "yesterday"
    duration = number unit { number unit }                                          unit = ms s m h d w

Filters and clauses may come in any order. Every construct is made of words that a shell leaves alone; `!=`, `=~`,
`>` and `<` are other ways to write `not`, `matches`, `above` and `below`. Quoted, anything is a name.

Recursive descent: one function for each rule, here for the clauses and in `expression.py` for what comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from obsagent.answer.cursor import CLAUSES, Cursor
from obsagent.answer.durations import parse_duration
from obsagent.answer.expression import parse_expression, parse_stat_at, parse_value_at
from obsagent.answer.instants import Instant, parse_instant
from obsagent.answer.mistakes import QueryError, did_you_mean
from obsagent.answer.patterns import check_pattern
from obsagent.answer.query import (
    DEFAULT_RANGE,
    EQUAL,
    MATCHES,
    NO_STEP,
    UNEQUAL,
    Between,
    Day,
    Filter,
    Limit,
    Name,
    Query,
    Range,
    Since,
    SinceEvent,
    Versus,
    Where,
)
from obsagent.answer.stats import SHARES, Stat, parse_stat
from obsagent.answer.tokens import ABOVE, BELOW, COMMA, END, WORD
from obsagent.limits import (
    LABELS_MAX,
    QUERY_BYTES_MAX,
    QUERY_FILTERS,
    QUERY_ROWS,
    QUERY_STEP_MS_MAX,
    WINDOW_MS,
)

_STATUS_CLASS = re.compile(r"[1-9]xx")
_EVENT = re.compile(r"[^\W\d][\w.:/-]*")
_COUNT = re.compile(r"[0-9]{1,6}")
_SINCE_ALIASES = frozenset({"for", "in", "last", "over", "past", "within"})
_CLAUSE_ALIASES = {
    **dict.fromkeys(("limit", "head", "order", "sort"), "top"),
    **dict.fromkeys(("group", "per", "split"), "by"),
    **dict.fromkeys(("every", "interval", "bucket", "resolution"), "step"),
    **dict.fromkeys(("versus", "against", "compare", "compared", "offset"), "vs"),
    **dict.fromkeys(("having", "if", "when"), "where"),
    **dict.fromkeys(("between", "until", "to"), "from"),
}
"""Words of other languages, for suggestions."""
_OPERATORS = {"=": EQUAL, "!=": UNEQUAL, "not": UNEQUAL, "=~": MATCHES, "matches": MATCHES}


@dataclass(slots=True)
class _Clauses:
    """What the clauses have said so far."""

    filters: list[Filter] = field(default_factory=list)
    by: tuple[Name, ...] = ()
    range: Range | None = None
    step_ms: int = 0
    step: Name = NO_STEP
    versus: Versus | None = None
    where: Where | None = None
    limit: Limit | None = None


def parse(text: str) -> Query:
    """The query that `text` asks; raises `QueryError` (a `UsageError`) that points at the wrong word."""
    if len(text.encode("utf-8", "surrogatepass")) > QUERY_BYTES_MAX:
        raise QueryError(f"the query is longer than {QUERY_BYTES_MAX:,} bytes", text[:80], 0, 0)
    cursor = Cursor(text)
    terms, is_ratio = parse_expression(cursor)
    said = _Clauses()
    while cursor.token.kind != END:
        _clause(cursor, said)
    return Query(
        text=text,
        terms=terms,
        is_ratio=is_ratio,
        filters=tuple(said.filters),
        by=said.by,
        range=said.range or DEFAULT_RANGE,
        step_ms=said.step_ms,
        step=said.step,
        versus=said.versus,
        where=said.where,
        limit=said.limit,
    )


def _clause(cursor: Cursor, said: _Clauses) -> None:
    if cursor.starts_filter():
        said.filters.append(_filter(cursor, said.filters))
        return
    rule = _RULES.get(cursor.token.text) if cursor.token.kind == WORD else None
    if rule is None:
        hint = _clause_hint(cursor)
        expected = "expected label=value, by, since, from, step, vs, where, top or bottom"
        raise cursor.error(f"`{cursor.shown(cursor.token)}` is not understood here: {expected}{hint}")
    rule(cursor, said)


def _clause_hint(cursor: Cursor) -> str:
    """What a word that begins no clause was probably meant to be: `last 15m`, `15m`, `limit 5`, `sinse 5m`."""
    text, following = cursor.token.text, cursor.peek().text
    if text in _SINCE_ALIASES and _is_duration(following):
        return f"; did you mean `since {following}`?"
    if _is_duration(text):
        return f"; did you mean `since {text}`?"
    if text == "ago":
        return "; it belongs to `vs 1h ago` alone"
    alias = _CLAUSE_ALIASES.get(text)
    return f"; did you mean `{alias}`?" if alias else did_you_mean(text, CLAUSES)


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _refuse_twice(cursor: Cursor, given: object, what: str, hint: str = "") -> None:
    if given:
        raise cursor.error(f"{what} is given twice{hint}")


# --- filters


def _filter(cursor: Cursor, before: list[Filter]) -> Filter:
    if not cursor.is_label() and not cursor.is_clause():
        raise cursor.error(f"`{cursor.token.text}` is not the name of a label")
    if len(before) == QUERY_FILTERS:
        raise cursor.error(f"a query has at most {QUERY_FILTERS} filters")
    label = cursor.next()
    operator = _OPERATORS[cursor.next().text]
    if operator == EQUAL and label.text in [each.label for each in before if each.operator == EQUAL]:
        raise cursor.error(f"`{label.text}` is filtered twice: write {label.text}=one,other", label)
    if operator == MATCHES:
        value = cursor.value(label.text)
        check_pattern(value, cursor.text)
        return Filter(label.text, (value.text,), (), MATCHES, label.start, value.end)
    values, classes, end = _values(cursor, label.text)
    return Filter(label.text, tuple(values), tuple(classes), operator, label.start, end)


def _values(cursor: Cursor, label: str) -> tuple[list[str], list[str], int]:
    values: list[str] = []
    classes: list[str] = []
    while True:
        value = cursor.value(label)
        is_class = value.kind == WORD and _STATUS_CLASS.fullmatch(value.text)
        (classes if is_class else values).append(value.text[0] if is_class else value.text)
        if not cursor.accept(COMMA):
            return values, classes, value.end


# --- clauses


def _by(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.by, "`by`", ": write by label,label")
    cursor.next()
    labels: list[Name] = []
    while True:
        token = cursor.token
        if not cursor.is_label() or cursor.starts_filter():
            after = "the comma" if labels else "`by`"
            quoted = f" (a label called {token.text} needs quotes)" if cursor.is_clause() else ""
            raise cursor.error(f"expected the name of a label after {after}{quoted}")
        if token.text in [label.text for label in labels]:
            raise cursor.error(f"`{token.text}` is named twice after `by`")
        if len(labels) == LABELS_MAX:
            raise cursor.error(f"a series has at most {LABELS_MAX} labels")
        cursor.next()
        labels.append(Name(token.text, token.start, token.end))
        if not cursor.accept(COMMA):
            said.by = tuple(labels)
            return


def _since(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.range, "the range")
    keyword, token = cursor.next(), cursor.token
    when = _since_what(cursor)
    cursor.next()
    said.range = Range(when, f"since {token.text}", keyword.start, token.end)


def _since_what(cursor: Cursor) -> Since | SinceEvent | Between:
    text = cursor.token.text
    if ":" in text[:6] or re.match(r"[0-9]{4}-", text) or text == "now":
        return Between(_instant(cursor))
    if cursor.token.kind != END and _EVENT.fullmatch(text) and not cursor.is_clause():
        return SinceEvent(text)
    try:
        return Since(parse_duration(text))
    except ValueError as error:
        apart = text + cursor.peek().text
        if text and _is_duration(apart):
            raise cursor.error(f"a duration is one word; did you mean `since {apart}`?") from None
        raise cursor.error(str(error)) from None


def _instant(cursor: Cursor) -> Instant:
    try:
        return parse_instant(cursor.token.text)
    except ValueError as error:
        raise cursor.error(str(error)) from None


def _from(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.range, "the range")
    keyword = cursor.next()
    begin = _instant(cursor)
    cursor.next()
    if not cursor.is_word("to"):
        raise cursor.error("expected `to` and a time, such as `from 14:00 to 15:00`")
    cursor.next()
    end = _instant(cursor)
    last = cursor.next()
    said.range = Range(Between(begin, end), f"from {begin.text} to {end.text}", keyword.start, last.end)


def _day(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.range, "the range")
    token = cursor.next()
    said.range = Range(Day(1 if token.text == "yesterday" else 0), token.text, token.start, token.end)


def _step(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.step_ms, "`step`")
    cursor.next()
    token = cursor.token
    try:
        step_ms = parse_duration(token.text)
    except ValueError as error:
        raise cursor.error(str(error)) from None
    if step_ms % WINDOW_MS:
        raise cursor.error(f"windows are {WINDOW_MS // 1000} s long: expected a multiple, such as 10s, 1m or 1h")
    if step_ms > QUERY_STEP_MS_MAX:
        raise cursor.error("a step is at most 520w")
    cursor.next()
    said.step_ms, said.step = step_ms, Name(token.text, token.start, token.end)


def _vs(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.versus, "`vs`")
    cursor.next()
    if cursor.starts_filter():
        other = _filter(cursor, [])
        said.versus = Versus(filter=other, text=str(other))
        return
    token = cursor.token
    try:
        earlier_ms = parse_duration(token.text)
    except ValueError:
        raise cursor.error("expected `vs 1h ago` or another filter, such as `vs version=3`") from None
    cursor.next()
    if not cursor.is_word("ago"):
        raise cursor.error(f"expected `ago`, as in `vs {token.text} ago`")
    cursor.next()
    said.versus = Versus(earlier_ms, text=f"{token.text} ago")


def _where(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.where, "`where`")
    cursor.next()
    if cursor.starts_filter():
        raise cursor.error("`where` compares a stat, as in `where p99 above 500ms`; a filter stands without it")
    stat = _where_stat(cursor)
    is_above = cursor.is_word("above") or cursor.token.kind == ABOVE
    if not is_above and not cursor.is_word("below") and cursor.token.kind != BELOW:
        raise cursor.error(f"expected `above` or `below`, as in `where {stat.name} above 500ms`")
    cursor.next()
    value, token = parse_value_at(cursor, f"where {stat.name} above 500ms")
    said.where = Where(stat, is_above, value, token.start, token.end)


def _where_stat(cursor: Cursor) -> Stat:
    """A stat, or the name of a derived metric, which only `plan` can tell from a mistake."""
    token = cursor.token
    followed = cursor.is_word("above", "below", ahead=1) or cursor.peek().kind in (ABOVE, BELOW)
    if token.kind != END and followed and token.text not in SHARES and not parse_stat(token.text):
        cursor.next()
        return Stat(token.text, start=token.start, end=token.end)
    return parse_stat_at(cursor)


def _limit(cursor: Cursor, said: _Clauses) -> None:
    _refuse_twice(cursor, said.limit, "`top` or `bottom`")
    keyword, token = cursor.next(), cursor.token
    count = int(token.text) if token.kind == WORD and _COUNT.fullmatch(token.text) else 0
    if not 1 <= count <= QUERY_ROWS:
        raise cursor.error(f"expected a whole number from 1 to {QUERY_ROWS:,}, such as `{keyword.text} 5`")
    cursor.next()
    said.limit = Limit(count, keyword.text == "top")


_RULES: dict[str, Callable[[Cursor, _Clauses], None]] = {
    "by": _by,
    "since": _since,
    "from": _from,
    "today": _day,
    "yesterday": _day,
    "step": _step,
    "vs": _vs,
    "where": _where,
    "top": _limit,
    "bottom": _limit,
}

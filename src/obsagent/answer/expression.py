"""The first part of a query: what is asked of which metrics.

    expr = [ stat { "," stat } ] metric { "," metric } | [ stat ] metric "/" [ stat ] metric
    stat = "p" number | "mean" | … | "under" value | "over" value

A list is one of stats if the name of a metric follows it, and one of metrics otherwise: both are mere words.
"""

from __future__ import annotations

import re

from obsagent.answer.cursor import Cursor
from obsagent.answer.mistakes import did_you_mean
from obsagent.answer.query import Name, Term
from obsagent.answer.stats import ALIASES, SHARES, WORDS, Stat, looks_like_quantile, parse_stat
from obsagent.answer.tokens import COMMA, QUOTED, SLASH, WORD, Token
from obsagent.answer.values import Value, looks_like_value, parse_value
from obsagent.limits import QUERY_METRICS, QUERY_STATS

_METRIC = re.compile(r"[^\W\d][\w.:/-]*")
_STATS_EXPECTED = "expected p0 … p100, " + ", ".join([*WORDS, "under VALUE"]) + " or over VALUE"


def parse_expression(cursor: Cursor) -> tuple[tuple[Term, ...], bool]:
    """The terms, and whether they are divided; raises `QueryError`."""
    terms = _terms(cursor)
    if cursor.token.kind != SLASH:
        return terms, False
    _check_operand(cursor, terms)
    cursor.next()
    divisors = _terms(cursor)
    _check_operand(cursor, divisors)
    if cursor.token.kind == SLASH:
        raise cursor.error("only two metrics can be divided")
    return (*terms, *divisors), True


def _check_operand(cursor: Cursor, terms: tuple[Term, ...]) -> None:
    if len(terms) > 1 or len(terms[0].stats) > 1:
        which = "metric" if len(terms) > 1 else "stat"
        place = terms[1].metric if len(terms) > 1 else terms[0].stats[1]
        raise cursor.error(f"a ratio has one {which} on each side", Token(WORD, "", place.start, place.end))


def _terms(cursor: Cursor) -> tuple[Term, ...]:
    stats = _stats(cursor) if _opens_with_stats(cursor) else ()
    names = [_metric(cursor, bool(stats))]
    while cursor.accept(COMMA):
        names.append(_metric(cursor, bool(stats)))
        if names[-1].text in [name.text for name in names[:-1]]:
            raise cursor.error(f"`{names[-1].text}` is asked twice", cursor.peek(-1))
        if len(names) > QUERY_METRICS:
            raise cursor.error(f"a query asks for at most {QUERY_METRICS} metrics", cursor.peek(-1))
    return tuple(Term(name, stats) for name in names)


def _opens_with_stats(cursor: Cursor) -> bool:
    """True if the list at hand is meant as stats: the name of a metric follows, or a word that can only be a stat."""
    if cursor.token.kind != WORD or (cursor.starts_filter() and not cursor.starts_filter(1)):
        return False
    if cursor.is_clause() and not cursor.is_name():
        return False
    behind, only_stats = _list_end(cursor)
    is_name = cursor.peek(behind).kind in (WORD, QUOTED) and not cursor.starts_filter(behind)
    if is_name and not cursor.is_clause(behind):
        return only_stats or not cursor.is_near_clause(behind)
    return only_stats


def _list_end(cursor: Cursor) -> tuple[int, bool]:
    """How many tokens the list at hand has, and whether each of its items is, or looks like, a stat."""
    ahead, only_stats = 0, True
    while True:
        text = cursor.peek(ahead).text
        if text in SHARES and looks_like_value(cursor.peek(ahead + 1).text):
            ahead += 1
        elif not (parse_stat(text) or looks_like_quantile(text)):
            only_stats = False
        ahead += 1
        if cursor.peek(ahead).kind != COMMA or cursor.peek(ahead + 1).kind not in (WORD, QUOTED):
            return ahead, only_stats
        ahead += 1


def _stats(cursor: Cursor) -> tuple[Stat, ...]:
    stats = [parse_stat_at(cursor)]
    while cursor.accept(COMMA):
        stats.append(parse_stat_at(cursor))
        if stats[-1].name in [stat.name for stat in stats[:-1]]:
            raise cursor.error(f"`{stats[-1].name}` is asked twice", _place(stats[-1]))
        if len(stats) > QUERY_STATS:
            raise cursor.error(f"a query asks for at most {QUERY_STATS} stats", _place(stats[-1]))
    return tuple(stats)


def _place(stat: Stat) -> Token:
    return Token(WORD, stat.name, stat.start, stat.end)


def parse_stat_at(cursor: Cursor) -> Stat:
    """The stat at hand; raises `QueryError`, with what was probably meant."""
    token = cursor.next()
    if token.kind == WORD and token.text in SHARES:
        return _share(cursor, token)
    stat = parse_stat(token.text, token.start, token.end) if token.kind == WORD else None
    if stat:
        return stat
    if token.kind != WORD:
        raise cursor.error(_STATS_EXPECTED, token)
    folded = token.text.lower()
    meant = folded if parse_stat(folded) else ALIASES.get(folded)
    if looks_like_quantile(token.text) and not meant:
        raise cursor.error(f"`{token.text}` is not a quantile: expected p0 … p100, decimals allowed (p99.9)", token)
    following = cursor.token
    if not meant and following.kind == WORD and parse_stat(following.text):
        meant = f"{following.text} {token.text}"
    hint = f"; did you mean `{meant}`?" if meant else did_you_mean(token.text, [*WORDS, *SHARES])
    raise cursor.error(f"`{token.text}` is not a stat: {_STATS_EXPECTED}{hint}", token)


def _share(cursor: Cursor, word: Token) -> Stat:
    value, token = parse_value_at(cursor, f"{word.text} 250ms")
    return Stat(f"{word.text} {token.text}", None, value, word.start, token.end)


def parse_value_at(cursor: Cursor, example: str) -> tuple[Value, Token]:
    """The number at hand and its token; raises `QueryError`."""
    token = cursor.token
    if token.kind != WORD:
        raise cursor.error(f"expected a number, such as `{example}`")
    try:
        value = parse_value(token.text)
    except ValueError as error:
        raise cursor.error(str(error)) from None
    return value, cursor.next()


def _metric(cursor: Cursor, after_stats: bool) -> Name:
    token = cursor.token
    is_quoted = token.kind == QUOTED and bool(token.text)
    is_plain = token.kind == WORD and _METRIC.fullmatch(token.text) is not None and cursor.is_name()
    if not (is_quoted or is_plain) or cursor.starts_filter():
        what = "the name of a metric after the stats" if after_stats else "a stat or the name of a metric"
        raise cursor.error(f"expected {what}, such as `p99 latency`")
    cursor.next()
    return Name(token.text, token.start, token.end)

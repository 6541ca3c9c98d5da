"""The query language, first form.

    query    = [ stat { "," stat } ] metric { filter } [ "by" label { "," label } ] [ "since" duration ]
    stat     = "p" number | "mean" | "min" | "max" | "sum" | "count" | "rate" | "last"
    filter   = label "=" value { "," value }
    value    = word | digit "xx" | quoted
    duration = number unit { number unit }                                          unit = ms s m h d w

Filters, `by` and `since` may come in any order. Every construct is made of words that a shell leaves alone.
What the full language adds is refused by name, so that nobody takes it for a typing error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from obsagent.answer.durations import parse_duration
from obsagent.answer.mistakes import QueryError, did_you_mean
from obsagent.answer.stats import ALIASES, WORDS, Stat, looks_like_quantile, parse_stat
from obsagent.answer.tokens import COMMA, END, EQUALS, NOT_EQUALS, QUOTED, WORD, Token, tokenize
from obsagent.limits import QUERY_BYTES_MAX

DEFAULT_SINCE = "5m"
CLAUSES = ("by", "since")

NOT_BUILT_STATS = ("stddev", "age", "under", "over")
NOT_BUILT_WORDS = ("vs", "where", "top", "bottom", "step", "from", "to", "today", "yesterday", "matches", "ago", "/")
NOT_BUILT_RANGES = re.compile(r"deploy|today|yesterday|\d{1,2}:\d\d.*|\d{4}-\d\d.*")

_METRIC = re.compile(r"[^\W\d][\w.:/-]*")
_LABEL = re.compile(r"[^\W\d][\w.]*")
_STATUS_CLASS = re.compile(r"[1-9]xx")
_STATS_EXPECTED = "expected p0 … p100, " + ", ".join(WORDS[:-1]) + " or " + WORDS[-1]


@dataclass(frozen=True, slots=True)
class Filter:
    """`label=value,value`: one of the values must fit. `classes` holds the `5` of `5xx`."""

    label: str
    values: tuple[str, ...]
    classes: tuple[str, ...] = ()
    start: int = 0
    end: int = 0

    def accepts(self, value: str) -> bool:
        """True if a label with this value passes."""
        if value in self.values:
            return True
        return len(value) == 3 and value.isascii() and value.isdecimal() and value[0] in self.classes

    def __str__(self) -> str:
        return f"{self.label}={','.join([*self.values, *(digit + 'xx' for digit in self.classes)])}"


@dataclass(frozen=True, slots=True)
class Label:
    """A label after `by`, with its place."""

    name: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. No stats means: the default of the metric's kind."""

    text: str
    metric: str
    stats: tuple[Stat, ...] = ()
    filters: tuple[Filter, ...] = ()
    by: tuple[Label, ...] = ()
    since_ms: int = 300_000
    since: str = DEFAULT_SINCE
    metric_start: int = 0
    metric_end: int = 0


def parse(text: str) -> Query:
    """The query that `text` asks; raises `QueryError` (a `UsageError`) that points at the wrong word."""
    if len(text.encode("utf-8", "surrogatepass")) > QUERY_BYTES_MAX:
        raise QueryError(f"the query is longer than {QUERY_BYTES_MAX:,} bytes", text[:80], 0, 0)
    return _Parser(text).query()


class _Parser:
    """Recursive descent over the tokens; one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._index = 0
        self._filters: list[Filter] = []
        self._by: tuple[Label, ...] = ()
        self._since: tuple[str, int] | None = None

    # --- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._index + ahead, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._token
        self._index = min(self._index + 1, len(self._tokens) - 1)
        return token

    def _accept(self, kind: str) -> bool:
        if self._token.kind != kind:
            return False
        self._next()
        return True

    def _error(self, summary: str, token: Token) -> QueryError:
        return QueryError(summary, self._text, token.start, token.end)

    def _not_built(self, token: Token) -> QueryError:
        return self._error(f"`{token.text}` is not built yet", token)

    def _starts_filter(self, ahead: int = 0) -> bool:
        return self._peek(ahead).kind == WORD and self._peek(ahead + 1).kind in (EQUALS, NOT_EQUALS)

    # --- rules

    def query(self) -> Query:
        stats = self._stats()
        metric = self._metric(bool(stats))
        while self._token.kind != END:
            self._clause()
        since, since_ms = self._since or (DEFAULT_SINCE, parse_duration(DEFAULT_SINCE))
        return Query(
            text=self._text,
            metric=metric.text,
            stats=stats,
            filters=tuple(self._filters),
            by=self._by,
            since_ms=since_ms,
            since=since,
            metric_start=metric.start,
            metric_end=metric.end,
        )

    def _stats(self) -> tuple[Stat, ...]:
        """The stats, if the query opens with any; what stands where a stat should and is none is an error."""
        if not self._opens_with_stats():
            return ()
        stats = [self._stat()]
        while self._accept(COMMA):
            stats.append(self._stat())
            if stats[-1].name in [stat.name for stat in stats[:-1]]:
                place = self._tokens[self._index - 1]
                raise self._error(f"`{stats[-1].name}` is asked twice", place)
        return tuple(stats)

    def _opens_with_stats(self) -> bool:
        """True if the first word is meant as a stat: it is one, looks like one, or stands before a metric."""
        first, second = self._token, self._peek()
        if first.kind != WORD or first.text in (*CLAUSES, *NOT_BUILT_WORDS) or self._starts_filter():
            return False
        if parse_stat(first.text) or looks_like_quantile(first.text) or first.text in NOT_BUILT_STATS:
            return True
        if second.kind == COMMA:
            self._refuse_several_metrics()
            return True
        words_follow = second.kind == WORD and not self._starts_filter(1)
        return words_follow and second.text not in (*CLAUSES, *NOT_BUILT_WORDS) and not self._near_clause(second.text)

    def _refuse_several_metrics(self) -> None:
        """`latency,queue_delay` with no stat in it and none after it asks for two metrics."""
        ahead = 0
        while self._peek(ahead + 1).kind == COMMA and self._peek(ahead + 2).kind == WORD:
            if parse_stat(self._peek(ahead + 2).text):
                return
            ahead += 2
        after = self._peek(ahead + 1)
        if after.kind != WORD or after.text in CLAUSES or self._starts_filter(ahead + 1):
            raise self._error("several metrics in one query are not built yet", self._peek())

    @staticmethod
    def _near_clause(text: str) -> bool:
        return bool(did_you_mean(text, CLAUSES))

    def _stat(self) -> Stat:
        token = self._next()
        stat = parse_stat(token.text, token.start, token.end) if token.kind == WORD else None
        if stat:
            return stat
        if token.text in NOT_BUILT_STATS:
            raise self._not_built(token)
        if token.kind != WORD:
            raise self._error(_STATS_EXPECTED, token)
        folded = token.text.lower()
        meant = folded if parse_stat(folded) else ALIASES.get(folded)
        if looks_like_quantile(token.text) and not meant:
            raise self._error(f"`{token.text}` is not a quantile: expected p0 … p100, decimals allowed (p99.9)", token)
        hint = f"; did you mean `{meant}`?" if meant else did_you_mean(token.text, WORDS)
        raise self._error(f"`{token.text}` is not a stat: {_STATS_EXPECTED}{hint}", token)

    def _metric(self, after_stats: bool) -> Token:
        token = self._token
        if token.kind == WORD and token.text in NOT_BUILT_WORDS and not self._may_be_name(after_stats):
            raise self._not_built(token)
        is_name = token.kind == WORD and _METRIC.fullmatch(token.text) and token.text not in CLAUSES
        if not is_name or self._starts_filter():
            what = "the name of a metric after the stats" if after_stats else "a stat or the name of a metric"
            raise self._error(f"expected {what}, such as `p99 latency`", token)
        self._next()
        if self._token.kind == COMMA:
            raise self._error("several metrics in one query are not built yet", self._token)
        return token

    def _may_be_name(self, after_stats: bool) -> bool:
        """A metric may be called `step` or `top`: after the stats, or where no word follows that is no clause."""
        after = self._peek()
        return after_stats or after.kind == END or after.text in CLAUSES or self._starts_filter(1)

    def _clause(self) -> None:
        token = self._token
        if self._starts_filter():
            self._filter()
        elif token.text == "by" and token.kind == WORD:
            self._by_clause()
        elif token.text == "since" and token.kind == WORD:
            self._since_clause()
        elif token.kind == WORD and token.text in NOT_BUILT_WORDS:
            raise self._not_built(token)
        elif self._peek().kind == WORD and self._peek().text == "matches":
            raise self._not_built(self._peek())
        else:
            shown = self._text[token.start : token.end]
            hint = did_you_mean(token.text, CLAUSES)
            raise self._error(f"`{shown}` is not understood here: expected label=value, `by` or `since`{hint}", token)

    def _filter(self) -> None:
        label, operator = self._next(), self._next()
        if operator.kind == NOT_EQUALS:
            raise self._not_built(operator)
        if not _LABEL.fullmatch(label.text):
            raise self._error(f"`{label.text}` is not the name of a label", label)
        if label.text in [each.label for each in self._filters]:
            raise self._error(f"`{label.text}` is filtered twice: write {label.text}=one,other", label)
        values: list[str] = []
        classes: list[str] = []
        while True:
            value = self._value(label.text)
            is_class = value.kind == WORD and _STATUS_CLASS.fullmatch(value.text)
            (classes if is_class else values).append(value.text[0] if is_class else value.text)
            if not self._accept(COMMA):
                break
        self._filters.append(Filter(label.text, tuple(values), tuple(classes), label.start, value.end))

    def _value(self, label: str) -> Token:
        """A quoted text, or everything up to the next space or comma (so that `=` may stand inside)."""
        first = self._token
        if first.kind == QUOTED:
            return self._next()
        if first.kind != WORD:
            raise self._error(f"expected a value, such as {label}=value", first)
        last = self._next()
        while self._token.start == last.end and self._token.kind in (WORD, EQUALS, NOT_EQUALS):
            last = self._next()
        return Token(WORD, self._text[first.start : last.end], first.start, last.end)

    def _by_clause(self) -> None:
        keyword = self._next()
        if self._by:
            raise self._error("`by` is given twice: write by label,label", keyword)
        labels: list[Label] = []
        while True:
            token = self._token
            is_label = token.kind == WORD and _LABEL.fullmatch(token.text) and token.text not in CLAUSES
            if not is_label or self._starts_filter():
                after = "the comma" if labels else "`by`"
                raise self._error(f"expected the name of a label after {after}", token)
            if token.text in [label.name for label in labels]:
                raise self._error(f"`{token.text}` is named twice after `by`", token)
            self._next()
            labels.append(Label(token.text, token.start, token.end))
            if not self._accept(COMMA):
                break
        self._by = tuple(labels)

    def _since_clause(self) -> None:
        keyword, token = self._next(), self._token
        if self._since:
            raise self._error("`since` is given twice", keyword)
        if token.kind == WORD and NOT_BUILT_RANGES.fullmatch(token.text):
            raise self._error(f"`since {token.text}` is not built yet: expected a duration such as 15m", token)
        try:
            since_ms = parse_duration(token.text)
        except ValueError as error:
            raise self._error(str(error), token) from None
        self._next()
        self._since = (token.text, since_ms)

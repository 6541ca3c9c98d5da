"""What a query computes: from names to sources, outputs and statistics.

    Query ──► Source (metric, its series by group) ──► Output: Direct (statistics of one source)
                                                           or Divided (one statistic by another)
                                                           or OfFeatures (columns, against their reference)
                                                           or OfOutcomes (predictions, against their truths)

A query that asks for something meaningless (a quantile of a counter, bytes of a latency) ends here, in an error
that points at the word. One that merely finds nothing gets sources without groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import lcm

from obsagent.answer import derived
from obsagent.answer.feature_metrics import FIGURES
from obsagent.answer.mistakes import QueryError, did_you_mean, listing
from obsagent.answer.of_features import OfFeatures, of_features
from obsagent.answer.of_outcomes import OfOutcomes, of_outcomes
from obsagent.answer.outcome_metrics import figure_of
from obsagent.answer.outcomes import Ledger
from obsagent.answer.query import Name, Query, Term
from obsagent.answer.ranges import Span
from obsagent.answer.select import Key, Source, select
from obsagent.answer.stats import AGE, ALIASES, CLASSIC, MEANING, SHARES, Stat, default_stats, works_for
from obsagent.answer.values import RATIO
from obsagent.limits import QUERY_POINTS, WINDOW_MS
from obsagent.samples import Kind, Series
from obsagent.units import SECONDS

RATIO_NAME = "ratio"
DERIVED_KIND = "derived"
COUNT = Stat("count")


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of the asked time: `count` of them, the first from `first_ms`, a multiple of `step_ms`."""

    first_ms: int
    step_ms: int
    count: int

    def span(self, step: int) -> Span:
        """One step, whole."""
        start_ms = self.first_ms + step * self.step_ms
        return Span(start_ms, start_ms + self.step_ms)


@dataclass(frozen=True, slots=True)
class Direct:
    """Statistics of one metric; `needed` are those shown and those that `where` asks for."""

    name: str
    source: Source
    shown: tuple[Stat, ...]
    needed: tuple[Stat, ...]

    @property
    def kind(self) -> str | None:
        """The kind in a word; None for a metric that the store does not know."""
        return self.source.kind.word if self.source.kind else None

    @property
    def unit(self) -> str:
        """The metric's unit."""
        return self.source.unit

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it reads."""
        return (self.source,)


@dataclass(frozen=True, slots=True)
class Divided:
    """One statistic by another, under the name of its only stat; both sides group alike."""

    name: str
    stat: Stat
    numerator: Source
    numerator_stat: Stat
    denominator: Source
    denominator_stat: Stat
    unit: str = ""

    @property
    def kind(self) -> str | None:
        """`derived`; None if the store does not know what it divides by."""
        return DERIVED_KIND if self.denominator.kind else None

    @property
    def shown(self) -> tuple[Stat, ...]:
        """The quotient."""
        return (self.stat,)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it reads."""
        return (self.numerator, self.denominator)


Output = Direct | Divided | OfFeatures | OfOutcomes


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read and what to make of it. `limit` is the number behind `where`, by output, in its unit."""

    query: Query
    span: Span
    outputs: tuple[Output, ...]
    steps: Steps | None = None
    limits: tuple[float, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every metric that is read, once."""
        found = {source.metric.text: source for output in self.outputs for source in output.sources}
        return tuple(found.values())

    @property
    def services(self) -> frozenset[str] | None:
        """The services whose losses touch the answer; None means all."""
        services = [series.labels.get("service") for source in self.sources for series in source.series]
        return frozenset(name for name in services if name) if services and all(services) else None

    @property
    def asks_age(self) -> bool:
        """True if the last sample of each series must be looked for."""
        return any(stat.name == AGE for output in self.outputs if isinstance(output, Direct) for stat in output.needed)


def plan(
    query: Query,
    every_series: Iterable[Series],
    span: Span,
    window_ms: int = WINDOW_MS,
    ledger: Ledger | None = None,
) -> Plan:
    """The plan of `query` for a time of which windows of `window_ms` are kept; raises `QueryError` for what has no
    meaning. `ledger` has what is kept by request.
    """
    series = list(every_series)
    outputs: tuple[Output, ...]
    if query.is_ratio:
        outputs = (_ratio(query, series),)
    else:
        outputs = tuple(_output(query, term, series, ledger) for term in query.terms)
    steps = _steps(query, span, outputs, window_ms)
    return Plan(query, span, outputs, steps, tuple(_limit(query, output) for output in outputs))


def _output(query: Query, term: Term, series: list[Series], ledger: Ledger | None) -> Output:
    quotient = derived.DERIVED.get(term.metric.text)
    is_of_features, is_of_outcomes = term.metric.text in FIGURES, figure_of(term.metric.text) is not None
    stored = any(each.metric == term.metric.text for each in series)
    if stored or not (quotient or is_of_features or is_of_outcomes):
        return _direct(query, term, series)
    if term.stats:
        summary = f"`{term.metric.text}` is computed from other metrics: ask for it without a stat"
        raise QueryError(summary, query.text, term.stats[0].start, term.stats[-1].end)
    if is_of_outcomes:
        return of_outcomes(query, term, ledger)
    if quotient is None:
        return of_features(query, term, series)
    top, bottom = quotient.numerator, quotient.denominator
    place = term.metric.start, term.metric.end
    numerator = select(query, Name(top.metric, *place), series)
    denominator = select(query, Name(bottom.metric, *place), series)
    name = term.metric.text
    return Divided(name, Stat(name), numerator, top.stat, denominator, bottom.stat, quotient.unit)


def _direct(query: Query, term: Term, series: list[Series]) -> Direct:
    source = select(query, term.metric, series)
    name = term.metric.text
    if source.kind is None:
        return Direct(name, source, term.stats, term.stats)
    shown = term.stats or default_stats(source.kind)
    where = (query.where.stat,) if query.where else ()
    for stat in (*shown, *where):
        _check_stat(query, source, stat)
    if any(stat.name == "last" for stat in (*shown, *where)):
        _check_across(query, source)
    needed = {stat.name: stat for stat in (*where, *shown)}
    return Direct(name, source, shown, tuple(needed.values()))


def _ratio(query: Query, series: list[Series]) -> Divided:
    top, bottom = query.terms
    numerator, denominator = (select(query, term.metric, series) for term in query.terms)
    stats = []
    for term, source in ((top, numerator), (bottom, denominator)):
        stat = term.stats[0] if term.stats else _operand_stat(query, source)
        if source.kind is not None:
            _check_stat(query, source, stat)
        if stat.name == AGE:
            raise QueryError("an age cannot be divided: ask for it alone", query.text, stat.start, stat.end)
        if stat.name == "last":
            _check_across(query, source)
        stats.append(stat)
    operands = [top.metric.text, bottom.metric.text]
    if operands[0] == operands[1]:  # then the stats are what tells them apart
        operands = [f"{stat.name} {operand}" for stat, operand in zip(stats, operands, strict=True)]
    name = " / ".join(operands)
    return Divided(name, Stat(RATIO_NAME), numerator, stats[0], denominator, stats[1])


def _operand_stat(query: Query, source: Source) -> Stat:
    """What a metric without a stat means in a ratio."""
    if source.kind in (Kind.HISTOGRAM, Kind.COLUMN, CLASSIC):
        summary = (
            f"`{source.metric.text}` is a {source.kind.word}: say which stat of it, such as `mean {source.metric.text}`"
        )
        raise QueryError(summary, query.text, source.metric.start, source.metric.end)
    return Stat("last") if source.kind is Kind.GAUGE else derived.SUM


def _check_stat(query: Query, source: Source, stat: Stat) -> None:
    assert source.kind is not None
    name = source.metric.text
    if stat.word not in MEANING[source.kind]:
        if not any(stat.word in meanings for meanings in MEANING.values()):
            expected = listing(works_for(source.kind), limit=12)
            meant = ALIASES.get(stat.name)
            hint = f"; did you mean `{meant}`?" if meant else did_you_mean(stat.name, MEANING[source.kind])
            raise QueryError(
                f"`{stat.name}` is not a stat: expected {expected}{hint}", query.text, stat.start, stat.end
            )
        can = listing(works_for(source.kind), limit=12)
        summary = f"`{name}` is a {source.kind.word}: it has no {stat.name}; ask for {can}"
        raise QueryError(summary, query.text, stat.start, stat.end)
    if stat.name == AGE and query.step_ms:
        raise QueryError("an age has no steps: ask for it without `step`", query.text, stat.start, stat.end)
    if stat.value is not None:
        _in_unit(query, stat, source.unit, stat.start, stat.end)


def _in_unit(query: Query, stat: Stat, unit: str, start: int, end: int) -> None:
    assert stat.value is not None
    try:
        stat.value.in_unit(unit)
    except ValueError as error:
        raise QueryError(str(error), query.text, start, end) from None


def _check_across(query: Query, source: Source) -> None:
    for group in source.groups:
        ways = sorted({series.across for series in group.series})
        if len(ways) > 1:
            summary = (
                f"`{source.metric.text}` is combined across workers by {listing(ways, last='and')} "
                "in different services: choose with service=NAME or group by service"
            )
            raise QueryError(summary, query.text, source.metric.start, source.metric.end)


def _limit(query: Query, output: Output) -> float:
    """The number behind `where` in the unit of its stat."""
    where = query.where
    if where is None:
        return 0.0
    if output.kind is None:
        return where.value.number
    if not isinstance(output, Direct) and where.stat.name not in _stats_of(output):
        summary = f"`{output.name}` has no {where.stat.name}: expected {output.stat.name} or count"
        raise QueryError(summary, query.text, where.stat.start, where.stat.end)
    try:
        return where.value.in_unit(unit_of(where.stat, output))
    except ValueError as error:
        raise QueryError(str(error), query.text, where.value_start, where.value_end) from None


def _stats_of(output: Divided | OfFeatures | OfOutcomes) -> tuple[str, ...]:
    """What `where` may ask of a derived metric."""
    return (output.stat.name, COUNT.name, *([RATIO_NAME] if isinstance(output, Divided) else []))


def unit_of(stat: Stat, output: Output) -> str:
    """The unit in which a statistic of an output is measured."""
    if isinstance(output, OfFeatures | OfOutcomes):
        return output.unit if stat.name != COUNT.name else ""
    if isinstance(output, Divided):
        return RATIO if stat.name != COUNT.name else ""
    if stat.word in SHARES:
        return RATIO
    if stat.name == AGE:
        return SECONDS
    counts = stat.name in ("count", "rate") and output.source.kind is not Kind.COUNTER
    return "" if counts else output.unit


def _steps(query: Query, span: Span, outputs: tuple[Output, ...], window_ms: int) -> Steps | None:
    """Steps from the one that holds the first window to the one that holds the end; aligned to the epoch in UTC.

    No window is cut: steps are as many of those asked for as whole windows need.
    """
    if not query.step_ms:
        return None
    step_ms = lcm(query.step_ms, window_ms)
    first_ms = span.read_from_ms - span.read_from_ms % step_ms
    count = max(1, -(-(span.to_ms - first_ms) // step_ms))  # also of no time at all: the epoch, with `vs`
    rows = max(1, sum(len(source.groups) for output in outputs for source in _grouped(output)))
    if count * rows > QUERY_POINTS:
        summary = (
            f"that is {count:,} steps of {rows:,} rows; {QUERY_POINTS:,} are the most: a longer step, or fewer rows"
        )
        raise QueryError(summary, query.text, query.step.start, query.step.end)
    return Steps(first_ms, step_ms, count)


def _grouped(output: Output) -> tuple[Source, ...]:
    """What an output has rows of."""
    return (output.source,) if isinstance(output, OfOutcomes) else output.sources


def keys_of(output: Output) -> list[Key]:
    """The rows that an output may have, in their order."""
    sources = (output.source,) if isinstance(output, OfFeatures) else _grouped(output)
    keys = {group.key for source in sources for group in source.groups}
    return sorted(keys, key=lambda key: [value for _, value in key])

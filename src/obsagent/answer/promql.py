"""A plan in PromQL: what to ask a Prometheus that scrapes the agent for the same numbers.

Histograms are native ones there, names those of `obsagent.exported`. What is asked is what has come within the time
that was read for the answer, which begins with a window:

    a number    x - x offset R              x is a counter, or the count or sum of a histogram
    a histogram rate(m[R])                  of which only the shape matters

The exporter's totals never go back, so the difference is exact, where `increase` would extrapolate from the first and
last scrape to the ends of the time. Over more than two hours that hardly matters, and `increase` also knows of series
that have left the exporter since. A series that has begun within R has no `x offset R`, and no first value that
Prometheus could subtract: its total is what has come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from obsagent.answer import classic
from obsagent.answer.classic import BUCKET, EDGE
from obsagent.answer.durations import format_duration
from obsagent.answer.of_features import OfFeatures
from obsagent.answer.plan import RATIO_NAME, Direct, Divided, Output, Plan
from obsagent.answer.query import EQUAL, MATCHES, Filter
from obsagent.answer.ranges import Span
from obsagent.answer.select import SERVICE, WORKER_LABELS, Source
from obsagent.answer.stats import CLASSIC, OVER, UNDER, Stat
from obsagent.exported import constant_labels, exported_name, label_name
from obsagent.limits import EXPORT_KEEP_MS
from obsagent.samples import MACHINE, Kind

OF_OTHERS, OF_MACHINE = f'{SERVICE}!="{MACHINE}"', f'{SERVICE}="{MACHINE}"'
ACROSS = {"sum": "sum", "max": "max", "min": "min", "mean": "avg", "last": "max"}
COUNT, SUM, SHAPE = "histogram_count", "histogram_sum", "rate"
GAUGE = {"mean": ("avg", "avg_over_time"), "min": ("min", "min_over_time"), "max": ("max", "max_over_time")}
COUNTED = ("sum", "count", "rate")
"""Statistics that are 0 where there is nothing to count; in Prometheus a series that never counted does not exist."""

OF_WORKERS = "the exporter has gauges combined over workers, not those of each"
SAMPLED = "Prometheus has a gauge's values at its scrapes only, the agent one a second"
LATEST = "PromQL does not know which of several gauges was set last: this is the largest"
STDDEV = "histogram_stddev needs Prometheus 2.49 or newer"


def promql(plan: Plan, *, is_past: bool, covered: Span | None = None) -> tuple[list[str], list[str]]:
    """The queries that say the same, and notes on what has none or differs.

    `is_past`: the range does not end now. `covered` is the time that the store holds of it, over which a rate is taken.
    """
    queries: list[str] = []
    writer = _Writer(plan, is_past, covered or Span(plan.span.read_from_ms, plan.span.to_ms))
    for output, limit in zip(plan.outputs, plan.limits, strict=True):
        for stat in output.shown:
            texts = list(writer.texts(output, stat, limit))
            queries += texts
            if not texts:
                writer.note(_has_no(output, stat))
    if plan.steps:
        writer.note(
            f"as a range query with a step of {format_duration(plan.steps.step_ms)}, at times that are multiples of it"
        )
    return queries, writer.notes


def _has_no(output: Output, stat: Stat) -> str:
    if isinstance(output, OfFeatures):
        return f"`{output.name}` is computed from columns of features, which the exporter does not have"
    of_what = f"a {output.kind}" if output.kind else f"`{output.name}`, which is not known"
    return f"PromQL has no {stat.word} of {of_what}"


class _Writer:
    def __init__(self, plan: Plan, is_past: bool, covered: Span) -> None:
        self._plan = plan
        span = plan.span
        self._length_ms = max(1, plan.steps.step_ms if plan.steps else span.to_ms - span.read_from_ms)
        self._rate_ms = max(1, plan.steps.step_ms if plan.steps else span.to_ms - covered.from_ms)
        self._from_ms = span.read_from_ms
        self._range = format_range(self._length_ms)
        self._at = f" @ {plan.span.to_ms / 1000:.3f}" if is_past and not plan.steps else ""
        self._by = ""
        self._only = ""
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def texts(self, output: Output, stat: Stat, limit: float) -> Iterable[str]:
        """One, or one for what runs on the machine and one for the machine; none if PromQL cannot say it."""
        sides = [OF_OTHERS, OF_MACHINE] if all(source.is_apart for source in output.sources) else [""]
        for self._only in sides:
            text = self.text(output, stat)
            if text is not None:
                yield self.with_clauses(text, output, stat, limit)

    def text(self, output: Output, stat: Stat) -> str | None:
        if isinstance(output, Direct):
            return self._stat(output.source, stat)
        if isinstance(output, OfFeatures):
            return None
        bottom = self._stat(output.denominator, output.denominator_stat)
        top = self._stat(output.numerator, output.numerator_stat)
        if bottom is not None and output.numerator_stat.name in COUNTED and output.numerator.kind is not Kind.GAUGE:
            nothing = f"{_operand(bottom)} * 0"
            top = f"({top} or {nothing})" if top else nothing
        return f"{_operand(top)} / {_operand(bottom)}" if top and bottom else None

    def with_clauses(self, text: str, output: Output, stat: Stat, limit: float) -> str:
        query = self._plan.query
        if query.where:
            text = self._where(text, output, stat, f"{'>' if query.where.is_above else '<'} {limit:.15g}")
        return self._limited(text, output, stat) if query.limit else text

    def _where(self, text: str, output: Output, stat: Stat, compared: str) -> str:
        where = self._plan.query.where
        assert where is not None
        if stat.name == where.stat.name or (isinstance(output, Divided) and where.stat.name == RATIO_NAME):
            return f"({text}) {compared}"
        condition = self._stat(output.source, where.stat) if isinstance(output, Direct) else None
        if condition is None:
            self.note(_has_no(output, where.stat))
            return text
        return f"{text} and ({condition} {compared})"

    def _limited(self, text: str, output: Output, stat: Stat) -> str:
        """The groups with the most, or the least, of the first statistic."""
        limit = self._plan.query.limit
        assert limit is not None
        first_output = next((each for each in self._plan.outputs if each.shown), output)  # others are not known
        first = self.text(first_output, first_output.shown[0])
        word = "topk" if limit.is_top else "bottomk"
        if first is None or (output is first_output and stat is first_output.shown[0]):
            return f"{word}({limit.count}, {text})"
        return f"{text} and {word}({limit.count}, {first})"

    def _stat(self, source: Source, stat: Stat) -> str | None:
        if source.kind in (None, Kind.COLUMN):  # columns are not exported
            return None
        names = [label_name(each.text, source.metric.text) for each in self._plan.query.by]
        if self._only == OF_MACHINE:
            names.append(SERVICE)
        self._by = f" by ({', '.join(names)})" if names else ""
        is_young = any(series.created_ms and series.created_ms >= self._from_ms for series in source.series)
        if source.kind is CLASSIC:
            return self._of_classic(source, stat, is_young=is_young)
        metric = exported_name(source.metric.text, source.kind, source.unit) + self._labels(source.metric.text)
        if source.kind is Kind.GAUGE:
            return self._of_gauge(source, stat, metric)
        if source.kind is Kind.COUNTER:
            return self._counted(stat, self._come(metric, is_young=is_young))
        return self._of_histogram(source, stat, metric, is_young=is_young)

    def _counted(self, stat: Stat, come: str) -> str | None:
        if stat.name == "rate":
            return f"{come} / {self._rate_ms / 1000:.15g}"
        return come if stat.name in ("sum", "count") else None

    def _come(self, metric: str, part: str = "", *, is_young: bool, by: str | None = None) -> str:
        """How much has come within the time, summed up; `by` are other labels than the query's."""
        by = self._by if by is None else by
        if self._length_ms > EXPORT_KEEP_MS:
            inner = self._grown(metric, "increase", is_young=is_young)
            return f"sum{by} ({part}({inner}))" if part else f"sum{by} ({inner})"
        now, then = f"{metric}{self._at}", f"{metric}{self._at} offset {self._range}"
        if part:
            now, then = f"{part}({now})", f"{part}({then})"
        return f"sum{by} ({now} - {then} or {now})" if is_young else f"sum{by} ({now} - {then})"

    def _grown(self, metric: str, function: str, *, is_young: bool) -> str:
        """Each series' growth; of one that has begun within the time, its total."""
        grown = f"{function}({metric}[{self._range}]{self._at})"
        if not is_young:
            return grown
        total = f"{metric}{self._at}"
        return f"(increase({metric}[{self._range}]{self._at}) and {total} offset {self._range}) or {total}"

    def _of_gauge(self, source: Source, stat: Stat, metric: str) -> str | None:
        series = list(source.series)
        named = {each.label for each in self._plan.query.filters} | {each.text for each in self._plan.query.by}
        if not named.isdisjoint(WORKER_LABELS) and any("worker" in each.labels for each in series):
            self.note(OF_WORKERS)
        if stat.name == "last":
            across = next((each.across for each in series), "sum")
            if across == "last" and len(series) > len(source.groups):
                self.note(LATEST)
            return f"{ACROSS[across]}{self._by} ({metric}{self._at})"
        if stat.name not in GAUGE:
            return None
        self.note(SAMPLED)
        outer, inner = GAUGE[stat.name]
        return f"{outer}{self._by} ({inner}({metric}[{self._range}]{self._at}))"

    def _of_classic(self, source: Source, stat: Stat, *, is_young: bool) -> str | None:
        name = exported_name(source.metric.text, Kind.HISTOGRAM, source.unit)
        labels = self._labels(source.metric.text)
        q = {"min": 0.0, "max": 1.0}.get(stat.name, stat.q)
        if q is not None:
            by = ", ".join([EDGE, *(label_name(each.text) for each in self._plan.query.by)])
            buckets = self._come(f"{name}{BUCKET}{labels}", is_young=is_young, by=f" by ({by})")
            return f"histogram_quantile({q:.15g}, {buckets})"
        total, count = (self._come(f"{name}{part}{labels}", is_young=is_young) for part in (classic.SUM, classic.COUNT))
        if stat.name in ("count", "rate"):
            return self._counted(stat, count)
        return {"sum": total, "mean": f"{total} / {count}"}.get(stat.name)

    def _of_histogram(self, source: Source, stat: Stat, metric: str, *, is_young: bool) -> str | None:
        if stat.name in ("count", "rate"):
            return self._counted(stat, self._come(metric, COUNT, is_young=is_young))
        if stat.name == "sum":
            return self._come(metric, SUM, is_young=is_young)
        if stat.name == "mean":
            parts = (self._come(metric, part, is_young=is_young) for part in (SUM, COUNT))
            return " / ".join(parts)
        merged = f"sum{self._by} ({self._grown(metric, SHAPE, is_young=is_young)})"
        if stat.q is not None:
            return f"histogram_quantile({stat.q:.15g}, {merged})"
        if stat.value is not None:
            share = f"histogram_fraction(-Inf, {stat.value.in_unit(source.unit):.15g}, {merged})"
            return {UNDER: share, OVER: f"1 - {share}"}[stat.word]
        if stat.name == "stddev":
            self.note(STDDEV)
            return f"histogram_stddev({merged})"
        return None

    def _labels(self, metric: str) -> str:
        constant = (f"{name}={_quoted(value)}" for name, value in constant_labels(metric))
        only = [self._only] if self._only else []
        matchers = [*constant, *_matchers(self._plan.query.filters, metric), *only]
        return f"{{{', '.join(matchers)}}}" if matchers else ""


def _operand(text: str) -> str:
    """In parentheses where that makes a difference in a quotient."""
    return (
        f"({text})"
        if not text.startswith("(") and (" / " in text or " * " in text or text.startswith("1 - "))
        else text
    )


def format_range(length_ms: int) -> str:
    """A duration as PromQL writes it, in the largest unit that fits."""
    return f"{length_ms}ms" if length_ms % 1000 else f"{length_ms // 1000}s"


def _matchers(filters: Iterable[Filter], metric: str) -> Iterable[str]:
    for each in filters:
        label = label_name(each.label, metric)
        if each.operator == MATCHES:
            yield f"{label}=~{_quoted(f'(?s:.*)(?:{each.values[0]})(?s:.*)')}"
            continue
        negated = "" if each.operator == EQUAL else "!"
        if len(each.values) == 1 and not each.classes:
            yield f"{label}{negated or ''}={_quoted(each.values[0])}"
        else:
            choices = [*map(_escaped, each.values), *(f"{digit}[0-9][0-9]" for digit in each.classes)]
            yield f"{label}{negated or '='}~{_quoted('|'.join(choices))}"


def _escaped(text: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""A plan in PromQL: what to ask a Prometheus that scrapes the agent for the same numbers.

Histograms are native ones there. Names are those that the exporter gives: base units and `_total` in the name,
`obsagent_request_…` for the built-ins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from obsagent.answer.classic import SUFFIXES
from obsagent.answer.durations import format_duration
from obsagent.answer.plan import Direct, Output, Plan
from obsagent.answer.query import EQUAL, MATCHES, Filter
from obsagent.answer.select import Source
from obsagent.answer.stats import CLASSIC, OVER, UNDER, Stat
from obsagent.samples import Kind

BUILT_IN = {
    "latency": "obsagent_request_duration_seconds",
    "queue_delay": "obsagent_request_queue_delay_seconds",
    "requests": "obsagent_requests_total",
    "errors": "obsagent_request_errors_total",
    "in_flight": "obsagent_requests_in_flight",
}
UNIT_SUFFIXES = ("seconds", "bytes", "ratio")

ACROSS = {"sum": "sum", "max": "max", "min": "min", "mean": "avg", "last": "max"}
HISTOGRAM = {
    "mean": "sum{by} (histogram_sum(rate({m}))) / sum{by} (histogram_count(rate({m})))",
    "sum": "sum{by} (histogram_sum(increase({m})))",
    "count": "sum{by} (histogram_count(increase({m})))",
    "rate": "sum{by} (histogram_count(rate({m})))",
    "stddev": "histogram_stddev(sum{by} (rate({m})))",
}
COUNTER = {"rate": "sum{by} (rate({m}))", "sum": "sum{by} (increase({m}))", "count": "sum{by} (increase({m}))"}
CLASSIC_HISTOGRAM = {
    "mean": "sum{by} (rate({m_sum})) / sum{by} (rate({m_count}))",
    "sum": "sum{by} (increase({m_sum}))",
    "count": "sum{by} (increase({m_count}))",
    "rate": "sum{by} (rate({m_count}))",
}
"""Of what another server's page has, with the name that it has there and its labels: all of them are kept."""

GAUGE = {
    "mean": "avg{by} (avg_over_time({m}))",
    "min": "min{by} (min_over_time({m}))",
    "max": "max{by} (max_over_time({m}))",
    "count": "sum{by} (count_over_time({m}))",
}


def promql(plan: Plan, *, is_past: bool) -> tuple[list[str], list[str]]:
    """The queries that say the same, and notes on what has none. `is_past`: the range does not end now."""
    queries: list[str] = []
    notes: list[str] = []
    writer = _Writer(plan, is_past)
    for output, limit in zip(plan.outputs, plan.limits, strict=True):
        for stat in output.shown:
            text = writer.text(output, stat)
            if text is None:
                of_what = f"a {output.kind}" if output.kind else f"`{output.name}`, which is not known"
                notes.append(f"PromQL has no {stat.word} of {of_what}")
            else:
                queries.append(writer.with_clauses(text, stat, limit))
    if any(source.kind is CLASSIC for source in plan.sources):
        notes.append("a classic histogram is asked of a Prometheus that reads its server's own page")
    if plan.steps:
        notes.append(f"as a range query with a step of {format_duration(plan.steps.step_ms)}")
    return queries, notes


def exported_name(metric: str, kind: Kind, unit: str) -> str:
    """The name of a metric at the exporters."""
    if metric in BUILT_IN:
        return BUILT_IN[metric]
    name = re.sub(r"[^a-zA-Z0-9_:]", "_", metric)
    if unit in UNIT_SUFFIXES and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return f"{name}_total" if kind is Kind.COUNTER and not name.endswith("_total") else name


class _Writer:
    def __init__(self, plan: Plan, is_past: bool) -> None:
        self._plan = plan
        length_ms = plan.steps.step_ms if plan.steps else plan.span.to_ms - plan.span.from_ms
        self._range = f"[{max(1, round(length_ms / 1000))}s]"
        self._at = f" @ {plan.span.to_ms / 1000:.3f}" if is_past and not plan.steps else ""
        self._by = f" by ({', '.join(map(_label, (each.text for each in plan.query.by)))})" if plan.query.by else ""

    def text(self, output: Output, stat: Stat) -> str | None:
        if isinstance(output, Direct):
            return self._stat(output.source, stat)
        top = self._stat(output.numerator, output.numerator_stat)
        bottom = self._stat(output.denominator, output.denominator_stat)
        return f"{top} / {bottom}" if top and bottom else None

    def with_clauses(self, text: str, stat: Stat, limit: float) -> str:
        query = self._plan.query
        if query.where and stat.name == query.where.stat.name:
            text = f"({text}) {'>' if query.where.is_above else '<'} {limit:g}"
        if query.limit:
            text = f"{'topk' if query.limit.is_top else 'bottomk'}({query.limit.count}, {text})"
        return text

    def _stat(self, source: Source, stat: Stat) -> str | None:
        if source.kind is None:
            return None
        if source.kind is CLASSIC:
            return self._of_classic(source, stat)
        selector = exported_name(source.metric.text, source.kind, source.unit) + self._labels()
        ranged = f"{selector}{self._range}{self._at}"
        if source.kind is Kind.COUNTER:
            template = COUNTER.get(stat.name)
        elif source.kind is Kind.GAUGE:
            if stat.name == "last":
                across = next((series.across for series in source.series), "sum")
                return f"{ACROSS[across]}{self._by} ({selector}{self._at})"
            template = GAUGE.get(stat.name)
        else:
            template = self._of_histogram(source, stat)
        return template.replace("{by}", self._by).replace("{m}", ranged) if template else None

    def _of_classic(self, source: Source, stat: Stat) -> str | None:
        q = {"min": 0.0, "max": 1.0}.get(stat.name, stat.q)
        if q is not None:
            by = ", ".join(["le", *(_label(each.text) for each in self._plan.query.by)])
            template = f"histogram_quantile({q:.15g}, sum by ({by}) (rate({{m_bucket}})))"
        else:
            template = CLASSIC_HISTOGRAM.get(stat.name, "")
        for suffix in SUFFIXES:
            selector = f"{source.metric.text}{suffix}{self._labels()}"
            template = template.replace(f"{{m{suffix}}}", f"{selector}{self._range}{self._at}")
        return template.replace("{by}", self._by) or None

    def _of_histogram(self, source: Source, stat: Stat) -> str | None:
        merged = "sum{by} (rate({m}))"
        if stat.q is not None:
            return f"histogram_quantile({stat.q:.15g}, {merged})"
        if stat.value is not None:
            share = f"histogram_fraction(-Inf, {stat.value.in_unit(source.unit):g}, {merged})"
            return {UNDER: share, OVER: f"1 - {share}"}[stat.word]
        return HISTOGRAM.get(stat.name)

    def _labels(self) -> str:
        matchers = list(_matchers(self._plan.query.filters))
        return f"{{{', '.join(matchers)}}}" if matchers else ""


def _matchers(filters: Iterable[Filter]) -> Iterable[str]:
    for each in filters:
        label = _label(each.label)
        if each.operator == MATCHES:
            yield f"{label}=~{_quoted(f'(?s:.*)(?:{each.values[0]})(?s:.*)')}"
            continue
        negated = "" if each.operator == EQUAL else "!"
        if len(each.values) == 1 and not each.classes:
            yield f"{label}{negated or ''}={_quoted(each.values[0])}"
        else:
            choices = [*map(_escaped, each.values), *(f"{digit}[0-9][0-9]" for digit in each.classes)]
            yield f"{label}{negated or '='}~{_quoted('|'.join(choices))}"


def _label(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _escaped(text: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Why an answer is empty, and what would not be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import tzinfo

from obsagent.answer import classic
from obsagent.answer.durations import format_duration
from obsagent.answer.mistakes import did_you_mean, listing, nearest, there_are
from obsagent.answer.of_features import FEATURE, REFERENCE
from obsagent.answer.of_outcomes import MODEL, OfOutcomes
from obsagent.answer.outcome_metrics import ESTIMATES, metrics_for, predicts
from obsagent.answer.plan import Divided, Plan, unit_of
from obsagent.answer.query import DEFAULT_RANGE, EQUAL, Query, Since
from obsagent.answer.rows import Row
from obsagent.answer.select import Source, accepts, series_of
from obsagent.answer.values import RATIO
from obsagent.answer.view import View
from obsagent.answer.words import DERIVED, sources_of
from obsagent.answer.zones import local_time
from obsagent.samples import Series

DAY_MS = 86_400_000
GIVE_IDS = "`model.prediction(value, score, id=…)` gives one"


def why_empty(plan: Plan, view: View, now_ms: int, zone: tzinfo | None, measured: Sequence[Row]) -> str:
    """One line for an answer without series; `measured` are the rows that `where` has refused."""
    if measured:
        return _where_refused(plan, measured)
    if isinstance(plan.outputs[0], OfOutcomes):
        return why_no_outcomes(plan, plan.outputs[0])
    writer = _Writer(plan.query, view, now_ms, zone)
    source = next((each for each in plan.sources if each.kind is None), None)
    if source is not None:
        return writer.unknown_metric(source)
    source = next((each for each in plan.sources if not each.groups), None)
    if source is not None:
        return writer.nothing_passes(source)
    return writer.nothing_in_range(_divisor(plan))


def why_no_outcomes(plan: Plan, output: OfOutcomes) -> str:
    """One line for a metric of outcomes without any row."""
    query = plan.query
    if output.source.kind is None:
        return f"no prediction with an id {range_words(query)}, nor ever; {GIVE_IDS}"
    filters = " ".join(map(str, query.filters))
    of_what = f" with {filters}" if filters else ""
    if not output.source.groups:
        return f"no prediction with an id has ever come{of_what}"
    return f"no prediction with an id{of_what} {range_words(query)}; those without one find no truth; {GIVE_IDS}"


def no_truths(plan: Plan, rows: Sequence[Row]) -> str:
    """One line for predictions whose truths have not come."""
    output = rows[0].output
    waiting = sum(row.measured.beside["maturity"]["predictions"] for row in rows if row.output is output)
    models = sorted({label for row in rows for label in _models_of(row)})
    predictions = "prediction with an id waits" if waiting == 1 else "predictions with ids wait"
    return (
        f"no truths yet: {waiting:,} {predictions} for theirs {range_words(plan.query)}; "
        f"`model.truths(ids, values)` or `obsagent truth import FILE --model {models[0]}` bring them"
        f"{', `estimated_…` does without' if output.name in ESTIMATES else ''}"
    )


def _models_of(row: Row) -> list[str]:
    assert isinstance(row.output, OfOutcomes)
    return [
        series.labels[MODEL] for group in row.output.source.groups if group.key == row.key for series in group.series
    ]


def no_reference(plan: Plan, rows: Sequence[Row]) -> str:
    """One line for features that there are, and nothing to compare them with; and for estimates."""
    if isinstance(rows[0].output, OfOutcomes):
        model = _models_of(rows[0])[0]
        return (
            f"`{rows[0].output.name}` needs a reference of {model} that knows scores, predictions and truths: "
            f"`obsagent reference fit FILE --model {model} --prediction … --score … --truth …` makes one"
        )
    keys = {row.key for row in rows}
    return no_reference_of(
        [each for source in plan.sources for group in source.groups if group.key in keys for each in group.series]
    )


def no_reference_of(every: Sequence[Series]) -> str:
    """The same of their series."""
    series = [each for each in every if FEATURE in each.labels]
    features = sorted({each.labels.get(FEATURE, "") for each in series})
    models = sorted({each.labels["model"] for each in series if each.labels.get("model")}) or ["NAME"]
    what = f"{listing([f'`{name}`' for name in features], 3, 'and')} of {listing(models, last='and')}"
    have = "has" if len(features) == 1 else "have"
    made = sorted({each.labels[REFERENCE] for each in series if each.labels.get(REFERENCE)})
    if made:
        known = "is not known here" if len(made) == 1 else "are not known here"
        ids = f"reference {listing(made, 3, 'and')}"
        return (
            f"{what}: the {ids} {known}; the agent knows those that its configuration names under [models.{models[0]}]"
        )
    return (
        f"{what} {have} no reference: make one with `obsagent reference fit FILE --model {models[0]}`, and name it in "
        f'the agent\'s configuration: [models.{models[0]}] reference = "PATH"'
    )


def _divisor(plan: Plan) -> Source:
    """The metric without which there is no row."""
    output = plan.outputs[0]
    return output.denominator if isinstance(output, Divided) else output.source


def range_words(query: Query) -> str:
    """When, in words: `in the last 15m`."""
    when = query.range.when
    if not isinstance(when, Since):
        return query.range.text
    text = query.range.text.removeprefix("since ")
    return f"in the last {text if query.range is not DEFAULT_RANGE else format_duration(when.duration_ms)}"


def _where_refused(plan: Plan, measured: Sequence[Row]) -> str:
    where = plan.query.where
    assert where is not None
    if len(measured) > 1:
        what = f"none of the steps of {len(measured)} rows" if plan.steps else f"none of {len(measured)} rows"
        said = f"{what} has {where}"
    else:
        said = f"none of the steps has {where}" if plan.steps else f"the only row does not have {where}"
    is_share = all(unit_of(where.stat, output) == RATIO for output in plan.outputs)
    if is_share and not where.value.dimension and where.value.number > 1:
        return f"{said}; 1 is the whole: did you mean `{where.value.text}%`?"
    return said


class _Writer:
    def __init__(self, query: Query, view: View, now_ms: int, zone: tzinfo | None) -> None:
        self._query = query
        self._view = view
        self._now_ms = now_ms
        self._zone = zone

    def unknown_metric(self, source: Source) -> str:
        name = source.metric.text
        if name == FEATURE:
            return f"no features {self._range()}, nor ever; `request.features(…)` and `model.features(…)` bring them"
        every = list(self._view.series())
        metrics = {series.metric for series in every} | classic.names(every)
        said = f"no `{name}` {self._range()}"
        if not metrics and not self._derived(metrics):
            return f"{said}: the store holds no metric yet; no client has sent a sample"
        near = nearest(name, metrics)
        if not near and (near := nearest(name, self._derived(metrics))):
            return f"{said}; did you mean `{near}`?"
        if near:
            return f"{said}; did you mean `{near}`?{self._last_sample(near, '')}{self._silence()}"
        return f"{said}, nor ever; {there_are(metrics)}"

    def _derived(self, metrics: Collection[str]) -> list[str]:
        """What can be computed of what there is."""
        ledger = self._view.ledger
        judged = {name for model in (ledger.models() if ledger else ()) for name in metrics_for(predicts(model))}
        known = (name for name in DERIVED if sources_of(name) and set(sources_of(name)) <= set(metrics))
        return sorted({*known, *judged})

    def nothing_passes(self, source: Source) -> str:
        """Names the filter that no series passes, with the values that exist."""
        name = source.metric.text
        of_metric = series_of(name, self._view.series())
        for each in self._query.filters:
            values = {series.labels.get(each.label, "") for series in of_metric}
            if not any(accepts(each, value) for value in values):
                hint = did_you_mean(each.values[0], values) if each.values and each.operator == EQUAL else ""
                return f"no `{name}` with {each}; {each.label} has been {_listed(of_metric, each.label)}{hint}"
        return f"no `{name}` with {self._filters()} at once"

    def nothing_in_range(self, source: Source) -> str:
        name = source.metric.text
        if not self._query.filters:
            return f"no `{name}` {self._range()}{self._last_sample(name)}{self._silence()}"
        return f"no `{name} {self._filters()}` {self._range()}{self._last_of(source)}{self._silence()}"

    def _filters(self) -> str:
        return " ".join(map(str, self._query.filters))

    def _range(self) -> str:
        return range_words(self._query)

    def _last_sample(self, metric: str, separator: str = ";") -> str:
        last_ms = self._last_ms(metric)
        if last_ms is None:
            return f"{separator} no sample of it is stored"
        return f"{separator} last sample {self._at(last_ms)}"

    def _last_of(self, source: Source) -> str:
        """As `_last_sample`, but of the series that pass the filters, whose last window is known."""
        seen = self._view.last_samples([series.id for series in source.series], 0)
        of_metric_ms = self._last_ms(source.metric.text)
        if not seen or of_metric_ms is None:
            return "; no sample of it is stored"
        return f"; last sample {self._at(min(max(end_ms for _, end_ms in seen.values()), of_metric_ms))}"

    def _last_ms(self, metric: str) -> int | None:
        """Of a classic histogram, that of its parts."""
        known = {each.metric for each in series_of(metric, self._view.series())}
        return max((at for name in known if (at := self._view.metric_last_ms(name)) is not None), default=None)

    def _silence(self) -> str:
        """That nobody is connected is reason enough for silence."""
        clients = self._view.clients()
        if clients.live or clients.last_ms is None:
            return ""
        return f"; no client connected since {self._at(clients.last_ms)}"

    def _at(self, at_ms: int) -> str:
        ago_ms = max(0, self._now_ms - at_ms)
        shown = f"{local_time(at_ms, self._zone):{'%H:%M:%S' if ago_ms < DAY_MS else '%Y-%m-%d %H:%M:%S'}}"
        return f"{shown}, {format_duration(ago_ms)} ago"


def _listed(series: Sequence[Series], label: str) -> str:
    values = sorted({one.labels[label] for one in series if one.labels.get(label)})
    return listing(values, last="and")

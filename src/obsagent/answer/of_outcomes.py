"""Derived metrics of outcomes in a plan: which of the ledger's series a query is about, and whether it makes sense.

The ledger's series are selected as all others are: their labels are `model`, `version`, `variant`, and the slices of
the predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from obsagent.answer.mistakes import QueryError, listing
from obsagent.answer.outcome_metrics import CLASSES, NUMBERS, TWO_CLASSES, Figure, figure_of, metrics_for, predicts
from obsagent.answer.outcomes import Ledger, OutcomeModel, OutcomeSeries
from obsagent.answer.query import Query, Term
from obsagent.answer.select import Source, check_is_of_one, select
from obsagent.answer.stats import Stat
from obsagent.samples import Kind, Series

MODEL = "model"
SHOWN = 12
"""So many metrics are named to who asks for one that has no meaning."""
WORDS = {TWO_CLASSES: "tells two classes apart", CLASSES: "has more than two classes", NUMBERS: "predicts numbers"}


@dataclass(frozen=True, slots=True)
class OfOutcomes:
    """A derived metric of outcomes. The ids of its source's series are the numbers of the ledger's."""

    name: str
    stat: Stat
    source: Source
    figure: Figure

    @property
    def kind(self) -> str | None:
        """`derived`; None if the ledger has no predictions at all."""
        return "derived" if self.source.kind else None

    @property
    def unit(self) -> str:
        """Its unit."""
        return self.figure.unit

    @property
    def shown(self) -> tuple[Stat, ...]:
        """The metric itself."""
        return (self.stat,)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Nothing of what is kept by metric: it reads the ledger."""
        return ()


def of_outcomes(query: Query, term: Term, ledger: Ledger | None) -> OfOutcomes:
    """A term that names a derived metric of outcomes.

    Raises `QueryError` if it would mix several models, or has no meaning for what they predict.
    """
    name, figure = term.metric, figure_of(term.metric.text)
    assert figure is not None
    models = {model.name: model for model in ledger.models()} if ledger else {}
    source = select(query, name, as_series(name.text, ledger.series() if ledger else (), models))
    check_is_of_one(query, name, source, (MODEL,))
    _check_task(query, term, figure, [models[each] for each in {series.labels[MODEL] for series in source.series}])
    return OfOutcomes(name.text, Stat(name.text), source, figure)


def as_series(metric: str, every: Iterable[OutcomeSeries], models: Mapping[str, OutcomeModel]) -> list[Series]:
    """The ledger's series, as those of a metric; what a model predicted when it had another task is left out."""
    return [
        Series(each.number, metric, Kind.COUNTER, labels_of(each))
        for each in every
        if each.model in models and each.task == models[each.model].task
    ]


def labels_of(series: OutcomeSeries) -> dict[str, str]:
    """What a series of the ledger is filtered and grouped by."""
    return {**series.slice, MODEL: series.model, "version": series.version, "variant": series.variant}


def _check_task(query: Query, term: Term, figure: Figure, models: Sequence[OutcomeModel]) -> None:
    """A metric must have a meaning for one of the models at least."""
    tasks = {model.name: predicts(model) for model in models}
    if not tasks or any(not task or task in figure.tasks for task in tasks.values()):
        return
    model, task = min(tasks.items())
    name = term.metric
    wanted = " or ".join(WORDS[each] for each in figure.tasks)
    summary = (
        f"`{name.text}` is of a model that {wanted}, and {model} {WORDS[task]}: "
        f"ask for {listing(metrics_for(task), SHOWN)}"
    )
    raise QueryError(summary, query.text, name.start, name.end)

"""Derived metrics of features in a plan, and a row of one: which of its columns are compared with which reference.

A reference's bins are its own. So the columns of a row are merged by their `reference`; one of these is compared with
its reference, the others are left out of the number and said to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from obsagent._native.codec import Groups
from obsagent.answer.columns import Column, decoded, merged
from obsagent.answer.expected import Expected, References
from obsagent.answer.feature_counts import Counted, counted, in_bins
from obsagent.answer.feature_metrics import FIGURES, MISSING_SHARE, NOTHING, Figure, missing
from obsagent.answer.measure import Measured, exact
from obsagent.answer.mistakes import QueryError
from obsagent.answer.query import Name, Query, Term
from obsagent.answer.select import Key, Source, check_is_of_one, select
from obsagent.answer.stats import Stat
from obsagent.samples import Kind, Series

FEATURE = "feature"
FEATURE_ROWS = "feature_rows"
REFERENCE = "reference"
OF_A_FEATURE = (FEATURE, REFERENCE)
"""Labels that the rows do not have, whatever features they are made of."""
MODEL_LABELS = ("model", FEATURE)
COUNT = "count"


@dataclass(frozen=True, slots=True)
class OfFeatures:
    """A derived metric of features; `rows` are the rows of which they are a part, if it needs them."""

    name: str
    stat: Stat
    source: Source
    rows: Source | None = None

    @property
    def figure(self) -> Figure:
        """How it is computed."""
        return FIGURES[self.name]

    @property
    def kind(self) -> str | None:
        """`derived`; None if the store knows no features."""
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
        """What it reads."""
        return (self.source, self.rows) if self.rows else (self.source,)


def of_features(query: Query, term: Term, series: list[Series]) -> OfFeatures:
    """A term that names a derived metric of features; raises `QueryError` if it would mix several features."""
    name = term.metric
    source = select(query, Name(FEATURE, name.start, name.end), series)
    if source.kind not in (Kind.COLUMN, None):
        summary = f"`{name.text}` is computed from the features of models, and here `{FEATURE}` is a {source.kind.word}"
        raise QueryError(summary, query.text, name.start, name.end)
    if not FIGURES[name.text].merges_features:
        check_is_of_one(query, name, source, MODEL_LABELS)
    rows = None
    if name.text == MISSING_SHARE and source.kind is not None:
        rows = select(_of_rows(query), Name(FEATURE_ROWS, name.start, name.end), series)
    return OfFeatures(name.text, Stat(name.text), source, rows)


def _of_rows(query: Query) -> Query:
    """The same question about rows."""
    return replace(
        query,
        filters=tuple(each for each in query.filters if each.label not in OF_A_FEATURE),
        by=tuple(each for each in query.by if each.text not in OF_A_FEATURE),
    )


def key_of_rows(key: Key) -> Key:
    """Which rows a row of the answer is a part of."""
    return tuple(pair for pair in key if pair[0] not in OF_A_FEATURE)


@dataclass(frozen=True, slots=True)
class Compared:
    """The columns of one row of an answer, merged: all of them, and those that have the reference's bins."""

    every: Counted
    expected: Expected | None = None
    found: Counted | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reference → samples that count over its bins and so not here; of those without a reference it is empty."""


def compared(
    groups: Groups, places: Mapping[str, int], steps: Sequence[int], chosen: Expected | None
) -> Compared | None:
    """The columns of a row in some of its steps; None if there is no sample.

    `places` are its native groups by reference.
    """
    columns = {reference: merged_column(groups, [place], steps) for reference, place in places.items()}
    found = {reference: column for reference, column in columns.items() if column is not None}
    if not found:
        return None
    ours = found.get(chosen.reference) if chosen else None
    compared_with = in_bins(chosen, counted(ours)) if chosen is not None and ours is not None else None
    left_out = {name: column.samples for name, column in found.items() if chosen and name != chosen.reference}
    if len(found) == 1:
        return Compared(compared_with or counted(*found.values()), chosen, compared_with, left_out)
    return Compared(counted(merged(*found.values())), chosen, compared_with, left_out)


def merged_column(groups: Groups, members: Iterable[int], steps: Sequence[int]) -> Column | None:
    """All that was merged into some groups; None if nothing was."""
    parts = (groups.column(member, step) for member in members for step in steps)
    columns = [decoded(part) for part in parts if part is not None]
    return merged(*columns) if columns else None


def measured(output: OfFeatures, row: Compared, rows: int | None) -> Measured:
    """The number of a row. `rows` is how many rows there were, if that is asked for."""
    counts, figure = row.every.samples, output.figure
    if figure.compare is not None:
        counts = row.found.samples if row.found else 0
        estimate = figure.compare(row.expected, row.found) if row.expected and row.found else NOTHING
    elif figure.alone is not None:
        estimate = figure.alone(row.every)
    else:
        estimate = missing(row.every, rows or 0)
    return Measured(counts, {output.stat.name: estimate, COUNT: exact(counts)}, stated=_stated(figure, row))


def _stated(figure: Figure, row: Compared) -> dict[str, Any]:
    """What a row says of its reference."""
    if not figure.needs_reference:
        return {}
    stated: dict[str, Any] = {"reference": row.expected.reference if row.expected else None}
    if row.left_out:
        stated["left_out"] = dict(row.left_out)
    return stated


def choose(series: Iterable[Series], samples: Mapping[str, int], references: References) -> Expected | None:
    """Which reference a row is compared with: one that is configured now for its model, else one that still is known.

    Of several it is the one with the most samples behind it.
    """
    every = list(series)
    features = {each.labels.get(FEATURE, "") for each in every}
    known = {
        label: expected
        for label in sorted({each.labels.get(REFERENCE, "") for each in every} - {""})
        for feature in features
        if (expected := references.feature(label, feature)) is not None
    }
    current = {references.current(each.labels.get("model", ""), each.labels.get("version", "")) for each in every}
    candidates = [label for label in known if label in current] or list(known)
    best = max(candidates, key=lambda label: samples.get(label, 0), default=None)
    return known[best] if best is not None else None

"""What was counted in a window, by chart: of the whole and of each slice, over the bins of the reference.

Series of one feature differ by service, host and worker, which are merged, and by the slices that the requests named.
Each value of each slice is a chart of its own, beside the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import NamedTuple, Protocol, TypeAlias

from obsagent._native.codec import Groups
from obsagent.answer.columns import decoded
from obsagent.answer.expected import Expected, References
from obsagent.answer.feature_counts import all_bins, are_comparable, counted, in_bins
from obsagent.answer.of_features import FEATURE
from obsagent.answer.of_features import REFERENCE as REFERENCE_LABEL
from obsagent.answer.view import View as AnswerView
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.state import Judged
from obsagent.limits import DRIFT_CHARTS, DRIFT_SLICES
from obsagent.samples import Kind, Series

KNOWN = frozenset({"model", "version", "variant", FEATURE, REFERENCE_LABEL, "service", "host", "worker", "overflow"})
"""Labels that are no slices."""

Bins: TypeAlias = Sequence[float]
"""Counts over all bins of a reference, those for nulls and the like among them."""


class View(AnswerView, Protocol):
    """What is judged."""

    def starts(self, from_ms: int, to_ms: int, step_ms: int) -> Sequence[int]:
        """The multiples of `step_ms` in the range behind which something is stored, in order."""
        ...


class Part(NamedTuple):
    """Series that are merged where they are read: one feature, one reference, one combination of slices."""

    feature: str
    reference: str
    slices: tuple[tuple[str, str], ...]

    def charts(self, allowed: frozenset[str]) -> Iterable[ChartKey]:
        """The charts that it is counted in."""
        yield ChartKey(self.feature, self.reference)
        for label, value in self.slices:
            if f"{label}={value}" in allowed:
                yield ChartKey(self.feature, self.reference, f"{label}={value}")


@dataclass(frozen=True, slots=True)
class Stream:
    """What comes of one version of a model in one role: its series, and the parts that they merge into."""

    judged: Judged
    series: tuple[Series, ...]
    parts: tuple[Part, ...]
    places: Mapping[int, int]
    """Series → part."""
    slices: frozenset[str]
    """Those that have charts."""
    charts_left_out: int = 0
    """Charts that there would be, but for the limits."""
    feature_count: int = 0


def streams_of(series: Iterable[Series]) -> dict[Judged, Stream]:
    """Every version of a model of which features are stored."""
    found: dict[Judged, list[Series]] = {}
    for each in series:
        labels = each.labels
        if each.kind is Kind.COLUMN and each.metric == FEATURE and labels.get("model") and labels.get(FEATURE):
            judged = Judged(labels["model"], labels.get("version", ""), labels.get("variant", ""))
            found.setdefault(judged, []).append(each)
    return {judged: _stream(judged, members) for judged, members in found.items()}


def _stream(judged: Judged, series: list[Series]) -> Stream:
    numbers: dict[Part, int] = {}
    places = {each.id: numbers.setdefault(_part(each), len(numbers)) for each in series}
    slices, left_out = _slices(numbers)
    features = len({part.feature for part in numbers})
    return Stream(judged, tuple(series), tuple(numbers), places, slices, left_out, features)


def _part(series: Series) -> Part:
    slices = sorted((label, value) for label, value in series.labels.items() if label not in KNOWN and value)
    return Part(series.labels[FEATURE], series.labels.get(REFERENCE_LABEL, ""), tuple(slices))


def _slices(parts: Iterable[Part]) -> tuple[frozenset[str], int]:
    """The slices of most parts, as far as there is room for their charts; and how many charts there is none for."""
    every = list(parts)
    wholes = len({(part.feature, part.reference) for part in every})
    charts: Counter[str] = Counter()
    for label_value in {(part.feature, part.reference, *pair) for part in every for pair in part.slices}:
        charts[f"{label_value[2]}={label_value[3]}"] += 1
    room, kept = DRIFT_CHARTS - wholes, set()
    for name, count in sorted(charts.items(), key=lambda item: (-item[1], item[0]))[:DRIFT_SLICES]:
        if count <= room:
            kept.add(name)
            room -= count
    return frozenset(kept), sum(count for name, count in charts.items() if name not in kept)


Decide = Callable[[Part], Expected | None]


def expects(references: References) -> Decide:
    """What the reference that a part counts over says of its feature."""
    return lambda part: references.feature(part.reference, part.feature) if part.reference else None


def collect(view: View, stream: Stream, from_ms: int, to_ms: int, expected_of: Decide) -> dict[ChartKey, Bins]:
    """The counts of a time by chart, over all bins of the reference; charts without any are not there."""
    groups = Groups(dict(stream.places), len(stream.parts))
    view.collect(from_ms, to_ms, groups)
    found: dict[ChartKey, Bins] = {}
    for number, part in enumerate(stream.parts):
        encoded = groups.column(number, 0)
        expected = expected_of(part) if encoded is not None else None
        if encoded is None or expected is None:
            continue
        numbers = in_bins(expected, counted(decoded(encoded)))
        if not are_comparable(expected, numbers):
            continue
        bins = all_bins(expected, numbers)[1]
        for key in part.charts(stream.slices):
            known = found.get(key)
            found[key] = bins if known is None else list(map(add, known, bins))
    return found

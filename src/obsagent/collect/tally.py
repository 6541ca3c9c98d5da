"""Adds up what the sources under the same labels take, in one round and over their lives.

A source is a process or a cgroup. A worker slot has one process after the other, and a matcher may find several at
once: a total is the sum of what each of them has come to while it was watched, and never goes back when one ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

from obsagent.collect.differences import Differences
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

Labels = tuple[tuple[str, str], ...]
Series = tuple[Instrument, Labels]
Source = tuple[Labels, Hashable]
"""A process or a cgroup, under the labels that it is told under."""


class Total(NamedTuple):
    """One total of a source; that of a `part` above 0 ends with the part."""

    instrument: Instrument
    labels: Labels
    part: int


class Used(NamedTuple):
    """A value, with labels besides those of its source. Totals of several `part`s are added up."""

    instrument: Instrument
    labels: dict[str, str]
    value: float
    part: int = 0


class Tally:
    """`begin` a round, `add` sources, then take the `readings`."""

    def __init__(
        self, rates: Mapping[Instrument, tuple[Instrument, tuple[str, ...]]], differences: Differences | None = None
    ) -> None:
        """`rates` says which gauges are made of which totals, a second: a gauge, and the labels that it keeps."""
        self._rates = rates
        self._differences = differences or Differences()
        self._totals: defaultdict[Series, float] = defaultdict(float)
        self._before: dict[Source, dict[Total, float]] = {}
        self._now: dict[Source, dict[Total, float]] = {}
        self._round: dict[Series, float] = {}

    def begin(self) -> None:
        """A new round: sources that are not added to it are not watched any more."""
        self._differences.begin()
        self._before, self._now = self._now, {}
        self._round = {}

    def add(self, labels: Mapping[str, str], source: Hashable, used: Iterable[Used], *, is_new: bool = False) -> None:
        """What a source takes. Of one that `is_new`, begun since the agent watches, everything counts."""
        who = (_key(labels), source)
        before = self._before.get(who, {} if is_new else None)
        now: dict[Total, float] = {}
        for each in used:
            series = each.instrument, _key({**labels, **each.labels})
            if each.instrument.kind is Kind.COUNTER:
                total = Total(each.instrument, _key(each.labels), each.part)
                now[total] = each.value
                counted = each.value if before is None else before.get(total, 0.0)
                self._totals[series] += max(each.value - counted, 0.0)
                self._round[series] = self._totals[series]
                self._rate(labels, (who, total), each)
            else:
                self._add_up(series, each.value)
        unread = {total: value for total, value in (before or {}).items() if total not in now and not total.part}
        self._now[who] = now | unread  # what could not be read this time is not to count again

    def _rate(self, labels: Mapping[str, str], key: Hashable, used: Used) -> None:
        if used.instrument in self._rates:
            gauge, kept = self._rates[used.instrument]
            grown = self._differences.of(key, used.value)
            if grown is not None:
                named = {name: value for name, value in used.labels.items() if name in kept}
                self._add_up((gauge, _key({**labels, **named})), grown.per_second)

    def _add_up(self, series: Series, value: float) -> None:
        self._round[series] = self._round.get(series, 0.0) + value

    def readings(self) -> Iterator[Reading]:
        """Those of the round."""
        for (instrument, labels), value in self._round.items():
            begins_at = 0.0 if instrument.kind is Kind.COUNTER else None
            yield Reading(instrument, value, dict(labels), begins_at)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))

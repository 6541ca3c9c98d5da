"""Adds up what the processes under the same labels take, in one round and over their lives.

A worker slot has one process after the other, and a matcher may find several at once: a total is the sum of what each
of them has come to while it was watched, and never goes back when one of them ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from obsagent.collect.differences import Differences
from obsagent.collect.instruments import CPU_SECONDS, CPU_UTILIZATION
from obsagent.collect.processes.procfs import Identity
from obsagent.collect.processes.usage import Used
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

Labels = tuple[tuple[str, str], ...]
Series = tuple[Instrument, Labels]
Total = tuple[Labels, Identity, Instrument, Labels, int]
"""One total of one process, under the labels of its model."""


class Tally:
    """`begin` a round, `add` processes, then take the `readings`."""

    def __init__(self, differences: Differences | None = None) -> None:
        self._differences = differences or Differences()
        self._totals: defaultdict[Series, float] = defaultdict(float)
        self._before: dict[Total, float] = {}
        self._now: dict[Total, float] = {}
        self._watched: set[tuple[Labels, Identity]] = set()
        self._seen: set[tuple[Labels, Identity]] = set()
        self._round: dict[Series, float] = {}

    def begin(self) -> None:
        """A new round: those that are not added to it are not watched any more."""
        self._differences.begin()
        self._before, self._now = self._now, {}
        self._watched, self._seen = self._seen, set()
        self._round = {}

    def add(self, labels: Mapping[str, str], who: Identity, used: list[Used], *, is_new: bool) -> None:
        """What a process takes. Of one that `is_new`, begun since the agent watches, everything counts."""
        of_model = _key(labels)
        counts_all = is_new or (of_model, who) in self._watched
        self._seen.add((of_model, who))
        for each in used:
            series = each.instrument, _key({**labels, **each.labels})
            if each.instrument.kind is Kind.COUNTER:
                total = (of_model, who, each.instrument, _key(each.labels), each.part)
                self._count(series, total, each.value, counts_all=counts_all)
            else:
                self._round[series] = self._round.get(series, 0.0) + each.value
            if each.instrument is CPU_SECONDS:
                self._utilization(of_model, who, each.value)

    def _count(self, series: Series, total: Total, value: float, *, counts_all: bool) -> None:
        before = self._before.get(total, 0.0 if counts_all else value)
        self._now[total] = value
        self._totals[series] += max(value - before, 0.0)
        self._round[series] = self._totals[series]

    def _utilization(self, of_model: Labels, who: Identity, seconds: float) -> None:
        grown = self._differences.of((of_model, who), seconds)
        if grown is not None:
            series = CPU_UTILIZATION, of_model
            self._round[series] = self._round.get(series, 0.0) + grown.per_second

    def readings(self) -> Iterator[Reading]:
        """Those of the round."""
        for (instrument, labels), value in self._round.items():
            begins_at = 0.0 if instrument.kind is Kind.COUNTER else None
            yield Reading(instrument, value, dict(labels), begins_at)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))

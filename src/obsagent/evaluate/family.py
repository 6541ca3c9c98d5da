"""Features that are judged together, so that the rate of false alarms is that of the family and not of each.

Two questions are answered for every window, both by e-BH (Wang, Ramdas: False discovery rate control with e-values,
2022), which allows for any dependence between features:

    which features stand out in this window     of the e-values, at level α: of those named, at most the share α is
                                                expected to be wrong
    which have changed for good                 of the charts' R, at level 1 / ARL: that anything is named at all needs
                                                a mean R of ARL, which takes ARL windows on average while nothing has
                                                changed

The second one raises alarms. So a family has at most one false alarm in ARL windows, however many features it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from obsagent.drift import e_bh
from obsagent.evaluate.chart import Chart
from obsagent.evaluate.levels import Level


class ChartKey(NamedTuple):
    """What a chart is about: a feature, against a reference, of the whole (`slice` empty) or of `LABEL=VALUE`."""

    feature: str
    reference: str
    slice: str = ""


class Evidence(NamedTuple):
    """One window of one feature: the natural logarithm of its e-value, and how many samples say so."""

    log_e: float
    samples: int


@dataclass(slots=True)
class Alarm:
    """A feature has changed. `since_ms` is when, as far as can be told; `ended_ms` 0 as long as it goes on."""

    feature: str
    reference: str
    slice: str
    level: str
    since_ms: int
    raised_ms: int
    log_e: float
    """Of all that came since `since_ms`, when it was raised."""
    ended_ms: int = 0
    seen_ms: int = 0
    """End of the last window with evidence that it goes on."""

    @property
    def key(self) -> ChartKey:
        """The chart that it is of."""
        return ChartKey(self.feature, self.reference, self.slice)


@dataclass(slots=True)
class Family:
    """The charts of one version and variant of a model at one level."""

    level: Level
    next_ms: int = 0
    """Where the next window that is to be judged begins; 0 before the first one."""
    charts: dict[ChartKey, Chart] = field(default_factory=dict)
    alarms: dict[ChartKey, Alarm] = field(default_factory=dict)
    """Those that go on."""

    def judge(
        self, evidence: Mapping[ChartKey, Evidence], from_ms: int, to_ms: int, *, alpha: float, run_length: float
    ) -> tuple[list[Alarm], list[Alarm]]:
        """Takes one window's evidence; the alarms that are raised with it, and those that have ended.

        `alpha` is the share of wrong names in a window, `run_length` the mean number of windows between false alarms.
        """
        for key, (log_e, samples) in evidence.items():
            self.charts.setdefault(key, Chart()).update(log_e, from_ms, to_ms, samples)
        standing_out = set(e_bh({key: each.log_e for key, each in evidence.items()}, alpha, log=True))
        for key in evidence:
            self.charts[key].flagged = key in standing_out
        changed = set(e_bh({key: chart.log_r for key, chart in self.charts.items()}, 1 / run_length, log=True))
        return self._raised(changed, to_ms), self._ended(evidence, to_ms)

    def _raised(self, changed: set[ChartKey], to_ms: int) -> list[Alarm]:
        raised = []
        for key in sorted(changed):
            chart = self.charts[key]
            chart.begin_again()
            if key not in self.alarms:
                alarm = Alarm(*key, self.level.name, chart.since_ms, to_ms, chart.log_m)
                self.alarms[key] = alarm
                raised.append(alarm)
            self.alarms[key].seen_ms = to_ms
        return raised

    def _ended(self, evidence: Mapping[ChartKey, Evidence], to_ms: int) -> list[Alarm]:
        """Those of which several windows at a stretch say nothing any more."""
        ended = []
        for key in [key for key in self.alarms if key in evidence]:
            if self.charts[key].quiet >= self.level.quiet:
                alarm = self.alarms.pop(key)
                alarm.ended_ms = to_ms
                self.charts[key].forget()
                ended.append(alarm)
            elif self.charts[key].quiet == 0:
                self.alarms[key].seen_ms = to_ms
        return ended

    def forget(self, before_ms: int) -> None:
        """Charts of which nothing has come since then, and their alarms: the features, or the reference, are gone."""
        for key in [key for key, chart in self.charts.items() if chart.last_ms < before_ms]:
            del self.charts[key]
            self.alarms.pop(key, None)

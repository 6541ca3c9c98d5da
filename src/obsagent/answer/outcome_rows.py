"""Rows of metrics of outcomes: what was counted of each, measured, with how much of the truth is known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from obsagent.answer.expected import References
from obsagent.answer.instants import iso_utc
from obsagent.answer.measure import Estimate, Measured, exact
from obsagent.answer.of_outcomes import MODEL, OfOutcomes
from obsagent.answer.outcome_counts import Counts, classes_of, counts_of, expected_counts
from obsagent.answer.outcome_metrics import AVERAGED, MATURITY, PREDICTIONS, Figure, predicts
from obsagent.answer.outcome_read import Part, Reading
from obsagent.answer.outcomes import OutcomeModel
from obsagent.answer.select import Group, Key
from obsagent.performance import CBPE, BinaryCounts, RegressionSums
from obsagent.performance.counts import CONFIDENCE

COUNT = "count"
NEARLY = 0.9
"""The share of predictions with a truth up to which a time counts as nearly complete."""
NEARLY_OF = 10
ROUNDING = 1e-9
NO_SCORES = "no reference with truths and scores"


class OutcomeRows:
    """Measures rows of what was read."""

    def __init__(self, reading: Reading, models: Iterable[OutcomeModel], references: References) -> None:
        """`references` are what estimates are made from."""
        self._reading = reading
        self._models = {model.name: model for model in models}
        self._references = references
        self._calibrated: dict[tuple[str, str], CBPE | None] = {}

    def whole(self, output: OfOutcomes, key: Key) -> Measured | None:
        """A row over all steps; None if nothing was predicted, or the metric says nothing of its model."""
        measured = self.steps(output, key, range(self._reading.grid.count))
        if measured is not None:
            measured.stated["watermark"] = self._watermark(key)
            measured.stated |= self._reference(output, key)
        return measured

    def steps(self, output: OfOutcomes, key: Key, steps: range) -> Measured | None:
        """The same in some steps."""
        group = _group(output, key)
        model = self._models[group.series[0].labels[MODEL]]
        part = self._reading.part(key, steps)
        predictions, truths = part.predictions, part.truths
        task = predicts(model)
        if not predictions or (task and task not in output.figure.tasks):
            return None
        estimate, why = self._estimate(output, group, model, part)
        of_predictions = output.figure.is_estimate or output.name in (MATURITY, PREDICTIONS)
        count = predictions if of_predictions else truths
        maturity = {"predictions": predictions, "truths": truths, "share": truths / predictions}
        beside: dict[str, Any] = {"maturity": maturity}
        if output.figure.measure:
            is_bounded = estimate.value is not None and math.isfinite(estimate.low) and math.isfinite(estimate.high)
            interval = [estimate.low, estimate.high] if is_bounded else None
            beside |= {"interval": {output.stat.name: interval}, "confidence": CONFIDENCE}
        stated = {"why": why} if why else {}
        return Measured(count, {output.stat.name: estimate, COUNT: exact(count)}, stated=stated, beside=beside)

    def _estimate(self, output: OfOutcomes, group: Group, model: OutcomeModel, part: Part) -> tuple[Estimate, str]:
        """The number, and why there is none."""
        figure = output.figure
        if not figure.measure:
            return exact(_counted(output.name, part)), ""
        counts = classes_of(part, model) if figure.measure in AVERAGED else counts_of(part, model)
        if not figure.is_estimate:
            return measured(counts, figure)
        cbpe = self._calibration(group, model)
        if cbpe is None or not isinstance(counts, BinaryCounts):
            return Estimate(None), NO_SCORES
        found = cbpe.estimate(counts)[figure.measure]
        if found.value is None or found.low is None or found.high is None:
            return Estimate(None), found.why
        return Estimate(found.value, 0, found.low, found.high), ""

    def _calibration(self, group: Group, model: OutcomeModel) -> CBPE | None:
        """What scores mean, by the reference of the version of which most series are."""
        key = model.name, self._label(group)
        if key not in self._calibrated:
            expected = self._references.outcomes(key[1])
            counts = expected_counts(expected, model.positive) if expected else None
            self._calibrated[key] = CBPE(counts) if counts is not None and counts.scores.any() else None
        return self._calibrated[key]

    def _label(self, group: Group) -> str:
        """The reference that is configured for most of the series; of equally many the first."""
        series = [each.labels for each in group.series]
        labels = [self._references.current(each[MODEL], each["version"]) for each in series]
        return max(sorted({*labels}), key=labels.count)

    def _reference(self, output: OfOutcomes, key: Key) -> dict[str, Any]:
        if not output.figure.is_estimate:
            return {}
        group = _group(output, key)
        model = self._models[group.series[0].labels[MODEL]]
        return {"reference": self._label(group) if self._calibration(group, model) else None}

    def _watermark(self, key: Key) -> str | None:
        """Until when truths are nearly complete: behind it fewer than 9 in 10 predictions have one.

        It is where the sum of (truths − 9/10 of the predictions) over steps is largest, the first such place. Ten
        predictions must say so, or all if there are fewer.
        """
        every, joined = self._reading.maturities(key)
        excess = np.cumsum(joined - NEARLY * every)
        if excess.max() < min(NEARLY_OF, every.sum()) * (1 - NEARLY) - ROUNDING:
            return None
        grid, covered = self._reading.grid, self._reading.covered
        end_ms = grid.first_ms + (int(np.argmax(excess)) + 1) * grid.step_ms
        return iso_utc(min(end_ms, covered.to_ms) if covered else end_ms)


def measured(counts: Counts, figure: Figure) -> tuple[Estimate, str]:
    """A metric of counts with its interval, and why there is no number."""
    if figure.quantile is not None:
        assert isinstance(counts, RegressionSums)
        found = counts.quantile(figure.quantile, absolute=True)
    else:
        found = counts.measure(figure.measure)
    if found.value is None:
        return Estimate(None), found.why
    low = math.nan if found.low is None else found.low
    high = math.nan if found.high is None else found.high
    return Estimate(found.value, {"absolute": found.bound} if found.bound else 0, low, high), found.why


def _counted(name: str, part: Part) -> float | int:
    if name == MATURITY:
        return part.truths / part.predictions
    return part.predictions if name == PREDICTIONS else part.truths


def _group(output: OfOutcomes, key: Key) -> Group:
    return next(group for group in output.source.groups if group.key == key)

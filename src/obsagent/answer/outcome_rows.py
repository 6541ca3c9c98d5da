"""Rows of metrics of outcomes: what was counted of each, measured, with how much of the truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from obsagent.answer.expected import References
from obsagent.answer.instants import iso_utc
from obsagent.answer.measure import Estimate, Measured, exact
from obsagent.answer.of_outcomes import MODEL, OfOutcomes
from obsagent.answer.outcome_counts import Counts, classes_of, counts_of
from obsagent.answer.outcome_expected import Expectations
from obsagent.answer.outcome_metrics import AVERAGED, MATURITY, PREDICTIONS, Figure, predicts
from obsagent.answer.outcome_read import Part, Reading
from obsagent.answer.outcomes import OutcomeModel
from obsagent.answer.select import Group, Key
from obsagent.performance import Measured as Found
from obsagent.performance import RegressionSums
from obsagent.performance.counts import CONFIDENCE

COUNT = "count"
NEARLY = 0.9
"""The share of predictions with a truth up to which a time counts as nearly complete."""
NEARLY_OF = 10
ROUNDING = 1e-9
NO_SCORES = "no reference knows truths and scores"


class OutcomeRows:
    """Measures rows of what was read."""

    def __init__(self, reading: Reading, groups: Sequence[Group], references: References) -> None:
        """`groups` are the rows; `references` are what estimates are made from."""
        self._reading = reading
        self._groups = {group.key: group for group in groups}
        self._models = {model.name: model for model in reading.models}
        self._references = references
        self.expectations = Expectations(references)

    def model(self, key: Key) -> OutcomeModel:
        """The one model that a row is of."""
        return self._models[self._groups[key].series[0].labels[MODEL]]

    def part(self, key: Key, steps: range | None = None) -> Part:
        """What was counted of a row in some steps, or all."""
        return self._reading.part(key, range(self._reading.grid.count) if steps is None else steps)

    def reference(self, key: Key) -> str:
        """The reference that is configured for most of a row's series; of equally many the first; empty if none is."""
        series = [each.labels for each in self._groups[key].series]
        labels = [self._references.current(each[MODEL], each["version"]) for each in series]
        return max(sorted({*labels}), key=labels.count)

    def whole(self, output: OfOutcomes, key: Key) -> Measured | None:
        """A row over all steps; None if nothing was predicted, or the metric says nothing of its model."""
        measured = self.steps(output, key, range(self._reading.grid.count))
        if measured is None:
            return None
        measured.stated["watermark"] = self.watermark(key)
        if output.figure.is_estimate:
            reference = self.reference(key)
            known = self.expectations.estimates(self.model(key), reference, self.part(key))
            measured.stated["reference"] = reference if known else None
        return measured

    def steps(self, output: OfOutcomes, key: Key, steps: range) -> Measured | None:
        """The same in some steps."""
        part, task = self.part(key, steps), predicts(self.model(key))
        if not part.predictions or (task and task not in output.figure.tasks):
            return None
        estimate, why = self._estimate(output, key, part)
        of_predictions = output.figure.is_estimate or output.name in (MATURITY, PREDICTIONS)
        count = part.predictions if of_predictions else part.truths
        beside: dict[str, Any] = {"maturity": maturity_of(part)}
        if output.figure.measure:
            is_bounded = estimate.value is not None and math.isfinite(estimate.low) and math.isfinite(estimate.high)
            interval = [estimate.low, estimate.high] if is_bounded else None
            beside |= {"interval": {output.stat.name: interval}, "confidence": CONFIDENCE}
        stated = {"why": why} if why else {}
        return Measured(count, {output.stat.name: estimate, COUNT: exact(count)}, stated=stated, beside=beside)

    def _estimate(self, output: OfOutcomes, key: Key, part: Part) -> tuple[Estimate, str]:
        """The number, and why there is none."""
        figure, model = output.figure, self.model(key)
        if not figure.measure:
            return exact(_counted(output.name, part)), ""
        if not figure.is_estimate:
            found = measured(classes_of(part, model) if figure.measure in AVERAGED else counts_of(part, model), figure)
            return _shown(found.value, found.low, found.high, found.bound), found.why
        known = self.expectations.estimates(model, self.reference(key), part)
        if figure.measure not in known:
            return Estimate(None), NO_SCORES
        expected = known[figure.measure]
        return _shown(expected.value, expected.low, expected.high, 0.0), expected.why

    def watermark(self, key: Key) -> str | None:
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


def measured(counts: Counts, figure: Figure) -> Found:
    """A metric of counts."""
    if figure.quantile is not None:
        assert isinstance(counts, RegressionSums)
        return counts.quantile(figure.quantile, absolute=True)
    return counts.measure(figure.measure)


def maturity_of(part: Part) -> dict[str, Any]:
    """How much of the truth is known; there are predictions."""
    return {
        "predictions": part.predictions,
        "truths": part.truths,
        "share": part.truths / part.predictions,
    }


def _shown(value: float | None, low: float | None, high: float | None, bound: float) -> Estimate:
    """What chance leaves open lies between low and high; the bound is that of bins."""
    if value is None:
        return Estimate(None)
    ends = (math.nan if low is None else low, math.nan if high is None else high)
    return Estimate(value, {"absolute": bound} if bound else 0, *ends)


def _counted(name: str, part: Part) -> float | int:
    if name == MATURITY:
        return part.truths / part.predictions
    return part.predictions if name == PREDICTIONS else part.truths

"""What a reference says of a model's outcomes: what its metrics were then, and what scores mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from obsagent.answer.expected import ExpectedOutcomes, References
from obsagent.answer.outcome_counts import CELLS, OTHERS, Counts, binary_of, classes_by_score, names_of
from obsagent.answer.outcome_metrics import CLASSES, NUMBERS, TWO_CLASSES, predicts
from obsagent.answer.outcome_read import Part
from obsagent.answer.outcomes import OutcomeModel
from obsagent.limits import OUTCOME_CLASSES_ESTIMATED, SCORE_BINS
from obsagent.performance import CBPE, BinaryCounts, ClassCBPE, ClassCounts, Estimate, RegressionSums
from obsagent.performance.moments import Moments

if TYPE_CHECKING:
    from obsagent.reference.errors import Errors

PROBABILITIES = (0.0, 1.0)


class Expectations:
    """Of every model and reference, made once."""

    def __init__(self, references: References) -> None:
        """Nothing is made yet."""
        self._references = references
        self._joints: dict[tuple[str, str], Any] = {}
        self._calibrated: dict[tuple[str, str], CBPE | ClassCBPE | None] = {}

    def counts(self, model: OutcomeModel, reference: str) -> Counts | None:
        """The outcomes that a reference knows; None if it knows none."""
        if predicts(model) == NUMBERS:
            expected = self._references.outcomes(reference)
            return numbers_of_reference(expected.errors) if expected and expected.errors else None
        joint = self._joint(model, reference)
        if joint is None or not joint.any():
            return None
        if predicts(model) == TWO_CLASSES:
            return BinaryCounts.from_arrays(joint)
        return ClassCounts.from_arrays(joint.sum(axis=2), names_of(model))

    def estimates(self, model: OutcomeModel, reference: str, part: Part) -> Mapping[str, Estimate]:
        """What metrics probably are, by name; none without a reference that knows truths and scores."""
        cbpe = self._cbpe(model, reference)
        if cbpe is None:
            return {}
        if isinstance(cbpe, CBPE):
            return cbpe.estimate(binary_of(part, model))
        return cbpe.estimate(classes_by_score(part, model))

    def _cbpe(self, model: OutcomeModel, reference: str) -> CBPE | ClassCBPE | None:
        key = model.name, reference
        if key not in self._calibrated:
            joint = self._joint(model, reference)
            knows_scores = joint is not None and joint.shape[2] == CELLS and joint[:, :, :SCORE_BINS].any()
            self._calibrated[key] = _calibrated(joint, model) if knows_scores else None
        return self._calibrated[key]

    def _joint(self, model: OutcomeModel, reference: str) -> Any:
        """(truth, predicted, 1025): of two classes the negative one is first; of too many 1 for 1025."""
        key = model.name, reference
        if key not in self._joints:
            expected = self._references.outcomes(reference) if predicts(model) in (TWO_CLASSES, CLASSES) else None
            self._joints[key] = _joint_of(expected, model) if expected else None
        return self._joints[key]


def numbers_of_reference(errors: Errors) -> RegressionSums:
    """What a reference keeps of errors, as it is measured."""
    return RegressionSums.from_moments(
        Moments(*errors.errors),
        Moments(*errors.truths),
        Moments(*errors.absolute),
        Moments(*errors.shares),
        Moments(*errors.squares),
        ([*errors.bins], [*errors.bins.values()]),
    )


def _calibrated(joint: Any, model: OutcomeModel) -> CBPE | ClassCBPE:
    if predicts(model) == TWO_CLASSES:
        return CBPE(BinaryCounts.from_arrays(joint))
    return ClassCBPE(joint[:, :, :SCORE_BINS], names_of(model))


def _joint_of(expected: ExpectedOutcomes, model: OutcomeModel) -> Any:
    """None if it knows other classes, or no predictions. Scores that are no probabilities are left out.

    Coarser bins of scores than 1,024 count as the middle of theirs.
    """
    is_of_two = predicts(model) == TWO_CLASSES
    if not expected.predicted or (is_of_two and model.positive not in expected.truths):
        return None
    names = names_of(model)
    size = 2 if is_of_two else len(names)
    truths, predicted = (
        _places(each, names, model.positive if is_of_two else "") for each in (expected.truths, expected.predicted)
    )
    width = SCORE_BINS // max(expected.score_bins, 1)
    has_scores = expected.score_bins > 0 and expected.score_range == PROBABILITIES
    joint = np.zeros((size, size, CELLS if size <= OUTCOME_CLASSES_ESTIMATED else 1), dtype=np.int64)
    for (score, prediction, truth), rows in expected.cells.items():
        if prediction >= 0 and truth >= 0:
            place = score * width + width // 2 if has_scores and score >= 0 else SCORE_BINS
            joint[truths[truth], predicted[prediction], min(place, joint.shape[2] - 1)] += rows
    return joint


def _places(found: Sequence[str], names: Sequence[str], positive: str) -> list[int]:
    """Where each class of a reference, and what has no name there, stands: of two classes by which is positive."""
    if positive:
        return [*(int(name == positive) for name in found), 0]
    place = {name: at for at, name in enumerate(names)}
    return [place.get(name, place[OTHERS]) for name in (*found, OTHERS)]

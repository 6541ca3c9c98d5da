"""What answers and the evaluation need of references, out of the files that the configuration names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from obsagent.answer.expected import Expected, ExpectedOutcomes

if TYPE_CHECKING:
    from obsagent.reference import FeatureReference, Reference


class Known(Protocol):
    """References by their label, and by what they are configured for: `obsagent.reference.registry.References`."""

    def find(self, label: str) -> Reference | None:
        """The reference whose series have this label."""
        ...

    def lookup(self, model: str, version: str = "") -> Reference | None:
        """The reference of a version, else that of its model."""
        ...


class FromFiles:
    """Implements `obsagent.answer.expected.References`."""

    def __init__(self, known: Known) -> None:
        """Looks up what is known at each time."""
        self._known = known
        self._made: dict[tuple[str, str], Expected] = {}
        self._outcomes: dict[str, ExpectedOutcomes | None] = {}

    def feature(self, reference: str, feature: str) -> Expected | None:
        """What the reference with this label says of a feature or an output."""
        key = reference, feature
        made = self._made.get(key)
        if made is None:
            found = self._known.find(reference)
            column = (found.features.get(feature) or found.outputs.get(feature)) if found else None
            if column is None:
                return None
            made = self._made[key] = expected_of(reference, feature, column)
        return made

    def forget(self) -> None:
        """What was made of references that may be others now."""
        self._made, self._outcomes = {}, {}

    def features(self, reference: str) -> tuple[str, ...]:
        """The names of all features and outputs in a reference."""
        found = self._known.find(reference)
        return tuple(found.columns) if found else ()

    def current(self, model: str, version: str) -> str:
        """The label of the reference that is configured for a version of a model; empty if there is none."""
        found = self._known.lookup(model, version)
        return found.label if found else ""

    def outcomes(self, reference: str) -> ExpectedOutcomes | None:
        """What the reference with this label says of truths."""
        if reference not in self._outcomes:
            found = self._known.find(reference)
            self._outcomes[reference] = outcomes_of(found) if found else None
        return self._outcomes[reference]


def expected_of(reference: str, feature: str, column: FeatureReference) -> Expected:
    """One column of a reference as an answer needs it."""
    stddev = column.stddev
    return Expected(
        reference=reference,
        feature=feature,
        is_number=column.kind == "number",
        counts=tuple(map(float, column.bin_counts)),
        sums=tuple(column.sums),
        edges=tuple(column.edges),
        categories=tuple(column.categories),
        nulls=column.null_count,
        nans=column.nan_count,
        positive_infinities=column.positive_infinity_count,
        negative_infinities=column.negative_infinity_count,
        wrong_types=column.wrong_type_count,
        stddev=math.nan if stddev is None else stddev,
        kappa0=column.kappa0,
        importance=1.0 if column.importance is None else column.importance,
        distinct=column.distinct,
        is_constant=column.is_constant,
    )


def outcomes_of(reference: Reference) -> ExpectedOutcomes | None:
    """The joint distribution of a reference as an answer needs it; None if it knows no truth."""
    joint = reference.joint
    if joint is None:
        return None
    score_range = joint.score_low, joint.score_high
    named = reference.label, joint.predicted, joint.truths, joint.cells
    return ExpectedOutcomes(*named, joint.score_bins, score_range, reference.errors)

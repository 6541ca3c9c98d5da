"""A reference with one of everything, made by hand: what the format can say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from obsagent.reference import CATEGORY, NUMBER, PREDICTION, SCORE, FeatureReference, Joint, Reference, Spread
from obsagent.reference.errors import ErrorCounter, Errors
from obsagent.sketches import TDigest

VALUES = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def number(**changes: Any) -> FeatureReference:
    """Six numbers in two bins, of ten rows."""
    digest = TDigest(100)
    digest.add_many(VALUES)
    feature = FeatureReference(
        kind=NUMBER,
        type="float",
        count=6,
        null_count=1,
        nan_count=1,
        positive_infinity_count=1,
        negative_infinity_count=0,
        wrong_type_count=1,
        edges=(0.5, 1.75, 3.0),
        counts=(0, 3, 3, 0),
        sums=(0.0, 3.0, 7.5, 0.0),
        distinct=6.0,
        distinct_is_exact=True,
        spread=Spread(1.75, 4.375, 0.0, 5.5, 0.5, 3.0),
        tdigest=digest.to_bytes(),
        kappa0=7.5,
        importance=0.75,
    )
    return replace(feature, **changes)


def category(**changes: Any) -> FeatureReference:
    """Nine texts of ten rows."""
    feature = FeatureReference(
        kind=CATEGORY,
        type="text",
        count=9,
        null_count=1,
        categories=("Österreich", "DE", ""),
        category_counts=(5, 2, 1, 1),
        distinct=4.0,
        kappa0=10.0,
        importance=0.25,
    )
    return replace(feature, **changes)


def whole(**changes: Any) -> Reference:
    """Ten rows of a model's data."""
    classes = category(categories=("0", "1"), category_counts=(6, 4, 0), count=10, null_count=0, importance=None)
    reference = Reference(
        model="fraud",
        version="4",
        rows=10,
        features={
            "amount": number(),
            "country": category(),
            "nothing": FeatureReference(NUMBER, "null", null_count=10, distinct_is_exact=True),
        },
        outputs={PREDICTION: classes, SCORE: number(importance=None)},
        truth=classes,
        joint=Joint(0.0, 1.0, 1024, ("0", "1"), ("0", "1"), {(0, 0, 0): 6, (512, 1, 1): 3, (1023, 1, -1): 1}),
        left_out={"when": "it is of the type timestamp[ms]"},
        windows=10,
        created_ms=1_767_225_600_000,
        source="train.csv",
    )
    return replace(reference, **changes)


def nan_sums() -> FeatureReference:
    """Sums that have overflown."""
    return number(sums=(0.0, math.inf, math.nan, 0.0))


def errors_of(predicted: Sequence[float | None], truths: Sequence[float | None]) -> Errors:
    counter = ErrorCounter()
    counter.add(predicted, truths)
    found = counter.result()
    assert found is not None
    return found


def of_numbers(**changes: Any) -> Reference:
    """The reference of a model that predicts numbers, of ten rows."""
    outputs = {"prediction.value": number(importance=None)}
    errors = errors_of([1.0, 2.0, 4.0, 0.0], [1.5, 2.0, 1.0, 0.0])
    return replace(whole(truth=number(importance=None), outputs=outputs, joint=None, errors=errors), **changes)

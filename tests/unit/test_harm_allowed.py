"""What risk a reference says that a model had."""

from __future__ import annotations

from typing import Any

import pytest
from reference_lab import whole

from obsagent.harm.allowed import Known, known_of_reference, known_risk, loss_of
from obsagent.reference import FeatureReference, Reference
from obsagent.reference.feature import Joint

CLASSES = FeatureReference("category", "int", 100, categories=("0", "1"), category_counts=(60, 40, 0))


def positive(_: Any) -> str:
    return "1"


def reference(cells: dict[tuple[int, int, int], int], **changes: Any) -> Reference:
    joint = Joint(0.0, 1.0, 4, ("0", "1"), ("0", "1"), cells)
    given = {"joint": joint, "truth": CLASSES, "outputs": {"prediction.value": CLASSES}}
    return Reference("fraud", "4", 100, **{**given, **changes})


def test_the_share_of_wrong_classes() -> None:
    cells = {(0, 0, 0): 50, (3, 1, 1): 30, (1, 0, 1): 5, (2, 1, 0): 15}
    known = known_of_reference(reference(cells), "error", positive)
    assert known is not None
    assert (known.losses, known.rows) == (20.0, 100)
    assert known.source == f"reference {reference(cells).label}"


def test_rows_without_a_truth_or_with_two_unnamed_classes_say_nothing() -> None:
    cells = {(0, 0, 0): 50, (0, -1, 0): 7, (0, 0, -1): 7, (0, 2, 2): 7, (0, 2, 1): 10}
    known = known_of_reference(reference(cells), "error", positive)
    assert known is not None
    assert (known.losses, known.rows) == (10.0, 60)


def test_the_brier_score_of_binned_scores() -> None:
    known = known_of_reference(
        reference({(0, 0, 0): 50, (3, 1, 1): 50, (3, 1, 0): 10, (-1, 0, 0): 9}), "brier", positive
    )
    assert known is not None
    assert known.rows == 110
    assert known.losses == pytest.approx(100 * 0.125**2 + 10 * 0.875**2)


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"joint": None}, "error"),
        ({"truth": None}, "error"),
        ({"truth": FeatureReference("number", "float")}, "error"),
        ({"outputs": {}}, "error"),
        ({"outputs": {"prediction.value": FeatureReference("number", "float")}}, "error"),
        ({}, "absolute"),
        ({"joint": Joint(0.0, 1.0, 4, ("0", "1"), ("False", "True"), {(0, 0, 0): 1})}, "error"),
        ({"joint": Joint(0.0, 3.0, 4, ("0",), ("0", "1"), {(0, 0, 0): 1})}, "brier"),
        ({"joint": Joint(0.0, 1.0, 4, ("0",), ("a", "b"), {(0, 0, 0): 1})}, "brier"),
        ({"joint": Joint(0.0, 1.0, 4, ("0", "1"), ("0", "1"), {})}, "error"),
    ],
)
def test_a_reference_that_does_not_say_is_none(changes: dict[str, Any], loss: str) -> None:
    assert known_of_reference(reference({(0, 0, 0): 1}, **changes), loss, positive) is None


def test_it_is_looked_up_by_version() -> None:
    asked = []

    def lookup(*what: str) -> Reference | None:
        asked.append(what)
        return reference({(3, 1, 1): 1}) if what == ("fraud", "4") else None

    assert known_risk(lookup, "fraud", "4", "brier") is not None
    assert known_risk(lookup, "fraud", "5", "brier") is None
    assert asked == [("fraud", "4"), ("fraud", "5")]
    assert known_of_reference(whole(), "error", positive) is None or whole().joint is not None


def test_the_loss_fits_what_is_predicted() -> None:
    assert loss_of("", is_class=True) == "error"
    assert loss_of("brier", is_class=True) == "brier"
    assert loss_of("absolute", is_class=True) == "error"
    assert loss_of("brier", is_class=False) == "absolute"


def test_rows_cannot_lose_more_than_there_are() -> None:
    for losses, rows in ((2.0, 1), (-1.0, 5), (0.0, 0)):
        with pytest.raises(ValueError, match="cannot have lost"):
            Known(losses, rows, "x")

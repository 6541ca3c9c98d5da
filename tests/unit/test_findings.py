"""Findings about one feature: what is said, how grave it is, and what is not said."""

from dataclasses import replace

import pytest

from obsagent.answer.feature_counts import Counted
from obsagent.answer.of_features import Compared
from obsagent.evaluate.findings import HIGH, LOW, MEDIUM, findings, is_more
from unit.feature_cases import CATEGORIES, NUMBERS, categories, numbers

GOOD = numbers(0, 250, 250, 250, 250, 0)


def found(row, expected=NUMBERS, rows=0):
    return list(findings(Compared(row, expected, row if expected else None), rows))


def only(row, expected=NUMBERS, rows=0):
    (finding,) = found(row, expected, rows)
    return finding


def test_what_is_as_it_was_is_no_finding():
    assert found(GOOD, rows=1_000) == []
    assert found(categories(600, 300, 100, 0), CATEGORIES) == []
    assert found(GOOD, None) == []


@pytest.mark.parametrize(
    ("besides", "what", "metric"),
    [
        ("nulls", "null", "null_share"),
        ("nans", "nan", "nan_share"),
        ("positive_infinities", "infinite", "infinite_share"),
        ("negative_infinities", "infinite", "infinite_share"),
        ("wrong_types", "wrong_type", "wrong_type_share"),
    ],
)
@pytest.mark.parametrize(("count", "severity"), [(1, LOW), (50, MEDIUM), (900, HIGH)])
def test_values_that_the_reference_has_none_of(besides, what, metric, count, severity):
    finding = only(numbers(0, 250, 250, 250, 250, 0, **{besides: count}))
    assert (finding.what, finding.metric, finding.expected) == (what, metric, 0)
    assert finding.share == count / (1_000 + count)
    assert finding.severity == (HIGH if what == "wrong_type" and count > 1 else severity)


def test_a_share_that_the_reference_has_too_is_no_finding():
    expected = replace(NUMBERS, nulls=100)
    assert found(numbers(0, 250, 250, 250, 250, 0, nulls=110), expected) == []
    finding = only(numbers(0, 250, 250, 250, 250, 0, nulls=300), expected)
    assert finding.what == "null"
    assert "in the reference" in finding.says


def test_chance_and_trifles_are_no_findings():
    assert not is_more(60, 1_000, 0.05)  # within four deviations
    assert is_more(90, 1_000, 0.05)
    assert not is_more(50_500, 1_000_000, 0.05)  # certain, and half of a thousandth
    assert is_more(1, 1_000_000, 0.0)
    assert not is_more(0, 10, 0.0)


def test_numbers_out_of_range_and_categories_that_are_new():
    finding = only(numbers(30, 250, 250, 250, 250, 20))
    assert (finding.what, finding.severity) == ("out_of_range", MEDIUM)
    assert "outside 0 … 4" in finding.says
    assert found(numbers(0, 250, 250, 250, 249, 1)) == []  # a reference does not know its extremes better
    finding = only(categories(400, 200, 100, 300), CATEGORIES)
    assert (finding.what, finding.severity, finding.share) == ("unseen", HIGH, 0.3)


def test_a_feature_that_does_not_change_any_more():
    stuck = numbers(0, 0, 500, 0, 0, 0)
    assert [each.what for each in found(stuck)] == ["constant"]
    assert "1.5" in only(stuck).says
    assert found(stuck, replace(NUMBERS, is_constant=True)) == []
    assert found(numbers(0, 0, 20, 0, 0, 0)) == []  # too few to say so


def test_rows_without_the_feature():
    finding = only(GOOD, rows=4_000)
    assert (finding.what, finding.severity, finding.share) == ("missing", HIGH, 0.75)


def test_without_a_reference_what_is_wrong_by_itself_is_found():
    row = numbers(0, 100, 100, 100, 100, 0, nulls=100, nans=10)
    assert {each.what for each in found(row, None)} == {"null", "nan"}
    assert found(numbers(0, 100, 100, 100, 100, 0, nulls=10), None) == []
    assert [each.what for each in found(Counted(500, wrong_types=500), None)] == ["wrong_type"]


def test_nothing_but_nulls_is_a_finding_and_no_failure():
    assert [each.what for each in found(Counted(500, nulls=500, counts=(0,) * 6))] == ["null"]

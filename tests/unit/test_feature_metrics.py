"""Derived metrics of features against what they are by definition, and where they have no meaning."""

import math
import random
from dataclasses import replace

import pytest
from scipy import stats
from scipy.spatial import distance

from obsagent import drift
from obsagent.answer.feature_counts import Counted, all_bins, filled_bins
from obsagent.answer.feature_metrics import FIGURES, MISSING_SHARE, missing, standardised
from obsagent.answer.words import DERIVED
from unit.feature_cases import CATEGORIES, NUMBERS, categories, numbers

SAME = numbers(0, 250, 250, 250, 250, 0)
MOVED = numbers(0, 100, 200, 300, 350, 50)
DISTANCES = ("psi", "js_distance", "kl", "hellinger", "total_variation", "linf", "chi_squared", "cramers_v")


def value(name, expected, found):
    return FIGURES[name].compare(expected, found).value


def alone(name, found):
    return FIGURES[name].alone(found).value


@pytest.mark.parametrize("name", [*DISTANCES, "ks", "wasserstein"])
def test_what_is_the_same_is_at_no_distance(name):
    assert value(name, NUMBERS, SAME) == pytest.approx(0, abs=1e-12)
    assert value(name, NUMBERS, MOVED) > 0


def test_distances_are_those_of_their_definitions():
    p = [0.25, 0.25, 0.25, 0.25, 0.0]
    q = [0.1, 0.2, 0.3, 0.35, 0.05]
    assert value("js_distance", NUMBERS, MOVED) == pytest.approx(distance.jensenshannon(p, q, base=2), rel=1e-9)
    assert value("total_variation", NUMBERS, MOVED) == pytest.approx(0.2)
    assert value("linf", NUMBERS, MOVED) == pytest.approx(0.15)
    assert value("hellinger", NUMBERS, MOVED) == pytest.approx(
        math.sqrt(sum((a**0.5 - b**0.5) ** 2 for a, b in zip(p, q, strict=True)) / 2)
    )
    table = [[250, 250, 250, 250, 0], [100, 200, 300, 350, 50]]
    assert value("chi_squared", NUMBERS, MOVED) == pytest.approx(stats.chi2_contingency(table).statistic, rel=1e-9)
    assert value("wasserstein", NUMBERS, MOVED) == pytest.approx(
        stats.wasserstein_distance([0.5, 1.5, 2.5, 3.5, 4.5], [0.5, 1.5, 2.5, 3.5, 4.5], p, q), rel=1e-9
    )


def test_what_neither_side_has_changes_nothing():
    """A rule for empty bins must not see those that are empty on both sides."""
    assert value("psi", NUMBERS, MOVED) == pytest.approx(drift.psi([250, 250, 250, 250, 0], [100, 200, 300, 350, 50]))
    assert len(all_bins(NUMBERS, MOVED)[0]) == 10
    assert len(filled_bins(NUMBERS, MOVED)[0]) == 5


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("besides", ["nulls", "nans", "positive_infinities", "negative_infinities", "wrong_types"])
def test_values_that_are_no_numbers_any_more_are_drift(name, besides):
    assert value(name, NUMBERS, numbers(0, 100, 100, 100, 100, 0, **{besides: 600})) > 0.1


def test_the_bound_of_ks_holds_what_the_values_themselves_say():
    chance = random.Random(5)
    before = [chance.uniform(0, 4) for _ in range(1_000)]
    now = [chance.betavariate(2, 3) * 4 for _ in range(700)]
    counts = [[sum(low <= x < low + 1 for x in values) for low in range(4)] for values in (before, now)]
    expected = NUMBERS.__class__("r", "x", True, counts=(0, *counts[0], 0), edges=NUMBERS.edges)
    estimate = FIGURES["ks"].compare(expected, numbers(0, *counts[1], 0))
    truth = stats.ks_2samp(before, now).statistic
    assert estimate.low <= truth <= estimate.high
    assert estimate.error_bound["absolute"] == pytest.approx(estimate.high - estimate.value)


def test_sums_beyond_every_number_have_no_wasserstein_and_fail_nothing():
    found = replace(numbers(0, 250, 250, 250, 250, 1), sums=(0.0, 1.0, 2.0, 3.0, 4.0, math.inf))
    assert FIGURES["wasserstein"].compare(NUMBERS, found).value is None
    assert FIGURES["psi"].compare(NUMBERS, found).value > 0


def test_numbers_and_categories_have_what_they_can_have():
    assert value("ks", CATEGORIES, categories(500, 300, 100, 100)) is None
    assert value("wasserstein", CATEGORIES, categories(500, 300, 100, 100)) is None
    assert value("unseen_share", CATEGORIES, categories(500, 300, 100, 100)) == 0.1
    assert value("unseen_share", NUMBERS, MOVED) is None
    assert value("out_of_range_share", NUMBERS, MOVED) == 0.05
    assert value("out_of_range_share", NUMBERS, numbers(1, 0, 8, 0, 0, 0, negative_infinities=1)) == 0.2
    assert value("out_of_range_share", CATEGORIES, categories(1, 0, 0, 0)) is None


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.compare])
def test_what_cannot_be_compared_has_no_number(name):
    for found in (Counted(5, finite=5), numbers(0, 0, 0, 0, 0, 0), Counted(9, finite=9, counts=(3, 3, 3))):
        assert value(name, NUMBERS, found) is None
    nothing = NUMBERS.__class__("r", "x", True, counts=(0,) * 6)
    assert value(name, nothing, numbers(0, 0, 0, 0, 0, 0)) is None


def test_all_of_it_null_is_as_far_away_as_can_be():
    gone = numbers(0, 0, 0, 0, 0, 0, nulls=500)
    assert value("js_distance", NUMBERS, gone) == pytest.approx(1)
    assert value("ks", NUMBERS, gone) is None


def test_shares_are_of_all_values():
    found = numbers(
        0, 10, 10, 10, 10, 0, nulls=20, nans=5, positive_infinities=3, negative_infinities=2, wrong_types=30
    )
    assert found.samples == 100
    shares = {name: alone(name, found) for name in ("null_share", "nan_share", "infinite_share", "wrong_type_share")}
    assert shares == {"null_share": 0.2, "nan_share": 0.05, "infinite_share": 0.05, "wrong_type_share": 0.3}
    assert alone("null_share", Counted(0)) is None


def test_one_value_only_is_constant():
    assert alone("constant", numbers(0, 0, 9, 0, 0, 0, nulls=3)) == 1
    assert alone("constant", MOVED) == 0
    assert alone("constant", numbers(0, 0, 9, 0, 0, 0, positive_infinities=1)) == 0
    assert alone("constant", categories(0, 7, 0, 0)) == 1
    assert alone("constant", categories(1, 7, 0, 0)) == 0
    assert alone("constant", numbers(0, 0, 0, 0, 0, 0, nulls=3)) is None


def test_distinct_says_how_sure_it_is():
    estimate = FIGURES["distinct"].alone(Counted(9, finite=9, distinct=1_000.0, distinct_error=0.016))
    assert (estimate.value, estimate.error_bound) == (1_000.0, {"relative": 0.016})
    assert (estimate.low, estimate.high) == (984.0, 1016.0)
    assert alone("distinct", Counted(9, finite=9)) is None


def test_rows_without_the_feature():
    assert missing(numbers(0, 5, 0, 0, 0, 0), 20).value == 0.75
    assert missing(numbers(0, 5, 0, 0, 0, 0), 4).value == 0  # cut off between the two
    assert missing(None, 20).value == 1
    assert missing(None, 0).value is None


def test_severity_is_about_one_where_only_chance_is_at_work_whatever_the_samples():
    chance = random.Random(1)
    for size in (200, 5_000):
        times = []
        for _ in range(100):
            reference, counts = [0] * 4, [0] * 4
            for drawn, total in ((reference, 1_000), (counts, size)):
                for index in chance.choices(range(4), k=total):
                    drawn[index] += 1
            expected = replace(NUMBERS, counts=(0, *reference, 0))
            times.append(standardised(expected, numbers(0, *counts, 0)))
        assert 0.75 < sum(times) / len(times) < 1.1
    assert standardised(NUMBERS, MOVED) > 5


def test_severity_weighs_by_importance():
    important = NUMBERS.__class__("r", "x", True, counts=NUMBERS.counts, importance=0.25)
    assert value("drift_severity", important, MOVED) == pytest.approx(value("drift_severity", NUMBERS, MOVED) / 4)


def test_windows_that_scatter_by_nature_are_less_severe():
    restless = NUMBERS.__class__("r", "x", True, counts=NUMBERS.counts, kappa0=50.0)
    assert standardised(restless, MOVED) < standardised(NUMBERS, MOVED) / 3
    assert NUMBERS.__class__("r", "x", True, counts=NUMBERS.counts, kappa0=1e9).concentration == 1_000


def test_every_figure_is_explained():
    assert set(FIGURES) <= set(DERIVED)
    assert FIGURES[MISSING_SHARE].compare is None

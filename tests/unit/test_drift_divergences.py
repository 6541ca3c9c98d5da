"""Divergences against scipy, live, on counts of many shapes; zero rules; what is refused."""

from __future__ import annotations

import math
from array import array
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import jensenshannon

from obsagent.drift import (
    DriftError,
    chi_squared,
    cramers_v,
    hellinger,
    js_distance,
    kl,
    ks,
    linf,
    psi,
    total_variation,
    wasserstein,
)
from obsagent.drift.contingency import chi_squared_tail
from obsagent.drift.kolmogorov import kolmogorov_tail

ALL: list[Any] = [psi, kl, js_distance, hellinger, total_variation, linf, ks, chi_squared, cramers_v]


def close(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def shapes() -> dict[str, tuple[list[int], list[int]]]:
    chance = np.random.default_rng(20)
    found = {
        "two bins": ([30, 70], [45, 55]),
        "one bin": ([30], [7]),
        "the same": ([3, 4, 5], [6, 8, 10]),
        "nothing in common": ([5, 0, 0, 6], [0, 7, 8, 0]),
        "empty bins": ([0, 10, 20, 0, 0, 5], [0, 12, 0, 3, 0, 6]),
    }
    for bins in (3, 17, 130):
        p, q = chance.dirichlet(np.ones(bins), 2)
        found[f"{bins} bins"] = (chance.multinomial(10_000, p).tolist(), chance.multinomial(400, q).tolist())
    return found


SHAPES = shapes()
shape = pytest.mark.parametrize(("reference", "current"), SHAPES.values(), ids=SHAPES)


def of(counts: list[int]) -> Any:
    return np.array(counts) / sum(counts)


@shape
def test_sums_over_shares_are_those_of_scipy(reference: list[int], current: list[int]) -> None:
    p, q = of(reference), of(current)
    assert js_distance(reference, current) == close(jensenshannon(p, q, base=2))
    assert js_distance(reference, current, base=math.e) == close(jensenshannon(p, q))
    assert kl(reference, current, zero="infinite") == close(stats.entropy(p, q))
    assert kl(reference, current, zero="infinite", base=2) == close(stats.entropy(p, q, base=2))
    j = special.rel_entr(p, q).sum() + special.rel_entr(q, p).sum()
    assert psi(reference, current, zero="infinite") == close(j)
    assert hellinger(reference, current) == close(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2))
    assert total_variation(reference, current) == close(np.abs(p - q).sum() / 2)
    assert linf(reference, current) == close(np.abs(p - q).max())


def test_distributions_that_differ_in_the_last_digits_have_a_distance() -> None:
    """Of which scipy's function takes the root of a negative rounding error."""
    counts = [10**9, 10**9, 10**9], [10**9 + 3, 10**9 - 2, 10**9 - 1]
    with mpmath.workdps(50):
        p, q = ([mpmath.mpf(each) / sum(side) for each in side] for side in counts)
        parts = [a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b)) for a, b in zip(p, q, strict=True)]
        expected = mpmath.sqrt(sum(parts) / 2)
    assert js_distance(*counts, base=math.e) == pytest.approx(float(expected), rel=1e-5)


@shape
def test_the_test_of_homogeneity_is_that_of_scipy(reference: list[int], current: list[int]) -> None:
    seen = np.array([reference, current])[:, np.add(reference, current) > 0]
    for yates in (False, True):
        found = chi_squared(reference, current, yates=yates)
        expected = stats.chi2_contingency(seen, correction=yates)
        assert found == found.statistic == close(expected.statistic)
        assert found.p_value == close(expected.pvalue)
        assert found.degrees_of_freedom == expected.dof
    if seen.shape[1] > 1:
        assert cramers_v(reference, current) == close(stats.contingency.association(seen, method="cramer"))


@shape
def test_goodness_of_fit_is_that_of_scipy(reference: list[int], current: list[int]) -> None:
    seen = np.add(reference, current) > 0
    expected_counts = (of(reference) * sum(current))[seen]
    found = chi_squared(reference, current, test="goodness of fit")
    if (expected_counts == 0).any():
        assert (float(found), found.p_value) == (math.inf, 0.0)
    elif len(expected_counts) == 1:  # of which scipy does not know the p-value
        assert (float(found), found.p_value) == (0.0, 1.0)
    else:
        expected = stats.chisquare(np.array(current)[seen], expected_counts)
        assert (found, found.p_value) == (close(expected.statistic), close(expected.pvalue))


@shape
def test_ks_is_that_of_the_values_where_every_bin_is_one_value(reference: list[int], current: list[int]) -> None:
    if sum(reference) > 10**6:
        pytest.skip("too many values to write down")
    before, after = (np.repeat(np.arange(len(counts)), counts) for counts in (reference, current))
    expected = stats.ks_2samp(before, after, method="asymp")
    found = ks(reference, current)
    assert found == close(expected.statistic)
    size = len(before) * len(after) / (len(before) + len(after))
    assert found.p_value == close(special.kolmogorov(math.sqrt(size) * expected.statistic))


@shape
def test_wasserstein_is_that_of_scipy_for_values_at_midpoints(reference: list[int], current: list[int]) -> None:
    edges = np.cumsum(np.linspace(0.5, 3.0, len(reference) + 1))
    middles = (edges[1:] + edges[:-1]) / 2
    expected = close(stats.wasserstein_distance(middles, middles, reference, current))
    assert wasserstein(reference, current, edges, mass="midpoint") == expected
    sums = {"reference_sums": middles * reference, "current_sums": middles * current}
    assert wasserstein(reference, current, edges, **sums) == expected
    assert wasserstein(reference, current, edges, **sums, stddev=4.0) == close(expected.expected / 4)


def test_wasserstein_is_exact_from_sums_where_the_distribution_functions_do_not_cross_in_a_bin() -> None:
    chance = np.random.default_rng(5)
    before, after = chance.normal(0, 1, 5_000), chance.normal(0.4, 1, 3_000)  # F > G everywhere, but for the tails
    edges = np.quantile(before, np.linspace(0, 1, 33))
    counts, sums = zip(*(binned(values, edges) for values in (before, after)), strict=True)
    found = wasserstein(counts[0], counts[1], edges, reference_sums=sums[0], current_sums=sums[1])
    assert found == pytest.approx(stats.wasserstein_distance(before, after), rel=1e-4)
    shifted = before + 3.0  # no value of a side is beyond the other's edges, and nothing crosses
    counts, sums = zip(*(binned(values, edges) for values in (before, shifted)), strict=True)
    assert wasserstein(*counts, edges, reference_sums=sums[0], current_sums=sums[1]) == close(3.0)


def binned(values: Any, edges: Any) -> tuple[list[int], list[float]]:
    """Counts and sums below, in each bin, above."""
    place = np.searchsorted(edges, values, side="right")
    place[values == edges[-1]] = len(edges) - 1
    bins = len(edges) + 1
    return np.bincount(place, minlength=bins).tolist(), np.bincount(place, weights=values, minlength=bins).tolist()


@pytest.mark.parametrize("bins", [4, 16, 128])
@pytest.mark.parametrize("shift", [0.0, 0.05, 0.7])
def test_ks_of_bins_and_its_gap_hold_that_of_the_values(bins: int, shift: float) -> None:
    chance = np.random.default_rng(bins)
    before, after = chance.gamma(2.0, size=4_000), chance.gamma(2.0, size=900) + shift
    counts = [binned(values, np.quantile(before, np.linspace(0, 1, bins + 1)))[0] for values in (before, after)]
    found, truth = ks(*counts), stats.ks_2samp(before, after).statistic
    assert found - 1e-12 <= truth <= found + found.gap + 1e-12
    assert found.gap <= min(max(counts[0]) / 4_000, max(counts[1]) / 900) + 1e-12
    assert found.p_value >= special.kolmogorov(math.sqrt(4_000 * 900 / 4_900) * truth) - 1e-12


def test_tails_of_distributions_are_those_of_scipy() -> None:
    for degrees in (1, 2, 3, 4, 7, 30, 129, 130, 1_000):
        for x in (1e-9, 0.1, 1.0, 7.5, 100.0, 127.0, 180.0, 900.0, 1_200.0):
            assert chi_squared_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-9, abs=1e-300)
    for x in (0.0, 0.1, 0.3, 0.7, 1.17, 1.19, 2.0, 5.0):
        assert kolmogorov_tail(x) == pytest.approx(special.kolmogorov(x), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("function", ALL)
def test_counts_may_be_any_sequence_of_numbers(function: Any) -> None:
    lists = [10, 20, 30], [12, 9, 40]
    for kind in (tuple, iter, np.array, lambda counts: array("d", counts), lambda counts: np.array(counts, np.uint32)):
        assert function(kind(lists[0]), kind(lists[1])) == function(*lists)


@pytest.mark.parametrize("function", ALL)
def test_the_same_distribution_is_no_distance(function: Any) -> None:
    assert function([10, 0, 30], [5, 0, 15]) == 0
    assert function([10, 20, 31], [11, 20, 30]) > 0


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("reference", "current", "says"),
    [
        ([], [], "no bins"),
        ([1, 2], [1, 2, 3], "2 bins"),
        ([0, 0], [1, 2], "reference: no bin counts"),
        ([1, 2], [0, 0], "current: no bin counts"),
        ([1, -2], [1, 2], "not negative"),
        ([1, math.nan], [1, 2], "finite"),
        ([1, 2], [math.inf, 2], "finite"),
        (["a", "b"], [1, 2], "one number a bin"),
        ([[1, 2], [3, 4]], [1, 2], "one number a bin"),
        ([1, None], [1, 2], "one number a bin"),
    ],
)
def test_what_are_no_counts_is_refused(function: Any, reference: Any, current: Any, says: str) -> None:
    with pytest.raises(DriftError, match=says):
        function(reference, current)


ZEROS = [4, 0, 6, 0], [5, 5, 0, 0]


@pytest.mark.parametrize("function", [psi, kl])
@pytest.mark.parametrize(
    ("zero", "p", "q"),
    [
        ("half", np.array([4, 0.5, 6]) / 10.5, np.array([5, 5, 0.5]) / 10.5),
        ("skip", [0.4], [0.5]),
        ("jeffreys", np.array([4.5, 0.5, 6.5, 0.5]) / 12, np.array([5.5, 5.5, 0.5, 0.5]) / 12),
        ("laplace", np.array([5, 1, 7, 1]) / 14, np.array([6, 6, 1, 1]) / 14),
        (1e-3, [0.4, 1e-3, 0.6], [0.5, 0.5, 1e-3]),
    ],
)
def test_zero_rules(function: Any, zero: Any, p: Any, q: Any) -> None:
    p, q = np.asarray(p), np.asarray(q)
    expected = (p * np.log(p / q)).sum() if function is kl else ((p - q) * np.log(p / q)).sum()
    assert function(*ZEROS, zero=zero) == close(expected)


@pytest.mark.parametrize("function", [psi, kl])
@pytest.mark.parametrize("zero", ["half", "infinite", "skip", "evidently", 1e-6])
def test_zero_rules_change_nothing_where_nothing_is_empty(function: Any, zero: Any) -> None:
    assert function([4, 3, 6], [5, 5, 1], zero=zero) == close(function([4, 3, 6], [5, 5, 1], zero="infinite"))


@pytest.mark.parametrize("function", [psi, kl])
def test_zero_rules_that_do_not_fit_are_refused(function: Any) -> None:
    assert function(*ZEROS, zero="infinite") == math.inf
    with pytest.raises(DriftError, match="no zero rule is called 'nothing'; there are half, infinite"):
        function(*ZEROS, zero="nothing")
    for share in (0.0, 1.0, -1e-3, math.nan):
        with pytest.raises(DriftError, match="between 0 and 1"):
            function(*ZEROS, zero=share)
    for rule in ("half", "jeffreys", "laplace"):
        with pytest.raises(DriftError, match="counts, not shares"):
            function([0.5, 0.5, 0.0], [0.2, 0.3, 0.5], zero=rule)
    assert function([0.5, 0.5], [0.2, 0.8]) > 0  # shares are good enough where nothing is empty


def test_bases_that_are_none_are_refused() -> None:
    for function in (psi, kl, js_distance):
        for base in (1.0, 0.5, 0.0, -2.0, math.inf, math.nan):
            with pytest.raises(DriftError, match="base"):
                function([1, 2], [2, 1], base=base)


def test_a_wasserstein_distance_that_cannot_be_computed_is_refused() -> None:
    counts: tuple[list[int], list[int]] = ([1, 2], [2, 1])
    for edges in ([1.0], [0.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, math.nan, 1.0], [0.0, 1.0, math.inf]):
        with pytest.raises(DriftError, match="two or more finite numbers"):
            wasserstein(*counts, edges, mass="midpoint")
    with pytest.raises(DriftError, match="3 edges go with 2 bins, or 4"):
        wasserstein([1, 2, 3], [1, 2, 3], [0, 1, 2], mass="midpoint")
    with pytest.raises(DriftError, match="reference_sums is not given"):
        wasserstein(*counts, [0, 1, 2])
    with pytest.raises(DriftError, match="current_sums has 1"):
        wasserstein(*counts, [0, 1, 2], reference_sums=[1, 2], current_sums=[1])
    with pytest.raises(DriftError, match="sums are finite"):
        wasserstein(*counts, [0, 1, 2], reference_sums=[1, math.inf], current_sums=[1, 2])
    with pytest.raises(DriftError, match="mass is"):
        wasserstein(*counts, [0, 1, 2], mass="upper")
    with pytest.raises(DriftError, match="standard deviation"):
        wasserstein(*counts, [0, 1, 2], mass="midpoint", stddev=-1.0)
    assert wasserstein(*counts, [0, 1, 2], mass="midpoint", stddev=0.0) == math.inf
    assert wasserstein([1, 2], [2, 4], [0, 1, 2], mass="midpoint", stddev=0.0) == 0.0


def test_a_test_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DriftError, match="homogeneity"):
        chi_squared([1, 2], [2, 1], test="independence")

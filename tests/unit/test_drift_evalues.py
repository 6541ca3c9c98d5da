"""E-values against mpmath; their mean where nothing has changed; dispersion, tolerance, e-BH."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from obsagent.drift import DriftError, Null, e_bh, fit_kappa0, log_e_value
from obsagent.drift.evalue import DIVISORS
from obsagent.drift.rising import log_excess
from obsagent.drift.tolerance import log_likelihood_within


def exact_log_e(shares: list[Any], counts: list[int], kappa0: Any) -> float:
    """The definition, with fifty digits."""

    def log_dm(kappa: Any) -> Any:
        parts = [
            mpmath.loggamma(kappa * p + n) - mpmath.loggamma(kappa * p) for p, n in zip(shares, counts, strict=True)
        ]
        return mpmath.loggamma(kappa) - mpmath.loggamma(kappa + sum(counts)) + sum(parts)

    ratios = [mpmath.exp(log_dm(kappa0 / each) - log_dm(kappa0)) for each in DIVISORS]
    return float(mpmath.log(sum(ratios) / len(ratios)))


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("observations", [0, 1, 17, 10_000, 3_000_000])
def test_the_e_value_is_its_definition_at_every_size(size: float, observations: int) -> None:
    chance = np.random.default_rng(3)
    reference = (chance.dirichlet(np.ones(12)) * size * 100 + 1).round().tolist()
    current = chance.multinomial(observations, chance.dirichlet(np.ones(12) * 50)).tolist()
    with mpmath.workdps(50):
        total = mpmath.mpf(sum(reference))
        expected = exact_log_e([mpmath.mpf(each) / total for each in reference], current, total)
    found = log_e_value(reference, current)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-7)
    assert Null(reference).log_e_value(current) == found


@pytest.mark.parametrize("a", [1e-9, 0.5, 3.0, 15.9, 16.1, 1e3, 1e9, 1e15])
@pytest.mark.parametrize("n", [0, 1, 2, 50, 10_000, 10**9])
def test_rising_powers_lose_no_digits(a: float, n: int) -> None:
    with mpmath.workdps(60):
        expected = float(mpmath.loggamma(mpmath.mpf(a) + n) - mpmath.loggamma(a) - n * mpmath.log(a))
    assert log_excess(a, n) == pytest.approx(expected, rel=1e-9, abs=1e-12 * max(n, 1))


def test_both_ways_to_compute_it_agree() -> None:
    chance = np.random.default_rng(4)
    reference = chance.multinomial(200_000, np.ones(130) / 130).tolist()
    null = Null(reference)
    for observations in (5, 500, 50_000):
        counts = chance.multinomial(observations, chance.dirichlet(np.ones(130) * 30)).tolist()
        for row in null._rows:
            plain = row.log_probability(counts, observations) - sum(map(_times_log, counts, null.shares))
            assert row.log_odds(counts, observations) == pytest.approx(plain, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("filled", [1, 3, 77, 78, 79, 130])
def test_empty_bins_that_are_passed_over_change_nothing(filled: int) -> None:
    chance = np.random.default_rng(5)
    reference = chance.multinomial(100_000, chance.dirichlet(np.ones(130) * 10)).tolist()
    null = Null(reference, kappa0=3_000)
    counts = [0.0] * 130
    for place in chance.choice(130, filled, replace=False):
        counts[place] = float(chance.integers(1, 20))
    with mpmath.workdps(50):
        shares = [mpmath.mpf(each) for each in null.shares]
        expected = exact_log_e([each / sum(shares) for each in shares], [int(n) for n in counts], mpmath.mpf(3_000))
    assert null.log_e_value(counts) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def _times_log(n: int, p: float) -> float:
    return n * math.log(p)


@pytest.mark.parametrize("observations", [30, 1_000, 20_000])
@pytest.mark.parametrize("natural", [200.0, None])
def test_its_mean_is_at_most_one_where_nothing_has_changed(observations: int, natural: float | None) -> None:
    chance = np.random.default_rng(6)
    truth = chance.dirichlet(np.ones(20) * 5)
    reference = chance.multinomial(50_000, truth)
    null = Null(reference, kappa0=natural)
    windows = 2_000
    shares = (
        [truth] * windows
        if natural is None
        else chance.dirichlet(np.maximum(reference, 1) / reference.sum() * natural, windows)
    )
    logs = [null.log_e_value(chance.multinomial(observations, each)) for each in shares]
    e = np.exp(np.minimum(logs, 700.0))
    assert e.mean() <= 1 + 4 * e.std() / math.sqrt(windows)
    for alpha in (0.1, 0.01):
        assert (e >= 1 / alpha).mean() <= alpha


def test_evidence_grows_with_the_change_and_with_the_observations() -> None:
    reference = [10_000] * 10
    current = np.array([0.13, 0.07] * 5)
    few, some, many = (log_e_value(reference, (current * size).round()) for size in (100, 1_000, 10_000))
    assert few < some < many
    assert some > math.log(1_000)
    assert log_e_value(reference, np.array([0.11, 0.09] * 5) * 1_000) < some


def test_a_window_that_counts_nothing_says_nothing() -> None:
    assert log_e_value([5, 5], [0, 0]) == 0.0


def test_natural_variation_is_no_evidence() -> None:
    chance = np.random.default_rng(7)
    reference = np.full(20, 50_000)
    windows = [chance.multinomial(5_000, chance.dirichlet(np.ones(20) / 20 * 300)) for _ in range(60)]
    kappa0 = fit_kappa0(windows)
    assert kappa0 == pytest.approx(300, rel=0.2)
    blind, fitted = Null(reference), Null(reference, kappa0=kappa0)
    assert all(blind.log_e_value(window) > 20 for window in windows)
    assert all(fitted.log_e_value(window) < math.log(20) for window in windows)


@pytest.mark.parametrize("kappa", [5.0, 80.0, 2_000.0])
def test_the_concentration_is_found_again(kappa: float) -> None:
    chance = np.random.default_rng(8)
    shares = chance.dirichlet(np.ones(30))
    windows = [chance.multinomial(chance.integers(500, 3_000), chance.dirichlet(shares * kappa)) for _ in range(300)]
    assert fit_kappa0(windows) == pytest.approx(kappa, rel=0.1)
    assert fit_kappa0(windows, reference=shares * 10**6) == pytest.approx(kappa, rel=0.1)


def test_windows_that_differ_by_chance_alone_have_the_concentration_of_what_was_seen() -> None:
    chance = np.random.default_rng(9)
    windows = [chance.multinomial(500, np.ones(5) / 5) for _ in range(40)]
    assert fit_kappa0(windows) > 3_000
    assert fit_kappa0([[100, 100], [100, 100]]) == 400
    assert fit_kappa0([[100, 100], [100, 100]], limit=50) == 50


def test_the_concentration_is_never_above_what_the_reference_has_seen() -> None:
    assert Null([100, 200], kappa0=10_000).kappa0 == 300
    assert Null([100, 200], kappa0=40).kappa0 == 40
    assert Null([0.25, 0.75], kappa0=10_000).kappa0 == 10_000
    assert Null([100, 0, 200]).shares[1] == pytest.approx(1 / 301)


def test_what_the_reference_has_never_seen_is_surprising_but_not_impossible() -> None:
    reference = [1_000, 1_000, 0]
    once, often = log_e_value(reference, [500, 500, 1]), log_e_value(reference, [500, 500, 50])
    assert once < math.log(20) < often < math.inf


def test_the_tolerated_likelihood_is_the_best_one() -> None:
    chance = np.random.default_rng(10)
    for _ in range(20):
        p = chance.dirichlet(np.ones(4) * 3)
        counts = chance.multinomial(300, chance.dirichlet(np.ones(4) * 3))
        best = log_likelihood_within(p.tolist(), counts.tolist(), 0.02)
        others = p * np.exp(chance.normal(0, 0.15, (3_000, 4)))
        others /= others.sum(1, keepdims=True)
        near = others[(p * np.log(p / others)).sum(1) <= 0.02]
        assert len(near) > 100
        assert best >= (counts * np.log(near / p)).sum(1).max() - 1e-9
        assert best >= 0
    assert log_likelihood_within([0.5, 0.5], [60, 40], 10.0) == pytest.approx(60 * math.log(1.2) + 40 * math.log(0.8))


@pytest.mark.parametrize("rare", [1e-9, 1e-5, 1e-3, 0.02])
@pytest.mark.parametrize("divergence", [1e-4, 0.01, 1.0])
def test_an_empty_bin_is_tolerated_as_far_as_it_goes(rare: float, divergence: float) -> None:
    """Of a rare bin the best distribution has next to nothing, less than a double holds: the maximum is found."""
    p, counts = [0.5 - rare / 2, 0.5 - rare / 2, rare], [600.0, 400.0, 0.0]

    found = log_likelihood_within(p, counts, divergence)
    free = 600 * math.log(0.6 / p[0]) + 400 * math.log(0.4 / p[1])
    assert found <= free + 1e-9
    at_most = divergence + 1e-9
    for empty in np.geomspace(1e-300, rare, 400):
        for share in np.linspace(0.5, 0.6, 60):
            x, y = share * (1 - empty), (1 - share) * (1 - empty)
            if p[0] * math.log(p[0] / x) + p[1] * math.log(p[1] / y) + rare * math.log(rare / empty) <= at_most:
                assert found >= 600 * math.log(x / p[0]) + 400 * math.log(y / p[1]) - 1e-5


def test_a_tolerated_change_is_no_evidence_however_many_observations_there_are() -> None:
    reference = np.full(10, 10**6)
    shares = np.array([0.105, 0.095] * 5)  # a divergence of 0.00125
    strict, tolerant = Null(reference), Null(reference, tolerance=0.002)
    for size in (10_000, 1_000_000):
        current = (shares * size).round()
        assert tolerant.log_e_value(current) < 0
        assert strict.log_e_value(current) > tolerant.log_e_value(current)
    assert strict.log_e_value(shares * 10**6) > 100
    assert tolerant.log_e_value(np.array([0.12, 0.08] * 5) * 10**5) > 100  # 0.02


def test_the_mean_is_at_most_one_at_the_edge_of_what_is_tolerated() -> None:
    chance = np.random.default_rng(11)
    truth = np.array([0.115, 0.085] * 5)
    edge = float((0.1 * np.log(0.1 / truth)).sum())
    null = Null(np.full(10, 10**6), tolerance=edge)
    logs = [null.log_e_value(chance.multinomial(5_000, truth)) for _ in range(300)]
    assert np.exp(logs).mean() <= 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kappa0": 0}, "positive"),
        ({"kappa0": math.inf}, "positive"),
        ({"kappa0": math.nan}, "positive"),
        ({"divisors": ()}, "above 1"),
        ({"divisors": (2, 1)}, "above 1"),
        ({"tolerance": -0.1}, "divergence"),
        ({"tolerance": math.nan}, "divergence"),
    ],
)
def test_settings_that_make_no_null_are_refused(given: Any, says: str) -> None:
    with pytest.raises(DriftError, match=says):
        log_e_value([5, 5], [1, 2], **given)


def test_counts_that_do_not_fit_the_null_are_refused() -> None:
    with pytest.raises(DriftError, match="2 bins"):
        log_e_value([5, 5], [1, 2, 3])
    with pytest.raises(DriftError, match="no bin counts"):
        log_e_value([0, 0], [1, 2])
    with pytest.raises(DriftError, match="kappa0"):
        log_e_value([0.5, 0.5], [1, 2])
    with pytest.raises(DriftError, match="no window"):
        fit_kappa0([[0, 0]])
    with pytest.raises(DriftError, match="same bins"):
        fit_kappa0([[1, 2], [1, 2, 3]])
    with pytest.raises(DriftError, match="3 bins"):
        fit_kappa0([[1, 2]], reference=[1, 2, 3])
    with pytest.raises(DriftError, match="limit"):
        fit_kappa0([[1, 2]], limit=0.5)


def test_e_bh_finds_the_largest_set_of_which_all_are_large_enough() -> None:
    assert e_bh([100, 1, 30, 0.2], alpha=0.1) == [0, 2]  # 40, then 20
    assert e_bh([39, 1, 19, 0.2], alpha=0.1) == []
    assert e_bh([10, 10, 10], alpha=0.1) == [0, 1, 2]  # each is less than 30, but all are 10
    assert e_bh({"age": 2.0, "amount": 90.0, "country": 40.0}, alpha=0.05) == ["amount", "country"]
    assert e_bh([math.log(100), -math.inf, math.log(30), -1.0], alpha=0.1, log=True) == [0, 2]
    assert e_bh([1e6, math.inf], alpha=0.05) == [1, 0]
    assert e_bh([9_000.0, 0.0], alpha=0.05, log=True) == [0]
    assert e_bh([], alpha=0.05) == []


def test_e_bh_refuses_what_are_no_e_values() -> None:
    for wrong in ([-1.0], [math.nan]):
        with pytest.raises(DriftError, match="e-value"):
            e_bh(wrong)
    for alpha in (0, 1.5, math.nan):
        with pytest.raises(DriftError, match="alpha"):
            e_bh([1.0], alpha)

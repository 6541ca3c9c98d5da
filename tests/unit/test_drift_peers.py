"""What evidently, nannyml and TensorFlow Data Validation computed by their own rules; what peers get wrong does not
happen here.

golden/drift/make_peers.py and make_tfdv.py wrote the numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obsagent.drift import (
    Null,
    chi_squared,
    edges,
    hellinger,
    js_distance,
    kl,
    ks,
    linf,
    psi,
    total_variation,
    wasserstein,
)

DIRECTORY = Path(__file__).parents[1] / "golden" / "drift"
Case = dict[str, Any]


def counts(case: Case) -> tuple[list[int], list[int]]:
    return case["reference"], case["current"]


EVIDENTLY: dict[str, Callable[[Case], float]] = {
    "psi": lambda case: psi(*counts(case), zero="evidently"),
    "kl": lambda case: kl(*counts(case), zero="evidently"),
    "js": lambda case: js_distance(*counts(case), base=math.e),
    "hellinger": lambda case: hellinger(*counts(case)),
    "total_variation": lambda case: total_variation(*counts(case)),
    "chi_squared_p": lambda case: chi_squared(*counts(case), test="goodness of fit").p_value,
    "wasserstein": lambda case: wasserstein(
        *counts(case),
        case["edges"],
        reference_sums=case["reference_sums"],
        current_sums=case["current_sums"],
        stddev=case["stddev"],
        stddev_floor=0.001,
    ),
}
NANNYML: dict[str, Callable[[Case], float]] = {
    "js": lambda case: js_distance(*counts(case)),
    "hellinger": lambda case: hellinger(*counts(case)),
    "linf": lambda case: linf(*counts(case)),
    "chi_squared": lambda case: chi_squared(*counts(case), yates=True),
    "ks": lambda case: ks(*counts(case)),
    "wasserstein": lambda case: wasserstein(*counts(case), case["edges"], mass="lower"),
}
TFDV: dict[str, Callable[[Case], float]] = {
    "linf": lambda case: linf(*counts(case)),
    "js_divergence": lambda case: js_distance(*counts(case)) ** 2,
}
PEERS = {"evidently": EVIDENTLY, "nannyml": NANNYML, "tfdv": TFDV}


@pytest.mark.parametrize(("peer", "ours"), PEERS.items(), ids=PEERS)
def test_numbers_of_peers(peer: str, ours: dict[str, Callable[[Case], float]]) -> None:
    cases = json.loads((DIRECTORY / f"{peer}.json").read_text(encoding="utf-8"))["cases"]
    assert {case["function"] for case in cases} == set(ours)
    assert len(cases) >= 5 * len(ours) - 5
    for case in cases:
        found = ours[case["function"]](case)
        assert found == pytest.approx(case["value"], rel=1e-9, abs=1e-9), (case["function"], case["name"])


def test_a_divergence_of_what_both_sides_have() -> None:
    """Base 2, a term only where both sides have something: KL as TensorFlow Data Validation sums it (metrics.cc)."""
    for reference, current in ([[5, 0, 20, 3], [1, 9, 30, 0]], [[1, 2], [2, 1]], [[7, 0], [0, 7]]):
        p, q = np.array(reference) / sum(reference), np.array(current) / sum(current)
        expected = sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a and b)
        assert kl(reference, current, base=2, zero="skip") == pytest.approx(expected, abs=1e-9)


def test_a_category_that_was_never_seen_divides_by_nothing() -> None:
    """evidently's chi-squared test does."""
    found = chi_squared([500, 300, 200, 0], [80, 90, 30, 5])
    assert 0 < found.p_value < 0.01
    assert math.isfinite(found)
    once = chi_squared([50_000, 30_000, 20_000, 0], [50, 30, 20, 0])
    assert once.p_value == pytest.approx(1.0)
    assert once.degrees_of_freedom == 2  # what nobody has seen is no category
    assert chi_squared([10, 0], [0, 10]).p_value < 1e-4


def test_ties_alone_are_no_drift() -> None:
    """evidently's Cramér–von Mises test gives p = 1e-7 for them; a column of few values is counted exactly here."""
    chance = np.random.default_rng(50)
    before, after = chance.poisson(0.7, 20_000), chance.poisson(0.7, 2_000)
    bins = edges(before)
    both = [np.histogram(values, bins)[0] for values in (before, after)]
    assert ks(*both).p_value > 0.05
    assert chi_squared(*both).p_value > 0.05
    assert Null(both[0]).log_e_value(both[1]) < 0


def test_shares_are_divided_anew_where_an_empty_bin_is_filled() -> None:
    """Else a filled side has more than all, and its divergence is that of no distribution: it may be negative."""
    full, thin = [1] * 50, [50] + [0] * 49
    for zero in ("half", "jeffreys", "laplace"):
        assert kl(thin, full, zero=zero) > 0
        assert kl(full, thin, zero=zero) > 0
    assert kl([34, 33, 33], [50, 50, 0], zero=0.5) < 0 < kl([34, 33, 33], [50, 50, 0])


def test_half_an_observation_weighs_less_the_more_there_are() -> None:
    """A fixed share, as peers fill in, does not know how many observations an empty bin is empty of."""
    few, many = psi([10, 10, 0], [10, 10, 1]), psi([10_000, 10_000, 0], [10_000, 10_000, 1])
    assert many < few / 500
    fixed = psi([10_000, 10_000, 0], [10_000, 10_000, 1], zero=1e-9)
    assert fixed > 5 * many


def test_bins_do_not_make_a_difference_out_of_none_at_any_size() -> None:
    """whylogs' KS compares sketches whose error is above the critical value from 126,000 values on."""
    chance = np.random.default_rng(51)
    before, after = chance.normal(size=400_000), chance.normal(size=400_000)
    bins = edges(before)
    found = ks(*(np.histogram(values, bins)[0] for values in (before, after)))
    assert found.p_value > 0.05
    assert found.gap < 0.01


def test_a_threshold_on_psi_alarms_by_chance_where_an_e_value_does_not() -> None:
    chance = np.random.default_rng(52)
    reference = chance.multinomial(100_000, np.ones(128) / 128)
    null = Null(reference)
    windows = chance.multinomial(500, np.ones(128) / 128, 200).tolist()
    assert sum(psi(reference, window) > 0.2 for window in windows) > 100  # with nothing but chance
    assert sum(null.log_e_value(window) > math.log(100) for window in windows) == 0

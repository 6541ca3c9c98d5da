"""Edges: numpy's rules, quantiles of columns with few values; what the package loads."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from obsagent.drift import DriftError, edges


@pytest.fixture(scope="module")
def values() -> Any:
    return np.random.default_rng(1).normal(10, 3, 5_000)


def test_quantile_bins_hold_the_same_number_of_values_each(values: Any) -> None:
    found = edges(values)
    assert len(found) == 129
    assert (found[0], found[-1]) == (values.min(), values.max())
    counts = np.histogram(values, found)[0]
    assert counts.sum() == len(values)
    assert counts.max() - counts.min() <= 2
    assert len(edges(values, bins=4)) == 5
    assert edges(values.tolist()) == edges(iter(values)) == found


@pytest.mark.parametrize("rule", ["sturges", "doane", "scott", "fd", "sqrt", "rice", "stone", "auto"])
def test_rules_that_choose_the_number_of_bins_are_those_of_numpy(values: Any, rule: str) -> None:
    assert edges(values, rule) == np.histogram_bin_edges(values, rule).tolist()


def test_bins_of_the_same_width(values: Any) -> None:
    assert edges(values, "width", bins=7) == np.histogram_bin_edges(values, 7).tolist()
    assert len(edges(values, "width")) == 31


def test_what_is_not_finite_makes_no_edge() -> None:
    assert edges([1.0, math.nan, 2.0, math.inf, 3.0, -math.inf, None], bins=1) == [1.0, 3.0]  # type: ignore[list-item]


@pytest.mark.parametrize("distinct", [[0, 1], [0, 1, 2], [-3, 7, 9, 10], [False, True], [0.1, 0.2, 0.3]])
def test_a_column_of_few_values_has_a_bin_for_each(distinct: list[float]) -> None:
    column = np.random.default_rng(2).choice(distinct, 3_000)
    found = edges(column)
    counts = np.histogram(column, found)[0]
    assert sorted(counts[counts > 0]) == sorted(np.unique(column, return_counts=True)[1])


def test_a_value_that_fills_bins_alone_is_cut_off_from_its_neighbours() -> None:
    chance = np.random.default_rng(3)
    column = np.concatenate([np.zeros(5_000), chance.exponential(1.0, 5_000)])
    found = edges(column, bins=16)
    assert len(found) <= 17
    assert found == sorted(set(found))
    assert np.histogram(column, found)[0][0] == 5_000


@pytest.mark.parametrize("value", [0.0, 5.0, -1e300, sys.float_info.max])
@pytest.mark.parametrize("rule", ["quantile", "width", "fd"])
def test_a_constant_column_has_one_bin_which_holds_it_alone(value: float, rule: str) -> None:
    found = edges([value] * 10, rule)
    assert len(found) == 2
    assert all(map(math.isfinite, found))
    assert np.histogram([value] * 10, found)[0].tolist() == [10]
    assert found[1] - found[0] <= max(abs(value), 1e-300) * 1e-15


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (([],), "no finite value"),
        (([math.nan, math.inf],), "no finite value"),
        (([1.0], "deciles"), "no rule for edges"),
        (([1.0], "sturges", 5), "chooses"),
        (([1.0], "quantile", 0), "1 or more"),
    ],
)
def test_what_makes_no_edges_is_refused(given: Any, says: str) -> None:
    with pytest.raises(DriftError, match=says):
        edges(*given)


def test_nothing_but_the_standard_library_is_loaded_until_edges_are_made() -> None:
    program = """
import sys, json
import obsagent.drift as drift
counts = [1, 2, 3], [3, 2, 1]
drift.psi(*counts), drift.ks(*counts), drift.chi_squared(*counts), drift.log_e_value(*counts)
drift.DyadicESR(drift.Null(counts[0])).update(counts[1]), drift.ADWIN().update(1)
before = sorted(sys.modules)
drift.edges([1.0, 2.0])
print(json.dumps([before, sorted(sys.modules)]))
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    heavy = {"numpy", "scipy", "dataclasses", "inspect", "asyncio", "argparse", "msgpack", "zmq"}
    assert not heavy & {*before}
    assert {name.split(".")[1] for name in before if name.startswith("obsagent.")} == {"drift", "errors", "limits"}
    assert "numpy" in after

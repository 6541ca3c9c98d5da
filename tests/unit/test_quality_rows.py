"""Findings about rows: copies of others, those that were lost on the way, columns that are dropped on purpose."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from obsagent.evaluate.quality_report import quality_report
from obsagent.samples import Kind
from unit.feature_lab import Lab
from unit.test_quality_changes import BEGIN_MS, NOW_MS, WINDOW_MS, at, filled, found_in, steady

WINDOWS = 40


def with_rows(copies: Any, *, size: int = 400, seed: int = 1, learn: bool = True) -> Lab:
    """Two features of different values and one of few; `copies(window)` is the share of rows that are copies."""
    lab = Lab(seed)
    if learn:
        for name in ("amount", "age"):
            lab.learn_numbers(name)
            lab.change(name, lambda expected: replace(expected, distinct=20_000.0))
        lab.learn_lands()
    for window in range(WINDOWS):
        at_ms = BEGIN_MS + window * WINDOW_MS
        rows = [(lab.chance.gauss(0, 1), lab.chance.gauss(0, 1)) for _ in range(size)]
        again = int(size * copies(window))
        rows[size - again :] = [rows[number % (size - again)] for number in range(again)]
        reference = [] if learn else [""]
        lab.numbers("amount", at_ms, [row[0] for row in rows], *reference)
        lab.numbers("age", at_ms, [row[1] for row in rows], *reference)
        lab.lands(at_ms, lab.some_lands(size), **({} if learn else {"reference": ""}))
        lab.rows(at_ms, size)
    return lab


@pytest.mark.parametrize("learn", [True, False], ids=["by the reference", "by what was before"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_rows_that_come_more_than_once(learn: bool, share: float) -> None:
    found = found_in(with_rows(lambda window: share if window >= 30 else 0.0, learn=learn))
    duplicates = found["", "duplicates"]
    assert duplicates["share"] == pytest.approx(share, abs=0.07)
    assert duplicates["since"] == at(30)
    assert "values repeat of all 2 features" in duplicates["says"]
    assert "of 4,000 rows" in duplicates["says"]
    assert "distinct" in duplicates["look"]
    assert {what for _, what in found} == {"duplicates"}


def test_a_few_copies_are_within_the_error_of_the_counts() -> None:
    assert found_in(with_rows(lambda window: 0.05)) == {}


@pytest.mark.parametrize("seed", range(4))
def test_rows_without_copies_are_no_finding_at_any_size(seed: int) -> None:
    size = random.Random(seed).choice([100, 1_000, 3_000])
    assert found_in(with_rows(lambda window: 0.0, size=size, seed=seed), "since 7m") == {}


def test_one_feature_that_repeats_is_no_copy_of_rows() -> None:
    lab = with_rows(lambda window: 0.0)
    for window in range(WINDOWS):
        lab.numbers("age", BEGIN_MS + window * WINDOW_MS, [0.5 + number % 3 / 10 for number in range(2_000)])
    assert ("", "duplicates") not in found_in(lab)


def test_more_values_than_are_known_to_differ_are_not_judged() -> None:
    """Of cents nearly all are different among a hundred, and not among a hundred thousand."""
    lab = Lab()
    for window in range(WINDOWS):
        values = [round(value, 3) for value in lab.normal(150 if window < 30 else 4_000)]
        lab.numbers("amount", BEGIN_MS + window * WINDOW_MS, values, "")
    assert ("", "duplicates") not in found_in(lab)


# --- what was lost, dropped, or beyond what there is room for


def test_samples_that_were_lost_are_said_to_be() -> None:
    lab = filled(steady)
    lab.view.account(BEGIN_MS, "shop", observed=10_000, stored=9_500, dropped=(300, 0, 100), rejected=(0, 0, 100))
    lab.view.account(BEGIN_MS, "other", observed=10_000, stored=9_000, dropped=(1_000, 0, 0))
    lost = found_in(lab)["", "lost"]
    assert (lost["share"], lost["severity"]) == (0.05, "medium")
    assert lost["says"] == (
        "5 % of 10,000 samples of shop were lost: 300 for want of room in the client's ring, "
        "100 after an hour without an agent, 100 refused, as they were of another time than is kept"
    )
    assert lost["look"] == "obsagent query obsagent_samples service=shop by outcome since 7m step 10s"

    assert found_in(lab, "feature=amount since 7m") == {}


def test_features_beyond_the_budget_of_series_are_said_to_be() -> None:
    lab = filled(steady)
    series = lab.view.add_series("feature", Kind.COLUMN, service="shop", overflow="true")
    lab.view.give(series, NOW_MS - 60_000, [1.0] * 70)
    overflow = found_in(lab)["", "overflow"]
    assert "70 values of features that are not told apart" in overflow["says"]
    assert "series_per_metric" in overflow["says"]


def test_columns_that_the_configuration_drops_are_not_missing() -> None:
    lab = filled(steady)
    lab.learn_numbers("name of the customer")
    assert set(found_in(lab)) == {("name of the customer", "missing_feature")}
    drops = {"fraud": ("name of the customer",)}
    report = quality_report("since 7m", lab.view, lab, NOW_MS, drops=lambda model: drops.get(model, ()))
    assert report["findings"] == []
    assert report["models"][0]["dropped"] == ["name of the customer"]

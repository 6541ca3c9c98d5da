"""Derived metrics of features through a whole query: merged over windows, workers, slices, against their reference."""

import json

import pytest

from obsagent import drift
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.options import Options
from unit.feature_lab import EDGES, LABEL, LANDS, ROWS, Lab, binned

NOW_MS = 1_767_258_125_250
WINDOW_MS = 10_000


@pytest.fixture
def lab():
    lab = Lab()
    lab.learn_numbers("amount", importance=0.5)
    lab.learn_lands()
    return lab


def ask(lab, text, **options):
    result = answer(parse(text), lab.view, NOW_MS, Options(references=lab, **options))
    json.dumps(result, allow_nan=False)
    return result


def rows(lab, text):
    return {tuple(row["labels"].values()): row for row in ask(lab, text)["series"]}


def value(lab, text):
    (row,) = ask(lab, text)["series"]
    (number,) = row["values"].values()
    return number


def test_a_number_is_that_of_all_windows_and_workers_merged(lab):
    values = lab.normal(300, 0.5)
    for index, at in enumerate(range(0, 300, 100)):
        lab.numbers("amount", NOW_MS - index * WINDOW_MS, values[at : at + 100], worker=str(index % 2))
    expected = lab.known[LABEL, "amount"]
    counts, sums = binned(values)
    for name, wanted in (
        ("psi", drift.psi(expected.counts, counts)),
        ("js_distance", drift.js_distance(expected.counts, counts)),
        ("ks", drift.ks(expected.counts, counts)),
        (
            "wasserstein",
            drift.wasserstein(expected.counts, counts, EDGES, reference_sums=expected.sums, current_sums=sums),
        ),
    ):
        (row,) = ask(lab, f"{name} model=fraud feature=amount")["series"]
        assert row["values"][name] == pytest.approx(wanted, rel=1e-9)
        assert (row["count"], row["reference"]) == (300, LABEL)
        assert "left_out" not in row
    assert ask(lab, "ks feature=amount")["series"][0]["error_bound"]["ks"]["absolute"] > 0


def test_several_metrics_by_feature_ranked(lab):
    lab.numbers("amount", NOW_MS, lab.normal(500, 2.0))
    lab.lands(NOW_MS, lab.some_lands(500))
    found = ask(lab, "psi,js_distance model=fraud by feature since 1h top 1")
    assert [row["labels"]["feature"] for row in found["series"]] == ["amount", "amount"]
    assert [metric["name"] for metric in found["metrics"]] == ["psi", "js_distance"]
    assert {metric["kind"] for metric in found["metrics"]} == {"derived"}
    shifted = rows(lab, "psi model=fraud by feature where psi above 0.2")
    assert list(shifted) == [("amount",)]


def test_what_is_said_of_one_feature_is_not_said_of_several(lab):
    lab.numbers("amount", NOW_MS, lab.normal(50))
    lab.lands(NOW_MS, lab.some_lands(50))
    with pytest.raises(QueryError, match="`psi` is of one feature: add `by feature`, or choose with feature=NAME"):
        ask(lab, "psi model=fraud since 1h")
    lab.numbers("amount", NOW_MS, lab.normal(50), model="other")
    with pytest.raises(QueryError, match="by feature,model"):
        ask(lab, "psi by feature")
    lab.view.give(lab.series("amount"), NOW_MS, edges=EDGES, nulls=50)
    assert value(lab, "null_share model=fraud") == pytest.approx(50 / 150)


def test_what_comes_as_null_alone_is_as_far_away_as_can_be(lab):
    """Its column has no bins."""
    lab.view.give(lab.series("amount"), NOW_MS, edges=EDGES, nulls=50)
    assert value(lab, "psi feature=amount") > 5
    assert value(lab, "js_distance feature=amount") > 0.9


def test_slices_are_filters_and_rows(lab):
    lab.numbers("amount", NOW_MS, lab.normal(400), country="DE")
    lab.numbers("amount", NOW_MS, lab.normal(400, 2.0), country="FR")
    found = rows(lab, "js_distance feature=amount by country")
    assert found["FR",]["values"]["js_distance"] > 3 * found["DE",]["values"]["js_distance"]
    assert value(lab, "js_distance feature=amount country=FR") == found["FR",]["values"]["js_distance"]


def test_steps_and_comparisons(lab):
    for step in range(6):
        lab.numbers("amount", NOW_MS - step * WINDOW_MS, lab.normal(200, 0.0 if step else 1.5))
    (row,) = ask(lab, "js_distance feature=amount since 1m step 10s")["series"]
    values = [point["values"]["js_distance"] for point in row["points"]]
    assert len(values) == 6
    assert values[-1] > 2 * max(values[:-1])
    (row,) = ask(lab, "psi feature=amount since 10s vs 30s ago")["series"]
    assert row["change"]["psi"]["absolute"] > 0
    assert row["change"]["psi"]["beyond_error"]


def test_only_columns_over_the_bins_of_one_reference_are_compared(lab):
    lab.numbers("amount", NOW_MS - WINDOW_MS, lab.normal(300, 3.0), "0ld00000")
    lab.numbers("amount", NOW_MS, lab.normal(100))
    lab.numbers("amount", NOW_MS, lab.normal(7), "")
    (row,) = ask(lab, "psi feature=amount since 1m")["series"]
    assert row["reference"] == LABEL
    assert row["left_out"] == {"0ld00000": 300, "": 7}
    assert row["count"] == 100
    assert value(lab, "count feature feature=amount since 1m") == 407
    assert value(lab, "null_share feature=amount since 1m") == 0


def test_the_reference_that_is_configured_now_comes_before_one_with_more_samples(lab):
    lab.numbers("amount", NOW_MS, lab.normal(300))
    lab.rename("new00000")
    lab.numbers("amount", NOW_MS, lab.normal(20), "new00000")
    (row,) = ask(lab, "psi feature=amount")["series"]
    assert (row["reference"], row["count"], row["left_out"]) == ("new00000", 20, {LABEL: 300})
    lab.configured.clear()
    assert ask(lab, "psi feature=amount")["series"][0]["reference"] == LABEL


def test_a_feature_without_a_reference_has_no_number_beside_those_that_have_one(lab):
    lab.numbers("amount", NOW_MS, lab.normal(50))
    lab.numbers("extra", NOW_MS, lab.normal(50), "")
    found = rows(lab, "psi by feature")
    assert found["extra",]["values"] == {"psi": None}
    assert found["extra",]["reference"] is None


def test_without_any_reference_the_answer_says_how_to_make_one(lab):
    lab.numbers("amount", NOW_MS, lab.normal(50), "")
    found = ask(lab, "psi model=fraud by feature since 1h")
    assert found["series"] == []
    assert found["empty"].startswith("`amount` of fraud has no reference: make one with `obsagent reference fit FILE")
    assert "[models.fraud] reference" in found["empty"]
    lab.numbers("amount", NOW_MS, lab.normal(50))
    lab.forget()
    assert "the reference 1a2b3c4d is not known here" in ask(lab, "psi model=fraud by feature")["empty"]
    assert rows(lab, "null_share model=fraud by feature")


def test_without_features_the_answer_says_that_none_came(lab):
    assert "no features in the last 5m, nor ever" in ask(lab, "psi by feature")["empty"]
    lab.numbers("amount", NOW_MS - 3_600_000, lab.normal(50))
    assert "last sample" in ask(lab, "psi by feature since 5m")["empty"]
    assert "version has been 4" in ask(lab, "psi version=5 by feature")["empty"]


def test_a_stat_of_a_derived_metric_is_a_mistake(lab):
    lab.numbers("amount", NOW_MS, lab.normal(50))
    with pytest.raises(QueryError, match="ask for it without a stat"):
        ask(lab, "p99 psi by feature")
    with pytest.raises(QueryError, match="`psi` has no p99: expected psi or count"):
        ask(lab, "psi by feature where p99 above 1")
    with pytest.raises(QueryError, match="has no label `fature`"):
        ask(lab, "psi by fature")


def test_quality_of_all_kinds(lab):
    lab.lands(NOW_MS, [*lab.some_lands(80), *["XX"] * 20])
    lab.numbers("amount", NOW_MS, [*lab.normal(40), *[1e6] * 8, float("nan"), float("inf")])
    lab.others("amount", NOW_MS, nulls=25, wrong_types=25)
    lab.rows(NOW_MS, 200)
    assert rows(lab, "unseen_share by feature")["land",]["values"] == {"unseen_share": 0.2}
    assert rows(lab, "missing_share by feature")["land",]["values"] == {"missing_share": 0.5}
    found = {
        name: rows(lab, f"{name} by feature")["amount",]["values"][name]
        for name in ("null_share", "nan_share", "infinite_share", "wrong_type_share", "out_of_range_share", "constant")
    }
    assert found == {
        "null_share": 0.25,
        "nan_share": 0.01,
        "infinite_share": 0.01,
        "wrong_type_share": 0.25,
        "out_of_range_share": pytest.approx(9 / 49),
        "constant": 0,
    }
    distinct = rows(lab, "distinct by feature")["land",]
    assert distinct["values"]["distinct"] == pytest.approx(4, rel=0.1)
    assert distinct["error_bound"]["distinct"]["relative"] > 0


def test_missing_shares_follow_filters_that_rows_have_too(lab):
    lab.numbers("amount", NOW_MS, lab.normal(30), country="DE")
    lab.numbers("amount", NOW_MS, lab.normal(10), country="FR")
    lab.rows(NOW_MS, 40, country="DE")
    lab.rows(NOW_MS, 40, country="FR")
    assert value(lab, "missing_share feature=amount country=DE") == 0.25
    found = rows(lab, "missing_share by feature,country")
    assert {key: row["values"]["missing_share"] for key, row in found.items()} == {
        ("amount", "DE"): 0.25,
        ("amount", "FR"): 0.75,
    }


def test_severity_ranks_by_importance(lab):
    lab.learn_numbers("minor", importance=0.01)
    lab.numbers("amount", NOW_MS, lab.normal(500, 0.3))
    lab.numbers("minor", NOW_MS, lab.normal(500, 0.6))
    found = ask(lab, "drift_severity by feature top 2")["series"]
    assert [row["labels"]["feature"] for row in found] == ["amount", "minor"]


def test_columns_are_histograms_to_all_other_statistics(lab):
    lab.numbers("amount", NOW_MS, [1.0] * 99, "0ld00000")
    lab.numbers("amount", NOW_MS, [3.0])
    (row,) = ask(lab, "p50,max,count,mean feature feature=amount")["series"]
    assert row["values"] == {"p50": pytest.approx(1.0, rel=0.006), "max": 3.0, "count": 100, "mean": 1.02}


def test_promql_has_no_columns(lab):
    lab.numbers("amount", NOW_MS, lab.normal(50))
    explain = ask(lab, "psi by feature", explain=True)["explain"]
    assert explain["promql"] == []
    assert "columns of features" in explain["notes"][0]


def test_the_reference_of_this_lab_is_what_it_says(lab):
    assert sum(lab.known[LABEL, "amount"].counts) == sum(lab.known[LABEL, "land"].counts) == ROWS
    assert len(lab.known[LABEL, "land"].counts) == len(LANDS) + 1

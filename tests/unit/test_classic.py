"""Classic histograms of other servers: one metric when asked for, with the bounds that its edges allow."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from obsagent.answer.catalogue import catalogue
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.options import Options
from obsagent.cli.answers import write_table
from obsagent.errors import UsageError
from obsagent.samples import Kind
from unit.fake_view import FakeView
from unit.test_execute import NOW_MS, ask, only_row

NAME = "vllm:ttft_seconds"
EDGES = {"0.05": 20, "0.1": 90, "0.25": 150, "0.5": 190, "2.5": 199, "+Inf": 200}


def add(view: FakeView, buckets: dict[str, float], total: float, name: str = NAME, **labels: str) -> None:
    at_ms = NOW_MS - 5000
    for edge, count in buckets.items():
        series = view.add_series(f"{name}_bucket", Kind.COUNTER, le=edge, **labels)
        view.increment(series, at_ms, count)
    view.increment(view.add_series(f"{name}_sum", Kind.COUNTER, "seconds", **labels), at_ms, total)
    view.increment(view.add_series(f"{name}_count", Kind.COUNTER, **labels), at_ms, buckets["+Inf"])


@pytest.fixture
def view() -> FakeView:
    view = FakeView()
    add(view, EDGES, 38.5, service="vllm", instance="a:1", model_name="llama")
    add(
        view,
        {edge: count / 10 for edge, count in EDGES.items()} | {"2.5": 19},
        9.5,
        service="vllm",
        instance="b:1",
        model_name="qwen",
    )
    return view


def number(view: FakeView, text: str) -> tuple[Any, Any]:
    row = only_row(view, text)
    (value,), (bound,) = row["values"].values(), row["error_bound"].values()
    return value, bound


def test_a_quantile_is_interpolated_and_bound_by_the_edges_of_its_bucket(view: FakeView) -> None:
    """Rank 198 of 200 lies at 8 ninths of the bucket from 0.5 to 2.5, in which there are 9."""
    value, bound = number(view, f"p99 {NAME} model_name=llama")
    assert value == pytest.approx(0.5 + 2 * 8 / 9)
    assert bound["absolute"] == pytest.approx(value - 0.5)


def test_the_lowest_bucket_begins_at_zero(view: FakeView) -> None:
    assert number(view, f"p5 {NAME} model_name=llama") == (0.025, {"absolute": 0.025})


def test_beyond_the_last_edge_nothing_else_is_claimed(view: FakeView) -> None:
    for stat in ("p99.9", "p100", "max"):
        assert number(view, f"{stat} {NAME} model_name=llama") == (2.5, {"above": 2.5})


def test_without_a_stat(view: FakeView) -> None:
    row = only_row(view, NAME)
    assert list(row["values"]) == ["p50", "p99", "count"]
    assert row["count"] == 220


def test_counts_mean_and_rate_are_exact(view: FakeView) -> None:
    assert number(view, f"count {NAME}") == (220, 0)
    assert number(view, f"sum {NAME}") == (48.0, 0)
    assert number(view, f"mean {NAME} model_name=llama") == (38.5 / 200, 0)
    assert number(view, f"rate {NAME}")[0] == pytest.approx(220 / 5.25)


def test_shares_are_exact_at_edges(view: FakeView) -> None:
    assert number(view, f"under 250ms {NAME}") == (0.75, 0)
    assert number(view, f"over 250ms {NAME}") == (0.25, 0)
    value, bound = number(view, f"under 375ms {NAME} model_name=llama")
    assert value == pytest.approx(170 / 200)
    assert bound["absolute"] == pytest.approx(20 / 200)
    value, bound = number(view, f"under 5s {NAME} model_name=llama")
    assert (value, bound["absolute"]) == (pytest.approx(199 / 200), pytest.approx(1 / 200))
    assert number(view, f"under -1 {NAME}") == (0.0, 0)


def test_it_groups_filters_and_compares_like_any_metric(view: FakeView) -> None:
    rows = ask(view, f"count {NAME} service=vllm by model_name")["series"]
    assert [(row["labels"], row["values"]) for row in rows] == [
        ({"model_name": "llama"}, {"count": 200}),
        ({"model_name": "qwen"}, {"count": 20}),
    ]
    (row, other) = ask(view, f"p50 {NAME} by model_name vs model_name=llama")["series"]
    assert not row["change"]["p50"]["beyond_error"]
    assert not other["change"]["p50"]["beyond_error"]
    (row,) = ask(view, f"p50 {NAME} model_name=llama step 10s")["series"]
    assert row["points"][0]["values"]["p50"] == row["values"]["p50"]
    assert number(view, f"sum {NAME} / count {NAME}")[0] == pytest.approx(48 / 220)
    assert ask(view, f"{NAME}")["metric"] == {"name": NAME, "kind": "classic histogram", "unit": "seconds"}


def test_where_believes_only_what_is_certain(view: FakeView) -> None:
    beyond = f"p100 {NAME} model_name=llama where p100"
    assert ask(view, f"{beyond} above 2.5s")["series"]
    assert not ask(view, f"{beyond} above 3s")["series"]
    assert not ask(view, f"{beyond} below 3s")["series"]


def test_the_table_says_what_lies_beyond(view: FakeView, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    write_table(answer(parse(f"p50,p99.9 {NAME} by model_name"), view, NOW_MS), sys.stdout)
    out = capsys.readouterr().out
    assert "125 ms   > 2.50 s" in out
    assert "> beyond the last edge of a classic histogram" in out


def test_what_it_has_not_is_said(view: FakeView) -> None:
    with pytest.raises(QueryError, match="is a classic histogram: it has no last"):
        ask(view, f"last {NAME}")
    with pytest.raises(QueryError, match="has no label `le`"):
        ask(view, f"p99 {NAME} by le")
    with pytest.raises(QueryError, match="is a classic histogram: say which stat"):
        ask(view, f"{NAME} / up")
    with pytest.raises(UsageError, match="only histograms keep t-digests"):
        answer(parse(f"p99 {NAME}"), view, NOW_MS, Options(sketch="tdigest"))


def test_an_empty_answer_says_why(view: FakeView) -> None:
    assert "did you mean `vllm:ttft_seconds`? last sample" in ask(view, "p99 vllm:ttft_second")["empty"]
    assert "model_name has been llama and qwen" in ask(view, f"p99 {NAME} model_name=gpt")["empty"]


def test_its_counters_can_be_asked_for_by_themselves(view: FakeView) -> None:
    rows = ask(view, f"sum {NAME}_bucket model_name=llama by le")["series"]
    assert {row["labels"]["le"]: row["values"]["sum"] for row in rows} == EDGES


def test_age(view: FakeView) -> None:
    value, bound = number(view, f"age {NAME}")
    assert (value, bound) == (0.0, {"absolute": 10.0})


def test_a_standard_deviation_has_the_bound_of_its_buckets() -> None:
    """Ten of up to 1, ten from 1 to 3, of mean 1.25: at least 0.25 from it on the left, nothing on the right."""
    view = FakeView()
    add(view, {"1.0": 10, "3.0": 20, "+Inf": 20}, 25.0, service="a")
    value, bound = number(view, f"stddev {NAME}")
    assert value == pytest.approx(math.sqrt(((0.75**2 + 1 / 12) + (0.75**2 + 4 / 12)) / 2))
    low, high = math.sqrt(0.25**2 / 2), math.sqrt((1.25**2 + 1.75**2) / 2)
    assert bound["absolute"] == pytest.approx(max(value - low, high - value))
    add(view, {"1.0": 0, "3.0": 0, "+Inf": 10}, 50.0, service="b")
    value, bound = number(view, f"stddev {NAME}")
    assert bound == {"above": value}
    assert value == pytest.approx(math.sqrt((1.5**2 * 10 + 0.5**2 * 10) / 30))  # of mean 2.5: nearest to it in each
    value, bound = number(view, f"stddev {NAME} service=b")
    assert (value, bound) == (0.0, {"above": 0.0})  # all of them may be 5


def test_counts_that_fall_bound_a_standard_deviation_by_nothing() -> None:
    view = FakeView()
    add(view, {"1.0": 5, "2.0": 3, "+Inf": 9}, 10.0, service="a")
    assert number(view, f"stddev {NAME}") == (0.0, {"above": 0.0})


def test_a_metric_of_ours_by_the_same_name_is_told_apart(view: FakeView) -> None:
    own = view.add_series(NAME, Kind.HISTOGRAM, "seconds", service="ours")
    view.observe(own, NOW_MS - 5000, 0.2)
    with pytest.raises(
        QueryError, match="a histogram in ours and a classic histogram in vllm: choose with service=NAME"
    ):
        ask(view, f"p99 {NAME}")
    assert number(view, f"count {NAME} service=vllm") == (220, 0)
    assert number(view, f"count {NAME} service=ours") == (1, 0)


def test_edges_that_differ_widen_the_bound(view: FakeView) -> None:
    """Of the second nothing is known between 0.1 and 1, so that what lies above 0.2 may lie anywhere there."""
    view = FakeView()
    add(view, {"0.1": 40, "0.2": 60, "1.0": 100, "+Inf": 100}, 1.0, service="a")
    add(view, {"0.1": 40, "1.0": 100, "+Inf": 100}, 1.0, service="b")
    value, bound = number(view, f"p55 {NAME}")
    assert 0.1 <= value <= 1.0
    assert value - bound["absolute"] <= 0.1
    assert value + bound["absolute"] >= 1.0
    assert number(view, f"under 0.1 {NAME}") == (0.4, 0)
    value, bound = number(view, f"p50 {NAME}")
    assert value + bound["absolute"] <= 0.2 + 0.1


def test_counts_that_fall_between_edges_bound_from_below_only() -> None:
    """Edges that were not all there all the time: 5 and 10 lie below 1 and 2 of the 10 that these saw."""
    view = FakeView()
    add(view, {"1.0": 5, "2.0": 10, "3.0": 5, "4.0": 7, "+Inf": 18}, 1.0, service="a")
    value, bound = number(view, f"under 1 {NAME}")
    assert value - bound["absolute"] <= 5 / 18
    assert value + bound["absolute"] >= 13 / 18


def test_edges_below_zero() -> None:
    view = FakeView()
    add(view, {"-1.0": 5, "0.0": 5, "1.0": 10, "+Inf": 10}, 1.0, service="a")
    assert number(view, f"p10 {NAME}") == (-1.0, {"below": -1.0})
    assert number(view, f"p90 {NAME}") == (0.8, {"absolute": 0.8})


def test_nothing_observed_is_nothing(view: FakeView) -> None:
    add(view, dict.fromkeys(EDGES, 0), 0.0, name="idle", service="vllm")
    row = only_row(view, "p99,mean,count,rate,min,under 1s idle")
    assert row["values"] == {"p99": None, "mean": None, "count": 0, "rate": 0, "min": None, "under 1s": None}


def test_it_is_listed_as_one_metric(view: FakeView) -> None:
    view.increment(view.add_series("other_count", Kind.COUNTER, service="vllm"), NOW_MS - 5000)
    view.increment(view.add_series(f"{NAME}_count", Kind.COUNTER, service="elsewhere"), NOW_MS - 5000)
    found = {metric["name"]: metric for metric in catalogue(view)["metrics"]}
    assert list(found) == ["other_count", NAME, f"{NAME}_count"]
    metric = found[NAME]
    assert (metric["kind"], metric["unit"], metric["series"]) == ("classic histogram", "seconds", 2)
    assert list(metric["labels"]) == ["instance", "model_name", "service"]
    assert metric["last_ms"] == NOW_MS - 5000
    assert found[f"{NAME}_count"]["services"] == ["elsewhere"]


def test_versions_of_everything_are_no_versions_of_the_service(view: FakeView) -> None:
    view.set_gauge(view.add_series("python_info", Kind.GAUGE, service="vllm", version="3.12"), NOW_MS - 5000, 1.0)
    assert catalogue(view)["services"][0]["versions"] == []


def test_promql_that_asks_the_same(view: FakeView) -> None:
    found = answer(parse(f"p99,mean {NAME} model_name=llama by instance"), view, NOW_MS, Options(explain=True))
    llama = '{model_name="llama"}'
    come = {part: f"{NAME}_{part}{llama} - {NAME}_{part}{llama} offset 305250ms" for part in ("bucket", "sum", "count")}
    assert found["explain"]["promql"] == [
        f"histogram_quantile(0.99, sum by (le, instance) ({come['bucket']}))",
        f"sum by (instance) ({come['sum']}) / sum by (instance) ({come['count']})",
    ]
    assert found["explain"]["notes"] == []


def test_no_answer_has_an_infinity(view: FakeView) -> None:
    for stat in ("p0", "p50", "p100", "under 10s", "over 10s"):
        for other in ("p100", "mean"):
            row = ask(view, f"{stat} {NAME} / {other} {NAME}")["series"][0]
            assert "Infinity" not in json.dumps(row)
            assert all(value is None or math.isfinite(value) for value in row["values"].values())

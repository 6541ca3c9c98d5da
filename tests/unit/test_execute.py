"""Answers from merged windows: values, bounds, coverage, losses, and why an answer is empty."""

import json
import math
import random

import pytest

from obsagent.answer.execute import answer
from obsagent.answer.instants import iso_utc
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.cli.footer import footer_text
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z: 5.25 s into a window
WINDOW_0_MS = 1_767_258_120_000
MINUTE_MS = 60_000


def ask(view, text):
    result = answer(parse(text), view, NOW_MS)
    json.dumps(result, allow_nan=False)  # what is not JSON would fail here
    return result


def only_row(view, text):
    (row,) = ask(view, text)["series"]
    return row


def value(view, text):
    (number,) = only_row(view, text)["values"].values()
    return number


@pytest.fixture
def view():
    return FakeView()


@pytest.fixture
def latency(view):
    return view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", worker="0", endpoint="/score")


@pytest.fixture
def requests(view):
    return view.add_series("requests", Kind.COUNTER, "requests", service="fraud", worker="0")


def test_the_answer_has_exactly_these_keys(view, latency):
    view.observe(latency, NOW_MS, 0.5)
    assert ask(view, "p99,count latency by endpoint since 1m") == {
        "query": "p99,count latency by endpoint since 1m",
        "metric": {"name": "latency", "kind": "histogram", "unit": "seconds"},
        "from": "2026-01-01T09:01:05.250Z",
        "to": "2026-01-01T09:02:05.250Z",
        "covered": {"from": "2026-01-01T09:02:00.000Z", "to": "2026-01-01T09:02:05.250Z"},
        "losses": {
            "dropped": {"ring": 0, "budget": 0, "expired": 0},
            "rejected": {"value": 0, "frame": 0, "time": 0},
            "pending": 0,
            "overflow_series": 0,
        },
        "series": [
            {
                "labels": {"endpoint": "/score"},
                "count": 1,
                "error_bound": {"p99": {"relative": pytest.approx(0.005415, rel=1e-3)}, "count": 0},
                "values": {"p99": 0.5, "count": 1},
            }
        ],
    }


def test_quantiles_over_series_and_windows_are_within_the_bound_of_the_sorted_truth(view):
    generator = random.Random(7)
    values = []
    for worker in range(4):
        series = view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", worker=str(worker))
        for window in range(6):
            batch = [generator.lognormvariate(-4, 1) for _ in range(200)]
            view.observe(series, WINDOW_0_MS - window * 10_000, *batch)
            values += batch
    values.sort()
    row = only_row(view, "p0,p1,p50,p90,p99,p99.9,p100 latency")
    assert row["count"] == len(values) == 4800
    for name, found in row["values"].items():
        q = float(name[1:]) / 100
        truth = values[max(0, math.ceil(round(q * len(values), 6)) - 1)]
        bound = row["error_bound"][name]
        if bound == 0:
            assert found == truth
        else:
            assert found == pytest.approx(truth, rel=bound["relative"] * (1 + 1e-9))
    assert [name for name, bound in row["error_bound"].items() if bound == 0] == ["p0", "p100"]


def test_the_exact_stats_of_a_histogram(view, latency):
    view.observe(latency, NOW_MS, 1.0, 2.0, 6.0)
    view.observe(latency, NOW_MS - 20_000, 3.0)
    row = only_row(view, "count,sum,mean,min,max,rate latency")
    assert row["values"] == {
        "count": 4,
        "sum": 12.0,
        "mean": 3.0,
        "min": 1.0,
        "max": 6.0,
        "rate": pytest.approx(4 / 25.25),
    }
    assert set(row["error_bound"].values()) == {0}
    assert type(row["values"]["count"]) is type(row["count"]) is int


def test_the_bound_of_mixed_scales_is_the_coarser_one(view):
    for service, scale in (("a", 6), ("b", 3)):
        series = view.add_series("latency", Kind.HISTOGRAM, scale=scale, service=service)
        view.observe(series, NOW_MS, 0.5)
    fine, coarse, both = (
        only_row(view, f"p50 latency {words}")["error_bound"]["p50"]["relative"]
        for words in ("service=a", "service=b", "")
    )
    assert fine == pytest.approx(0.00541, rel=1e-2)
    assert coarse == both == pytest.approx(0.0433, rel=1e-2)


def test_what_is_not_finite_is_counted_apart_and_never_in_the_json(view, latency):
    view.observe(latency, NOW_MS, math.nan, math.nan, math.inf, -math.inf)
    row = only_row(view, "p99,mean,min,sum,count latency")
    assert row["not_finite"] == {"nan": 2, "positive_infinity": 1, "negative_infinity": 1}
    assert row["values"] == {"p99": None, "mean": None, "min": None, "sum": 0.0, "count": 0}
    view.observe(latency, NOW_MS, 0.25)
    assert only_row(view, "p99 latency")["values"] == {"p99": 0.25}


def test_a_counter_sums_its_increments(view, requests):
    view.increment(requests, NOW_MS, 7.0, increments=7)
    view.increment(requests, NOW_MS - MINUTE_MS, 5.0, increments=2)
    row = only_row(view, "rate,sum,count requests")
    assert row["values"] == {"rate": pytest.approx(12 / 65.25), "sum": 12, "count": 12}
    assert row["error_bound"] == {"rate": 0, "sum": 0, "count": 0}
    assert row["count"] == 9  # samples behind the numbers
    assert type(row["values"]["count"]) is int


def test_a_counter_of_fractions_stays_one(view, requests):
    view.increment(requests, NOW_MS, 0.5)
    assert value(view, "sum requests") == 0.5


def test_a_rate_counts_the_time_that_was_read_not_the_time_that_was_asked(view, requests):
    """The first window holds samples from before `from`: they count, so its time does too."""
    for seconds_ago in range(0, 120, 10):
        view.increment(requests, NOW_MS - seconds_ago * 1000, 10.0)
    result = ask(view, "rate requests since 1m")
    assert result["covered"] == {"from": "2026-01-01T09:01:00.000Z", "to": "2026-01-01T09:02:05.250Z"}
    assert result["series"][0]["values"]["rate"] == pytest.approx(70 / 65.25)


def test_coverage_ends_with_the_last_window_of_a_store_without_an_agent(view, requests):
    view.increment(requests, NOW_MS - 2 * MINUTE_MS, 20.0)
    result = ask(view, "rate requests since 1h")
    assert result["covered"] == {"from": "2026-01-01T09:00:00.000Z", "to": "2026-01-01T09:00:10.000Z"}
    assert result["series"][0]["values"]["rate"] == 2.0


@pytest.fixture
def depth(view):
    """A gauge of two workers and its combined form."""
    workers = [view.add_series("depth", Kind.GAUGE, service="fraud", host="a", worker=worker) for worker in ("0", "1")]
    combined = view.add_series("depth", Kind.GAUGE, service="fraud")
    for seconds_ago, values in ((3, (4, 6)), (2, (1, 2)), (1, (3, 5))):
        at_ms = NOW_MS - seconds_ago * 1000
        for series, each in zip(workers, values, strict=True):
            view.set_gauge(series, at_ms, float(each))
        view.set_gauge(combined, at_ms, float(sum(values)))
    return workers, combined


def test_a_gauge_is_answered_combined(view, depth):
    row = only_row(view, "last,min,max,mean depth")
    assert row["values"] == {"last": 8.0, "min": 3.0, "max": 10.0, "mean": 7.0}
    assert row["count"] == 3
    assert only_row(view, "p50 depth")["error_bound"]["p50"]["relative"] > 0


def test_a_gauge_by_worker_is_each_worker_s_own(view, depth):
    rows = ask(view, "last depth by worker")["series"]
    assert [(row["labels"]["worker"], row["values"]["last"]) for row in rows] == [("0", 3.0), ("1", 5.0)]
    assert value(view, "last depth by host") == 8.0
    assert value(view, "max depth by host") == 6.0


def test_a_gauge_without_workers_is_answered_beside_those_of_workers(view, depth):
    """A server's own gauge, and a worker's that was never combined: no form of one series hides another's."""
    view.set_gauge(view.add_series("depth", Kind.GAUGE, service="vllm", host="b"), NOW_MS - 1000, 7.0)
    view.set_gauge(view.add_series("depth", Kind.GAUGE, service="new", host="a", worker="0"), NOW_MS - 1000, 1.0)
    rows = ask(view, "last depth by host")["series"]
    assert [(row["labels"]["host"], row["values"]["last"]) for row in rows] == [("a", 9.0), ("b", 7.0)]
    rows = ask(view, "last depth by service")["series"]
    assert [(row["labels"]["service"], row["values"]["last"]) for row in rows] == [
        ("fraud", 8.0),
        ("new", 1.0),
        ("vllm", 7.0),
    ]
    rows = ask(view, "last depth worker not 0 by worker")["series"]  # the combined one is none without a worker
    assert [(row["labels"]["worker"], row["values"]["last"]) for row in rows] == [("", 7.0), ("1", 5.0)]


@pytest.fixture
def memory(view):
    """A machine's memory, and that of a model's two workers on it."""
    for labels, used in (
        ({"service": "host", "host": "a"}, 10.0),
        ({"service": "fraud", "host": "a", "worker": "0"}, 2.0),
        ({"service": "fraud", "host": "a", "worker": "1"}, 3.0),
        ({"service": "fraud"}, 5.0),
    ):
        view.set_gauge(view.add_series("memory_bytes", Kind.GAUGE, "bytes", **labels), NOW_MS - 1000, used)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last memory_bytes", [({}, 5.0), ({"service": "host"}, 10.0)]),
        ("last memory_bytes by host", [({"host": "a"}, 5.0), ({"host": "a", "service": "host"}, 10.0)]),
        ("last memory_bytes by service", [({"service": "fraud"}, 5.0), ({"service": "host"}, 10.0)]),
        ("last memory_bytes service=host", [({}, 10.0)]),
        ("last memory_bytes service=fraud by host", [({"host": "a"}, 5.0)]),
        ("last memory_bytes top 1", [({"service": "host"}, 10.0)]),
    ],
)
def test_what_the_machine_has_is_not_added_to_what_its_processes_have(view, memory, text, expected):
    found = ask(view, text)
    assert [(row["labels"], row["values"]["last"]) for row in found["series"]] == expected
    is_apart = "service" not in text
    assert found.get("apart") == ({"service": "host"} if is_apart else None)
    assert ("host is the machine, the rest runs on it" in footer_text(found)) is is_apart


def test_what_is_shared_out_is_added_up(view):
    for service, held in (("host", 1.0), ("fraud", 2.0)):
        series = view.add_series("gpu_memory_bytes", Kind.GAUGE, "bytes", service=service, gpu="0")
        view.set_gauge(series, NOW_MS - 1000, held)
    assert value(view, "last gpu_memory_bytes") == 3.0


def test_a_worker_that_has_gone_no_longer_counts_in_the_last_value(view, depth):
    (worker, _), _ = depth
    view.set_gauge(worker, NOW_MS + 16_000, 9.0)
    late = answer(parse("last depth by host"), view, NOW_MS + 16_000)
    assert late["series"][0]["values"]["last"] == 9.0


@pytest.mark.parametrize(("across", "last"), [("sum", 9.0), ("max", 6.0), ("min", 1.0), ("mean", 3.0), ("last", 2.0)])
def test_last_values_combine_as_the_gauge_says(view, across, last):
    for seconds_ago, number in ((3, 6.0), (2, 1.0), (1, 2.0), (0, math.nan)):
        series = view.add_series("load", Kind.GAUGE, across=across, service="fraud", host="a", worker=str(seconds_ago))
        view.set_gauge(series, NOW_MS - seconds_ago * 1000, number)
    assert value(view, "last load by host") == last


def test_rows_without_samples_are_left_out(view, latency):
    view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", worker="0", endpoint="/idle")
    view.observe(latency, NOW_MS, 0.1)
    rows = ask(view, "count latency by endpoint")["series"]
    assert [row["labels"] for row in rows] == [{"endpoint": "/score"}]


def test_losses_are_those_of_the_services_in_the_answer(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.account(NOW_MS, "fraud", observed=100, stored=60, dropped=(1, 2, 3), rejected=(4, 5, 6))
    view.account(NOW_MS, "risk", observed=1000, stored=0)
    view.overflowed["latency"] = 12
    view.overflowed["other"] = 99
    assert ask(view, "latency")["losses"] == {
        "dropped": {"ring": 1, "budget": 2, "expired": 3},
        "rejected": {"value": 4, "frame": 5, "time": 6},
        "pending": 19,
        "overflow_series": 12,
    }


def test_losses_outside_the_asked_time_are_not_in_the_answer(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.account(NOW_MS - 10 * MINUTE_MS, "fraud", observed=9, stored=0, dropped=(9, 0, 0))
    assert ask(view, "latency")["losses"]["dropped"]["ring"] == 0
    assert ask(view, "latency since 1h")["losses"]["dropped"]["ring"] == 9


def test_a_gap_in_the_asked_time_is_declared_and_cut_to_it(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.lose(NOW_MS - 60 * MINUTE_MS, NOW_MS - 4 * MINUTE_MS)
    view.lose(NOW_MS - 2 * MINUTE_MS, NOW_MS - MINUTE_MS, "the journal is damaged")
    found = ask(view, "latency")
    read_from_ms = NOW_MS - 5 * MINUTE_MS - (NOW_MS - 5 * MINUTE_MS) % 10_000
    assert found["gaps"] == [
        {"from": iso_utc(read_from_ms), "to": iso_utc(NOW_MS - 4 * MINUTE_MS), "reason": "a block is damaged"},
        {
            "from": iso_utc(NOW_MS - 2 * MINUTE_MS),
            "to": iso_utc(NOW_MS - MINUTE_MS),
            "reason": "the journal is damaged",
        },
    ]


def test_an_answer_without_gaps_does_not_speak_of_them(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.lose(NOW_MS - 60 * MINUTE_MS, NOW_MS - 50 * MINUTE_MS)
    assert "gaps" not in ask(view, "latency")
    assert len(ask(view, "latency since 1h")["gaps"]) == 1


def test_each_side_of_a_comparison_declares_its_gaps(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.lose(NOW_MS - 63 * MINUTE_MS, NOW_MS - 62 * MINUTE_MS)
    found = ask(view, "latency vs 1h ago")
    assert "gaps" not in found
    assert [gap["reason"] for gap in found["vs"]["gaps"]] == ["a block is damaged"]


def test_an_age_without_a_range_looks_back_through_every_gap(view, latency):
    view.observe(latency, NOW_MS - 60 * MINUTE_MS, 0.1)
    view.lose(NOW_MS - 50 * MINUTE_MS, NOW_MS - 40 * MINUTE_MS)
    assert len(ask(view, "age latency")["gaps"]) == 1
    assert "gaps" not in ask(view, "age latency since 10m")


def test_pending_is_never_negative(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.account(NOW_MS, "fraud", observed=5, stored=9)
    assert ask(view, "latency")["losses"]["pending"] == 0


def test_a_meaningless_query_is_an_error_not_an_empty_answer(view, requests):
    with pytest.raises(QueryError, match="has no p99"):
        ask(view, "p99 requests")


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (NOW_MS, "2026-01-01T09:02:05.250Z"), (999, "1970-01-01T00:00:00.999Z")],
)
def test_times_are_iso_in_utc(at_ms, text):
    assert iso_utc(at_ms) == text


def test_steps_are_as_long_as_the_windows_that_are_kept(view, latency, monkeypatch):
    for minute in range(10):
        view.observe(latency, NOW_MS - MINUTE_MS * minute, 0.1)
    monkeypatch.setattr(view, "window_ms_from", lambda from_ms: MINUTE_MS)
    result = ask(view, "count latency since 10m step 90s")
    assert result["step_ms"] == 3 * MINUTE_MS
    assert result["widened"] == {"asked_step_ms": 90_000, "window_ms": MINUTE_MS}
    assert "steps of 3m: of this time only windows of 1m are kept" in footer_text(result)
    assert sum(point["count"] for point in result["series"][0]["points"]) == 10
    assert "widened" not in ask(view, "count latency since 10m step 2m")

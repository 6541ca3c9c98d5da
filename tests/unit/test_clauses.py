"""What the clauses of a query make of raw values: compared with plain Python over the values themselves."""

import math
import random
import statistics

import pytest

from obsagent.answer.execute import answer
from obsagent.answer.instants import iso_utc
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.errors import UsageError
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z
NEWEST_MS = 1_767_258_120_000  # start of its window
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@pytest.fixture
def view():
    return FakeView()


def ask(view, text):
    return answer(parse(text), view, NOW_MS)


def rows(view, text):
    return {tuple(row["labels"].values()): row for row in ask(view, text)["series"]}


def only_row(view, text):
    (row,) = ask(view, text)["series"]
    return row


def latency_of(view, endpoint, **labels):
    return view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", endpoint=endpoint, **labels)


# --- statistics


@pytest.fixture
def values(view):
    generator = random.Random(7)
    values = [generator.lognormvariate(-3, 1.2) for _ in range(5_000)]
    view.observe(latency_of(view, "/score"), NOW_MS, *values)
    return values


@pytest.mark.parametrize("limit", ["1ms", "50ms", "0.0498", "250ms", "3s", "1h"])
def test_shares_under_and_over_lie_within_their_bound(view, values, limit):
    seconds = {"1ms": 0.001, "50ms": 0.05, "0.0498": 0.0498, "250ms": 0.25, "3s": 3.0, "1h": 3600.0}[limit]
    row = only_row(view, f"under {limit},over {limit} latency")
    truth = sum(value <= seconds for value in values) / len(values)
    under, over = row["values"][f"under {limit}"], row["values"][f"over {limit}"]
    bound = row["error_bound"][f"under {limit}"]
    assert under + over == pytest.approx(1)
    assert abs(under - truth) <= (bound["absolute"] if bound else 0) + 1e-12
    assert not bound or bound["absolute"] < 0.02


def test_shares_of_values_of_both_signs(view):
    values = [-3.0, -2.0, -0.5, 0.0, 0.0, 0.5, 2.0, 3.0, 4.0, 5.0]
    view.observe(latency_of(view, "/score"), NOW_MS, *values)
    for limit in (-10, -3, -1, 0, 1, 3, 5, 10):
        row = only_row(view, f"under {limit} latency")
        bound = row["error_bound"][f"under {limit}"]
        truth = sum(value <= limit for value in values) / len(values)
        assert abs(row["values"][f"under {limit}"] - truth) <= (bound["absolute"] if bound else 0) + 1e-12


@pytest.mark.parametrize("sample", [[0.5], [0.25, 0.25], [-3.0, 0.0, 7.0], [1e-9, 1e9], [1e300, 2e300]])
def test_the_standard_deviation_lies_within_its_bound(view, sample):
    view.observe(latency_of(view, "/score"), NOW_MS, *sample)
    row = only_row(view, "stddev latency")
    stddev, bound = row["values"]["stddev"], row["error_bound"]["stddev"]
    if stddev is None:  # its squares are beyond a double
        assert max(sample) > 1e154
    else:
        assert abs(stddev - statistics.pstdev(sample)) <= (bound["absolute"] if bound else 1e-12)


def test_the_standard_deviation_of_many_values(view, values):
    row = only_row(view, "stddev latency")
    assert abs(row["values"]["stddev"] - statistics.pstdev(values)) <= row["error_bound"]["stddev"]["absolute"]
    assert row["error_bound"]["stddev"]["absolute"] < 0.01 * row["values"]["stddev"]


# --- age


@pytest.fixture
def silent(view):
    for service, seconds_ago in (("fraud", 3), ("risk", 95), ("old", 7_200)):
        series = view.add_series("requests", Kind.COUNTER, "requests", service=service)
        view.increment(series, NOW_MS - seconds_ago * 1000)
    view.add_series("requests", Kind.COUNTER, "requests", service="never")


def test_who_went_silent_is_found_beyond_the_default_range(view, silent):
    found = rows(view, "age requests by service")
    assert list(found) == [("fraud",), ("old",), ("risk",)]
    for service, seconds_ago in (("fraud", 3), ("risk", 95), ("old", 7_200)):
        row = found[(service,)]
        assert row["values"]["age"] <= seconds_ago <= row["values"]["age"] + row["error_bound"]["age"]["absolute"]
    assert [row["count"] for row in found.values()] == [1, 0, 1]


def test_an_age_within_a_range_that_was_asked(view, silent):
    assert list(rows(view, "age requests by service since 10m")) == [("fraud",), ("risk",)]
    assert list(rows(view, "age requests by service where age above 1m")) == [("old",), ("risk",)]
    assert list(rows(view, "age,sum requests by service since 10m top 1")) == [("risk",)]


# --- derived metrics and ratios


@pytest.fixture
def traffic(view):
    """Version 3: 200 requests, 10 errors; version 4: 100 and none; version 5: errors without requests."""
    for version, requests, errors in (("3", 200, 10), ("4", 100, 0), ("5", 0, 4)):
        labels = {"service": "fraud", "version": version}
        counted = view.add_series("requests", Kind.COUNTER, "requests", status="200", **labels)
        failed = view.add_series("errors", Kind.COUNTER, "requests", **labels)
        for index in range(requests):
            view.increment(counted, NOW_MS - index % 240 * 1000)
        for index in range(errors):
            view.increment(failed, NOW_MS - index % 240 * 1000)


def test_an_error_rate_is_made_from_merged_counts(view, traffic):
    result = ask(view, "error_rate by version")
    assert result["metric"] == {"name": "error_rate", "kind": "derived", "unit": "ratio"}
    found = {row["labels"]["version"]: row["values"]["error_rate"] for row in result["series"]}
    assert found == {"3": 0.05, "4": 0}
    assert only_row(view, "error_rate")["values"] == {"error_rate": 14 / 300}
    assert only_row(view, "error_rate")["count"] == 300


def test_a_service_that_never_failed_has_an_error_rate_of_0(view):
    view.increment(view.add_series("requests", Kind.COUNTER, service="risk"), NOW_MS)
    row = only_row(view, "error_rate by service")
    assert (row["values"], row["error_bound"]) == ({"error_rate": 0}, {"error_rate": 0})


def test_ratios_of_counts_rates_and_quantiles(view, traffic, values):
    assert only_row(view, "errors / requests")["values"]["ratio"] == pytest.approx(14 / 300)
    assert only_row(view, "rate errors / rate requests")["values"]["ratio"] == pytest.approx(14 / 300)
    assert only_row(view, "errors / requests version=3")["values"]["ratio"] == 0.05
    ordered = sorted(values)
    truth = ordered[math.ceil(0.99 * len(values)) - 1] / ordered[math.ceil(0.5 * len(values)) - 1]
    row = only_row(view, "p99 latency / p50 latency")
    assert abs(row["values"]["ratio"] - truth) <= row["error_bound"]["ratio"]["absolute"] < 0.02 * truth


def test_a_ratio_of_one_metric_is_named_by_its_stats(view, values):
    assert ask(view, "p99 latency / p50 latency")["metric"]["name"] == "p99 latency / p50 latency"


def test_a_ratio_by_steps_is_absent_where_there_is_nothing_to_divide_by(view, traffic):
    row = only_row(view, "error_rate version=3 step 1m since 10m")
    assert sum(point["count"] for point in row["points"]) == 200
    assert sum(point["values"]["error_rate"] * point["count"] for point in row["points"]) == pytest.approx(10)
    assert len(row["points"]) == 5


# --- several metrics


def test_several_metrics_are_rows_of_their_own(view, values):
    delay = view.add_series("queue_delay", Kind.HISTOGRAM, "seconds", service="fraud", endpoint="/score")
    view.observe(delay, NOW_MS, 0.5)
    result = ask(view, "p99,count latency,queue_delay,nothing by endpoint")
    assert [(row["metric"], row["labels"], row["values"]["count"]) for row in result["series"]] == [
        ("latency", {"endpoint": "/score"}, 5_000),
        ("queue_delay", {"endpoint": "/score"}, 1),
    ]
    assert [metric["kind"] for metric in result["metrics"]] == ["histogram", "histogram", None]
    assert result["metric"] == result["metrics"][0]


# --- steps


def test_steps_start_at_multiples_of_their_length_and_empty_ones_are_absent(view):
    series = latency_of(view, "/score")
    generator = random.Random(3)
    samples = [(NOW_MS - generator.randrange(2 * HOUR_MS), generator.expovariate(10)) for _ in range(400)]
    samples = [(at_ms, value) for at_ms, value in samples if at_ms // (5 * MINUTE_MS) % 3]
    for at_ms, value in samples:
        view.observe(series, at_ms, value)
    result = ask(view, "count,max,p50 latency since 1h step 5m")
    assert result["step_ms"] == 300_000
    (row,) = result["series"]
    expected = {}
    for at_ms, value in samples:
        if at_ms - at_ms % 10_000 >= (NOW_MS - HOUR_MS) // 10_000 * 10_000:
            expected.setdefault(at_ms - at_ms % 300_000, []).append(value)
    assert [point["from"] for point in row["points"]] == [iso_utc(start) for start in sorted(expected)]
    for point, (start, inside) in zip(row["points"], sorted(expected.items()), strict=True):
        assert point["to"] == iso_utc(start + 300_000)
        assert (point["count"], point["values"]["max"]) == (len(inside), max(inside))
        truth = sorted(inside)[math.ceil(0.5 * len(inside)) - 1]
        assert abs(point["values"]["p50"] - truth) <= point["error_bound"]["p50"]["relative"] * truth * (1 + 1e-9)
    whole = [value for inside in expected.values() for value in inside]
    assert (row["count"], row["values"]["max"]) == (len(whole), max(whole))


def test_the_rate_of_a_step_counts_the_seconds_that_were_covered(view):
    series = view.add_series("requests", Kind.COUNTER, service="fraud")
    for start_ms in range(NEWEST_MS - 2 * MINUTE_MS, NEWEST_MS + 1, 10_000):
        view.increment(series, start_ms, 10.0)
    row = only_row(view, "rate requests since 2m step 1m")
    # 09:00:00 to 09:02:05.25: two whole minutes of six windows, then 5.25 s of one.
    assert [point["values"]["rate"] for point in row["points"]] == pytest.approx([1.0, 1.0, 10 / 5.25])


def test_gauges_by_steps(view):
    workers = [view.add_series("depth", Kind.GAUGE, service="fraud", host="a", worker=str(n)) for n in range(2)]
    for minute in range(4):
        for number, series in enumerate(workers):
            view.set_gauge(series, NEWEST_MS - minute * MINUTE_MS, float(10 * minute + number))
    row = only_row(view, "last,max depth by host step 1m")
    assert [point["values"] for point in row["points"]] == [
        {"last": 20.0 * minute + 1, "max": 10.0 * minute + 1} for minute in (3, 2, 1, 0)
    ]
    assert row["values"] == {"last": 1.0, "max": 31.0}


# --- where, top, bottom


@pytest.fixture
def endpoints(view):
    """/a at 0.1 s, /b at 0.2 s, … /e at 0.5 s, the n-th with n samples."""
    for number, name in enumerate("abcde", start=1):
        view.observe(latency_of(view, f"/{name}"), NOW_MS, *[number / 10] * number)


@pytest.mark.parametrize(
    ("clause", "names"),
    [
        ("where p99 above 300ms", "de"),
        ("where max above 300ms", "de"),
        ("where max below 0.3", "ab"),
        ("where count above 2", "cde"),
        ("where mean above 150ms bottom 2", "bc"),
        ("top 2", "ed"),
        ("bottom 3", "abc"),
        ("top 99", "edcba"),
    ],
)
def test_which_rows_remain(view, endpoints, clause, names):
    # p99 of a value repeated is within its bucket clamped to min and max: exact here.
    assert [labels[0] for labels in rows(view, f"p99 latency by endpoint {clause}")] == [f"/{name}" for name in names]


def test_what_where_asked_for_is_in_the_answer(view, endpoints):
    assert ask(view, "p99 latency where p99 above 300ms")["where"] == {"stat": "p99", "above": 0.3}
    assert ask(view, "p99 latency where count below 3")["where"] == {"stat": "count", "below": 3.0}
    assert set(only_row(view, "p99 latency where count above 3")["values"]) == {"p99"}


def test_when_did_it_start(view):
    series = latency_of(view, "/score")
    for minute in range(60):
        view.observe(series, NEWEST_MS - minute * MINUTE_MS, *[0.9 if minute < 12 else 0.1] * 50)
    row = only_row(view, "p99 latency endpoint=/score since 3h step 1m where p99 above 500ms")
    assert row["points"][0]["from"] == iso_utc(NEWEST_MS - 11 * MINUTE_MS)
    assert len(row["points"]) == 12


def test_rows_without_a_value_come_last(view):
    for name, at_ms in (("a", NOW_MS), ("b", NOW_MS)):
        view.observe(latency_of(view, f"/{name}"), at_ms, *([0.5] if name == "a" else [math.nan]))
    assert [labels[0] for labels in rows(view, "p99 latency by endpoint top 2")] == ["/a", "/b"]
    assert [labels[0] for labels in rows(view, "p99 latency by endpoint bottom 2")] == ["/a", "/b"]


def test_the_best_groups_of_the_first_metric_are_those_of_all(view, endpoints):
    for number, name in enumerate("abcde", start=1):
        delay = view.add_series("queue_delay", Kind.HISTOGRAM, "seconds", service="fraud", endpoint=f"/{name}")
        view.observe(delay, NOW_MS, 1.0 / number)
    result = ask(view, "max latency,queue_delay by endpoint top 2")
    assert [(row["metric"], row["labels"]["endpoint"]) for row in result["series"]] == [
        ("latency", "/e"),
        ("latency", "/d"),
        ("queue_delay", "/e"),
        ("queue_delay", "/d"),
    ]


# --- vs


def test_an_hour_ago(view):
    series = latency_of(view, "/score")
    view.observe(series, NOW_MS, *[0.3] * 100)
    view.observe(series, NOW_MS - HOUR_MS, *[0.1] * 50)
    result = ask(view, "p99,count latency since 15m vs 1h ago")
    assert (result["vs"]["what"], result["vs"]["to"]) == ("1h ago", iso_utc(NOW_MS - HOUR_MS))
    (row,) = result["series"]
    assert row["vs"]["count"] == 50
    assert row["change"]["p99"]["relative"] == pytest.approx(2.0, rel=0.02)
    assert row["change"]["p99"]["beyond_error"]
    assert row["change"]["count"] == {"absolute": 50, "relative": 1.0, "beyond_error": True}


def test_a_change_within_the_error_bounds_is_none(view):
    series = latency_of(view, "/score")
    generator = random.Random(5)
    for _ in range(500):
        value = generator.uniform(0.1, 0.2)
        view.observe(series, NOW_MS, value)
        view.observe(series, NOW_MS - HOUR_MS, value * 1.001)
    (row,) = ask(view, "p99,max latency vs 1h ago")["series"]
    assert not row["change"]["p99"]["beyond_error"]
    assert row["change"]["max"]["beyond_error"]  # a maximum is exact


def test_canary_against_live(view):
    for variant, value in (("live", 0.1), ("canary", 0.4)):
        for endpoint in ("/a", "/b"):
            view.observe(latency_of(view, endpoint, variant=variant), NOW_MS, *[value] * 10)
    found = rows(view, "p99 latency variant=canary by endpoint vs variant=live")
    assert [row["change"]["p99"]["relative"] for row in found.values()] == pytest.approx([3.0, 3.0])


def test_every_version_against_one(view):
    for version, value in (("3", 0.1), ("4", 0.2), ("5", 0.05)):
        view.observe(latency_of(view, "/a", version=version), NOW_MS, value)
    found = rows(view, "max latency by version vs version=3")
    relative = {labels[0]: row["change"]["max"]["relative"] for labels, row in found.items()}
    assert relative == {"3": 0.0, "4": 1.0, "5": -0.5}


def test_what_is_new_and_what_is_gone(view):
    view.observe(latency_of(view, "/new"), NOW_MS, 0.1)
    view.observe(latency_of(view, "/gone"), NOW_MS - HOUR_MS, 0.1)
    found = rows(view, "p99 latency by endpoint vs 1h ago")
    assert (found[("/new",)]["vs"], found[("/new",)]["change"]) == (None, {})
    gone = found[("/gone",)]
    assert (gone["count"], gone["values"], gone["vs"]["count"]) == (0, {"p99": None}, 1)


def test_steps_of_both_sides(view):
    series = latency_of(view, "/score")
    for minute in range(180):
        view.observe(series, NEWEST_MS - minute * MINUTE_MS, 0.1)
    row = only_row(view, "max latency since 10m step 5m vs 1h ago")
    assert len(row["points"]) == len(row["vs"]["points"]) == 3


# --- t-digests


def digested(view, text):
    return answer(parse(text), view, NOW_MS, Options(sketch="tdigest"))


def rank_of(values, number):
    return sum(value <= number for value in values) / len(values)


def test_quantiles_from_a_digest_have_an_error_in_rank(view):
    series = view.add_series("latency", Kind.HISTOGRAM, "seconds", sketch="tdigest", service="fraud")
    generator = random.Random(9)
    values = [generator.lognormvariate(-3, 1.2) for _ in range(20_000)]
    view.observe(series, NOW_MS, *values)
    (row,) = digested(view, "p50,p99,p99.9,p100,mean latency")["series"]
    for stat, q in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        bound = row["error_bound"][stat]["rank"]
        assert abs(rank_of(values, row["values"][stat]) - q) <= bound < 0.03
    assert row["values"]["p100"] == max(values)
    assert row["error_bound"]["mean"] == 0
    assert row["values"]["p99"] != only_row(view, "p99 latency")["values"]["p99"]


def test_digests_of_steps_and_of_all_of_them(view):
    series = view.add_series("latency", Kind.HISTOGRAM, "seconds", sketch="tdigest", service="fraud")
    generator = random.Random(4)
    by_minute = [[generator.expovariate(10) for _ in range(500)] for _ in range(4)]
    for minute, values in enumerate(by_minute):
        view.observe(series, NEWEST_MS - minute * MINUTE_MS, *values)
    (row,) = digested(view, "p90 latency step 1m since 5m")["series"]
    for point, values in zip(row["points"], reversed(by_minute), strict=True):
        assert abs(rank_of(values, point["values"]["p90"]) - 0.9) <= point["error_bound"]["p90"]["rank"] + 1e-9
    everything = [value for values in by_minute for value in values]
    assert abs(rank_of(everything, row["values"]["p90"]) - 0.9) <= row["error_bound"]["p90"]["rank"] + 1e-9


def test_where_not_every_sample_is_in_a_digest_there_is_no_answer_from_it(view):
    for service, sketch in (("with", "tdigest"), ("without", "loghist")):
        series = view.add_series("latency", Kind.HISTOGRAM, "seconds", sketch=sketch, service=service)
        view.observe(series, NOW_MS, 0.1, 0.2)
    found = digested(view, "p50,count latency by service")["series"]
    assert [(row["values"]["p50"], row["values"]["count"]) for row in found] == [(pytest.approx(0.1), 2), (None, 2)]
    assert digested(view, "p50 latency")["series"][0]["values"] == {"p50": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate requests", "`requests` is a counter: only histograms keep t-digests"),
        ("p99 latency", '`latency` keeps no t-digest: define it with sketch="tdigest", or ask without --sketch'),
    ],
)
def test_what_keeps_no_digest_says_so(view, endpoints, text, message):
    view.increment(view.add_series("requests", Kind.COUNTER, service="fraud"), NOW_MS)
    with pytest.raises(UsageError) as caught:
        digested(view, text)
    assert str(caught.value) == message

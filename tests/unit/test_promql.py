"""What `--explain` says: the query in PromQL, and what was read."""

import pytest

from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.answer.promql import exported_name
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z


@pytest.fixture
def view():
    view = FakeView()
    labels = {"service": "fraud", "endpoint": "/score", "host": "a", "worker": "0"}
    view.observe(view.add_series("latency", Kind.HISTOGRAM, "seconds", **labels), NOW_MS, 0.1)
    view.observe(view.add_series("vllm:ttft", Kind.HISTOGRAM, "seconds", **labels), NOW_MS, 0.1)
    view.increment(view.add_series("requests", Kind.COUNTER, "requests", status="200", **labels), NOW_MS)
    view.increment(view.add_series("errors", Kind.COUNTER, "requests", **labels), NOW_MS)
    view.set_gauge(view.add_series("in_flight", Kind.GAUGE, "requests", **labels), NOW_MS, 1.0)
    return view


def explained(view, text):
    return answer(parse(text), view, NOW_MS, Options(explain=True))["explain"]


LATENCY = "obsagent_request_duration_seconds"


@pytest.mark.parametrize(
    ("text", "promql"),
    [
        (
            "p99 latency service=fraud by endpoint since 15m",
            f'histogram_quantile(0.99, sum by (endpoint) (rate({LATENCY}{{service="fraud"}}[900s])))',
        ),
        ("under 250ms latency since 1h", f"histogram_fraction(-Inf, 0.25, sum (rate({LATENCY}[3600s])))"),
        ("over 250ms latency since 1h", f"1 - histogram_fraction(-Inf, 0.25, sum (rate({LATENCY}[3600s])))"),
        ("stddev vllm:ttft since 1h", "histogram_stddev(sum (rate(vllm:ttft_seconds[3600s])))"),
        ("count latency", f"sum (histogram_count(increase({LATENCY}[300s])))"),
        (
            "mean latency",
            f"sum (histogram_sum(rate({LATENCY}[300s]))) / sum (histogram_count(rate({LATENCY}[300s])))",
        ),
        (
            "rate requests status=5xx,404 by endpoint,status",
            'sum by (endpoint, status) (rate(obsagent_requests_total{status=~"404|5[0-9][0-9]"}[300s]))',
        ),
        ("sum requests status not 200", 'sum (increase(obsagent_requests_total{status!="200"}[300s]))'),
        (
            "sum requests endpoint matches ^/s",
            'sum (increase(obsagent_requests_total{endpoint=~"(?s:.*)(?:^/s)(?s:.*)"}[300s]))',
        ),
        ("last in_flight by worker", "sum by (worker) (obsagent_requests_in_flight)"),
        ("max in_flight", "max (max_over_time(obsagent_requests_in_flight[300s]))"),
        (
            "error_rate by endpoint",
            "sum by (endpoint) (increase(obsagent_request_errors_total[300s]))"
            " / sum by (endpoint) (increase(obsagent_requests_total[300s]))",
        ),
        ("rate requests by endpoint top 5", "topk(5, sum by (endpoint) (rate(obsagent_requests_total[300s])))"),
        (
            "p99 latency where p99 above 500ms",
            f"(histogram_quantile(0.99, sum (rate({LATENCY}[300s])))) > 0.5",
        ),
        ("rate requests step 1m", "sum (rate(obsagent_requests_total[60s]))"),
        (
            "rate requests from 2026-01-01T08:00Z to 2026-01-01T09:00Z",
            "sum (rate(obsagent_requests_total[3600s] @ 1767258000.000))",
        ),
    ],
)
def test_the_same_in_promql(view, text, promql):
    assert explained(view, text)["promql"] == [promql]


def test_each_stat_of_each_metric_is_a_query(view):
    assert len(explained(view, "p50,p99 latency,vllm:ttft")["promql"]) == 4


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("min latency", ["PromQL has no min of a histogram"]),
        ("p99 nothing", ["PromQL has no quantile of `nothing`, which is not known"]),
        ("age requests", ["PromQL has no age of a counter"]),
        ("rate requests step 1m", ["as a range query with a step of 1m"]),
        ("rate requests vs 1h ago", ["`vs 1h ago` is a second query with `offset`"]),
        ("rate requests vs status=200", ["`vs status=200` is a second query"]),
    ],
)
def test_what_promql_does_not_say(view, text, notes):
    assert explained(view, text)["notes"] == notes


def test_what_was_read(view):
    reads = explained(view, "p99 latency")["reads"]
    assert reads.pop("ms") > 0
    assert reads == {"segments": 0, "blocks": 0, "frames": 0, "bytes": 0, "raw_bytes": 0, "head_windows": 1}
    assert "explain" not in answer(parse("p99 latency"), view, NOW_MS)


@pytest.mark.parametrize(
    ("metric", "kind", "unit", "name"),
    [
        ("step_duration", Kind.HISTOGRAM, "seconds", "step_duration_seconds"),
        ("cache_hits", Kind.COUNTER, "", "cache_hits_total"),
        ("sent_bytes", Kind.COUNTER, "bytes", "sent_bytes_total"),
        ("gen_ai.request.model", Kind.GAUGE, "", "gen_ai_request_model"),
    ],
)
def test_exported_names(metric, kind, unit, name):
    assert exported_name(metric, kind, unit) == name


def test_strings_are_quoted_for_promql(view):
    (query,) = explained(view, 'sum requests endpoint not "a\\"b\\\\c"')["promql"]
    assert 'endpoint!="a\\"b\\\\c"' in query

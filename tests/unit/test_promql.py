"""What `--explain` says: the query in PromQL, and what was read."""

import pytest

from obsagent import exported
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.answer.promql import OF_WORKERS, SAMPLED
from obsagent.exported import exported_name
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


R = "305250ms"  # since 5m reads whole windows
HOUR = "3605250ms"
REQUESTS = "obsagent_requests_total"


@pytest.mark.parametrize(
    ("text", "promql"),
    [
        (
            "p99 latency service=fraud by endpoint since 15m",
            f'histogram_quantile(0.99, sum by (endpoint) (rate({LATENCY}{{service="fraud"}}[905250ms])))',
        ),
        ("under 250ms latency since 1h", f"histogram_fraction(-Inf, 0.25, sum (rate({LATENCY}[{HOUR}])))"),
        ("over 250ms latency since 1h", f"1 - histogram_fraction(-Inf, 0.25, sum (rate({LATENCY}[{HOUR}])))"),
        ("stddev vllm:ttft since 1h", f"histogram_stddev(sum (rate(vllm:ttft_seconds[{HOUR}])))"),
        ("count latency", f"sum (histogram_count({LATENCY}) - histogram_count({LATENCY} offset {R}))"),
        (
            "mean latency",
            f"sum (histogram_sum({LATENCY}) - histogram_sum({LATENCY} offset {R}))"
            f" / sum (histogram_count({LATENCY}) - histogram_count({LATENCY} offset {R}))",
        ),
        ("count latency since 3h", f"sum (histogram_count(increase({LATENCY}[10805250ms])))"),
        (
            "rate requests status=5xx,404 by endpoint,status",
            f'sum by (endpoint, status) ({REQUESTS}{{status=~"404|5[0-9][0-9]"}}'
            f' - {REQUESTS}{{status=~"404|5[0-9][0-9]"}} offset {R}) / 5.25',  # the store holds no more
        ),
        (
            "sum requests status not 200",
            f'sum ({REQUESTS}{{status!="200"}} - {REQUESTS}{{status!="200"}} offset {R})',
        ),
        (
            "sum requests endpoint matches ^/s since 3h",
            f'sum (increase({REQUESTS}{{endpoint=~"(?s:.*)(?:^/s)(?s:.*)"}}[10805250ms]))',
        ),
        ("last in_flight", "sum (obsagent_requests_in_flight)"),
        ("max in_flight", f"max (max_over_time(obsagent_requests_in_flight[{R}]))"),
        (
            "error_rate by endpoint",
            f"(sum by (endpoint) (obsagent_request_errors_total - obsagent_request_errors_total offset {R})"
            f" or sum by (endpoint) ({REQUESTS} - {REQUESTS} offset {R}) * 0)"
            f" / sum by (endpoint) ({REQUESTS} - {REQUESTS} offset {R})",
        ),
        (
            "mean latency / mean vllm:ttft since 3h",
            f"(sum (histogram_sum(increase({LATENCY}[10805250ms])))"
            f" / sum (histogram_count(increase({LATENCY}[10805250ms]))))"
            " / (sum (histogram_sum(increase(vllm:ttft_seconds[10805250ms])))"
            " / sum (histogram_count(increase(vllm:ttft_seconds[10805250ms]))))",
        ),
        (
            "sum requests by endpoint since 3h top 5",
            f"topk(5, sum by (endpoint) (increase({REQUESTS}[10805250ms])))",
        ),
        (
            "p99 latency where p99 above 500ms",
            f"(histogram_quantile(0.99, sum (rate({LATENCY}[{R}])))) > 0.5",
        ),
        (
            "p99 latency where count above 500",
            f"histogram_quantile(0.99, sum (rate({LATENCY}[{R}])))"
            f" and (sum (histogram_count({LATENCY}) - histogram_count({LATENCY} offset {R})) > 500)",
        ),
        ("sum requests step 1m", f"sum ({REQUESTS} - {REQUESTS} offset 60s)"),
        (
            "sum requests from 2026-01-01T08:00Z to 2026-01-01T09:00Z",
            f"sum ({REQUESTS} @ 1767258000.000 - {REQUESTS} @ 1767258000.000 offset 3600s)",
        ),
    ],
)
def test_the_same_in_promql(view, text, promql):
    assert explained(view, text)["promql"] == [promql]


def test_of_a_series_that_began_within_the_time_the_total_is_what_has_come():
    view = FakeView()
    view.observe(view.add_series("latency", Kind.HISTOGRAM, "seconds", created_ms=NOW_MS - 60_000), NOW_MS, 0.1)
    view.increment(view.add_series("requests", Kind.COUNTER, created_ms=NOW_MS - 60_000), NOW_MS)
    assert explained(view, "sum requests")["promql"] == [f"sum ({REQUESTS} - {REQUESTS} offset {R} or {REQUESTS})"]
    assert explained(view, "p99 latency")["promql"] == [
        f"histogram_quantile(0.99, sum ((increase({LATENCY}[{R}]) and {LATENCY} offset {R}) or {LATENCY}))"
    ]
    (established,) = explained(view, "sum requests since 30s")["promql"]
    assert " or " not in established


def test_metrics_that_share_a_name_are_told_apart(view, monkeypatch):
    monkeypatch.setitem(exported.NAMES, "vllm:ttft", "gen_ai_first")
    monkeypatch.setitem(exported.CONSTANT_LABELS, "vllm:ttft", {"gen_ai.token.type": "input"})
    (query,) = explained(view, "p50 vllm:ttft service=fraud since 3h")["promql"]
    assert 'rate(gen_ai_first_seconds{gen_ai_token_type="input", service="fraud"}[' in query


def test_a_limit_keeps_the_groups_of_the_first_statistic(view):
    first, second = explained(view, "p50,p99 latency by endpoint top 3")["promql"]
    assert first.startswith("topk(3, histogram_quantile(0.5,")
    assert second.startswith("histogram_quantile(0.99,")
    assert second.endswith(f" and {first}")


def test_each_stat_of_each_metric_is_a_query(view):
    assert len(explained(view, "p50,p99 latency,vllm:ttft")["promql"]) == 4


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("min latency", ["PromQL has no min of a histogram"]),
        ("p99 nothing", ["PromQL has no quantile of `nothing`, which is not known"]),
        ("age requests", ["PromQL has no age of a counter"]),
        ("rate requests step 1m", ["as a range query with a step of 1m, at times that are multiples of it"]),
        ("count in_flight service=fraud", ["PromQL has no count of a gauge"]),
        ("mean in_flight", [SAMPLED]),
        ("last in_flight by worker", [OF_WORKERS]),
        ("error_rate where count above 3", ["PromQL has no count of a derived"]),
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


def test_the_machine_and_what_runs_on_it_are_asked_apart(view):
    for service, labels in (("host", {"host": "a"}), ("fraud", {"host": "a", "worker": "0"}), ("fraud", {})):
        series = view.add_series("memory_bytes", Kind.GAUGE, "bytes", service=service, **labels)
        view.set_gauge(series, NOW_MS, 1.0)
    assert explained(view, "last memory_bytes")["promql"] == [
        'sum (memory_bytes{service!="host"})',
        'sum by (service) (memory_bytes{service="host"})',
    ]
    assert explained(view, "last memory_bytes service=host")["promql"] == ['sum (memory_bytes{service="host"})']

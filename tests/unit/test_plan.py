"""Which series a query reads, how they group, and what has no meaning."""

import pytest

from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.plan import Divided, keys_of, plan
from obsagent.answer.query import Since
from obsagent.answer.ranges import Span
from obsagent.errors import UsageError
from obsagent.samples import Kind, Series

NOW_MS = 1_700_000_005_000


HISTOGRAM_STATS = "p0 … p100, mean, min, max, sum, count, rate, stddev, under VALUE, over VALUE or age"


class Catalogue:
    """Series with ids in the order of their making."""

    def __init__(self):
        self.series = []

    def add(self, metric, kind, unit="", across="sum", **labels):
        self.series.append(Series(len(self.series), metric, kind, labels, unit=unit, across=across))
        return len(self.series) - 1

    def plan(self, text):
        query = parse(text)
        assert isinstance(query.range.when, Since)
        return plan(query, self.series, Span(NOW_MS - query.range.when.duration_ms, NOW_MS))

    def error(self, text):
        with pytest.raises(QueryError) as caught:
            self.plan(text)
        return caught.value


@pytest.fixture
def catalogue():
    store = Catalogue()
    for endpoint in ("/score", "/batch"):
        for worker in ("0", "1"):
            labels = {"service": "fraud", "host": "a", "worker": worker, "endpoint": endpoint}
            store.add("latency", Kind.HISTOGRAM, unit="seconds", **labels)
            store.add("requests", Kind.COUNTER, status="200", **labels)
    return store


def groups(planned):
    (source,) = planned.sources
    return source.groups


def ids(planned):
    return [sorted(series.id for series in group.series) for group in groups(planned)]


def test_without_by_everything_is_one_group(catalogue):
    planned = catalogue.plan("p99 latency")
    assert ids(planned) == [[0, 2, 4, 6]]
    assert groups(planned)[0].labels == {}
    (output,) = planned.outputs
    assert (output.kind, output.unit) == ("histogram", "seconds")


def test_groups_are_ordered_by_their_labels_in_the_order_of_by(catalogue):
    planned = catalogue.plan("latency by worker,endpoint")
    assert [group.labels for group in groups(planned)] == [
        {"worker": "0", "endpoint": "/batch"},
        {"worker": "0", "endpoint": "/score"},
        {"worker": "1", "endpoint": "/batch"},
        {"worker": "1", "endpoint": "/score"},
    ]
    assert ids(planned) == [[4], [0], [6], [2]]


def test_filters_all_have_to_pass(catalogue):
    assert ids(catalogue.plan("latency endpoint=/score worker=1,2")) == [[2]]
    assert ids(catalogue.plan("latency endpoint=/score worker=2")) == []


@pytest.mark.parametrize(
    ("metric", "stats"), [("latency", ["p50", "p99", "count"]), ("requests", ["rate"]), ("depth", ["last"])]
)
def test_default_stats_follow_the_kind(catalogue, metric, stats):
    catalogue.add("depth", Kind.GAUGE, service="fraud")
    assert [stat.name for stat in catalogue.plan(metric).outputs[0].shown] == stats


@pytest.mark.parametrize(
    ("text", "summary", "word"),
    [
        ("p99 requests", "`requests` is a counter: it has no p99; ask for rate, sum, count or age", "p99"),
        ("mean requests", "`requests` is a counter: it has no mean; ask for rate, sum, count or age", "mean"),
        (
            "p50,last latency",
            "`latency` is a histogram: it has no last; ask for " + HISTOGRAM_STATS,
            "last",
        ),
        (
            "rate depth",
            "`depth` is a gauge: it has no rate; ask for last, mean, min, max, p0 … p100, stddev, count, "
            "under VALUE, over VALUE or age",
            "rate",
        ),
        (
            "p99 latency by endpont",
            "`latency` has no label `endpont`: its labels are endpoint, host, service and worker; "
            "did you mean `endpoint`?",
            "endpont",
        ),
        (
            "p99 latency country=DE",
            "`latency` has no label `country`: its labels are endpoint, host, service and worker",
            "country",
        ),
        ("mean error_rate", "`error_rate` is computed from other metrics: ask for it without a stat", "mean"),
        ("error_rate by status", "`errors` has no label `status`: its labels are endpoint and service", "status"),
        ("under 2GB latency", "`2GB` does not fit: this is measured in seconds", "under 2GB"),
        ("over 5s depth", "`5s` does not fit: this is a number without a unit", "over 5s"),
        ("p99 latency where p99 above 2GB", "`2GB` does not fit: this is measured in seconds", "2GB"),
        (
            "rate requests where p99 above 1",
            "`requests` is a counter: it has no p99; ask for rate, sum, count or age",
            "p99",
        ),
        (
            "p99 latency where average above 1",
            "`average` is not a stat: expected " + HISTOGRAM_STATS + "; did you mean `mean`?",
            "average",
        ),
        ("error_rate where p99 above 1", "`error_rate` has no p99: expected error_rate or count", "p99"),
        ("errors / requests where sum above 1", "`errors / requests` has no sum: expected ratio or count", "sum"),
        (
            "latency / requests",
            "`latency` is a histogram: say which stat of it, such as `mean latency`",
            "latency",
        ),
        ("age requests / count requests", "an age cannot be divided: ask for it alone", "age"),
        ("age latency step 1m", "an age has no steps: ask for it without `step`", "age"),
        (
            "p99 latency since 4w step 10s",
            "that is 241,921 steps of 1 rows; 20,000 are the most: a longer step, or fewer rows",
            "10s",
        ),
    ],
)
def test_what_has_no_meaning_is_an_error_that_points_at_the_word(catalogue, text, summary, word):
    catalogue.add("depth", Kind.GAUGE, service="fraud")
    catalogue.add("errors", Kind.COUNTER, service="fraud", endpoint="/score")
    error = catalogue.error(text)
    assert error.summary == summary
    assert text[error.start : error.end] == word


def test_a_metric_without_labels_says_so():
    store = Catalogue()
    store.add("beats", Kind.COUNTER)
    assert store.error("rate beats by host").summary == "`beats` has no label `host`: it has no labels"


def test_a_metric_of_two_kinds_must_be_narrowed_to_one(catalogue):
    catalogue.add("latency", Kind.COUNTER, service="old")
    assert catalogue.error("latency").summary == (
        "`latency` is a histogram in fraud and a counter in old: choose with service=NAME"
    )
    assert catalogue.plan("latency service=old").outputs[0].kind == "counter"


def test_a_metric_called_like_a_derived_one_is_itself(catalogue):
    catalogue.add("recall", Kind.GAUGE, service="fraud")
    assert catalogue.plan("last recall").outputs[0].kind == "gauge"


def test_an_unknown_metric_is_no_error_but_an_empty_plan(catalogue):
    planned = catalogue.plan("p99 latnecy by nothing")
    assert planned.outputs[0].kind is None
    assert groups(planned) == ()


@pytest.fixture
def gauges():
    store = Catalogue()
    for worker in ("0", "1"):
        store.add("depth", Kind.GAUGE, service="fraud", host="a", worker=worker, queue="in")
    store.add("depth", Kind.GAUGE, service="fraud", queue="in")
    return store


@pytest.mark.parametrize("text", ["depth", "mean depth by queue", "last depth service=fraud"])
def test_gauges_are_read_combined(gauges, text):
    assert ids(gauges.plan(text)) == [[2]]


@pytest.mark.parametrize("text", ["depth by worker", "depth by host,worker", "depth by queue,worker"])
def test_gauges_by_worker_are_read_per_worker(gauges, text):
    assert [each for group in ids(gauges.plan(text)) for each in group] == [0, 1]


def test_gauges_of_a_host_are_read_per_worker(gauges):
    assert ids(gauges.plan("depth host=a")) == [[0, 1]]
    assert ids(gauges.plan("depth worker=1")) == [[1]]


def test_a_gauge_that_was_never_combined_is_read_as_it_is(gauges):
    gauges.series.pop()
    assert ids(gauges.plan("depth")) == [[0, 1]]


def test_last_values_combine_only_by_one_rule(gauges):
    gauges.add("depth", Kind.GAUGE, service="risk", across="max", queue="in")
    error = gauges.error("last depth")
    assert error.summary.startswith("`depth` is combined across workers by max and sum in different services")
    assert gauges.error("depth / depth").summary == error.summary
    assert ids(gauges.plan("last depth by service")) == [[2], [3]]
    assert ids(gauges.plan("mean depth")) == [[2, 3]]


def test_overflow_counts_in_totals_and_stands_apart_where_its_labels_are_lost(catalogue):
    lost = catalogue.add("latency", Kind.HISTOGRAM, service="fraud", overflow="true")
    assert ids(catalogue.plan("count latency")) == [[0, 2, 4, 6, lost]]
    assert ids(catalogue.plan("count latency by service")) == [[0, 2, 4, 6, lost]]
    planned = catalogue.plan("count latency by endpoint")
    assert [group.labels for group in groups(planned)] == [
        {"endpoint": "", "overflow": "true"},
        {"endpoint": "/batch"},
        {"endpoint": "/score"},
    ]
    assert ids(planned) == [[lost], [4, 6], [0, 2]]


def test_a_label_that_some_series_lack_is_empty_there(catalogue):
    catalogue.add("latency", Kind.HISTOGRAM, service="fraud", endpoint="/score", version="2")
    planned = catalogue.plan("latency by version")
    assert [group.labels for group in groups(planned)] == [{"version": ""}, {"version": "2"}]


def test_the_services_whose_losses_count(catalogue):
    catalogue.add("latency", Kind.HISTOGRAM, service="risk", endpoint="/score")
    assert catalogue.plan("latency").services == {"fraud", "risk"}
    assert catalogue.plan("latency service=risk").services == {"risk"}
    assert catalogue.plan("nothing").services is None
    assert catalogue.plan("latency endpoint=/none").services is None


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("endpoint not /score", [[4, 6]]),
        ("endpoint!=/score,/batch", []),
        ("endpoint matches ^/s", [[0, 2]]),
        ("endpoint matches atc", [[4, 6]]),
        ("endpoint matches . worker not 0", [[2, 6]]),
        ('worker not ""', [[0, 2, 4, 6]]),
    ],
)
def test_filters_that_exclude_and_search(catalogue, condition, kept):
    assert ids(catalogue.plan(f"latency {condition}")) == kept


def test_an_expression_that_would_take_for_ever_is_given_up(catalogue):
    catalogue.add("latency", Kind.HISTOGRAM, service="x" * 60 + "y")
    with pytest.raises(UsageError, match=r"the expression `.*` takes too long"):
        catalogue.plan('latency service matches "(x|xx)+$"')


def test_a_derived_metric_reads_its_two_sources_and_groups_by_either(catalogue):
    catalogue.add("errors", Kind.COUNTER, service="fraud", endpoint="/odd")
    (output,) = catalogue.plan("error_rate by endpoint").outputs
    assert isinstance(output, Divided)
    assert (output.name, output.kind, output.unit) == ("error_rate", "derived", "ratio")
    assert [dict(key)["endpoint"] for key in keys_of(output)] == ["/batch", "/odd", "/score"]


def test_several_metrics_share_stats_filters_and_groups(catalogue):
    catalogue.add("queue_delay", Kind.HISTOGRAM, unit="seconds", service="fraud", endpoint="/score")
    planned = catalogue.plan("p99 latency,queue_delay by endpoint")
    assert [(output.name, [stat.name for stat in output.shown]) for output in planned.outputs] == [
        ("latency", ["p99"]),
        ("queue_delay", ["p99"]),
    ]
    assert [len(source.groups) for source in planned.sources] == [2, 1]


def test_one_metric_on_both_sides_is_read_once(catalogue):
    assert len(catalogue.plan("p99 latency / p50 latency").sources) == 1


def test_what_where_asks_for_is_computed_and_not_shown(catalogue):
    (output,) = catalogue.plan("p99 latency where count above 5").outputs
    assert [stat.name for stat in output.shown] == ["p99"]
    assert {stat.name for stat in output.needed} == {"p99", "count"}


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("p99 latency where p99 above 500ms", 0.5),
        ("p99 latency where count above 5", 5.0),
        ("p99 latency where under 1s below 99%", 0.99),
        ("age latency where age above 1m", 60.0),
        ("errors / requests where ratio above 5%", 0.05),
        ("error_rate where error_rate above 0.5", 0.5),
    ],
)
def test_the_limit_is_in_the_unit_of_its_stat(catalogue, text, limit):
    catalogue.add("errors", Kind.COUNTER, service="fraud", endpoint="/score")
    assert catalogue.plan(text).limits == (limit,)


def test_steps_are_aligned_to_the_epoch(catalogue):
    steps = catalogue.plan("p99 latency since 2m step 1m").steps
    # Now is 22:13:25, two minutes ago 22:11:25.
    assert (steps.first_ms % 60_000, steps.count) == (0, 3)
    assert steps.span(2).from_ms <= NOW_MS < steps.span(2).to_ms

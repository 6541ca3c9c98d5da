"""Which series a query reads, how they group, and what has no meaning."""

import pytest

from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.plan import plan
from obsagent.samples import Kind, Series

NOW_MS = 1_700_000_005_000


class Catalogue:
    """Series with ids in the order of their making."""

    def __init__(self):
        self.series = []

    def add(self, metric, kind, unit="", across="sum", **labels):
        self.series.append(Series(len(self.series), metric, kind, labels, unit=unit, across=across))
        return len(self.series) - 1

    def plan(self, text):
        return plan(parse(text), self.series, NOW_MS)

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


def ids(planned):
    return [sorted(series.id for series in group.series) for group in planned.groups]


def test_without_by_everything_is_one_group(catalogue):
    planned = catalogue.plan("p99 latency")
    assert ids(planned) == [[0, 2, 4, 6]]
    assert planned.groups[0].labels == {}
    assert (planned.kind, planned.unit) == (Kind.HISTOGRAM, "seconds")


def test_groups_are_ordered_by_their_labels_in_the_order_of_by(catalogue):
    planned = catalogue.plan("latency by worker,endpoint")
    assert [group.labels for group in planned.groups] == [
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
    assert [stat.name for stat in catalogue.plan(metric).stats] == stats


def test_the_asked_time_and_the_windows_read_for_it(catalogue):
    planned = catalogue.plan("latency since 1m")
    assert (planned.from_ms, planned.to_ms) == (NOW_MS - 60_000, NOW_MS)
    assert planned.read_from_ms == 1_699_999_940_000


def test_asking_for_more_time_than_there_was_starts_at_the_epoch(catalogue):
    assert catalogue.plan("latency since 99999w").from_ms == 0


@pytest.mark.parametrize(
    ("text", "summary", "word"),
    [
        ("p99 requests", "`requests` is a counter: it has no p99; ask for rate, sum or count", "p99"),
        ("mean requests", "`requests` is a counter: it has no mean; ask for rate, sum or count", "mean"),
        (
            "p50,last latency",
            "`latency` is a histogram: it has no last; ask for p0 … p100, mean, min, max, sum, count or rate",
            "last",
        ),
        ("rate depth", "`depth` is a gauge: it has no rate; ask for last, mean, min, max or p0 … p100", "rate"),
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
        ("error_rate by service", "`error_rate` is computed from other metrics; that is not built yet", "error_rate"),
    ],
)
def test_what_has_no_meaning_is_an_error_that_points_at_the_word(catalogue, text, summary, word):
    catalogue.add("depth", Kind.GAUGE, service="fraud")
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
    assert catalogue.plan("latency service=old").kind is Kind.COUNTER


def test_a_metric_called_like_a_derived_one_is_itself(catalogue):
    catalogue.add("recall", Kind.GAUGE, service="fraud")
    assert catalogue.plan("last recall").kind is Kind.GAUGE


def test_an_unknown_metric_is_no_error_but_an_empty_plan(catalogue):
    planned = catalogue.plan("p99 latnecy by nothing")
    assert planned.kind is None
    assert planned.groups == ()


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
    assert ids(gauges.plan("last depth by service")) == [[2], [3]]
    assert ids(gauges.plan("mean depth")) == [[2, 3]]


def test_overflow_counts_in_totals_and_stands_apart_where_its_labels_are_lost(catalogue):
    lost = catalogue.add("latency", Kind.HISTOGRAM, service="fraud", overflow="true")
    assert ids(catalogue.plan("count latency")) == [[0, 2, 4, 6, lost]]
    assert ids(catalogue.plan("count latency by service")) == [[0, 2, 4, 6, lost]]
    planned = catalogue.plan("count latency by endpoint")
    assert [group.labels for group in planned.groups] == [
        {"endpoint": "", "overflow": "true"},
        {"endpoint": "/batch"},
        {"endpoint": "/score"},
    ]
    assert ids(planned) == [[lost], [4, 6], [0, 2]]


def test_a_label_that_some_series_lack_is_empty_there(catalogue):
    catalogue.add("latency", Kind.HISTOGRAM, service="fraud", endpoint="/score", version="2")
    planned = catalogue.plan("latency by version")
    assert [group.labels for group in planned.groups] == [{"version": ""}, {"version": "2"}]


def test_the_services_whose_losses_count(catalogue):
    catalogue.add("latency", Kind.HISTOGRAM, service="risk", endpoint="/score")
    assert catalogue.plan("latency").services == {"fraud", "risk"}
    assert catalogue.plan("latency service=risk").services == {"risk"}
    assert catalogue.plan("nothing").services is None
    assert catalogue.plan("latency endpoint=/none").services is None

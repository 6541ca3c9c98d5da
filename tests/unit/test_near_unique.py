"""Labels whose values are nearly all new are refused; labels that merely have many values are not."""

from __future__ import annotations

import datetime
import itertools
import logging
import os
import random
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obsagent._native.ring import Recorder
from obsagent.limits import CLIENT_SERIES_PER_METRIC
from obsagent.record.metric_series import MetricSeries
from obsagent.record.near_unique import ORDINARY_VALUES, REMEMBERED, SETTLED_AFTER, looks_made_up
from obsagent.record.registry import Registry
from obsagent.record.request import RequestInstruments
from obsagent.samples import Kind

EARLY = 200


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(7)
    yield made
    made.stop()  # else the slot is free only when the registry, which is part of a cycle, has been collected


@pytest.fixture
def registry(recorder: Recorder) -> Registry:
    return Registry(recorder)


def random_uuids(seed: int = 1) -> Iterator[str]:
    chance = random.Random(seed)
    while True:
        yield str(uuid.UUID(int=chance.getrandbits(128), version=4))


def series_of(registry: Registry, metric: str) -> int:
    """How many series there are, the overflow series apart."""
    return sum(each.metric == metric and "overflow" not in each.labels for each in registry.definitions)


def refused(registry: Registry) -> list[tuple[str, str, str, int]]:
    return [row[:4] for row in registry.refusals.rows()]


# ---- What is refused


def seconds() -> Iterator[float]:
    return (1_770_000_000 + 0.37 * number for number in itertools.count())


STRANGERS: dict[str, Callable[[], Iterator[object]]] = {
    "uuid": random_uuids,
    "uuid with a prefix": lambda: (f"req-{each}" for each in random_uuids()),
    "hexadecimal": lambda: (each.replace("-", "")[:12] for each in random_uuids()),
    "path with a number": lambda: (f"/users/{number}/orders" for number in itertools.count()),
    "path with a uuid": lambda: (f"/orders/{each}" for each in random_uuids()),
    "path with its query": lambda: (f"/search?q=word{chr(97 + n % 26)}{n}" for n in itertools.count()),
    "seconds": lambda: (f"{each:.3f}" for each in seconds()),
    "milliseconds": lambda: (int(each * 1000) for each in seconds()),
    "a date and time": lambda: (datetime.datetime.fromtimestamp(each, datetime.UTC) for each in seconds()),
    "long number": lambda: (4_400_000_000 + 17 * number for number in itertools.count()),
    "address": lambda: (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:40000" for n in itertools.count(1 << 20)),
    "ULID": lambda: (f"01ARZ3NDEK{number * 7919:016X}" for number in itertools.count()),
}


@pytest.mark.parametrize("values", STRANGERS.values(), ids=list(STRANGERS))
def test_values_that_are_made_up_and_never_come_back_are_refused_early(
    registry: Registry, recorder: Recorder, caplog: pytest.LogCaptureFixture, values: Callable[[], Iterator[object]]
) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["kind", "id"])
    for value in itertools.islice(values(), 3_000):
        hits.labels(kind="a", id=value).inc()
    assert series_of(registry, "hits") == EARLY
    assert refused(registry) == [("hits", "id", "near-unique", 3_000 - EARLY)]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("obsagent", "WARNING")
    message = record.getMessage()
    assert message.startswith("hits: nearly every value of the label id is a new one, such as ")
    assert 'new ones go to hits{overflow="true"}. Leave the label out, or give it few values' in message
    assert recorder.observed == 3_000
    assert recorder.rejected_value == recorder.dropped_ring == 0


def test_the_warning_shows_values_shortened_and_harmless(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])
    for number in range(EARLY + 1):
        hits.labels(id=f"{number:016x}\n\x1b[2J" + "x" * 80).inc()
    message = caplog.records[0].getMessage()
    assert message.isprintable()
    assert ", 00000000000000c7\\n\\x1b[2Jxxx" in message
    assert all(len(example) <= 40 for row in registry.refusals.rows() for example in row.examples)


def test_overflow_takes_every_kind_and_nothing_raises(registry: Registry, recorder: Recorder) -> None:
    histogram = registry.define(Kind.HISTOGRAM, "h", "", "", ["id"])
    gauge = registry.define(Kind.GAUGE, "g", "", "", ["id"])
    for value in itertools.islice(random_uuids(), 300):
        histogram.labels(id=value).observe(1.0)
        histogram.labels(id=value).observe_many([1.0, 2.0])
        with histogram.labels(id=value).time():
            gauge.labels(id=value).inc()
    assert (series_of(registry, "h"), series_of(registry, "g")) == (EARLY, EARLY)
    assert recorder.observed == 4 * 300
    assert [each.labels for each in registry.definitions[2 * EARLY :]] == [{"overflow": "true"}] * 2


def test_known_values_keep_their_series_also_with_other_labels(registry: Registry) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id", "step"])
    values = list(itertools.islice(random_uuids(), 500))
    first = [hits.labels(id=value, step="a") for value in values]
    del first
    for value in values[EARLY:]:
        hits.labels(id=value, step="a")
    before = series_of(registry, "hits")
    hits.labels(id=values[0], step="another").inc()
    assert series_of(registry, "hits") == before + 1


def test_a_value_that_is_used_many_times_but_only_at_once_is_still_refused(registry: Registry) -> None:
    """A request that records several times under its id."""
    steps = registry.define(Kind.HISTOGRAM, "steps", "", "", ["id"])
    for value in itertools.islice(random_uuids(), 1_000):
        for _ in range(5):
            steps.labels(id=value).observe(0.1)
    assert series_of(registry, "steps") == EARLY


def test_a_value_in_many_series_at_once_is_still_refused(registry: Registry) -> None:
    steps = registry.define(Kind.HISTOGRAM, "steps", "", "", ["id", "step"])
    for value in itertools.islice(random_uuids(), 1_000):
        for step in ("parse", "features", "predict", "answer"):
            steps.labels(id=value, step=step).observe(0.1)
    assert series_of(registry, "steps") == 4 * EARLY
    assert {label for _, label, _, _ in refused(registry)} == {"id"}


def test_requests_that_hold_their_series_until_they_end_are_no_regulars(registry: Registry) -> None:
    steps = registry.define(Kind.HISTOGRAM, "steps", "", "", ["id"])
    under_way: list[Any] = []
    for value in itertools.islice(random_uuids(), 1_000):
        under_way.append(steps.labels(id=value))
        if len(under_way) == SETTLED_AFTER // 2:
            under_way.pop(0).observe(0.1)
    assert series_of(registry, "steps") == EARLY


def test_a_few_regulars_among_strangers_keep_theirs(registry: Registry) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["user"])
    regulars = [f"robot{number}" for number in range(20)]
    for number, value in enumerate(itertools.islice(random_uuids(), 2_000)):
        hits.labels(user=value).inc()
        hits.labels(user=regulars[number % 20]).inc()
    assert series_of(registry, "hits") < 2 * EARLY
    kept = {each.labels.get("user") for each in registry.definitions}
    assert kept.issuperset(regulars)


def test_strangers_that_come_after_many_regulars_are_refused(registry: Registry) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["path"])
    for _ in range(5):
        for number in range(500):
            hits.labels(path=f"/page{number}").inc()
    assert refused(registry) == []
    for value in itertools.islice(random_uuids(), 2_000):
        hits.labels(path=f"/{value}").inc()
    assert 500 + EARLY <= series_of(registry, "hits") <= 500 + EARLY + 50
    assert hits.labels(path="/page3") is not hits.overflow


# ---- What is not refused


def test_500_endpoints_that_are_each_used_often(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["endpoint"])
    chance = random.Random(3)
    for _ in range(20_000):
        hits.labels(endpoint=f"/v1/models/{chance.randrange(500)}/predict").inc()
    assert series_of(registry, "hits") == 500
    assert caplog.records == []
    assert hits.overflow is None


@pytest.mark.parametrize("count", [300, 1_000])
def test_customers_with_made_up_names_that_send_requests(registry: Registry, count: int) -> None:
    chance = random.Random(count)
    names = list(itertools.islice(random_uuids(), count))
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["customer"])
    for _ in range(20 * count):
        hits.labels(customer=chance.choice(names)).inc()
    assert series_of(registry, "hits") == count


def test_a_list_that_is_gone_through_once(registry: Registry) -> None:
    score = registry.define(Kind.GAUGE, "score", "", "", ["customer"])
    for number in range(CLIENT_SERIES_PER_METRIC):
        score.labels(customer=f"customer {number}").set(number)
    assert series_of(registry, "score") == CLIENT_SERIES_PER_METRIC


def test_series_that_the_program_holds(registry: Registry) -> None:
    """Bound once, before anything is recorded, or as they come: no label is ever asked for again."""
    names = list(itertools.islice(random_uuids(), 600))
    family = registry.define(Kind.COUNTER, "hits", "", "", ["tenant"])
    bound = {name: family.labels(tenant=name) for name in names}
    for counter in bound.values():
        counter.inc()
    assert series_of(registry, "hits") == 600


def test_gauges_with_functions(registry: Registry) -> None:
    depth = registry.define(Kind.GAUGE, "depth", "", "", ["queue"])
    for name in itertools.islice(random_uuids(), 600):
        depth.labels(queue=name).set_function(lambda: 1.0)
    assert series_of(registry, "depth") == 600


def test_labels_that_are_near_unique_only_together(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is wrong with either label: the cap takes care of it, and names the larger one."""
    seen = registry.define(Kind.COUNTER, "seen", "", "", ["user", "item"])
    chance = random.Random(4)
    ids = list(itertools.islice(random_uuids(), 180))
    for _ in range(5_000):
        seen.labels(user=chance.choice(ids[:60]), item=chance.choice(ids)).inc()
    assert series_of(registry, "seen") == CLIENT_SERIES_PER_METRIC
    assert {row[1:3] for row in refused(registry)} == {("item", "metric")}
    assert len(caplog.records) == 1


# ---- Time


class Market:
    """Series of one label, in a time that the test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.series = MetricSeries(("user",), lambda _bound: False, clock_s=lambda: self.now_s)
        self.refused = 0

    def use(self, value: str, after_s: float = 0.0) -> None:
        self.now_s += after_s
        key = (value,)
        if key in self.series.recent or self.series.find(key) is not None:
            return
        if self.series.refusing_label(key) is None:
            self.series.add(key, object())
        else:
            self.refused += 1


def test_what_is_refused_gets_its_series_when_it_comes_back() -> None:
    """A job that goes through 800 tenants every hour, and holds nothing."""
    market = Market()
    tenants = list(itertools.islice(random_uuids(), 800))
    found = []
    for _ in range(10):
        market.now_s += 3_600.0
        for tenant in tenants:
            market.use(tenant)
        found.append(len(market.series))
    assert found[0] == EARLY
    assert found[1] > 650
    assert found[-1] > 780


def test_a_new_regular_among_strangers_gets_its_series(registry: Registry) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])
    for number, value in enumerate(itertools.islice(random_uuids(), 1_000)):
        hits.labels(id=value).inc()
        if number > 500 and number % 10 == 0:
            hits.labels(id="/new").inc()
    assert hits.labels(id="/new") is not hits.overflow
    assert series_of(registry, "hits") == EARLY + 1


def test_strangers_are_not_remembered_for_ever(registry: Registry) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])
    values = list(itertools.islice(random_uuids(), 10 * REMEMBERED))
    for value in values:
        hits.labels(id=value).inc()
    assert series_of(registry, "hits") == EARLY
    for value in values[EARLY : EARLY + 500]:
        hits.labels(id=value)
    assert series_of(registry, "hits") < EARLY + 50


def test_ordinary_names_that_come_one_by_one_and_never_again() -> None:
    market = Market()
    for number in range(3_000):
        market.use(f"user {number}", after_s=0.1)
    assert len(market.series) == ORDINARY_VALUES


@pytest.mark.parametrize("population", [2_000, 5_000])
def test_ordinary_names_of_a_population_of_which_some_come_back(population: int) -> None:
    market, chance = Market(), random.Random(population)
    while len(market.series) < min(population, CLIENT_SERIES_PER_METRIC) and not market.refused:
        market.use(f"user {chance.randrange(population)}", after_s=0.1)
    assert market.refused == 0


@pytest.mark.parametrize("name", ["day {}", "01ARZ3NDEKTSV4RRFFQ69G5{:03}"])
def test_a_label_that_grows_slowly_for_years(name: str) -> None:
    """A dataset of each hour, a revision of each deploy: none comes back, and there are never many new ones."""
    market = Market()
    for number in range(1_900):
        for _ in range(20):
            market.use(name.format(number), after_s=470.0 / 2)
    assert (len(market.series), market.refused) == (1_900, 0)


def test_a_label_that_grows_slowly_and_whose_values_stay(registry: Registry) -> None:
    market, chance = Market(), random.Random(5)
    names = list(itertools.islice(random_uuids(), 1_500))
    for known in range(1, 1_500):
        market.use(names[known], after_s=60.0)
        for _ in range(5):
            market.use(names[chance.randrange(1, known + 1)], after_s=5.0)
    assert (len(market.series), market.refused) == (1_499, 0)


# ---- Processes and threads


def test_a_forked_child_goes_on_refusing_and_counts_anew(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])
    values = list(itertools.islice(random_uuids(), 1_000))
    for value in values[:500]:
        hits.labels(id=value).inc()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests have left threads
        child = os.fork()
    if child == 0:
        registry.renew_lock()
        registry.refusals.begin_session()
        caplog.clear()
        nothing_yet = registry.refusals.rows() == []
        for value in values[500:]:
            hits.labels(id=value).inc()
        counted = refused(registry) == [("hits", "id", "near-unique", 500)]
        os._exit(0 if nothing_yet and counted and caplog.records == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert refused(registry) == [("hits", "id", "near-unique", 300)]


def test_threads_find_the_same_and_count_every_refusal(registry: Registry, recorder: Recorder) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])

    def use(seed: int) -> None:
        for value in itertools.islice(random_uuids(seed), 1_000):
            hits.labels(id=value).inc()
            hits.labels(id="always").inc()

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert EARLY <= series_of(registry, "hits") <= EARLY + 50
    assert refused(registry)[0][3] == 4_001 - series_of(registry, "hits")
    assert recorder.observed == 8_000


def test_a_handler_of_the_log_may_record_too(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    hits = registry.define(Kind.COUNTER, "hits", "", "", ["id"])
    lines = registry.define(Kind.COUNTER, "lines", "", "", ["logger"])

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.labels(logger=record.name).inc()

    handler = Counting()
    logging.getLogger("obsagent").addHandler(handler)
    try:
        for value in itertools.islice(random_uuids(), 300):
            hits.labels(id=value).inc()
    finally:
        logging.getLogger("obsagent").removeHandler(handler)
    assert series_of(registry, "lines") == 1


# ---- The built-ins


def test_raw_paths_as_endpoints_are_refused_once_for_all_built_ins(
    registry: Registry, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    requests = RequestInstruments(registry)
    for number in range(1_000):
        requests.endpoint(f"/users/{number}").ended(500 if number % 2 else 200)
        requests.endpoint("/health").ended(200)
    for metric in ("latency", "queue_delay", "errors", "in_flight"):
        assert series_of(registry, metric) == EARLY
    assert series_of(registry, "requests") == EARLY
    assert requests.endpoint("/health").latency is not requests.latency.overflow
    assert requests.endpoint("/users/a/2000") is requests.endpoint("/users/a/2001")
    assert requests.endpoint("/users/a/2002").latency is requests.latency.overflow
    assert len(requests._endpoints) <= EARLY
    assert len(caplog.records) == 1
    assert "latency: nearly every value of the label endpoint is a new one" in caplog.records[0].getMessage()
    assert {row[:2] for row in refused(registry)} == {("latency", "endpoint")}
    assert recorder.observed == 2_000 + 500


def test_many_endpoints_that_are_used_often_are_all_kept(registry: Registry) -> None:
    requests, chance = RequestInstruments(registry), random.Random(6)
    for _ in range(20_000):
        requests.endpoint(f"/v1/models/{chance.randrange(600)}/predict").ended(200)
    assert series_of(registry, "latency") == series_of(registry, "requests") == 600
    assert refused(registry) == []


# ---- Looks


@pytest.mark.parametrize(
    "value",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "user:4bf92f35",
        "1770000000",
        "1770000000.123",
        "2026-11-25T09:12:00Z",
        "2026-11-25 09:12",
        "/users/42",
        "/users/42/orders",
        "/search?q=shoes",
        "0.8414709848078965",
        "192.168.17.4",
        "V1StGXR8_Z5jdHi6B-myT",
    ],
)
def test_looks_made_up(value: str) -> None:
    assert looks_made_up(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "/score",
        "/v1/models/fraud/predict",
        "200",
        "DE",
        "customer 1042",
        "2026-11-25",
        "eu-central-1",
        "meta-llama-3-70b-instruct",
        "POST /v2/checkout",
        "deadbeef",
        "preprocess_and_normalise_features",
    ],
)
def test_looks_chosen(value: str) -> None:
    assert not looks_made_up(value)


@pytest.mark.parametrize("value", ["x" * 100_000, "?" * 100_000, "a-" * 50_000, "1a" * 50_000, "/" * 100_000])
def test_looking_at_long_values_takes_no_long_time(value: str) -> None:
    for _ in range(200):
        looks_made_up(value)

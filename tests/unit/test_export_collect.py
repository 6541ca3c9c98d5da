"""From a store to families: what is exported, under which names and labels, and what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
from store_lab import BEGIN_MS, Producer, TurnedClock

from obsagent import exported
from obsagent._native.codec import BodyWriter
from obsagent.errors import StoreError
from obsagent.export.collect import NOT_DESCRIBED, Collector, exported_labels
from obsagent.export.exporter import Exporter
from obsagent.export.family import ClassicBuckets, Exemplar, Family
from obsagent.head.entries import Define, DefinedSeries
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import EXPORT_COMBINED_GAUGE_MS, EXPORT_EXEMPLARS_MS, EXPORT_GAUGE_MS, EXPORT_KEEP_MS, WINDOW_MS
from obsagent.samples import Kind, Series

HOUR_MS = 3_600_000


class Place:
    """A store with one session, and a collector of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = TurnedClock()
        self.store = Store.open(directory, clock=self.clock)
        self.producer = Producer("p", service="shop")
        self.store.write(self.producer.open_entry())
        self.collector = Collector()
        self.own = {"service": "shop", "host": "host", "worker": "0"}

    def series(self, metric: str, kind: Kind, unit: str = "", help: str = "", **labels: str) -> Series:
        made = self.store.series.resolve(metric, kind, labels or self.own, unit=unit, help=help)
        assert made is not None
        self.store.write(Define(self.producer.session, [DefinedSeries(made.id, made.id, made)]))
        return made

    def write(self, series: Series, *values: float) -> None:
        body = BodyWriter()
        if series.kind is Kind.HISTOGRAM:
            body.put_run(series.id, values)
        for value in values if series.kind is not Kind.HISTOGRAM else ():
            if series.kind is Kind.COUNTER:
                body.put_counter(series.id, 1, value)
            else:
                body.put_gauge(series.id, value)
        self.store.write(self.producer.frame(self.clock.now_ms, body.take(), len(values)))

    def later(self, ms: int) -> None:
        self.clock.now_ms += ms
        self.store.maybe_checkpoint(self.clock.now_ms)

    def families(self) -> dict[str, Family]:
        return {family.name: family for family in self.collector.collect(self.store.view()).families}

    def value(self, name: str) -> object:
        (point,) = self.families()[name].points
        return point.value

    def begin_anew(self) -> None:
        self.store.close()
        self.store = Store.open(self.directory, clock=self.clock)
        self.collector = Collector()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "store")


def test_what_is_recorded_is_exported_under_conventional_names(place: Place) -> None:
    place.write(place.series("latency", Kind.HISTOGRAM, "seconds", "How long"), 0.1, 0.2)
    place.write(place.series("requests", Kind.COUNTER, "requests"), 1.0, 2.0)
    place.write(place.series("depth", Kind.GAUGE, "By", service="shop", **{"http.route": "/x", "empty": ""}), 4.0)
    found = place.families()
    assert list(found) == ["depth_bytes", "obsagent_request_duration_seconds", "obsagent_requests"]
    latency = found["obsagent_request_duration_seconds"]
    assert (latency.kind, latency.unit, latency.help) == (Kind.HISTOGRAM, "seconds", "How long")
    assert latency.points[0].value.count == 2
    assert latency.points[0].labels == (("host", "host"), ("service", "shop"), ("worker", "0"))
    assert latency.points[0].created_ms == BEGIN_MS
    assert found["obsagent_requests"].points[0].value == 3.0
    assert found["obsagent_requests"].help == NOT_DESCRIBED
    assert found["depth_bytes"].points[0].labels == (("http_route", "/x"), ("service", "shop"))
    assert found["depth_bytes"].points[0].created_ms is None


def test_totals_and_their_beginning_survive_a_restart(place: Place) -> None:
    hits = place.series("hits", Kind.COUNTER)
    for _ in range(5):
        place.write(hits, 0.1)
        place.later(WINDOW_MS)
    before = place.families()["hits"].points
    place.begin_anew()
    assert place.families()["hits"].points == before
    assert before[0].created_ms == BEGIN_MS
    place.store.close()


def test_a_sum_that_differs_in_its_last_bit_does_not_go_back(place: Place) -> None:
    assert place.collector._not_back(1, 3, 0.6000000000000001) == 0.6000000000000001
    assert place.collector._not_back(1, 3, 0.6) == 0.6000000000000001
    assert place.collector._not_back(1, 4, 0.7) == 0.7


def test_gauges_are_those_combined_over_workers(place: Place) -> None:
    place.write(place.series("depth", Kind.GAUGE), 3.0)
    assert "depth" not in place.families()
    place.write(place.series("depth", Kind.GAUGE, service="shop"), 7.0)
    assert place.value("depth") == 7.0


def test_stale_gauges_leave(place: Place) -> None:
    place.write(place.series("depth", Kind.GAUGE), 3.0)
    place.write(place.series("depth", Kind.GAUGE, service="shop"), 3.0)
    place.write(place.series("room", Kind.GAUGE, service="host", host="a"), 1.0)
    place.later(EXPORT_COMBINED_GAUGE_MS)
    assert set(place.families()) == {"depth", "room"}
    place.later(1_000)
    assert set(place.families()) == {"room"}
    place.later(EXPORT_GAUGE_MS)
    assert place.families() == {}


def test_a_gauge_that_is_no_number_is_exported_as_that(place: Place) -> None:
    place.write(place.series("room", Kind.GAUGE, service="host"), math.nan)
    assert math.isnan(place.value("room"))


def test_a_counter_stays_as_long_as_its_process_however_seldom_it_counts(place: Place) -> None:
    place.write(place.series("errors", Kind.COUNTER), 1.0)
    place.later(3 * HOUR_MS)
    assert place.value("obsagent_request_errors") == 1.0
    place.begin_anew()
    assert place.value("obsagent_request_errors") == 1.0
    place.store.write(place.producer.close_entry(place.clock.now_ms))
    assert place.families() == {}


def test_a_process_that_has_ended_is_shown_for_a_while(place: Place) -> None:
    errors = place.series("errors", Kind.COUNTER)
    place.later(HOUR_MS)
    place.write(errors, 1.0)
    assert place.value("obsagent_request_errors") == 1.0
    place.store.write(place.producer.close_entry(place.clock.now_ms))
    place.later(EXPORT_KEEP_MS - WINDOW_MS)
    assert place.value("obsagent_request_errors") == 1.0
    place.later(2 * WINDOW_MS)
    assert place.families() == {}


def test_what_an_earlier_process_of_the_slot_counted_leaves(place: Place) -> None:
    old = place.series("hits", Kind.COUNTER, **place.own, version="1")
    place.write(old, 1.0)
    place.store.write(place.producer.close_entry(place.clock.now_ms))
    place.later(3 * HOUR_MS)
    place.producer = Producer("q", service="shop")
    place.store.write(replace(place.producer.open_entry(), started_ms=place.clock.now_ms))
    new = place.series("hits", Kind.COUNTER, **place.own, version="2")
    place.write(new, 5.0)
    assert [dict(point.labels)["version"] for point in place.families()["hits"].points] == ["2"]


def test_a_series_without_a_worker_is_there_as_long_as_its_service(place: Place) -> None:
    place.write(place.series("faults", Kind.COUNTER, service="host", host="a"), 1.0)
    busy = place.series("reads", Kind.COUNTER, service="host", host="a")
    for _ in range(3):
        place.write(busy, 1.0)
        place.families()
        place.later(HOUR_MS)
    assert set(place.families()) == {"faults", "reads"}
    place.later(3 * HOUR_MS)
    assert place.families() == {}


def test_two_metrics_of_one_name_do_not_mix(place: Place) -> None:
    place.write(place.series("size", Kind.HISTOGRAM, service="a"), 1.0)
    place.write(place.series("size_count", Kind.GAUGE, service="b"), 2.0)
    place.write(place.series("a.b", Kind.GAUGE, service="c"), 3.0)
    place.write(place.series("a_b", Kind.GAUGE, service="c"), 4.0)
    place.write(place.series("a_b", Kind.GAUGE, service="d"), 5.0)
    place.write(place.series("size", Kind.COUNTER, service="e"), 6.0)
    found, left_out = place.collector.collect(place.store.view())
    assert [family.name for family in found] == ["a_b", "size"]
    assert sorted(left_out) == [
        "`a_b` of c: another series is a_b too",
        "`size_count` of b: size is size_count too",
        "`size` of e: a histogram is size too",
    ]
    assert [point.value for point in found[0].points] == [3.0, 5.0]


def test_metrics_that_share_a_name_have_labels_of_their_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for metric, direction in (("tokens_in", "input"), ("tokens_out", "output")):
        monkeypatch.setitem(exported.NAMES, metric, "gen_ai_client_token_usage")
        monkeypatch.setitem(exported.CONSTANT_LABELS, metric, {"gen_ai.token.type": direction})
        place.write(place.series(metric, Kind.HISTOGRAM), 1.0)
    (family,) = place.families().values()
    assert [dict(point.labels)["gen_ai_token_type"] for point in family.points] == ["input", "output"]


def classic_of(place: Place, **at: float) -> None:
    """One more page of a histogram `wait_seconds`: what its parts have grown by, by edge (`e_1`), `sum` and `count`."""
    scraped = {"service": "vllm", "host": "a", "instance": "x:1"}
    for part, grown in at.items():
        name, labels = f"wait_seconds_{part}", dict(scraped)
        if part.startswith("e_"):
            name, labels["le"] = "wait_seconds_bucket", part.removeprefix("e_").replace("_", ".")
        series = place.series(name, Kind.COUNTER, "seconds" if part == "sum" else "", "Waited", **labels)
        if grown:
            place.write(series, grown)


def test_a_scraped_histogram_is_exported_as_one(place: Place) -> None:
    classic_of(place, e_0_1=0.0, e_1=3.0, **{"e_+Inf": 4.0}, sum=7.5, count=4.0)
    place.later(WINDOW_MS)
    classic_of(place, e_1_0=2.0, **{"e_+Inf": 2.0}, sum=0.5, count=2.0)  # the server came to write 1 as 1.0
    (family,) = place.families().values()
    assert (family.name, family.kind, family.unit, family.help) == ("wait_seconds", Kind.HISTOGRAM, "seconds", "Waited")
    (point,) = family.points
    assert point.labels == (("host", "a"), ("instance", "x:1"), ("service", "vllm"))
    assert point.value == ClassicBuckets((0.1, 1.0, math.inf), (0, 5, 6), 8.0)
    assert point.created_ms == BEGIN_MS
    place.begin_anew()
    assert place.families()["wait_seconds"].points == [point]
    place.store.close()


def test_of_a_scraped_histogram_what_is_not_kept_is_not_made_up(place: Place) -> None:
    classic_of(place, e_1=5.25, e_2=3.0, count=9.0)  # 3 is less than there was up to 1; no +Inf, no sum
    assert place.value("wait_seconds") == ClassicBuckets((1.0, 2.0, math.inf), (5, 5, 9), None)
    place.later(EXPORT_KEEP_MS + WINDOW_MS)
    assert place.families() == {}


def test_counters_that_only_sound_like_a_histogram_stay(place: Place) -> None:
    place.write(place.series("ice_bucket", Kind.COUNTER, **place.own), 1.0)
    place.write(place.series("page_count", Kind.COUNTER, **place.own), 2.0)
    place.write(place.series("odd_bucket", Kind.COUNTER, service="a", le="many"), 3.0)
    assert set(place.families()) == {"ice_bucket", "page_count", "odd_bucket"}


def test_labels_that_become_one_are_joined() -> None:
    assert exported_labels({"a.b": "1", "a_b": "2", "z": "", "le": "3"}) == (("a_b", "1;2"), ("exported_le", "3"))


def test_exemplars_of_the_last_minute_go_with_their_series(place: Place) -> None:
    latency = place.series("latency", Kind.HISTOGRAM, "seconds")
    place.write(latency, 0.2, 0.3)

    @dataclass
    class Kept:
        series_id: int = latency.id
        value: float = 0.3
        time_ms: int = BEGIN_MS
        trace_id: str = "t1"
        request_id: str = ""

    asked: list[tuple[list[int], int, int]] = []

    class WithExemplars(View):
        def collect_exemplars(self, series_ids: list[int], from_ms: int, to_ms: int) -> list[Kept]:
            asked.append((series_ids, from_ms, to_ms))
            return [Kept(), Kept(value=0.2, request_id="r")]

    view = place.store.view()
    parts = {each.name: getattr(view, each.name) for each in fields(View) if each.init}
    (family,) = place.collector.collect(WithExemplars(**parts)).families
    assert family.points[0].exemplars == (
        Exemplar((("trace_id", "t1"),), 0.3, BEGIN_MS),
        Exemplar((("trace_id", "t1"), ("request_id", "r")), 0.2, BEGIN_MS),
    )
    assert asked == [([latency.id], BEGIN_MS - EXPORT_EXEMPLARS_MS, BEGIN_MS + 1)]


def test_what_was_scraped_is_on_disk(place: Place) -> None:
    place.write(place.series("hits", Kind.COUNTER), 1.0)
    assert place.store.unsynced_bytes() > 0
    exporter = Exporter(place.store.view, place.store.sync)
    assert b"hits_total" in exporter.scrape("").body
    assert place.store.unsynced_bytes() == 0


def test_a_disk_in_trouble_hides_nothing(place: Place) -> None:
    def fail() -> None:
        raise StoreError("no space left on device")

    place.write(place.series("hits", Kind.COUNTER), 1.0)
    answer = Exporter(place.store.view, fail).scrape("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")
    assert b"hits_total" in answer.body


def test_what_is_left_out_is_said_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.write(place.series("a.b", Kind.GAUGE, service="c"), 3.0)
    place.write(place.series("a_b", Kind.GAUGE, service="c"), 4.0)
    exporter = Exporter(place.store.view, place.store.sync)
    for _ in range(3):
        exporter.scrape("")
    assert caplog.text.count("not exported") == 1
    assert exporter.left_out == ["`a_b` of c: another series is a_b too"]

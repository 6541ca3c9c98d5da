"""Random queries on random stores say what plain Python says about the raw samples, wherever the store keeps them."""

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsagent._native.codec import BodyWriter
from obsagent.answer.execute import answer
from obsagent.answer.instants import iso_utc
from obsagent.answer.language import parse
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.samples import Kind, Series
from obsagent.segment.recover import is_compacted
from property.query_oracle import COUNTER, GAUGE, HISTOGRAM, WINDOW_MS, Asked, Oracle, Row, Sample
from unit.store_lab import BEGIN_MS, Producer, TurnedClock, resolve

KINDS = {HISTOGRAM: Kind.HISTOGRAM, COUNTER: Kind.COUNTER, GAUGE: Kind.GAUGE}
METRICS = {"latency": HISTOGRAM, "queue_delay": HISTOGRAM, "requests": COUNTER, "errors": COUNTER, "depth": GAUGE}
ENDPOINTS, VERSIONS = ("/a", "/b/score", "/c"), ("1", "2")
STATUSES = ("200", "404", "500", "503")
MINUTES = 12
FILE_AGE_MS = 100_000

HISTOGRAM_STATS = ("p0", "p50", "p90", "p99.9", "p100", "mean", "min", "max", "sum", "count", "rate", "stddev")
HISTOGRAM_STATS += ("under 20", "over 50.5")
GAUGE_STATS = ("last", "min", "max", "mean", "p50", "count", "stddev", "under 20")
COUNTER_STATS = ("sum", "rate", "count")
EXACT_STATS = {HISTOGRAM: ("count", "max", "min", "sum"), COUNTER: ("sum",), GAUGE: ("last", "max", "count")}


class World:
    """A store on disk, and its samples: in compacted files, fresh blocks, the head and the journal alone."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self.chance = random.Random(seed)
        self.clock = TurnedClock()
        self.store = Store.open(directory, clock=self.clock, budgets=Budgets(segment_file_age_ms=FILE_AGE_MS))
        self.samples: list[Sample] = []
        self.producer = Producer("one")
        self.store.write(self.producer.open_entry())
        for metric, kind in METRICS.items():
            for endpoint in ENDPOINTS:
                for version in VERSIONS:
                    for status in STATUSES if metric == "requests" else ("",):
                        labels = {"service": "shop", "endpoint": endpoint, "version": version}
                        labels |= {"status": status} if status else {}
                        self.producer.defined.append(resolve(self.store, metric, KINDS[kind], **labels))
        self.store.write(self.producer.define_all())
        self._fill()

    def _fill(self) -> None:
        """Windows in order, some of them empty; now and then a late batch, a checkpoint, a compaction. The last ones
        stay in the head.
        """
        for number in range(MINUTES * 6):
            at_ms = BEGIN_MS + number * WINDOW_MS
            self.clock.now_ms = at_ms + WINDOW_MS
            stays = number >= MINUTES * 6 - 5
            if stays or self.chance.random() < 0.7:
                self._batch(at_ms)
            if self.chance.random() < 0.1:
                self._batch(at_ms - self.chance.randrange(20) * WINDOW_MS)
            self.store.sync()
            if not stays and self.chance.random() < 0.15:
                self.store.checkpoint(at_ms - 2 * WINDOW_MS if self.chance.random() < 0.5 else None)
            if number == MINUTES * 4 or self.chance.random() < 0.02:
                self.store.maybe_compact(self.clock.now_ms)
                self.store.maybe_roll_up(self.clock.now_ms)
        self.now_ms = self.clock.now_ms = self.clock.now_ms + self.chance.randrange(20_000)
        self.views = list(self._views())

    def _views(self) -> Iterator[View]:
        """As the agent sees the store, as a reader without its lock does, and as the next agent after a crash does:
        with the journal replayed, and again when it has compacted what it can.
        """
        yield self.store.view()
        yield Store.open_read_only(self._directory, clock=self.clock).view()
        copy = self._directory.with_name("copy")
        shutil.copytree(self._directory, copy)
        reopened = Store.open(copy, clock=self.clock)
        yield reopened.view()
        while reopened.maybe_compact(self.now_ms) or reopened.maybe_roll_up(self.now_ms):
            pass
        yield reopened.view()

    def _batch(self, at_ms: int) -> None:
        writer, count = BodyWriter(), 0
        batch: list[tuple[Series, list[float]]] = []
        for number, series in enumerate(self.producer.defined):
            if self.chance.random() < 0.3:
                values = [float(self.chance.randint(0, 100)) for _ in range(self.chance.choice((1, 3, 30)))]
                values = values[:1] if series.kind is Kind.GAUGE else values
                self._put(writer, number, series, values)
                count += len(values)
                batch.append((series, values))
        if not count:
            return
        frame = self.producer.frame(at_ms, writer.take(), count)
        self.store.write(frame)
        for series, values in batch:
            kind, labels = series.kind.word, tuple(series.labels.items())
            window_ms = at_ms - at_ms % WINDOW_MS
            self.samples += [Sample(series.metric, kind, labels, window_ms, frame.end_ms, value) for value in values]

    @staticmethod
    def _put(writer, number: int, series: Series, values: list[float]) -> None:
        if series.kind is Kind.COUNTER:
            for value in values:
                writer.put_counter(number, 1, value)
        elif series.kind is Kind.GAUGE:
            writer.put_gauge(number, values[0])
        elif len(values) < 16:
            writer.put_run(number, values)
        else:
            writer.put_loghist(number, values)


@st.composite
def questions(draw) -> Asked:
    kind = draw(st.sampled_from([HISTOGRAM, HISTOGRAM, COUNTER, GAUGE, "ratio"]))
    ratio = kind == "ratio"
    if ratio:
        metrics, stats = ("errors", "requests"), ("sum",)
    else:
        names = [name for name, its_kind in METRICS.items() if its_kind == kind]
        metrics = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)))
        known = {HISTOGRAM: HISTOGRAM_STATS, COUNTER: COUNTER_STATS, GAUGE: GAUGE_STATS}[kind]
        stats = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True)))
    by = (
        ("endpoint",) if kind == GAUGE else tuple(draw(st.lists(st.sampled_from(["endpoint", "version"]), unique=True)))
    )
    by = ("endpoint", "version") if kind == GAUGE else by  # one series a row: how several combine is tested elsewhere
    step_s = draw(st.sampled_from([0, 0, 10, 30, 60, 120]))
    since_s = draw(st.integers(2, MINUTES * 60 + 30))
    where = limit = None
    if draw(st.booleans()):
        exact = ("ratio", "count") if ratio else EXACT_STATS[kind]
        where = (
            draw(st.sampled_from(exact)),
            draw(st.sampled_from(["above", "below"])),
            draw(st.integers(0, 99)) + 0.5,
        )
        where = (where[0], where[1], where[2] / 100) if where[0] == "ratio" else where
    if draw(st.booleans()) and (ratio or stats[0] in EXACT_STATS.get(kind, ())):
        limit = (draw(st.sampled_from(["top", "bottom"])), draw(st.integers(1, 4)))
    return Asked(
        metrics=metrics,
        stats=stats,
        ratio=ratio,
        filters=draw(filters(metrics)),
        by=by,
        since_s=since_s,
        until_s=draw(st.sampled_from([0, 0, 1, since_s // 2])),
        step_s=step_s,
        where=where,
        limit=limit,
        earlier_s=draw(st.sampled_from([0, 0, 60, 200])),
    )


@st.composite
def filters(draw, metrics):
    found = []
    if draw(st.booleans()):
        operator = draw(st.sampled_from(["=", "not"]))
        found.append(("endpoint", operator, tuple(draw(st.lists(st.sampled_from(ENDPOINTS), min_size=1, unique=True)))))
    if draw(st.booleans()):
        found.append(("endpoint", "matches", (draw(st.sampled_from(["score", "/", "b"])),)))
    if metrics == ("requests",) and draw(st.booleans()):
        found.append(("status", draw(st.sampled_from(["=", "not"])), draw(st.sampled_from([("5xx",), ("200", "5xx")]))))
    return tuple(found)


def iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def check_numbers(shown: dict, truth: Row, context: str) -> None:
    assert shown["count"] == len(truth.samples), context
    for stat, value in shown["values"].items():
        expected, bound = truth.values[stat], shown["error_bound"][stat]
        if expected is None:
            assert value is None, context
            continue
        slack = 1e-9 * max(1.0, abs(expected))
        if bound:
            slack += bound["relative"] * abs(expected) if "relative" in bound else bound["absolute"]
        assert abs(value - expected) <= slack, f"{stat} of {context}: {value} is not {expected}"


def check(world: World, asked: Asked) -> None:
    oracle = Oracle(world.samples, world.now_ms)
    text = asked.text(world.now_ms, iso)
    result, *others = [answer(parse(text), view, world.now_ms) for view in world.views]
    for other in others:
        assert other == result
    expected = oracle.answer(asked)
    several = len(asked.metrics) > 1 and not asked.ratio
    names = [(row.metric if several else None, row.labels) for row in expected]
    assert [(row.get("metric"), row["labels"]) for row in result["series"]] == names, text
    covered = oracle.covered(asked)
    assert result["covered"] == ({"from": iso_utc(covered[0]), "to": iso_utc(covered[1])} if covered else None)
    assert ("empty" in result) is (not expected)
    for shown, row in zip(result["series"], expected, strict=True):
        check_numbers(shown, row, text)
        if asked.step_s:
            check_points(shown["points"], row, text)
        if asked.earlier_s:
            assert (shown["vs"] is None) is (row.other is None), text
            if row.other:
                check_numbers(shown["vs"], row.other, f"the other side of {text}")


def check_points(points: list[dict], row: Row, text: str) -> None:
    assert [point["from"] for point in points] == [iso_utc(start_ms) for start_ms in row.points], text
    for point, truth in zip(points, row.points.values(), strict=True):
        check_numbers(point, truth, f"a step of {text}")


@pytest.fixture(scope="module", params=[1, 2, 3])
def world(request, tmp_path_factory):
    return World(tmp_path_factory.mktemp("store") / "data", request.param)


def test_the_samples_are_kept_in_every_way(world):
    live, _, reopened, compacted = world.views
    fresh = [not is_compacted(block.path) for block in live.blocks]
    assert any(fresh)
    assert not all(fresh)
    assert live.windows
    assert not reopened.windows  # an agent that begins writes what it has replayed
    assert sum(is_compacted(block.path) for block in compacted.blocks) > sum(not each for each in fresh)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions())
def test_any_query_says_what_the_samples_say(world, asked):
    check(world, asked)

"""Recording through bound instruments: which values count as what, and that nothing ever raises."""

from __future__ import annotations

import array
import copy
import decimal
import fractions
import math
import pickle
import time
from collections.abc import Iterator

import numpy as np
import pytest
from ring_lab import COUNTER_KIND, GAUGE_KIND, HISTOGRAM_KIND, LOGHIST, entries, sealed

from obsagent._native.ring import Counter, Gauge, Histogram, InProgress, Recorder, Timer
from obsagent._native.sketch import LogHist


class Number:
    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


class Explosive:
    def __float__(self) -> float:
        raise KeyboardInterrupt

    def __iter__(self) -> Iterator[float]:
        yield 1.0
        raise SystemExit


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(0)
    yield made
    made.stop()


@pytest.fixture
def histogram(recorder: Recorder) -> Histogram:
    return recorder.histogram(recorder.define(HISTOGRAM_KIND))


@pytest.fixture
def counter(recorder: Recorder) -> Counter:
    return recorder.counter(recorder.define(COUNTER_KIND))


@pytest.fixture
def gauge(recorder: Recorder) -> Gauge:
    return recorder.gauge(recorder.define(GAUGE_KIND))


NUMBERS = [
    1.5,
    3,
    True,
    -0.0,
    -2.25,
    np.float64(4.5),
    np.float32(0.25),
    np.int16(-7),
    decimal.Decimal("2.5"),
    fractions.Fraction(1, 4),
    Number(8.0),
    Number(-1.0),
    -1,
    5e-324,
    1.7976931348623157e308,
]
NO_NUMBERS = ["1.5", None, object(), [1.0], 1j, b"1", 10**400, Explosive(), float]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_observe_takes_every_number(recorder: Recorder, histogram: Histogram, value: object) -> None:
    assert histogram.observe(value) is None
    found = sealed(recorder).histogram(histogram.series)
    assert (found.count, found.sum) == (1, float(value))
    assert recorder.rejected_value == 0


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_observe_rejects_what_is_no_number(recorder: Recorder, histogram: Histogram, value: object) -> None:
    histogram.observe(value)
    assert sealed(recorder).samples == 0
    assert (recorder.observed, recorder.rejected_value) == (1, 1)


def test_nan_and_infinities_are_samples(recorder: Recorder, histogram: Histogram) -> None:
    for value in [math.nan, math.inf, -math.inf, -math.inf, 1.0] * 10:
        histogram.observe(value)
    found = sealed(recorder).histogram(histogram.series)
    assert (found.count, found.nan_count) == (10, 10)
    assert (found.positive_infinity_count, found.negative_infinity_count) == (10, 20)


def test_observe_does_not_disturb_a_handled_exception(histogram: Histogram) -> None:
    try:
        raise LookupError
    except LookupError as error:
        histogram.observe("no number")
        with pytest.raises(LookupError):
            raise error


def test_many_single_observations_are_sketched_exactly(recorder: Recorder, histogram: Histogram) -> None:
    values = np.random.default_rng(1).lognormal(-5, 1, 20_000).tolist()
    for value in values:
        histogram.observe(value)
    found = sealed(recorder).histogram(histogram.series)
    assert (found.count, found.min, found.max) == (len(values), min(values), max(values))
    truth = sorted(values)
    for q in (0.01, 0.5, 0.9, 0.99, 0.999):
        assert found.quantile(q) == pytest.approx(truth[math.ceil(q * len(truth)) - 1], rel=found.relative_error)


def hist_of(values: list[float]) -> LogHist:
    hist = LogHist()
    for value in values:
        hist.add(value)
    return hist


def buckets(hist: LogHist) -> tuple[object, ...]:
    extremes = (hist.min, hist.max) if hist.count else None
    return hist.buckets(), hist.buckets(negative=True), hist.zero_count, extremes


def buffers() -> dict[str, tuple[object, list[float]]]:
    plain = [1.0, 2.0, 3.0, 100.0]
    grid = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    return {
        "array d": (array.array("d", plain), plain),
        "empty": (array.array("d"), []),
        "float64": (np.array(plain), plain),
        "three dimensions": (grid, grid.ravel().tolist()),
        "transposed": (grid.T, grid.ravel().tolist()),
        "strided": (np.arange(100.0)[::7], np.arange(100.0)[::7].tolist()),
        "reversed": (np.arange(9.0)[::-1], list(range(9))),
        "big-endian": (np.array(plain, dtype=">f8"), plain),
        "unaligned": (np.frombuffer(b"x" + np.array(plain).tobytes(), dtype=np.uint8)[1:].view(np.float64), plain),
        "no dimensions": (np.array(7.5), [7.5]),
        "scalar": (np.float64(7.5), [7.5]),
        "memoryview": (memoryview(array.array("d", plain))[1:], plain[1:]),
        "bytes": (b"\x01\xff", [1.0, 255.0]),
        "bool": (np.array([True, False, True]), [1.0, 0.0, 1.0]),
        "float16": (np.array([0.5, -65504.0, 6e-8, 0.0, 1e-5], np.float16),
                    [float(x) for x in np.array([0.5, -65504.0, 6e-8, 0.0, 1e-5], np.float16)]),
        "big-endian grid": (grid.astype(">f4"), grid.ravel().tolist()),
        "object": (np.array([1, 2.5, decimal.Decimal(3)], dtype=object), [1.0, 2.5, 3.0]),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(buffers()))
def test_observe_many_takes_any_buffer(recorder: Recorder, histogram: Histogram, name: str) -> None:
    values, expected = buffers()[name]
    assert histogram.observe_many(values) is None
    found = sealed(recorder).histogram(histogram.series)
    assert buckets(found) == buckets(hist_of(expected))
    assert found.sum == pytest.approx(sum(expected), rel=1e-12)
    assert recorder.rejected_value == 0


@pytest.mark.parametrize("code", "bBhHiIlLqQfdg")
@pytest.mark.parametrize("size", [3, 255, 256, 511, 512, 513, 3000])
def test_observe_many_converts_every_type_of_number(
    recorder: Recorder, histogram: Histogram, code: str, size: int
) -> None:
    values = (np.arange(size) % 120).astype(code)
    histogram.observe_many(values)
    found = sealed(recorder).histogram(histogram.series)
    assert (found.count, found.sum, found.max) == (size, float(values.astype(float).sum()), float(values.max()))


@pytest.mark.parametrize(
    ("values", "taken", "rejected"),
    [
        ([1, 2.5, True], 3, 0),
        ((), 0, 0),
        ((value for value in [1, 2, 3]), 3, 0),
        ({1.0: "a", 2.0: "b"}, 2, 0),
        ([1, None, "2", 3], 2, 2),
        (range(2000), 2000, 0),
        ("123", 0, 1),
        (5, 0, 1),
        (None, 0, 1),
        (Explosive(), 1, 1),
        (np.array([1 + 1j, 2]), 0, 2),
        (np.array(["a", "b", "c"]), 0, 3),
        (np.array(["2020-01-01"], dtype="datetime64[s]"), 0, 1),
    ],
    ids=repr,
)
def test_observe_many_counts_what_is_no_number(
    recorder: Recorder, histogram: Histogram, values: object, taken: int, rejected: int
) -> None:
    histogram.observe_many(values)
    assert sealed(recorder).samples == taken
    assert recorder.rejected_value == rejected


@pytest.mark.parametrize("size", [1, 15, 16, 255, 256, 1024, 20_000, 100_000])
def test_every_way_to_record_gives_the_same_buckets(recorder: Recorder, size: int) -> None:
    values = np.random.default_rng(size).lognormal(0, 2, size)
    ways = [recorder.histogram(recorder.define(HISTOGRAM_KIND, 8)) for _ in range(3)]
    for value in values.tolist():
        ways[0].observe(value)
    ways[1].observe_many(values)
    for piece in np.array_split(values, 7):
        ways[2].observe_many(piece.tolist())
    found = sealed(recorder)
    one_by_one, in_bulk, in_pieces = (buckets(found.histogram(way.series)) for way in ways)
    assert one_by_one == in_bulk == in_pieces
    assert recorder.dropped_ring == 0


def test_a_value_may_observe_while_it_is_converted(recorder: Recorder, histogram: Histogram) -> None:
    class Recursive:
        def __float__(self) -> float:
            histogram.observe(2.0)
            histogram.observe_many([2.0] * 100)
            return 1.0

    histogram.observe(Recursive())
    histogram.observe_many([Recursive(), Recursive()])
    found = sealed(recorder).histogram(histogram.series)
    assert (found.count, found.sum) == (3 + 3 * 101, 3 + 3 * 202)


def test_the_scale_is_the_series_own(recorder: Recorder) -> None:
    coarse = recorder.histogram(recorder.define(HISTOGRAM_KIND, scale=0))
    coarse.observe_many(np.linspace(1, 2, 1000))
    coarse.observe(1.5)
    recorder.seal(100)
    ((_, kind, payload),) = entries(recorder.take(0).body)
    assert kind == LOGHIST
    assert LogHist._from_compact(payload[0]).scale == 0


def test_counter_sums_amounts(recorder: Recorder, counter: Counter) -> None:
    for amount in (1, 2.5, 0, np.float32(0.5), True):
        counter.inc(amount)
    counter.inc()
    counter.inc(amount=4)
    found = sealed(recorder)
    assert (found.increments[counter.series], found.sums[counter.series]) == (7, 10.0)


@pytest.mark.parametrize("amount", [-1, -5e-324, math.nan, math.inf, -math.inf, *NO_NUMBERS], ids=repr)
def test_counter_rejects_what_cannot_be_added(recorder: Recorder, counter: Counter, amount: object) -> None:
    counter.inc(amount)
    assert sealed(recorder).samples == 0
    assert recorder.rejected_value == 1


def test_gauge_is_sampled_when_set(recorder: Recorder, gauge: Gauge) -> None:
    assert gauge.series not in sealed(recorder).gauges
    gauge.set(4)
    found = sealed(recorder)
    gauge.inc()
    gauge.inc(2.5)
    gauge.dec()
    gauge.dec(0.5)
    sealed(recorder, found)
    gauge.set(math.nan)
    sealed(recorder, found)
    assert found.gauges[gauge.series][:2] == [4.0, 6.0]
    assert math.isnan(found.gauges[gauge.series][2])


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_gauge_rejects_what_is_no_number(recorder: Recorder, gauge: Gauge, value: object) -> None:
    gauge.set(3)
    for change in (gauge.set, gauge.inc, gauge.dec):
        change(value)
    found = sealed(recorder)
    assert found.gauges == {gauge.series: [3.0]}
    assert recorder.rejected_value == 3


def test_an_unset_gauge_starts_from_zero(recorder: Recorder, gauge: Gauge) -> None:
    gauge.dec(2)
    assert sealed(recorder).gauges == {gauge.series: [-2.0]}


def test_gauge_functions_are_sampled(recorder: Recorder, gauge: Gauge) -> None:
    values = iter([1, 2.5])
    gauge.set_function(lambda: next(values))
    found = sealed(recorder)
    assert found.gauges == {}
    for _ in range(2):
        recorder.sample_functions()
        sealed(recorder, found)
    recorder.sample_functions()  # StopIteration: the gauge is not what it was, and says nothing
    sealed(recorder, found)
    assert found.gauges == {gauge.series: [1.0, 2.5]}
    assert recorder.rejected_value == 1
    assert recorder.has_function(gauge.series)
    assert not recorder.has_function(gauge.series + 1)
    gauge.set_function(None)
    assert not recorder.has_function(gauge.series)
    recorder.sample_functions()
    assert recorder.rejected_value == 1
    with pytest.raises(TypeError, match="callable"):
        gauge.set_function(3)


def test_track_inprogress(recorder: Recorder, gauge: Gauge) -> None:
    found = sealed(recorder)
    with gauge.track_inprogress(), gauge.track_inprogress():
        sealed(recorder, found)
    with pytest.raises(LookupError), gauge.track_inprogress():
        raise LookupError
    sealed(recorder, found)
    assert found.gauges == {gauge.series: [2.0, 0.0]}


def test_time_records_seconds(recorder: Recorder, histogram: Histogram) -> None:
    with histogram.time(), histogram.time():
        time.sleep(0.02)
    with pytest.raises(LookupError), histogram.time():
        raise LookupError
    found = sealed(recorder).histogram(histogram.series)
    assert found.count == 3
    assert found.quantile(0.6) >= 0.02 * (1 - found.relative_error)
    assert 0 < found.min < 0.02
    assert found.max < 5


def test_definitions_are_numbered_and_checked(recorder: Recorder) -> None:
    assert [recorder.define(kind) for kind in (1, 2, 3, 4)] == [0, 1, 2, 3]
    assert recorder.counter(1).series == 1
    for make in (recorder.histogram, recorder.gauge, recorder.column):
        with pytest.raises(ValueError, match="another kind"):
            make(1)
    with pytest.raises(ValueError, match="not defined"):
        recorder.counter(4)
    for kind, scale in ((0, 6), (5, 6), (1, 9), (1, -1)):
        with pytest.raises(ValueError, match="range"):
            recorder.define(kind, scale)


def test_instruments_exist_only_bound(recorder: Recorder, histogram: Histogram) -> None:
    for kind in (Histogram, Counter, Gauge):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            kind.__new__(kind)
        with pytest.raises(TypeError):
            kind(None, 0)
    with Timer(), InProgress():
        pass
    for thing in (recorder, histogram):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)


def test_wrong_recorders_are_refused() -> None:
    for wrong in ({"slot": 8}, {"slot": -1}, {"slot": 0, "ring_bytes": 1 << 40}, {"slot": 0, "window_ms": 0}):
        with pytest.raises(ValueError, match=r"range|slot must be"):
            Recorder(**wrong)


def test_a_recorder_without_bytes_records_nothing() -> None:
    recorder = Recorder(7, ring_bytes=0, on_first_sample=pytest.fail)
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    gauge = recorder.gauge(recorder.define(GAUGE_KIND))
    recorder.start()
    for value in (1.0, "x"):
        histogram.observe(value)
        histogram.observe_many([value] * 100)
        gauge.set(value)
    with histogram.time():
        pass
    assert recorder.seal(0) is True
    assert recorder.take(0) is None
    assert (recorder.observed, recorder.dropped_ring, recorder.rejected_value) == (0, 0, 0)
    recorder.stop()

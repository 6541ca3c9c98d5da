"""The recorder's accounts: exact in every batch and at the end, whatever overflows, ends or runs beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ring_lab import COUNTER_KIND, HISTOGRAM_KIND, WINDOW_MS, Contents, sealed, take_all

from obsagent._native.ring import Histogram, Recorder

CHUNK_BYTES = 64 << 10
HOME_RECORDS = 2 * CHUNK_BYTES // 16  # what a thread gets in any case


@pytest.fixture
def start() -> Iterator[Callable[..., Recorder]]:
    """Makes recorders, one slot each, and stops them."""
    made: list[Recorder] = []

    def make(**options: object) -> Recorder:
        made.append(Recorder(len(made), **options))
        made[-1].start()
        return made[-1]

    yield make
    for recorder in made:
        recorder.stop()


def run_threads(targets: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def drained(recorder: Recorder, contents: Contents) -> Callable[[], None]:
    """Takes batches until they say that everything is over."""

    def take() -> None:
        while not getattr(contents, "is_over", False):
            batch = recorder.take(20)
            if batch is not None:
                contents.add(batch)

    return take


def test_threads_that_end_lose_nothing(start: Callable[..., Recorder]) -> None:
    recorder = start(batch_interval_ms=5)
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    counter = recorder.counter(recorder.define(COUNTER_KIND))

    def work() -> None:
        for value in range(500):
            histogram.observe(value)
            counter.inc(2)
        histogram.observe_many(np.arange(1000.0))

    contents = Contents()
    for _ in range(10):
        run_threads([work] * 5)
        take_all(recorder, contents)
    sealed(recorder, contents)
    assert contents.histogram(histogram.series).count == 50 * 1500
    assert contents.histogram(histogram.series).sum == 50 * (sum(range(500)) + sum(range(1000)))
    assert (contents.increments[counter.series], contents.sums[counter.series]) == (50 * 500, 50 * 1000.0)
    assert (recorder.dropped_ring, recorder.rejected_value) == (0, 0)


def test_overflow_is_dropped_and_counted() -> None:
    recorder = Recorder(5, ring_bytes=1)  # not started: nothing drains
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    for value in range(10_000):
        histogram.observe(value)
    assert (recorder.observed, recorder.dropped_ring) == (10_000, 10_000 - HOME_RECORDS)
    contents = sealed(recorder)
    assert contents.samples == HOME_RECORDS
    assert contents.histogram(histogram.series).max == HOME_RECORDS - 1  # what came first is kept
    histogram.observe(1.0)
    assert sealed(recorder, contents).samples == HOME_RECORDS + 1


def test_bulk_needs_no_room_in_the_ring() -> None:
    recorder = Recorder(5, ring_bytes=1)
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    for _ in range(300):
        histogram.observe_many(np.ones(1000))
    assert (recorder.observed, recorder.dropped_ring) == (300_000, 0)
    assert sealed(recorder).samples == 300_000


@pytest.mark.parametrize("ring_bytes", [1, 3 * CHUNK_BYTES, 8 << 20])
def test_everything_balances_under_load(start: Callable[..., Recorder], ring_bytes: int) -> None:
    recorder = start(ring_bytes=ring_bytes, batch_interval_ms=5, window_ms=50, frame_bytes=2000)
    series = [recorder.histogram(recorder.define(HISTOGRAM_KIND)) for _ in range(50)]
    counter = recorder.counter(recorder.define(COUNTER_KIND))
    given = []

    def one_by_one() -> None:
        for value in range(20_000):
            series[value % 50].observe(value if value % 100 else "x")
            counter.inc(value - 1)
        given.append(40_000)

    def in_bulk() -> None:
        for size in range(1, 600):
            series[size % 50].observe_many(np.arange(float(size)))
            given.append(size)
        series[0].observe_many(np.arange(200_000.0))  # lets go of the GIL
        given.append(200_000)

    contents = Contents()
    taker = threading.Thread(target=drained(recorder, contents))
    taker.start()
    run_threads([one_by_one, in_bulk, in_bulk])
    contents.is_over = True
    taker.join()
    sealed(recorder, contents)
    assert recorder.observed == sum(given)
    assert recorder.rejected_value == 200 + 1
    assert contents.samples == sum(given) - recorder.dropped_ring - 201


def test_batches_never_span_an_edge(start: Callable[..., Recorder]) -> None:
    """An edge is moved to 20 ms from now while a thread records, until five batches have ended at one."""
    recorder = start(batch_interval_ms=4)
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    contents = Contents()
    at_an_edge = 0
    for _ in range(200):  # a busy machine may leave nothing to record before the edge
        recorder.set_clock(WINDOW_MS - 20 - time.monotonic_ns() / 1e6 % WINDOW_MS)
        end = time.monotonic() + 0.04
        while time.monotonic() < end:
            histogram.observe(1.0)
        take_all(recorder, contents)  # checks every batch
        at_an_edge = sum(batch.end_ms % WINDOW_MS == 0 for batch in contents.batches)
        if at_an_edge >= 5:
            break
    assert at_an_edge >= 5
    starts = [batch.start_ns for batch in contents.batches]
    assert starts == sorted(starts)


def test_stamps_contain_the_time_of_recording(start: Callable[..., Recorder]) -> None:
    recorder = start()
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    before_ns, before_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
    histogram.observe(1.0)
    contents = sealed(recorder)
    after_ns, after_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
    (batch,) = contents.batches
    assert batch.start_ns <= after_ns
    assert before_ns <= batch.end_ns <= after_ns
    assert batch.end_ns - batch.start_ns < 1_000_000_000
    assert before_ms - 1 <= batch.end_ms <= after_ms + 1
    assert batch.start_ms <= batch.end_ms


def test_a_moved_clock_moves_the_stamps(start: Callable[..., Recorder]) -> None:
    recorder = start()
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    contents = Contents()
    for offset_ms in (0.0, -1e9, 12345.5, 1.7e12):
        recorder.set_clock(offset_ms)
        histogram.observe(1.0)
        batch = sealed(recorder, contents).batches[-1]
        assert batch.end_ms == pytest.approx(batch.end_ns / 1e6 + offset_ms, abs=1.1)
    for wrong in (float("nan"), float("inf"), -1e300):
        with pytest.raises(ValueError, match="finite"):
            recorder.set_clock(wrong)


def test_seal_covers_what_other_threads_did_before(start: Callable[..., Recorder]) -> None:
    recorder = start()
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    contents = Contents()
    done = threading.Semaphore(0)
    go_on = threading.Semaphore(0)

    def work() -> None:
        for _ in range(20):
            histogram.observe(1.0)
            histogram.observe_many(np.ones(1000))
            done.release()
            go_on.acquire()

    thread = threading.Thread(target=work)
    thread.start()
    for round_number in range(1, 21):
        done.acquire()
        assert sealed(recorder, contents).samples == 1001 * round_number
        go_on.release()
    thread.join()


def test_seal_beside_bulk_calls_of_other_threads(start: Callable[..., Recorder]) -> None:
    recorder = start()
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    values = np.ones(100_000)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            histogram.observe_many(values)

    thread = threading.Thread(target=work)
    thread.start()
    contents = Contents()
    try:
        for _ in range(30):
            observed = recorder.observed
            assert recorder.seal(5_000)
            assert take_all(recorder, contents).samples >= observed - recorder.dropped_ring
    finally:
        over.set()
        thread.join()
    sealed(recorder, contents)


def test_batches_come_by_themselves(start: Callable[..., Recorder]) -> None:
    recorder = start()
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    histogram.observe(1.0)
    batch = recorder.take(5_000)
    assert batch is not None
    assert batch.samples == 1


def test_losses_come_in_a_batch_of_their_own(start: Callable[..., Recorder]) -> None:
    recorder = start()
    recorder.reject(3)
    batch = recorder.take(5_000)
    assert (batch.samples, batch.rejected_value, batch.observed) == (0, 3, 3)
    assert recorder.take(0) is None


def test_take_waits_and_can_be_woken(start: Callable[..., Recorder]) -> None:
    recorder = start()
    began = time.monotonic()
    assert recorder.take(30) is None
    assert time.monotonic() - began >= 0.03
    for wake in (recorder.wake, lambda: recorder.seal(100)):
        began = time.monotonic()
        timer = threading.Timer(0.02, wake)
        timer.start()
        assert recorder.take(20_000) is None
        assert time.monotonic() - began < 10
        timer.join()


def test_two_recorders_in_the_same_threads_do_not_mix(start: Callable[..., Recorder]) -> None:
    recorders = [start() for _ in range(8)]
    histograms = [recorder.histogram(recorder.define(HISTOGRAM_KIND)) for recorder in recorders]

    def work() -> None:
        for _ in range(300):
            for number, histogram in enumerate(histograms):
                histogram.observe(number)

    run_threads([work] * 3)
    for number, recorder in enumerate(recorders):
        hist = sealed(recorder).histogram(0)
        assert (hist.count, hist.min, hist.max) == (900, number, number)


def test_a_gauge_is_sampled_by_itself(start: Callable[..., Recorder]) -> None:
    recorder = start()
    gauge = recorder.gauge(recorder.define(3))
    gauge.set(2.5)
    batch = recorder.take(5_000)
    contents = Contents()
    contents.add(batch)
    assert contents.gauges == {gauge.series: [2.5]}


def observe_thousand(histogram: Histogram) -> None:
    for _ in range(1000):
        histogram.observe(1.0)


def test_many_idle_threads_leave_room_for_the_busy(start: Callable[..., Recorder]) -> None:
    """More threads than chunks: each has chunks of its own, and can go on for ever."""
    recorder = start(ring_bytes=3 * CHUNK_BYTES, batch_interval_ms=5)
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    contents = Contents()
    leave = threading.Event()
    turn = threading.Barrier(13)

    def work() -> None:
        for _ in range(6):
            turn.wait()
            observe_thousand(histogram)
            turn.wait()
        leave.wait()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        turn.wait()
        turn.wait()
        sealed(recorder, contents)
    leave.set()
    for thread in threads:
        thread.join()
    assert (contents.samples, recorder.dropped_ring) == (12 * 6 * 1000, 0)

"""A recorder's life: slots, stop and start, fork, garbage, and the end of threads and of the interpreter."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from ring_lab import COUNTER_KIND, GAUGE_KIND, HISTOGRAM_KIND, sealed, take_all

from obsagent._native.ring import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(0)
    made.start()
    yield made
    made.stop()


def in_child(work: Callable[[], None]) -> None:
    """Runs `work` in a forked child; what it raises fails the test here."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    for _ in range(200):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("gcc 12's AddressSanitizer loses its allocator in a child if a thread allocates during the fork")
    pytest.fail("the child hangs")


def run_python(program: str) -> None:
    """A new interpreter must run the program to its end and exit with 0."""
    program = "import threading, time, os, sys\nfrom obsagent._native.ring import Recorder\n" + program
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]  # fork beside a thread
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_slot_has_one_recorder_at_a_time(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="slot 0 belongs to another recorder"):
        Recorder(0)
    recorder.stop()
    other = Recorder(0)
    with pytest.raises(ValueError, match="belongs"):
        recorder.start()
    del other
    recorder.start()


def test_stop_delivers_and_then_counts_as_dropped(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    histogram.observe(1.0)
    histogram.observe_many([1.0] * 500)
    recorder.stop()
    recorder.stop()
    contents = take_all(recorder)
    assert contents.samples == 501
    histogram.observe(1.0)
    histogram.observe_many([1.0] * 500)
    assert (recorder.observed, recorder.dropped_ring) == (1002, 501)
    assert take_all(recorder, contents).samples == 501


def test_start_after_stop_goes_on(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    contents = sealed(recorder)
    for round_number in range(1, 5):
        histogram.observe(1.0)
        recorder.stop()
        take_all(recorder, contents)
        assert contents.samples == round_number
        recorder.start()
    with pytest.raises(RuntimeError):
        recorder.start()


def test_another_recorder_takes_over_a_slot_in_running_threads(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    first, second = threading.Event(), threading.Event()
    others = []

    def work() -> None:
        histogram.observe(1.0)
        first.set()
        second.wait()
        others[0].observe(2.0)
        histogram.observe(3.0)  # dropped: it has no slot any more

    thread = threading.Thread(target=work)
    thread.start()
    first.wait()
    recorder.stop()
    other = Recorder(0)
    others.append(other.histogram(other.define(HISTOGRAM_KIND)))
    second.set()
    thread.join()
    assert sealed(other).histogram(0).sum == 2.0
    assert take_all(recorder).histogram(0).sum == 1.0
    assert recorder.dropped_ring == 1
    other.stop()


def test_the_first_sample_is_announced_once() -> None:
    for kind in (HISTOGRAM_KIND, COUNTER_KIND, GAUGE_KIND):
        calls = []
        recorder = Recorder(3, on_first_sample=lambda calls=calls: calls.append(1) or 1 / 0)
        number = recorder.define(kind)
        if kind == HISTOGRAM_KIND:
            record = recorder.histogram(number).observe
        else:
            record = recorder.counter(number).inc if kind == COUNTER_KIND else recorder.gauge(number).set
        assert calls == []
        threads = [threading.Thread(target=record, args=(1.0,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert calls == [1]
        recorder.stop()


def test_the_first_sample_may_start_the_recorder() -> None:
    def begin() -> None:
        recorder.start()

    recorder = Recorder(3, on_first_sample=begin)
    recorder.histogram(recorder.define(HISTOGRAM_KIND)).observe(1.0)
    assert recorder.take(5_000).samples == 1
    recorder.stop()


def test_a_forked_child_begins_anew(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    counter = recorder.counter(recorder.define(COUNTER_KIND))
    gauge = recorder.gauge(recorder.define(GAUGE_KIND))
    with_function = recorder.gauge(recorder.define(GAUGE_KIND))
    with_function.set_function(lambda: 7)
    histogram.observe(1.0)
    gauge.set(3)
    recorder.reject()

    def child() -> None:
        recorder.abandon()
        assert (recorder.observed, recorder.dropped_ring, recorder.rejected_value) == (0, 0, 0)
        histogram.observe(10.0)
        histogram.observe_many([10.0] * 1000)
        counter.inc(5)
        time.sleep(0.05)
        assert recorder.take(0) is None  # not started: samples wait
        recorder.start()
        recorder.sample_functions()
        contents = sealed(recorder)
        assert (contents.histogram(0).count, contents.histogram(0).min) == (1001, 10.0)
        assert contents.sums == {counter.series: 5.0}
        assert contents.gauges == {with_function.series: [7.0]}
        threads = [threading.Thread(target=histogram.observe, args=(1.0,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.define(HISTOGRAM_KIND) == 4
        recorder.stop()
        assert take_all(recorder, contents).histogram(0).count == 1004

    in_child(child)
    contents = sealed(recorder)
    assert contents.histogram(0).sum == 1.0
    assert contents.gauges[gauge.series] == [3.0]


def test_a_fork_at_any_moment_leaves_the_child_usable(recorder: Recorder) -> None:
    """Other threads are in the middle of everything, and so may be the drain, with its locks held."""
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    over = threading.Event()

    def load() -> None:
        values = [1.0] * 3000
        while not over.is_set():
            histogram.observe(1.0)
            histogram.observe_many(values)
            recorder.define(HISTOGRAM_KIND)
            recorder.seal(0)

    def child() -> None:
        recorder.abandon()
        recorder.start()
        histogram.observe(2.0)
        assert sealed(recorder).histogram(0).sum == 2.0
        recorder.stop()

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            in_child(child)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_grandchildren(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))

    def grandchild() -> None:
        recorder.abandon()
        histogram.observe(3.0)
        assert sealed(recorder).histogram(0).sum == 3.0

    def child() -> None:
        recorder.abandon()
        histogram.observe(2.0)
        in_child(grandchild)
        assert sealed(recorder).histogram(0).sum == 2.0

    in_child(child)


def test_a_stopped_recorder_is_fresh_in_the_child(recorder: Recorder) -> None:
    histogram = recorder.histogram(recorder.define(HISTOGRAM_KIND))
    recorder.stop()

    def child() -> None:
        recorder.abandon()
        histogram.observe(2.0)
        assert sealed(recorder).histogram(0).sum == 2.0

    in_child(child)


def test_a_child_that_does_not_abandon_can_end() -> None:
    run_python("""
recorder = Recorder(0); histogram = recorder.histogram(recorder.define(1)); recorder.start(); histogram.observe(1.0)
if os.fork() == 0:
    recorder.stop()
    del recorder, histogram
    sys.exit(0)
assert os.wait()[1] == 0
""")


def test_a_recorder_dropped_while_it_runs_frees_its_slot() -> None:
    for _ in range(20):
        recorder = Recorder(0)
        recorder.start()
        recorder.histogram(recorder.define(HISTOGRAM_KIND)).observe(1.0)
        del recorder
        gc.collect()


def test_a_recorder_in_a_cycle_is_collected() -> None:
    class Client:
        def __init__(self) -> None:
            self.recorder = Recorder(0, on_first_sample=self.begin)
            self.gauge = self.recorder.gauge(self.recorder.define(GAUGE_KIND))
            self.gauge.set_function(self.begin)
            self.gauge.set(1)

        def begin(self) -> float:
            self.recorder.start()
            return 1.0

    for _ in range(3):
        Client()
        gc.collect()


def test_threads_may_outlive_their_recorder() -> None:
    first, second = threading.Event(), threading.Event()

    def work(histograms: list) -> None:
        histograms.pop().observe(1.0)
        first.set()
        second.wait()

    recorder = Recorder(0)
    recorder.start()
    thread = threading.Thread(target=work, args=([recorder.histogram(recorder.define(HISTOGRAM_KIND))],))
    thread.start()
    first.wait()
    del recorder
    second.set()
    thread.join()
    again = Recorder(0)
    again.histogram(again.define(HISTOGRAM_KIND)).observe(1.0)
    assert sealed(again).samples == 1


def test_the_interpreter_may_end_at_any_time() -> None:
    run_python("""
recorder = Recorder(0, batch_interval_ms=1)
histogram = recorder.histogram(recorder.define(1))
recorder.start()
def work():
    while True:
        histogram.observe(1.0)
        histogram.observe_many([1.0] * 20000)
        with histogram.time(): pass
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
threading.Thread(target=lambda: [recorder.take(1000) for _ in iter(int, 1)], daemon=True).start()
time.sleep(0.2)
""")


def test_an_idle_recorder_is_small() -> None:
    """Resident memory of a started recorder with a few series that several threads have used a little."""
    run_python("""
import gc
def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
def work():
    histogram.observe(1.0)
    time.sleep(0.3)
before = resident_kib()
recorder = Recorder(0)
histogram = recorder.histogram(recorder.define(1))
recorder.start()
for _ in range(100):
    recorder.define(1)
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
time.sleep(0.1)
grown = resident_kib() - before
[thread.join() for thread in threads]
assert grown < 4096, grown
""")

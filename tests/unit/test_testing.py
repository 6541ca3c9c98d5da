"""`obsagent.testing`: what a test's clients record can be asked, and nothing of it is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

import obsagent
from obsagent.errors import InstrumentError, UsageError
from obsagent.limits import CLIENTS_PER_PROCESS, WINDOW_MS
from obsagent.record import clients
from obsagent.testing import Memory


def test_counters_histograms_and_gauges_can_be_asked(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop", version="3")
    requests = obs.counter("served", labels=["status"])
    requests.labels(status=200).inc()
    requests.labels(status=200).inc(2)
    requests.labels(status=500).inc()
    obs.histogram("step").observe_many([1.0, 2.0, 3.0, 4.0])
    obs.gauge("queue_depth").set(7)
    assert obsagent_memory.count("served") == 4
    assert obsagent_memory.count("served", status=200) == obsagent_memory.sum("served", status="200") == 3
    assert obsagent_memory.count("served", status="404") == 0
    assert (obsagent_memory.count("step"), obsagent_memory.sum("step")) == (4, 10.0)
    assert obsagent_memory.quantile("step", 0.5) == pytest.approx(2.0, rel=0.006)
    assert obsagent_memory.quantile("step", 1.0, service="shop", version="3") == 4.0
    assert obsagent_memory.quantile("step", 0.5, service="bank") is None
    assert obsagent_memory.last("queue_depth") == 7


def test_what_is_asked_twice_is_counted_once_and_what_comes_later_is_added(obsagent_memory: Memory) -> None:
    step = obsagent.connect(service="shop").histogram("step")
    step.observe(1.0)
    assert obsagent_memory.count("step") == obsagent_memory.count("step") == 1
    step.observe(2.0)
    assert obsagent_memory.count("step") == 2


def test_gauges_of_several_workers_are_combined(obsagent_memory: Memory) -> None:
    for version, depth in [("1", 3), ("2", 5)]:
        obs = obsagent.connect(service="shop", endpoint=f"ipc:///tmp/{version}.sock")
        obs.gauge("depth", across="sum").set(depth)
        obs.gauge("largest", across="max").set_function(lambda depth=depth: depth)
    assert obsagent_memory.last("depth") == 8
    assert obsagent_memory.last("largest") == 5
    assert obsagent_memory.last("depth", worker=1) == 5


def test_a_gauge_that_was_never_set_has_no_value(obsagent_memory: Memory) -> None:
    obsagent.connect(service="shop").gauge("depth")
    assert obsagent_memory.last("depth") is None


def test_events_are_kept_with_the_time_of_the_clock(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop", version="3")
    obs.event("deploy", version=4)
    obsagent_memory.clock.advance(60)
    obs.event("deploy", version=5)
    obs.event("reload")
    first, second = obsagent_memory.events("deploy")
    assert (first.labels["version"], second.labels["version"]) == ("4", "5")
    assert second.at_ms - first.at_ms == 60_000
    assert second.at_ms == obsagent_memory.clock.wall_ms()
    assert [event.name for event in obsagent_memory.events(version="3")] == ["reload"]
    assert len(obsagent_memory.events()) == 3


def test_the_query_language_answers_as_an_agent_does(obsagent_memory: Memory) -> None:
    step = obsagent.connect(service="shop").histogram("step", unit="seconds", labels=["kind"])
    step.labels(kind="slow").observe_many([2.0] * 30)
    step.labels(kind="quick").observe(0.5)
    result = obsagent_memory.query("p99,count step by kind")
    assert [(row.labels["kind"], row["count"]) for row in result] == [("quick", 1), ("slow", 30)]
    assert result[1]["p99"] == pytest.approx(2.0, rel=0.006)
    assert "500 ms" in str(result)
    with pytest.raises(UsageError, match="since"):
        obsagent_memory.query("p99 step since")


def test_the_clock_drives_windows_and_the_now_of_queries(obsagent_memory: Memory) -> None:
    clock = obsagent_memory.clock
    assert clock.wall_ms() % WINDOW_MS == 0
    began = clock.now()
    step = obsagent.connect(service="shop").histogram("step")
    for _ in range(3):
        step.observe(1.0)
        clock.advance(60)
    step.observe(1.0)
    assert clock.now() - began == timedelta(minutes=3)
    for since, count in [("5s", 1), ("1m", 2), ("2m", 3), ("10m", 4)]:
        assert obsagent_memory.query(f"count step since {since}")[0]["count"] == count
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_samples_two_hours_apart_are_all_taken(obsagent_memory: Memory) -> None:
    step = obsagent.connect(service="shop").histogram("step")
    for _ in range(3):
        step.observe(1.0)
        obsagent_memory.clock.advance(3 * 3600)
    assert obsagent_memory.count("step") == 3
    assert obsagent_memory.query("count step since 1d")[0]["count"] == 3


def test_threads_record_too(obsagent_memory: Memory) -> None:
    step = obsagent.connect(service="shop").histogram("step")

    def work() -> None:
        for _ in range(1000):
            step.observe(1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert obsagent_memory.count("step") == 4000


def test_a_wrong_metric_names_the_near_one(obsagent_memory: Memory) -> None:
    with pytest.raises(UsageError, match="no metric `step`; nothing has been recorded"):
        obsagent_memory.count("step")
    obsagent.connect(service="shop").histogram("latency_of_steps").observe(1.0)
    with pytest.raises(UsageError, match="did you mean `latency_of_steps`"):
        obsagent_memory.count("latnecy_of_steps")
    with pytest.raises(UsageError, match="there are latency_of_steps"):
        obsagent_memory.count("quite_another")


def test_a_wrong_label_names_those_that_there_are(obsagent_memory: Memory) -> None:
    obsagent.connect(service="shop").counter("served", labels=["status"]).labels(status=200).inc()
    with pytest.raises(UsageError, match="no label `state`; it has host, service, status and worker"):
        obsagent_memory.count("served", state="200")


def test_what_a_kind_does_not_answer_is_refused(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    obs.counter("served").inc()
    obs.gauge("depth").set(1)
    obs.histogram("step").observe(1)
    with pytest.raises(UsageError, match="is a counter and has no distribution"):
        obsagent_memory.quantile("served", 0.5)
    with pytest.raises(UsageError, match="is a gauge and has no sum"):
        obsagent_memory.sum("depth")
    with pytest.raises(UsageError, match="is a histogram and has no last value"):
        obsagent_memory.last("step")


def test_flush_says_that_everything_has_arrived(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    obs.histogram("step").observe_many([1.0] * 100)
    obs.histogram("step").observe("no number")
    obs.event("deploy")
    result = obs.flush()
    assert result == (100, 0, 0, 1, 0, 0, 0, 0)
    result.raise_if_pending()


def test_a_closed_client_can_connect_again(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    step = obs.histogram("step")
    step.observe(1.0)
    assert obs.close() == (1, 0, 0, 0, 0, 0, 0, 0)
    step.observe(1.0)
    assert obsagent_memory.count("step") == 1
    assert obsagent.connect(service="shop") is obs
    step.observe(1.0)
    assert obs.flush().acknowledged == 1
    assert obsagent_memory.count("step") == 2


def test_the_same_arguments_give_the_same_client(obsagent_memory: Memory) -> None:
    assert obsagent.connect(service="a") is obsagent.connect(service="a")
    assert obsagent.connect(service="a") is not obsagent.connect(service="b")


def test_a_program_that_is_disabled_is_recorded_all_the_same(
    obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    obsagent.connect(service="shop").counter("served").inc()
    assert obsagent_memory.count("served") == 1


def open_now() -> list[int]:
    """How many threads and descriptors this process has."""
    return [len(list(Path("/proc/self", each).iterdir())) for each in ("task", "fd")]


def test_there_is_no_thread_and_no_socket(obsagent_memory: Memory) -> None:
    before = open_now()
    obs = obsagent.connect(service="shop")
    obs.counter("served").inc()
    obs.flush()
    assert obsagent_memory.count("served") == 1
    assert open_now() == before


def test_near_unique_labels_are_refused_as_in_production(
    obsagent_memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    obs = obsagent.connect(service="shop")
    for number in range(500):
        with obs.request(f"/orders/{number}"):
            pass
        with obs.request("/health"):
            pass
    assert obsagent_memory.count("requests") == obsagent_memory.count("latency") == 1_000
    assert obsagent_memory.count("requests", endpoint="/health") == 500
    assert obsagent_memory.count("latency", overflow="true") == 301
    assert obsagent_memory.last("in_flight") == 0
    assert len(caplog.records) == 1


def test_a_session_that_begins_again_refuses_the_same_and_counts_anew(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    served = obs.counter("served", labels=["id"])
    for session in range(2):
        for number in range(session * 500, session * 500 + 500):
            served.labels(id=f"order/{number:016}").inc()
        (row,) = obs.refused_labels.rows()
        assert row.refused == (500 if session else 300)
        obs.close()
        obs = obsagent.connect(service="shop")
    assert obs.refused_labels.rows() == []
    assert obsagent_memory.count("served") == 1_000


def test_a_fork_ends_and_its_samples_are_its_own(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    step = obs.histogram("step")
    step.observe(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests have left threads
        child = os.fork()
    if child == 0:
        step.observe_many([1.0, 1.0])
        os._exit(0 if obs.flush().acknowledged == 2 and obsagent_memory.count("step") == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert obsagent_memory.count("step") == 1


def test_a_memory_in_a_memory_has_its_own_clients() -> None:
    with Memory() as outer:
        before = obsagent.connect(service="shop")
        before.counter("served").inc()
        with Memory() as inner:
            obsagent.connect(service="shop").counter("served").inc(10)
            before.counter("served").inc()
            assert inner.count("served") == 10
        assert obsagent.connect(service="shop") is before
        assert outer.count("served") == 2


def test_clients_from_before_are_left_alone_and_everything_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_clients", {})
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    before = obsagent.connect(service="shop")
    table, make = clients._clients, clients._make_client
    for _ in range(2 * CLIENTS_PER_PROCESS):
        with Memory() as memory:
            during = obsagent.connect(service="shop")
            assert during is not before
            step = during.histogram("step")
            step.observe(1.0)
            assert memory.count("step") == 1
        step.observe(1.0)
        assert memory.count("step") == 1
    assert (clients._clients, clients._make_client) == (table, make)
    assert obsagent.connect(service="shop") is before


def test_more_clients_than_a_process_may_have_are_refused(obsagent_memory: Memory) -> None:
    def connect_many() -> None:
        for number in range(CLIENTS_PER_PROCESS + 1):
            obsagent.connect(service=str(number))

    with pytest.raises(InstrumentError, match=f"{CLIENTS_PER_PROCESS} clients already"):
        connect_many()


def test_pytest_starts_without_obsagent_and_finds_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(
        """
import sys

def test_the_plugin_alone_loads_nothing_of_obsagent():
    assert {name for name in sys.modules if name.startswith("obsagent.")} == {"obsagent.testing"}

def test_the_fixture(obsagent_memory):
    import obsagent
    obsagent.connect(service="shop").counter("served").inc()
    assert obsagent_memory.count("served") == 1
    assert "zmq" not in sys.modules
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "obsagent.testing", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout

"""How model servers live: short jobs, threads, asyncio, every way to fork, agents that come late or again."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.programs import run_file, run_program


def count(agent: RunningAgent, metric: str) -> int:
    series = agent.query(f"count {metric} since 1h")["series"]
    return series[0]["values"]["count"] if series else 0


def test_a_job_of_fifty_milliseconds_loses_nothing(agent: RunningAgent) -> None:
    run_program(
        """
        import obsagent
        job = obsagent.connect(service="job")
        for value in range(100):
            job.histogram("step").observe(value)
        job.counter("done").inc()
        job.gauge("level").set(3)
        """
    )
    assert count(agent, "step") == 100
    assert agent.query("sum done")["series"][0]["values"]["sum"] == 1
    assert agent.query("last level since 1h by worker")["series"][0]["values"]["last"] == 3


def test_threads_and_coroutines_are_all_counted(agent: RunningAgent) -> None:
    out = run_program(
        """
        import asyncio, threading, obsagent
        client = obsagent.connect(service="many")
        step = client.histogram("step", labels=["kind"])

        def work():
            bound = step.labels(kind="thread")
            for value in range(10_000):
                bound.observe(value)

        @client.timed("coroutine_duration")
        async def coroutine():
            await asyncio.sleep(0)
            step.labels(kind="coroutine").observe(1)

        async def main():
            await asyncio.gather(*(coroutine() for _ in range(500)))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        asyncio.run(main())
        for thread in threads: thread.join()
        print(client.flush(10))
        """
    )
    assert "pending=0, dropped=0, rejected=0, pending_events=0, dropped_events=0" in out
    answer = agent.query("count step since 1h by kind")["series"]
    assert [(row["labels"]["kind"], row["values"]["count"]) for row in answer] == [
        ("coroutine", 500),
        ("thread", 80_000),
    ]
    assert count(agent, "coroutine_duration") == 500


FORKING = """
    import os, sys, multiprocessing, obsagent
    client = obsagent.connect(service="forked")
    step = client.histogram("step")

    def child(amount):
        inside = obsagent.connect(service="forked")
        bound = inside.histogram("step")
        for _ in range(amount):
            bound.observe(1.0)

    if __name__ == "__main__":
        step.observe(1.0)
        way = sys.argv[1]
        if way == "os.fork":
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    step.observe_many([1.0] * 1000)
                    client.flush(10).raise_if_pending()
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
        else:
            context = multiprocessing.get_context(way)
            children = [context.Process(target=child, args=(1000,)) for _ in range(3)]
            for each in children: each.start()
            for each in children: each.join()
            assert [each.exitcode for each in children] == [0, 0, 0]
        step.observe(1.0)
"""


FORKING_EARLY = """
    import os, sys, time, obsagent

    class Slow:  # as the import of a large package is on a busy machine
        def find_spec(self, name, path=None, target=None):
            if name == "zmq.utils.z85":
                print("loading", flush=True)
                time.sleep(0.5)

    sys.meta_path.insert(0, Slow())
    client = obsagent.connect(service="early")
    step = client.histogram("step")
    while "zmq" not in sys.modules:
        time.sleep(0.001)
    pid = os.fork()
    step.observe(1.0)
    client.flush(10).raise_if_pending()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_fork_while_the_socket_is_loaded_leaves_the_child_a_whole_one(agent: RunningAgent, tmp_path: Path) -> None:
    program = tmp_path / "early.py"
    program.write_text(textwrap.dedent(FORKING_EARLY))
    assert "loading" in run_file(program)
    assert count(agent, "step") == 2


@pytest.mark.parametrize("way", ["os.fork", "fork", "spawn", "forkserver"])
def test_every_way_to_fork(agent: RunningAgent, way: str, tmp_path: Path) -> None:
    program = tmp_path / "forking.py"
    program.write_text(textwrap.dedent(FORKING))
    run_file(program, way)
    assert count(agent, "step") == 3002
    sessions = {session["pid"] for session in agent.status()["sessions"] if session["service"] == "forked"}
    assert len(sessions) == 4


def test_an_absent_agent_costs_at_most_two_seconds(stopped_agent: RunningAgent) -> None:
    began = time.monotonic()
    out = run_program(
        """
        import time, obsagent
        client = obsagent.connect(service="alone")
        step = client.histogram("step")
        began = time.monotonic()
        for _ in range(100_000):
            step.observe(0.5)
        print(time.monotonic() - began < 2, client.flush(0.1).pending)
        """
    )
    assert out.split() == ["True", "100000"]
    assert time.monotonic() - began < 6


def test_an_agent_that_comes_late_gets_everything(stopped_agent: RunningAgent) -> None:
    client = obsagent.connect(service="early")
    step = client.histogram("step")
    step.observe_many([1.0] * 5000)
    assert client.flush(0.3).pending == 5000
    stopped_agent.start()
    assert client.flush(10) == (5000, 0, 0, 0, 0, 0, 0, 0)
    assert count(stopped_agent, "step") == 5000
    client.close()


def test_a_restarted_agent_gets_what_was_observed_meanwhile(agent: RunningAgent) -> None:
    client = obsagent.connect(service="steady")
    step = client.histogram("step")
    step.observe_many([1.0] * 100)
    assert client.flush(10).pending == 0
    assert agent.stop() == 0
    step.observe_many([1.0] * 100)
    agent.start()
    assert client.flush(10) == (200, 0, 0, 0, 0, 0, 0, 0)
    agent.kill()
    step.observe_many([1.0] * 100)
    agent.start()
    assert client.flush(10) == (300, 0, 0, 0, 0, 0, 0, 0)
    assert count(agent, "step") == 300
    client.close()


def test_samples_that_come_while_a_flush_ends_are_not_its_own(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a gauge's are, which is sampled at any moment."""
    client = obsagent.connect(service="meanwhile")
    hits = client.counter("hits")
    hits.inc()
    client._start()
    assert client._sender is not None
    settled = client._sender.wait_settled

    def and_then(*arguments: Any) -> None:
        settled(*arguments)
        hits.inc()

    monkeypatch.setattr(client._sender, "wait_settled", and_then)
    client.flush(10).raise_if_pending()
    assert client.flush(10).acknowledged == 2
    client.close()


def test_a_closed_client_can_connect_again(agent: RunningAgent) -> None:
    client = obsagent.connect(service="again")
    client.histogram("step").observe(1)
    assert client.close().pending == 0
    same = obsagent.connect(service="again")
    assert same is client
    same.histogram("step").observe(2)
    assert same.flush(10) == (1, 0, 0, 0, 0, 0, 0, 0)
    assert count(agent, "step") == 2
    client.close()


def test_requests_feed_the_built_ins(agent: RunningAgent) -> None:
    client = obsagent.connect(service="web")
    for number in range(20):
        try:
            with client.request("/score", queued_at=time.time() - 0.5) as request:
                if number == 0:
                    raise ValueError("broken")
                request.status = 503 if number == 1 else 200
        except ValueError:
            pass
    assert client.flush(10).pending == 0
    assert count(agent, "latency") == 20
    assert agent.query("p50 queue_delay since 1h")["series"][0]["values"]["p50"] == pytest.approx(0.5, rel=0.1)
    rows = agent.query("sum requests since 1h by endpoint,status")["series"]
    assert [(row["labels"]["status"], row["values"]["sum"]) for row in rows] == [("200", 18), ("500", 1), ("503", 1)]
    assert agent.query("sum errors since 1h")["series"][0]["values"]["sum"] == 2
    client.close()


def test_gauges_combine_over_workers(agent: RunningAgent) -> None:
    program = """
        import sys, time, obsagent
        client = obsagent.connect(service="pool")
        client.gauge("depth", across="sum").set(float(sys.argv[1]))
        client.gauge("largest", across="max").set_function(lambda: float(sys.argv[1]))
        client.flush(10).raise_if_pending()
        print("set", flush=True)
        sys.stdin.readline()
        """
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for value in (3, 5)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"set\n"
    deadline = time.monotonic() + 15
    wanted = (8.0, 5.0, [3.0, 5.0])
    seen = None
    while seen != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
        depth = agent.query("last depth since 1h")["series"]
        largest = agent.query("last largest since 1h")["series"]
        by_worker = agent.query("last depth by worker since 1h")["series"]
        if depth and largest:
            each = sorted(row["values"]["last"] for row in by_worker)
            seen = (depth[0]["values"]["last"], largest[0]["values"]["last"], each)
    for worker in workers:
        worker.communicate(b"\n", timeout=20)
    assert seen == wanted

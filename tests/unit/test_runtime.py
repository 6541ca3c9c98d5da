"""Python itself, watched: collections of garbage, threads, and how late event loops are."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator

import pytest

import obsagent
from obsagent.errors import InstrumentError, UsageError
from obsagent.record.client import Client
from obsagent.testing import Memory


@pytest.fixture
def obs(obsagent_memory: Memory) -> Iterator[Client]:
    gc.disable()  # only those that the test asks for
    try:
        yield obsagent.connect(service="shop", runtime_metrics=True)
    finally:
        gc.enable()


class Slow:
    """Garbage that takes a second to collect."""

    def __init__(self, memory: Memory) -> None:
        self.itself, self.memory = self, memory

    def __del__(self) -> None:
        self.memory.clock.advance(1)


# ---- Garbage


def test_a_collection_is_timed_and_counted_by_generation(obs: Client, obsagent_memory: Memory) -> None:
    gc.collect()
    before = obsagent_memory.count("python_gc_collections", generation=2)
    Slow(obsagent_memory)
    gc.collect(2)
    gc.collect(0)
    assert obsagent_memory.count("python_gc_collections", generation=2) - before == 1
    assert obsagent_memory.count("python_gc_pause", generation=2) - before == 1
    assert obsagent_memory.quantile("python_gc_pause", 1.0, generation=2) == 1.0
    assert obsagent_memory.count("python_gc_collections", generation=0) == 1
    assert obsagent_memory.sum("python_gc_pause", generation=0) == 0.0
    assert obsagent_memory.sum("python_gc_collected_objects", generation=2) >= 1
    assert obsagent_memory.sum("python_gc_uncollectable_objects") == 0


def test_a_closed_client_watches_no_longer(obs: Client, obsagent_memory: Memory) -> None:
    hooks = len(gc.callbacks)
    gc.collect()
    obs.close()
    assert len(gc.callbacks) == hooks - 1
    gc.collect()
    assert obsagent_memory.count("python_gc_pause") == 1


def test_threads_are_counted(obs: Client, obsagent_memory: Memory) -> None:
    release = threading.Event()
    threads = [threading.Thread(target=release.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    obs.flush()
    during = obsagent_memory.last("python_threads")
    release.set()
    for thread in threads:
        thread.join()
    obs.flush()
    assert during == threading.active_count() + 5
    assert obsagent_memory.last("python_threads") == threading.active_count()
    assert obsagent_memory.last("python_info", implementation=sys.implementation.name) == 1


# ---- Who is watched


def test_nothing_is_watched_unless_asked_for(obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = len(gc.callbacks)
    monkeypatch.delenv("OBSAGENT_RUNTIME_METRICS", raising=False)
    obs = obsagent.connect(service="shop")
    assert len(gc.callbacks) == hooks
    obs.watch_runtime()
    obs.watch_runtime()
    assert len(gc.callbacks) == hooks + 1
    assert obsagent.connect(service="shop", runtime_metrics=False) is obs
    assert len(gc.callbacks) == hooks
    obs.watch_runtime()
    assert len(gc.callbacks) == hooks


@pytest.mark.parametrize(("text", "is_watched"), [("1", True), ("0", False), ("off", False), ("", None)])
def test_the_environment_decides_where_the_program_does_not(
    obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch, text: str, is_watched: bool | None
) -> None:
    monkeypatch.setenv("OBSAGENT_RUNTIME_METRICS", text)
    hooks = len(gc.callbacks)
    obs = obsagent.connect(service="shop")
    assert len(gc.callbacks) == hooks + (is_watched is True)
    obs.watch_runtime()
    assert len(gc.callbacks) == hooks + (is_watched is not False)
    assert obsagent.connect(service="other", runtime_metrics=True) is not obs
    assert len(gc.callbacks) == hooks + 1 + (is_watched is not False)


def test_a_disabled_client_watches_nothing() -> None:
    program = (
        "import asyncio, gc, obsagent\n"
        "obs = obsagent.connect(service='shop', runtime_metrics=True)\n"
        "async def main(): obs.watch_loop()\n"
        "asyncio.run(main())\n"
        "assert not gc.callbacks\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "OBSAGENT_DISABLED": "1"}, check=True)


def test_connecting_loads_no_event_loop() -> None:
    program = (
        "import sys, obsagent\n"
        "obsagent.connect(service='shop', endpoint='ipc:///nonexistent/ingest.sock', runtime_metrics=True)\n"
        "print('asyncio' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_forked_child_is_watched_itself_and_silent_until_it_records(obs: Client, obsagent_memory: Memory) -> None:
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests have left threads
        child = os.fork()
    if child == 0:
        gc.collect()
        is_silent = obs._sender is None
        obs.flush()
        os._exit(0 if is_silent and obsagent_memory.count("python_gc_pause") == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert obsagent_memory.count("python_gc_pause") == 1


def test_built_in_names_are_refused(obs: Client) -> None:
    with pytest.raises(InstrumentError, match=r"client.watch_runtime\(\)"):
        obs.histogram("event_loop_lag")


# ---- Event loops


async def until_seen(memory: Memory, observations: int) -> None:
    deadline = time.monotonic() + 60
    while memory.count("event_loop_lag") < observations:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_loop_that_is_blocked_is_late(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")

    async def main() -> None:
        obs.watch_loop()
        obs.watch_loop()
        await until_seen(obsagent_memory, 1)
        obsagent_memory.clock.advance(2)
        await until_seen(obsagent_memory, 3)

    asyncio.run(main())
    assert obsagent_memory.quantile("event_loop_lag", 1.0) == 2.0
    assert obsagent_memory.sum("event_loop_lag") == 2.0
    assert obsagent_memory.last("python_threads") is not None


def test_to_watch_the_runtime_in_a_coroutine_watches_its_loop(obsagent_memory: Memory) -> None:
    async def main() -> None:
        obsagent.connect(service="shop", runtime_metrics=True)
        await until_seen(obsagent_memory, 2)

    asyncio.run(main())


def test_a_loop_of_another_thread_is_watched(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    loop = asyncio.new_event_loop()
    obs.watch_loop(loop)  # before it runs, too
    loop.run_until_complete(until_seen(obsagent_memory, 2))
    loop.close()


def test_a_watched_loop_ends_and_is_let_go_of(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")

    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        obs.watch_loop()
        assert len(asyncio.all_tasks()) == 1
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(main())
    gc.collect()
    assert loop() is None


def test_a_closed_client_leaves_its_loops_alone(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")

    async def main() -> None:
        obs.watch_loop()
        await until_seen(obsagent_memory, 1)
        obs.close()
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + 30
        while any(not each.cancelled() for each in loop._scheduled if "LoopWatch" in repr(each)):  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_without_a_loop_it_says_so(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="shop")
    with pytest.raises(RuntimeError, match="call watch_loop\\(\\) in a coroutine"):
        obs.watch_loop()
    with pytest.raises(UsageError, match="no metric"):
        obsagent_memory.count("requests")

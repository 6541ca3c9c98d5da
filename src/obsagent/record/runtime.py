"""Python itself in the model's process: pauses of the garbage collector, threads, how late event loops are."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.limits import RUNTIME_PAUSES_KEPT
from obsagent.record.event_loops import LoopWatch
from obsagent.samples import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsagent._native.ring import Counter, Gauge, Histogram
    from obsagent.record.registry import Registry

GENERATIONS = ("0", "1", "2")


class Collection(NamedTuple):
    """One run of the garbage collector."""

    generation: int
    pause_s: float
    collected: int
    uncollectable: int


class RuntimeWatch:
    """Watches this process for one client, from `start` to `stop`.

    A collection may begin at any allocation, in any thread, below any lock: what the collector calls only keeps the
    numbers, in `_collections`, and `sample`, once a second and at a flush, observes them. So no thread gets a ring for
    having been interrupted, and a forked child that records nothing stays silent.
    """

    def __init__(
        self, registry: Registry, clock_s: Callable[[], float] | None = None, probe_interval_s: float | None = None
    ) -> None:
        """Defines the instruments. In tests `clock_s` stands still unless it is turned, also while a loop sleeps."""
        self._clock_s = clock_s or time.perf_counter
        self._collections: deque[Collection] = deque(maxlen=RUNTIME_PAUSES_KEPT)
        self._began_s: float | None = None
        self._is_started = False
        define = registry.define

        def counter(name: str, text: str) -> list[Counter]:
            family = define(Kind.COUNTER, name, text, "", ("generation",), built_in=True, is_judged=False)
            return [family.labels(generation=each) for each in GENERATIONS]

        pauses = define(
            Kind.HISTOGRAM,
            "python_gc_pause",
            "Time that a run of the garbage collector took",
            "seconds",
            ("generation",),
            built_in=True,
            is_judged=False,
        )
        self._pauses: list[Histogram] = [pauses.labels(generation=each) for each in GENERATIONS]
        self._runs = counter("python_gc_collections", "Runs of the garbage collector")
        self._collected = counter("python_gc_collected_objects", "Objects that the garbage collector freed")
        self._uncollectable = counter("python_gc_uncollectable_objects", "Objects that it found and could not free")
        self._threads = define(
            Kind.GAUGE, "python_threads", "Threads that Python knows of, obsagent's own included", "", (), built_in=True
        )
        infos = define(
            Kind.GAUGE,
            "python_info",
            "1 for each process, by the Python that runs it",
            "",
            ("implementation", "release"),
            built_in=True,
            is_judged=False,
        )
        release = ".".join(map(str, sys.version_info[:3]))
        self._info: Gauge = infos.labels(implementation=sys.implementation.name, release=release)
        lag = define(
            Kind.HISTOGRAM, "event_loop_lag", "How late an event loop came to a timer", "seconds", (), built_in=True
        )
        self.loops = LoopWatch(lag, clock_s, probe_interval_s)

    def start(self) -> None:
        """From now on the process is watched, and the loop that runs here, if any."""
        self.loops.watch_running()
        if self._is_started:
            return
        self._is_started = True
        self._threads.set_function(threading.active_count)
        self._info.set_function(lambda: 1.0)
        gc.callbacks.append(self._collector)

    def stop(self) -> None:
        """The process is watched no longer."""
        self.loops.stop()
        if self._is_started:
            self._is_started = False
            self._threads.set_function(None)
            self._info.set_function(None)
            gc.callbacks.remove(self._collector)

    def after_fork(self) -> None:
        """In the child: what was seen is the parent's; the child's own collections and threads follow."""
        self._collections.clear()
        self._began_s = None

    def sample(self) -> None:
        """Observes the collections since the last time. Two threads may do so at once."""
        while self._collections:
            try:
                collection = self._collections.popleft()
            except IndexError:  # the other thread was faster
                return
            generation = min(max(collection.generation, 0), len(GENERATIONS) - 1)
            self._pauses[generation].observe(collection.pause_s)
            self._runs[generation].inc()
            self._collected[generation].inc(collection.collected)
            self._uncollectable[generation].inc(collection.uncollectable)

    def _collector(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_s = self._clock_s()
        elif self._began_s is not None:
            pause_s = max(self._clock_s() - self._began_s, 0.0)
            self._began_s = None
            self._collections.append(Collection(info["generation"], pause_s, info["collected"], info["uncollectable"]))

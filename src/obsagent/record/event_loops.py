"""How late event loops are: whatever runs for long without `await` keeps every request of its loop waiting.

A timer on the loop, of which it is known when it should come, says so: it is set again each time it comes. It is no
task, which would have to be cancelled for the loop to end, and it dies with its loop.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from obsagent._native.ring import Histogram

PROBE_INTERVAL_S = 0.05
"""A loop that is blocked for T is seen to be late by T less at most this."""


class LoopWatch:
    """The watched loops of one client; it holds none of them."""

    def __init__(self, lag: Histogram, clock_s: Callable[[], float] | None, interval_s: float | None = None) -> None:
        """`lag` gets seconds. A clock that is not the loop's own stands still while the loop sleeps."""
        self._lag = lag
        self._clock_s = clock_s or time.perf_counter
        self._interval_s = PROBE_INTERVAL_S if interval_s is None else interval_s
        self._slept_s = self._interval_s if clock_s is None else 0.0
        self._loops: WeakSet[AbstractEventLoop] = WeakSet()
        self._round = 0

    def watch_running(self) -> None:
        """Watches the loop that runs here, if one does."""
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            self.watch()

    def watch(self, loop: AbstractEventLoop | None = None) -> None:
        """Watches a loop, also of another thread, or the running one; once. Raises `RuntimeError` if none runs."""
        import asyncio  # a program with a loop has it loaded

        running = asyncio._get_running_loop()
        chosen = loop or running
        if chosen is None:
            raise RuntimeError("no event loop runs here: call watch_loop() in a coroutine, or give it the loop")
        if chosen in self._loops:
            return
        self._loops.add(chosen)
        if chosen is running:
            self._set(chosen, self._round)
        else:
            chosen.call_soon_threadsafe(self._begin, self._round)

    def stop(self) -> None:
        """Lets all timers run out."""
        self._round += 1
        self._loops = WeakSet()

    def _begin(self, round_: int) -> None:
        import asyncio

        self._set(asyncio.get_running_loop(), round_)

    def _set(self, loop: AbstractEventLoop, round_: int) -> None:
        loop.call_later(self._interval_s, self._come, round_, self._clock_s())

    def _come(self, round_: int, set_s: float) -> None:
        if round_ != self._round:
            return
        self._lag.observe(max(self._clock_s() - set_s - self._slept_s, 0.0))
        self._begin(round_)

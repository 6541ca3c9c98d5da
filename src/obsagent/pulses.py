"""Which threads go on: each that must live has a pulse, and whoever looks sees whose has stopped.

    a thread      beats in each turn of its loop; around what may take longer it says what it is `at`
    the watcher   looks twice a second

A thread hangs that has not beaten for as long as it may. None hangs that waits for the disk, which the kernel says
(state D in /proc): a slow disk is not a fault of ours, and a restart would wait for it too. Nor does one that stopped
about when another began something long, as that may hold what it waits for: a lock, the interpreter. So whatever hangs
is found in the end, and nothing is that only takes its time.

After a time in which nobody looked (a machine that was asleep, a process that was stopped) all threads begin anew.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from obsagent.limits import LONG_WORK_S, PULSE_S

WATCHER_ASLEEP_S = 5.0
WAITS_FOR_DISK = "D"


class Work(NamedTuple):
    """What a thread is at: since when (monotonic), for how long it may be; nothing is its ordinary turn."""

    since_s: float
    may_take_s: float
    what: str = ""


class Pulse:
    """One thread's. Only that thread calls `beat` and `at`."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """It is not watched before `begin`."""
        self._now_s = now_s
        self.work: Work | None = None
        self.thread_id = 0
        self.native_id = 0

    def begin(self) -> None:
        """The thread is started now; any thread may say so."""
        self.work = Work(self._now_s(), PULSE_S)

    def beat(self) -> None:
        """Another turn begins."""
        if not self.native_id:
            self.thread_id, self.native_id = threading.get_ident(), threading.get_native_id()
        if self.work is not None:
            self.work = Work(self._now_s(), PULSE_S)

    def still(self) -> None:
        """It is at what it was at, and has come further."""
        if self.work is not None:
            self.work = self.work._replace(since_s=self._now_s())

    @contextmanager
    def at(self, what: str) -> Iterator[None]:
        """Within it the thread does something that may take long."""
        if self.work is not None:
            self.work = Work(self._now_s(), LONG_WORK_S, what)
        try:
            yield
        finally:
            self.beat()


class Silence(NamedTuple):
    """A thread that has not beaten for long. With `is_disk` that is the disk's fault, else it hangs."""

    thread: str
    lasts_s: float
    what: str
    is_disk: bool


class Pulses:
    """Watches threads by their names; `look` belongs to one thread, `found` is for all."""

    def __init__(
        self,
        pulses: Mapping[str, Pulse],
        now_s: Callable[[], float] = time.monotonic,
        state_of: Callable[[int], str] | None = None,
    ) -> None:
        """`state_of` says how a thread of this process is, by its native id, as `/proc/PID/stat` does."""
        self._pulses = dict(pulses)
        self._now_s = now_s
        self._state_of = state_of or thread_state
        self._looked_s = self._awake_s = now_s()
        self.found: list[Silence] = []
        """What the last look has found, longest first."""

    def look(self) -> list[Silence]:
        """Those that hang now, or that the disk keeps waiting."""
        now_s = self._now_s()
        if now_s - self._looked_s > WATCHER_ASLEEP_S:
            self._awake_s = now_s
        self._looked_s = now_s
        working = {name: pulse.work for name, pulse in self._pulses.items() if pulse.work is not None}
        silent = [
            Silence(name, now_s - work.since_s, work.what, self._waits(name))
            for name, work in working.items()
            if now_s - max(work.since_s, self._awake_s) > PULSE_S
        ]
        self.found = sorted((each for each in silent if self._is_told(each, working, now_s)), key=_longest)
        return self.found

    @property
    def hanging(self) -> list[Silence]:
        """Of the last look."""
        return [each for each in self.found if not each.is_disk]

    def where(self, thread: str) -> str:
        """The stack of a thread."""
        frame = sys._current_frames().get(self._pulses[thread].thread_id)
        return "".join(traceback.format_stack(frame)) if frame is not None else "nobody knows where it is"

    def _waits(self, name: str) -> bool:
        return self._state_of(self._pulses[name].native_id) == WAITS_FOR_DISK

    def _is_told(self, silence: Silence, working: Mapping[str, Work], now_s: float) -> bool:
        if silence.is_disk:
            return True
        own = working[silence.thread]
        if now_s - max(own.since_s, self._awake_s) <= own.may_take_s:
            return False
        others = (work for name, work in working.items() if name != silence.thread and work.what)
        return not any(
            work.since_s <= own.since_s + PULSE_S and now_s - work.since_s <= work.may_take_s for work in others
        )


def _longest(silence: Silence) -> float:
    return -silence.lasts_s


def thread_state(native_id: int) -> str:
    """The letter of a thread of this process in `/proc`: R runs, S waits, D waits for the disk. Empty if unknown."""
    try:
        stat = Path(f"/proc/self/task/{native_id}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]

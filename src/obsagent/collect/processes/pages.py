"""What memory is a process's alone.

To tell that the kernel walks all pages of the process, which takes a second where these are many, and holds up those of
its threads that map memory: a process is walked so seldom that it takes a hundredth of the time at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from obsagent.collect.instruments import gauge
from obsagent.collect.processes.procfs import Identity, Processes, kilobytes
from obsagent.collect.tally import Used

UNIQUE_BYTES = gauge(
    "memory_unique_bytes", "bytes", "sum", "Memory that is a process's alone, and would be free at its end (USS)"
)
PROPORTIONAL_BYTES = gauge(
    "memory_proportional_bytes", "bytes", "sum", "A process's memory, of shared pages its share (PSS)"
)
UNIQUE = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
PAUSE_FACTOR = 100
"""A walk that took a second is not repeated for so many."""


class Pages:
    """Remembers what each process's last walk took; between two walks there is no reading."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests_until_s: dict[Identity, float] = {}

    def begin(self) -> None:
        """A new round: those that have rested enough are forgotten, ended ones with them."""
        now_s = self._clock()
        self._rests_until_s = {who: until_s for who, until_s in self._rests_until_s.items() if until_s > now_s}

    def read(self, processes: Processes, who: Identity) -> list[Used]:
        """Unique and proportional set size, or nothing; raises `OSError`."""
        if who in self._rests_until_s:
            return []
        began_s = self._clock()
        fields = processes.fields(who.pid, "smaps_rollup")
        took_s = self._clock() - began_s
        self._rests_until_s[who] = began_s + PAUSE_FACTOR * took_s
        used = [Used(UNIQUE_BYTES, {}, sum(kilobytes(fields[name]) for name in UNIQUE if name in fields))]
        if "Pss" in fields:
            used.append(Used(PROPORTIONAL_BYTES, {}, kilobytes(fields["Pss"])))
        return used

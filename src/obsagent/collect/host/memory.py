"""Memory and swap of the machine, and how often it ran out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from obsagent.collect.instruments import HOST, MEMORY_BYTES, SWAP_BYTES, counter, gauge
from obsagent.readings import Reading

TOTAL = gauge("memory_total_bytes", "bytes", "sum", "Memory that the machine has")
AVAILABLE = gauge("memory_available_bytes", "bytes", "sum", "Memory that programs could have without swapping")
UTILIZATION = gauge("memory_utilization", "ratio", "max", "Share of the memory that is not available")
CACHED = gauge("memory_cached_bytes", "bytes", "sum", "Memory that holds pages of files, buffers included")
SHARED = gauge("memory_shared_bytes", "bytes", "sum", "Memory in tmpfs and in shared segments: /dev/shm counts here")
SWAP_TOTAL = gauge("swap_total_bytes", "bytes", "sum", "Swap space that there is")
SWAP_IN = counter("swap_in_bytes", "bytes", "Read back from swap space")
SWAP_OUT = counter("swap_out_bytes", "bytes", "Written to swap space")
OOM_KILLS = counter("oom_kills", "kills", "Processes that the kernel killed for want of memory, in any cgroup")


class Memory:
    """`/proc/meminfo` and `/proc/vmstat`."""

    def __init__(self, proc: Path) -> None:
        self._vmstat = proc / "vmstat"

    def read(self) -> Iterator[Reading]:
        """Bytes; used is what is not available, as caches can be had back."""
        memory = psutil.virtual_memory()
        used = memory.total - memory.available
        yield Reading(MEMORY_BYTES, used, HOST)
        yield Reading(TOTAL, memory.total, HOST)
        yield Reading(AVAILABLE, memory.available, HOST)
        if memory.total:
            yield Reading(UTILIZATION, used / memory.total, HOST)
        yield Reading(CACHED, memory.cached + memory.buffers, HOST)
        yield Reading(SHARED, memory.shared, HOST)
        swap = psutil.swap_memory()
        yield Reading(SWAP_BYTES, swap.used, HOST)
        yield Reading(SWAP_TOTAL, swap.total, HOST)
        yield Reading(SWAP_IN, swap.sin, HOST)
        yield Reading(SWAP_OUT, swap.sout, HOST)
        for line in self._vmstat.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                yield Reading(OOM_KILLS, int(value), HOST)

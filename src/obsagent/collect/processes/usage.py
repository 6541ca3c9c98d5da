"""What one process takes now, as far as the agent may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice

from obsagent.collect.instruments import (
    CPU_SECONDS,
    DISK_READ_BYTES,
    DISK_WRITE_BYTES,
    MEMORY_BYTES,
    SWAP_BYTES,
    counter,
    gauge,
)
from obsagent.collect.processes.pages import Pages
from obsagent.collect.processes.procfs import Identity, Processes, kilobytes
from obsagent.collect.tally import Used
from obsagent.limits import COLLECT_THREADS_MAX

COUNT = gauge("process_count", "processes", "sum", "Processes of a model that are alive")
THREADS = gauge("process_threads", "threads", "sum", "Threads of a process")
DESCRIPTORS = gauge("process_descriptors", "descriptors", "sum", "Files and sockets that a process has open")
SWITCHES = counter(
    "process_context_switches", "switches", "Times that a thread gave the processor away, or had to (involuntary)"
)
FAULTS = counter("process_faults", "faults", "Pages that were missing: minor were in memory, major came from a disk")
READ_BYTES = counter("process_read_bytes", "bytes", "Read by system calls: from caches, pipes and sockets too")
WRITE_BYTES = counter("process_write_bytes", "bytes", "Written by system calls: to caches, pipes and sockets too")

IO = {
    "read_bytes": DISK_READ_BYTES,
    "write_bytes": DISK_WRITE_BYTES,
    "rchar": READ_BYTES,
    "wchar": WRITE_BYTES,
}
SWITCH_KINDS = {"voluntary_ctxt_switches": "voluntary", "nonvoluntary_ctxt_switches": "involuntary"}


def usage(processes: Processes, who: Identity, denied: set[str], pages: Pages) -> Iterator[Used]:
    """Everything about a process; raises `ProcessLookupError` if it has ended, or has another's pid.

    What is not for the agent's eyes is left out, and the file's name added to `denied`.
    """
    stat = processes.stat(who.pid)
    if stat.has_ended or stat.start_ticks != who.start_ticks:
        raise ProcessLookupError(who.pid)
    yield Used(COUNT, {}, 1)
    yield Used(CPU_SECONDS, {}, stat.cpu_seconds)
    yield Used(MEMORY_BYTES, {}, stat.resident_bytes)
    yield Used(THREADS, {}, stat.threads)
    yield Used(FAULTS, {"kind": "minor"}, stat.minor_faults)
    yield Used(FAULTS, {"kind": "major"}, stat.major_faults)
    for file, read in FILES.items():
        yield from _allowed(file, partial(read, processes, who.pid), processes, who.pid, denied)
    yield from _allowed("smaps_rollup", partial(pages.read, processes, who), processes, who.pid, denied)


def _allowed(
    file: str, read: Callable[[], Iterable[Used]], processes: Processes, pid: int, denied: set[str]
) -> Iterator[Used]:
    try:
        yield from list(read())
    except PermissionError:
        denied.add(file)
    except FileNotFoundError:
        if processes.identity(pid) is None:
            raise ProcessLookupError(pid) from None  # else it is the kernel that does not have such a file


def _status(processes: Processes, pid: int) -> Iterator[Used]:
    fields = processes.fields(pid, "status")
    if "VmSwap" in fields:
        yield Used(SWAP_BYTES, {}, kilobytes(fields["VmSwap"]))


def _switches(processes: Processes, pid: int) -> Iterator[Used]:
    """Each thread counts its own: those that have ended take theirs with them."""
    for thread in islice(processes.threads(pid), COLLECT_THREADS_MAX):
        with suppress(OSError):  # it has ended meanwhile
            fields = processes.fields(pid, f"task/{thread}/status")
            for name, kind in SWITCH_KINDS.items():
                if name in fields:
                    yield Used(SWITCHES, {"kind": kind}, int(fields[name]), thread)


def _io(processes: Processes, pid: int) -> Iterator[Used]:
    fields = processes.fields(pid, "io")
    for name, instrument in IO.items():
        yield Used(instrument, {}, int(fields[name]))


def _fd(processes: Processes, pid: int) -> Iterator[Used]:
    yield Used(DESCRIPTORS, {}, processes.descriptor_count(pid))


FILES = {"status": _status, "task": _switches, "io": _io, "fd": _fd}
"""What is read besides `stat` in every round: the file of `/proc/PID`, and what is made of it."""

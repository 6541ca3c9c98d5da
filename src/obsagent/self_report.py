"""What the agent measures about itself, once a second, as samples of its own session."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from obsagent import selfmetrics
from obsagent.doors import Doors
from obsagent.head.store import Store
from obsagent.receive.collected import Collected
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_accounts import OwnAccounts
from obsagent.receive.own_session import OwnSession
from obsagent.receive.server import IngestServer
from obsagent.selfmetrics import SelfMetric
from obsagent.store_sink import StoreSink
from obsagent.upkeep import Checkpointer, Committer, Upkeeper

DURATIONS_MAX = 10_000
"""So many durations are kept for the next second; more than come in one by far."""

Labels = dict[str, str] | None


class Durations:
    """How long things took since the last look; any thread tells it."""

    def __init__(self) -> None:
        """None yet."""
        self._took: deque[tuple[SelfMetric, float]] = deque(maxlen=DURATIONS_MAX)

    def of(self, metric: SelfMetric) -> Callable[[float], None]:
        """Takes the duration of one of these, in seconds."""
        return lambda seconds: self._took.append((metric, seconds))

    def take(self) -> Iterator[tuple[SelfMetric, float]]:
        """Those since the last call."""
        while self._took:
            yield self._took.popleft()


@dataclass(frozen=True, slots=True)
class SelfReport:
    """Reads the parts of an agent; belongs to the ingest thread."""

    own: OwnSession
    collected: Collected
    accounts: OwnAccounts
    store: Store
    sink: StoreSink
    ingest: Ingest
    server: IngestServer
    doors: Doors
    committer: Committer
    checkpointer: Checkpointer
    upkeeper: Upkeeper
    problem_count: Callable[[], int]
    durations: Durations = field(default_factory=Durations)

    def write(self) -> None:
        """Everything as one frame; raises `StoreError` if the store does not take it, and counts go on from there."""
        self.own.combine_gauges()
        for metric, seconds in self.durations.take():
            self.own.record(metric, seconds)
        for metric, value in self._gauges():
            self.own.record(metric, float(value))
        for metric, total, labels in self._counters():
            self.own.count(metric, float(total), labels)
        self.collected.stage()
        self.accounts.record()
        self.own.write()

    def _gauges(self) -> Iterator[tuple[SelfMetric, float]]:
        yield selfmetrics.RESIDENT_BYTES, resident_bytes()
        yield selfmetrics.HEAD_BYTES, self.store.head_bytes()
        yield selfmetrics.UNSYNCED_BYTES, self.store.unsynced_bytes()
        yield selfmetrics.SERIES, len(self.store.series)
        yield selfmetrics.SESSIONS, self.sink.session_count()
        yield selfmetrics.LEDGER_BYTES, self.store.records.memory_bytes
        yield selfmetrics.PROBLEMS, self.problem_count()

    def _counters(self) -> Iterator[tuple[SelfMetric, float, Labels]]:
        yield selfmetrics.CPU_SECONDS, cpu_seconds(), None
        yield selfmetrics.MESSAGES, self.ingest.messages, None
        yield selfmetrics.MALFORMED, self.ingest.malformed, None
        yield selfmetrics.UNREAD, self.doors.writers.unread, None
        yield selfmetrics.DENIED, self.doors.refused, None
        yield selfmetrics.OVERLOADED, self.server.overloaded_ms / 1000, None
        yield selfmetrics.SYNC_FAILURES, self.committer.trouble.count, None
        yield selfmetrics.CHECKPOINT_FAILURES, self.checkpointer.trouble.count, None
        yield selfmetrics.UPKEEP_FAILURES, self.upkeeper.trouble.count, None
        yield selfmetrics.READINGS_DROPPED, self.collected.dropped, None
        for code, count in self.ingest.refused.items():
            yield selfmetrics.REFUSED, count, {"code": code}
        for reason, count in self.ingest.exemplars.refused.items():
            yield selfmetrics.EXEMPLARS_REFUSED, count, {"reason": reason}
        for (kind, became), count in list(self.store.records.counts.items()):
            yield selfmetrics.RECORDS, count, {"kind": kind, "became": became}
        for direction, count in self.ingest.steps.items():
            yield selfmetrics.CLOCK_STEPS, count, {"direction": direction}


def cpu_seconds() -> float:
    """Processor time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_bytes() -> int:
    """Memory of this process; 0 if there is no descriptor left to look."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()

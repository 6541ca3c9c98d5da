"""A week of two services in a store on disk, of which every value is known.

    fraud     hosts a and b, two workers each; /score and /score_batch; version 3 is live, version 4 the canary
    ranking   host c, one worker; silent for the last four minutes

What an engineer on call is to find out: the canary is deployed half an hour ago, it is slower, fails more and misses
the cache. /score_batch has been slow for twenty minutes, because requests queue on worker 1 of host b.

One window an hour for six days and more, every window in the last hour. The store holds it compacted, in
fresh blocks and, for the last minutes, in the journal alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from obsagent._native.codec import BodyWriter
from obsagent.head.entries import Events
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Kind, Series
from property.query_oracle import Sample
from unit.store_lab import Producer, TurnedClock

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
FIRST_MS = NOW_MS - NOW_MS % WINDOW_MS - 7 * DAY_MS + HOUR_MS
NEWEST_MS = NOW_MS - NOW_MS % WINDOW_MS
DENSE_MS = NEWEST_MS - HOUR_MS
SPARSE_STEP_MS = HOUR_MS

CANARY_MS = NEWEST_MS - 30 * MINUTE_MS
SLOW_MS = NEWEST_MS - 20 * MINUTE_MS
SILENT_MS = NEWEST_MS - 4 * MINUTE_MS
JOURNAL_ONLY_MS = NEWEST_MS - 3 * MINUTE_MS

ENDPOINTS = {"fraud": ("/score", "/score_batch"), "ranking": ("/rank",)}
STATUSES = ("200", "422", "503")
VARIANTS = {"3": "live", "4": "canary"}


@dataclass(frozen=True)
class Worker:
    service: str
    host: str
    number: str


WORKERS = (
    *(Worker("fraud", host, number) for host in ("a", "b") for number in ("0", "1")),
    Worker("ranking", "c", "0"),
)


@dataclass
class Batch:
    """What one worker sends of one window."""

    body: BodyWriter = field(default_factory=BodyWriter)
    values: list[tuple[Series, float]] = field(default_factory=list)


class KnownWeek:
    """Writes the store, and keeps every value that it was given."""

    def __init__(self, directory: Path) -> None:
        self._stored: dict[int, tuple[Series, list[Sample]]] = {}
        self._chance = Random(7)
        self._clock = TurnedClock(FIRST_MS)
        self._store = Store.open(directory, clock=self._clock)
        self._producers = {worker: Producer(f"{worker.host}{worker.number}", worker.service) for worker in WORKERS}
        self._numbers: dict[tuple[Worker, int], int] = {}
        for producer in self._producers.values():
            self._store.write(producer.open_entry())
        for window_ms in windows():
            self._window(window_ms)
        self._clock.now_ms = NOW_MS
        self._store.sync()

    # --- the store

    def _window(self, window_ms: int) -> None:
        self._clock.now_ms = window_ms + WINDOW_MS
        for worker in WORKERS:
            if worker.service != "ranking" or window_ms < SILENT_MS:
                self._send(worker, window_ms)
        for version, at_ms in (("3", DENSE_MS - 3 * DAY_MS), ("4", CANARY_MS)):
            if window_ms == at_ms:
                self._deploy(version, at_ms)
        between_ms = 6 * HOUR_MS if window_ms < DENSE_MS else 10 * MINUTE_MS
        if window_ms < JOURNAL_ONLY_MS and (DENSE_MS - window_ms) % between_ms == 0:
            self._store.checkpoint()
            self._store.maybe_compact(self._clock.now_ms)
            self._store.maybe_roll_up(self._clock.now_ms)

    def _deploy(self, version: str, at_ms: int) -> None:
        producer = self._producers[WORKERS[0]]
        event = Event("deploy", at_ms, {"service": "fraud", "version": version})
        producer.happened.append(event)
        self._store.write(Events(producer.session, len(producer.happened), 0, 0, [event]))

    def _send(self, worker: Worker, window_ms: int) -> None:
        producer, batch = self._producers[worker], Batch()
        for endpoint in ENDPOINTS[worker.service]:
            for version in versions(worker, window_ms):
                self._requests(batch, worker, endpoint, version, window_ms)
        self._own(batch, worker)
        frame = producer.frame(window_ms, batch.body.take(), len(batch.values))
        self._store.write(frame)
        for series, value in batch.values:
            sample = Sample(series.metric, series.kind.word, (), window_ms, frame.end_ms, value)
            self._stored.setdefault(series.id, (series, []))[1].append(sample)

    def _number(self, worker: Worker, series: Series) -> int:
        """The worker's number for a series, which it defines where it first needs it."""
        producer = self._producers[worker]
        if (worker, series.id) not in self._numbers:
            self._numbers[worker, series.id] = len(producer.defined)
            producer.defined.append(series)
            self._store.write(producer.define_all())
        return self._numbers[worker, series.id]

    # --- what happens

    def _requests(self, batch: Batch, worker: Worker, endpoint: str, version: str, window_ms: int) -> None:
        chance, is_canary = self._chance, version == "4"
        labels = {"endpoint": endpoint, "model": worker.service, "version": version, "variant": VARIANTS[version]}
        stuck = endpoint == "/score_batch" and (worker.host, worker.number) == ("b", "1") and window_ms >= SLOW_MS
        waits = [chance.lognormvariate(-7, 0.5) + stuck * chance.uniform(0.5, 0.9) for _ in range(3)]
        work = [chance.lognormvariate(-3.5, 0.4) * (3 if is_canary else 1) for _ in waits]
        latencies = [wait + compute for wait, compute in zip(waits, work, strict=True)]
        self._observe(batch, worker, "latency", "seconds", labels, latencies)
        self._observe(batch, worker, "queue_delay", "seconds", labels, waits)
        failing = 0.2 if is_canary else 0.02
        statuses = chance.choices(STATUSES, (0.95 - failing, 0.05, failing), k=3)
        for status in sorted(set(statuses)):
            self._count(batch, worker, "requests", {**labels, "status": status}, statuses.count(status))
        self._count(batch, worker, "errors", labels, statuses.count("503"))
        self._count(
            batch, worker, "cache_hits", labels, sum(chance.random() < (0.3 if is_canary else 0.8) for _ in waits)
        )

    def _own(self, batch: Batch, worker: Worker) -> None:
        """What a worker says of itself; the agent's sum over all workers is a series of its own."""
        self._set(batch, worker, "in_flight", "requests", float(self._chance.randint(0, 9)))
        self._set(batch, worker, "memory_bytes", "bytes", 1e9 + self._chance.randint(0, 10) * 5e8)

    def _observe(
        self, batch: Batch, worker: Worker, metric: str, unit: str, labels: dict[str, str], values: Sequence[float]
    ) -> None:
        series = self._series(worker, metric, Kind.HISTOGRAM, unit, labels)
        batch.body.put_run(self._number(worker, series), list(values))
        batch.values += [(series, value) for value in values]

    def _count(self, batch: Batch, worker: Worker, metric: str, labels: dict[str, str], count: int) -> None:
        if count:
            series = self._series(worker, metric, Kind.COUNTER, "requests", labels)
            batch.body.put_counter(self._number(worker, series), count, float(count))
            batch.values += [(series, 1.0)] * count

    def _set(self, batch: Batch, worker: Worker, metric: str, unit: str, value: float) -> None:
        series = self._series(worker, metric, Kind.GAUGE, unit, {})
        batch.body.put_gauge(self._number(worker, series), value)
        batch.values.append((series, value))

    def _series(self, worker: Worker, metric: str, kind: Kind, unit: str, labels: dict[str, str]) -> Series:
        own = {"service": worker.service, "host": worker.host, "worker": worker.number}
        series = self._store.series.resolve(metric, kind, {**own, **labels}, unit=unit)
        assert series is not None
        return series

    # --- the truth

    def by(
        self, metric: str, names: Sequence[str], since_ms: int, until_ms: int = NOW_MS, **labels: str
    ) -> dict[tuple[str, ...], list[Sample]]:
        """The samples of `[since, until)`, whole windows, that have these labels; by the values of others."""
        first_ms = since_ms - since_ms % WINDOW_MS
        groups: dict[tuple[str, ...], list[Sample]] = {}
        for series, samples in self._stored.values():
            inside = [sample for sample in samples if first_ms <= sample.window_ms < until_ms]
            if inside and series.metric == metric and labels.items() <= series.labels.items():
                groups.setdefault(tuple(series.labels[name] for name in names), []).extend(inside)
        return dict(sorted(groups.items()))

    def select(self, metric: str, since_ms: int, until_ms: int = NOW_MS, **labels: str) -> list[Sample]:
        """The same as one group; empty if there is none."""
        return self.by(metric, (), since_ms, until_ms, **labels).get((), [])


def windows() -> Iterator[int]:
    """Their starts."""
    yield from range(FIRST_MS, DENSE_MS, SPARSE_STEP_MS)
    yield from range(DENSE_MS, NEWEST_MS + 1, WINDOW_MS)


def versions(worker: Worker, window_ms: int) -> tuple[str, ...]:
    """The canary runs on host a only."""
    return ("3", "4") if worker.host == "a" and window_ms >= CANARY_MS else ("3",)

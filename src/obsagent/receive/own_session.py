"""The agent's own session: what it measures about itself and what it derives goes the journalled way.

Samples are gathered like a client's and written once a second as a frame of a session of service `obsagent`, so that
a replay gives the same windows and the accounts hold for them too. What was found out of an earlier window is written
as a sample of that.

What is counted is told as a total (`count`); the increment is worked out when it is written, and what could not be
written is in the next one. So no count is lost while the store takes nothing.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from obsagent._native.codec import BodyWriter
from obsagent.clock import Clock
from obsagent.errors import StoreError
from obsagent.limits import COLLECTED_SERIES, SAMPLE_PAST_LIMIT_MS
from obsagent.processes import pid_namespace
from obsagent.readings import Reading
from obsagent.receive.gauges import combine, combined_labels, group, readings_of
from obsagent.receive.sink import Mapped, Sink
from obsagent.samples import Kind, Series
from obsagent.selfmetrics import SERVICE, SelfMetric
from obsagent.wire.frame import Hello, SamplesHeader, SeriesDefinition, SessionCounts

DAY_MS = 86_400_000
SeriesKey = tuple[str, tuple[tuple[str, str], ...]]
REFUSED = -1


class Staged(NamedTuple):
    """One sample of the next frame. Of a counter `total` is what it has been counted to with it.

    `at_ms` is when it was, if that is not now: such samples go into a frame of their own.
    """

    number: int
    kind: Kind
    value: float
    key: SeriesKey
    total: float = 0.0
    at_ms: int = 0


class OwnSession:
    """Belongs to the ingest thread; only `write` and `close` raise, `StoreError` if the store is full."""

    def __init__(self, sink: Sink, clock: Clock, host: str) -> None:
        """Opens the session, and ends those of agents before that could not say goodbye; raises `StoreError`."""
        self._sink = sink
        self._clock = clock
        self._name = os.urandom(16)
        self._numbers: dict[SeriesKey, int] = {}
        self._numbers_of_series: dict[int, int] = {}
        self._read: dict[SeriesKey, None] = {}
        self._undefined: list[Mapped] = []
        self._staged: list[Staged] = []
        self._counted: dict[SeriesKey, float] = {}
        self._begun: set[SeriesKey] = set()
        self._observed = 0
        self._dropped = 0
        now = clock.wall_ms()
        for left in sink.open_sessions(SERVICE, host):
            sink.write_close(left.name, left.counts or SessionCounts(0, 0, 0, 0, 0), now)
        self._session = sink.open_session(Hello(self._name, SERVICE, host, os.getpid(), now, now, "", pid_namespace()))

    def labels(self, metric: SelfMetric, labels: dict[str, str] | None = None) -> dict[str, str]:
        """All labels of a series of the agent's own; one about a `service` belongs to that, and to no worker."""
        labels = labels or {}
        return labels if "service" in labels else {**labels, **self._session.labels()}

    def record(self, metric: SelfMetric, value: float, labels: dict[str, str] | None = None) -> None:
        """One sample of one of the agent's own metrics; written with the next `write`."""
        number, key = self._number(metric, labels)
        if number != REFUSED:
            self._staged.append(Staged(number, metric.kind, value, key))

    def count(self, metric: SelfMetric, total: float, labels: dict[str, str] | None = None) -> None:
        """A counter stands at `total`; the next frame says so if it has grown, or is told for the first time."""
        number, key = self._number(metric, labels)
        before = self._counted.get(key)
        if number != REFUSED and (before is None or total > before):
            self._staged.append(Staged(number, metric.kind, total - (before or 0.0), key, total))

    def stage(self, reading: Reading) -> None:
        """One reading of a collector; written with the next `write`.

        The first total of a counter is where it begins, if its reading says no other: what its source counted before
        nobody has watched. One that is lower than before begins again from nothing, as does one that says so.
        """
        instrument = reading.instrument
        definition = SeriesDefinition(
            0,
            instrument.name,
            instrument.kind,
            {},
            instrument.unit,
            instrument.help,
            instrument.scale,
            instrument.across,
        )
        labels = {"host": self._session.labels()["host"], **reading.labels}
        number, key = self._number_of(definition, labels)
        self._remember(key)
        if number == REFUSED:
            return
        if instrument.kind is not Kind.COUNTER:
            self._staged.append(Staged(number, instrument.kind, reading.value, key, at_ms=reading.at_ms))
            return
        begin = reading.value if reading.begins_at is None else reading.begins_at
        before = self._counted.get(key, begin)
        if reading.from_nothing:
            self._begun.add(key)  # until it is written
        is_again = key in self._begun or reading.value < before
        grown = reading.value if is_again else reading.value - before
        if grown or key not in self._counted:
            self._staged.append(Staged(number, Kind.COUNTER, grown, key, reading.value))

    def resume(self, metric: SelfMetric, total: float, labels: dict[str, str]) -> None:
        """What an agent before has counted to already, so that `count` goes on from there."""
        self._counted[self._number(metric, labels)[1]] = total

    def _number(self, metric: SelfMetric, labels: dict[str, str] | None) -> tuple[int, SeriesKey]:
        definition = SeriesDefinition(0, metric.name, metric.kind, {}, metric.unit, metric.help, 6, "sum")
        return self._number_of(definition, self.labels(metric, labels), reserved=True)

    def combine_gauges(self) -> None:
        """One sample for every gauge that live sessions hold, over all their workers."""
        now = self._clock.wall_ms()
        for members in group(self._sink.live_gauges()).values():
            readings = readings_of(members, self._sink.gauge_last, now)
            if readings:
                first = members[0]
                definition = SeriesDefinition(
                    0, first.metric, Kind.GAUGE, {}, first.unit, first.help, first.scale, first.across
                )
                number, key = self._number_of(definition, combined_labels(first.labels))
                if number != REFUSED:
                    self._staged.append(Staged(number, Kind.GAUGE, combine(first.across, readings), key))

    def _number_of(
        self, definition: SeriesDefinition, labels: dict[str, str], *, reserved: bool = False
    ) -> tuple[int, SeriesKey]:
        key = (definition.metric, tuple(sorted(labels.items())))
        number = self._numbers.get(key)
        if number is None:
            series = self._sink.resolve(definition, labels, reserved=reserved)
            number = REFUSED if series is None else self._number_of_series(series)
            self._numbers[key] = number
            if series is not None:  # also what was defined before: what overflows is counted by its definitions
                self._undefined.append(Mapped(number, series))
        return number, key

    def _number_of_series(self, series: Series) -> int:
        """One number for a series of the store, whoever becomes it: so there are no more of them than of these."""
        return self._numbers_of_series.setdefault(series.id, len(self._numbers_of_series))

    def _remember(self, key: SeriesKey) -> None:
        """Labels of collectors come and go: those that were read longest ago are forgotten, with their totals."""
        self._read.pop(key, None)
        self._read[key] = None
        if len(self._read) > COLLECTED_SERIES:
            oldest = next(iter(self._read))
            del self._read[oldest]
            self._numbers.pop(oldest, None)
            self._counted.pop(oldest, None)

    @property
    def staged_count(self) -> int:
        """Samples of the next frame so far."""
        return len(self._staged)

    @property
    def unbooked(self) -> SessionCounts:
        """What the store does not know of yet and will with the next frame: that frame's samples and its losses."""
        booked = self._session.counts or SessionCounts(0, 0, 0, 0, 0)
        observed = self._observed + len(self._staged) - booked.observed
        return SessionCounts(observed, 0, self._dropped - booked.dropped_budget, 0, 0)

    def write(self) -> None:
        """Writes what was recorded since the last call as one frame; raises `StoreError` if the store is full.

        What could not be written is counted as dropped.
        """
        self._sink.heard(self._name, self._clock.monotonic_ms())
        staged, self._staged = self._staged, []
        if not staged:
            return
        self._observed += len(staged)
        waiting = sorted(staged, key=lambda each: each.at_ms)  # what is of now comes first
        try:
            self._define()
            while waiting:
                frame = [each for each in waiting if each.at_ms == waiting[0].at_ms]
                self._write_frame(frame)
                waiting = waiting[len(frame) :]
                self._written(frame)
        except StoreError:
            self._dropped += len(waiting)
            raise
        self._begun.clear()

    def _written(self, frame: list[Staged]) -> None:
        for each in frame:
            if each.kind is Kind.COUNTER and each.key in self._numbers:
                self._counted[each.key] = each.total

    def _define(self) -> None:
        if self._undefined:
            self._sink.write_definitions(self._name, self._undefined)
            self._undefined = []

    def _write_frame(self, staged: list[Staged]) -> None:
        body = BodyWriter()
        for number, kind, value, *_ in staged:  # all at one time
            if kind is Kind.HISTOGRAM:
                body.put_run(number, [value])
            elif kind is Kind.COUNTER:
                body.put_counter(number, 1, value)
            else:
                body.put_gauge(number, value)
        at_ms = staged[0].at_ms or self._clock.wall_ms()
        sequence = self._session.last_applied + 1
        header = SamplesHeader(self._name, sequence, sequence, at_ms, at_ms, len(staged), self._counts())
        age_ms = self._clock.wall_ms() - at_ms
        if age_ms < SAMPLE_PAST_LIMIT_MS:
            self._sink.write_frame(header, header.counts, body.take())
        else:  # what was found out of a time long past: of a backfill, or after the agent was away
            self._sink.write_backfill(header, header.counts, body.take(), -(-age_ms // DAY_MS) * DAY_MS)

    def _counts(self) -> SessionCounts:
        return SessionCounts(self._observed, 0, self._dropped, 0, 0)

    def close(self) -> None:
        """Ends the session; raises `StoreError` if the store is full."""
        self.write()
        self._sink.write_close(self._name, self._counts(), self._clock.wall_ms())

"""The agent's own session: what it measures about itself and what it derives goes the journalled way.

Samples are gathered in a body like a client's and written once a second as a frame of a session of service
`obsagent`, so that a replay gives the same windows and the accounts hold for them too.
"""

from __future__ import annotations

import os

from obsagent._native.codec import BodyWriter
from obsagent.clock import Clock
from obsagent.errors import StoreError
from obsagent.processes import pid_namespace
from obsagent.receive.gauges import combine, combined_labels, group, readings_of
from obsagent.receive.sink import Mapped, Sink
from obsagent.samples import Kind
from obsagent.selfmetrics import SERVICE
from obsagent.wire.frame import Hello, SamplesHeader, SeriesDefinition, SessionCounts

SeriesKey = tuple[str, tuple[tuple[str, str], ...]]


class OwnSession:
    """Belongs to the ingest thread. `record` and `combine_gauges` raise `StoreError` if the store is full."""

    def __init__(self, sink: Sink, clock: Clock, host: str) -> None:
        """Opens the session."""
        self._sink = sink
        self._clock = clock
        self._name = os.urandom(16)
        self._numbers: dict[SeriesKey, int] = {}
        self._body = BodyWriter()
        self._samples = 0
        self._observed = 0
        self._dropped = 0
        now = clock.wall_ms()
        self._session = sink.open_session(Hello(self._name, SERVICE, host, os.getpid(), now, now, "", pid_namespace()))

    def record(
        self,
        kind: Kind,
        metric: str,
        value: float,
        labels: dict[str, str] | None = None,
        unit: str = "",
        help_text: str = "",
    ) -> None:
        """One sample of one of the agent's own metrics; written with the next `write`."""
        whole = {**(labels or {}), **self._session.labels()}
        self._add(SeriesDefinition(0, metric, kind, labels or {}, unit, help_text, 6, "sum"), whole, value)

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
                self._add(definition, combined_labels(first.labels), combine(first.across, readings))

    def _add(self, definition: SeriesDefinition, labels: dict[str, str], value: float) -> None:
        key = (definition.metric, tuple(sorted(labels.items())))
        number = self._numbers.get(key)
        if number is None:
            series = self._sink.resolve(definition, labels)
            number = len(self._numbers)
            self._sink.write_definitions(self._name, [Mapped(number, series)])
            self._numbers[key] = number
        self._samples += 1
        if definition.kind is Kind.HISTOGRAM:
            self._body.put_run(number, [value])
        elif definition.kind is Kind.COUNTER:
            self._body.put_counter(number, 1, value)
        else:
            self._body.put_gauge(number, value)

    def write(self) -> None:
        """Writes what was recorded since the last call as one frame; raises `StoreError` if the store is full.

        What could not be written is counted as dropped.
        """
        self._sink.heard(self._name, self._clock.monotonic_ms())
        self._sink.heard(self._name, self._clock.monotonic_ms())
        if not self._samples:
            return
        body, samples = self._body.take(), self._samples
        self._samples = 0
        self._observed += samples
        now = self._clock.wall_ms()
        sequence = self._session.last_applied + 1
        header = SamplesHeader(self._name, sequence, sequence, now, now, samples, self._counts())
        try:
            self._sink.write_frame(header, header.counts, body)
        except StoreError:
            self._dropped += samples
            raise

    def _counts(self) -> SessionCounts:
        return SessionCounts(self._observed, 0, self._dropped, 0, 0)

    def close(self) -> None:
        """Ends the session; raises `StoreError` if the store is full."""
        self.write()
        self._sink.write_close(self._name, self._counts(), self._clock.wall_ms())

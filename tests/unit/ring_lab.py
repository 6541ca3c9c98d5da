"""What the tests of the recorder share: it takes batches apart, independently of the C code that reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from obsagent._native.ring import Batch, Recorder
from obsagent._native.sketch import LogHist

RUN, LOGHIST, COUNTER, GAUGE = 1, 2, 3, 4
HISTOGRAM_KIND, COUNTER_KIND, GAUGE_KIND = 1, 2, 3
WINDOW_MS = 10_000


@dataclass
class Contents:
    """Everything that batches held, by series."""

    histograms: dict[int, LogHist] = field(default_factory=dict)
    increments: dict[int, int] = field(default_factory=dict)
    sums: dict[int, float] = field(default_factory=dict)
    gauges: dict[int, list[float]] = field(default_factory=dict)
    samples: int = 0
    batches: list[Batch] = field(default_factory=list)

    def histogram(self, series: int) -> LogHist:
        return self.histograms.setdefault(series, LogHist())

    def add(self, batch: Batch) -> None:
        """Checks what must hold for every batch, then takes in what it says."""
        before = self.samples
        for entry in entries(batch.body):
            self._add_entry(*entry)
        assert self.samples - before == batch.samples
        assert batch.observed == self.samples + batch.dropped_ring + batch.rejected_value
        assert batch.start_ns <= batch.end_ns
        assert batch.start_ms % WINDOW_MS + (batch.end_ms - batch.start_ms) <= WINDOW_MS
        self.batches.append(batch)

    def _add_entry(self, series: int, kind: int, payload: tuple) -> None:
        if kind == RUN:
            self.histogram(series).add_many(list(payload))
            self.samples += len(payload)
        elif kind == LOGHIST:
            hist = LogHist._from_compact(payload[0])
            self.histogram(series).merge(hist)
            infinities = hist.positive_infinity_count + hist.negative_infinity_count
            self.samples += hist.count + hist.nan_count + infinities
        elif kind == COUNTER:
            self.increments[series] = self.increments.get(series, 0) + payload[0]
            self.sums[series] = self.sums.get(series, 0.0) + payload[1]
            self.samples += payload[0]
        else:
            self.gauges.setdefault(series, []).append(payload[0])
            self.samples += 1


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def entries(body: bytes) -> Iterator[tuple[int, int, tuple]]:
    assert body[0] == 1
    at = 1
    while at < len(body):
        series, at = varint(body, at)
        kind, at = body[at], at + 1
        if kind == RUN:
            count, at = varint(body, at)
            yield series, kind, struct.unpack_from(f"<{count}d", body, at)
            at += 8 * count
        elif kind == LOGHIST:
            size, at = varint(body, at)
            yield series, kind, (body[at : at + size],)
            at += size
        elif kind == COUNTER:
            increments, at = varint(body, at)
            yield series, kind, (increments, *struct.unpack_from("<d", body, at))
            at += 8
        else:
            assert kind == GAUGE
            yield series, kind, struct.unpack_from("<d", body, at)
            at += 8


def take_all(recorder: Recorder, into: Contents | None = None) -> Contents:
    """Everything that is sealed."""
    contents = into or Contents()
    while (batch := recorder.take(0)) is not None:
        contents.add(batch)
    return contents


def sealed(recorder: Recorder, into: Contents | None = None) -> Contents:
    """Everything recorded so far; the accounts must say the same."""
    assert recorder.seal(5_000)
    contents = take_all(recorder, into)
    assert recorder.observed == contents.samples + recorder.dropped_ring + recorder.rejected_value
    return contents

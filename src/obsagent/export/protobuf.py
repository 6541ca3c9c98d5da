"""Prometheus' protobuf: `io.prometheus.client.MetricFamily` messages, each with its length before it.

The schema is that of prometheus/client_model, `io/prometheus/client/metrics.proto`. It is written here by hand: a
handful of messages and nothing to read, where a library would want generated code and its own version at run time. The
tests read it with Google's parser.

Histograms are written with both kinds of buckets: a Prometheus that takes native ones passes the classic ones over.
Those that came with classic ones have no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from struct import Struct

from obsagent.export.buckets import ZERO_THRESHOLD, Side, cumulative, exponents_of, native
from obsagent.export.family import ClassicBuckets, Exemplar, Family, Labels, Point
from obsagent.export.text import by_bound
from obsagent.samples import Kind
from obsagent.sketches import LogHist

TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}
"""`MetricType`."""

SPANS_REMEMBERED = 4_096
"""Where values are rare, most spans are a bucket or two after a gap of one or two."""

_DOUBLE = Struct("<d")
_VARINT, _FIXED64, _BYTES = 0, 1, 2
_SMALL = [bytes([value]) for value in range(128)]
_BUCKET = bytes([3 << 3 | _BYTES])
_BUCKET_COUNT = bytes([1 << 3 | _VARINT])


def delimited(family: Family) -> bytes:
    """A family as a message with its length before it."""
    head = _text(1, family.sample_name) + (_text(2, family.help) if family.help else b"")
    head += _integer(3, TYPES[family.kind])
    metrics = b"".join(_message(4, _metric(family, point)) for point in family.points)
    message = head + metrics + (_text(5, family.unit) if family.unit else b"")
    return varint(len(message)) + message


def _metric(family: Family, point: Point) -> bytes:
    labels = _labels(point.labels)
    if isinstance(point.value, LogHist):
        return labels + _message(7, _histogram(family, point, point.value))
    if isinstance(point.value, ClassicBuckets):
        return labels + _message(7, _classic_histogram(point, point.value))
    if family.kind is Kind.GAUGE:
        return labels + _message(2, _double(1, point.value))
    exemplar = _message(2, _exemplar(point.exemplars[0])) if point.exemplars else b""
    return labels + _message(3, _double(1, point.value) + exemplar + _created(3, point))


def _histogram(family: Family, point: Point, hist: LogHist) -> bytes:
    buckets = native(hist)
    return b"".join(
        [
            _integer(1, hist.count),
            _double(2, hist.sum),
            *_classic(point, _bounds(family.unit), [*cumulative(hist, exponents_of(family.unit)), hist.count]),
            _integer(5, zigzag(buckets.schema)),
            _double(6, ZERO_THRESHOLD),
            _integer(7, buckets.zero_count),
            *_side(buckets.negative, 9, 10),
            *_side(buckets.positive, 12, 13),
            _created(15, point),
            *(_message(16, _exemplar(exemplar)) for exemplar in point.exemplars),
        ]
    )


def _classic_histogram(point: Point, hist: ClassicBuckets) -> bytes:
    bounds = [(bound, _double(2, bound)) for bound in hist.bounds]
    total = b"" if hist.sum is None else _double(2, hist.sum)
    return b"".join([_integer(1, hist.total), total, *_classic(point, bounds, hist.counts), _created(15, point)])


def _classic(point: Point, bounds: list[tuple[float, bytes]], counts: Sequence[int]) -> Iterable[bytes]:
    exemplars = by_bound(point.exemplars, [bound for bound, _ in bounds]) if point.exemplars else {}
    for (bound, encoded), count in zip(bounds, counts, strict=True):
        bucket = _BUCKET_COUNT + varint(count) + encoded
        if bound in exemplars:
            bucket += _message(3, _exemplar(exemplars[bound]))
        yield _BUCKET + varint(len(bucket)) + bucket


@cache
def _bounds(unit: str) -> list[tuple[float, bytes]]:
    """The classic bounds of a unit, infinity behind them, and the field of each."""
    bounds = [*(math.ldexp(1.0, exponent) for exponent in exponents_of(unit)), math.inf]
    return [(bound, _double(2, bound)) for bound in bounds]


def _side(side: Side, spans_field: int, deltas_field: int) -> Iterable[bytes]:
    """Spans one by one, differences in one packed field."""
    for offset, length in side.spans:
        yield _span(spans_field, offset, length)
    if side.deltas:
        yield _message(deltas_field, side.deltas)


@lru_cache(SPANS_REMEMBERED)
def _span(field: int, offset: int, length: int) -> bytes:
    return _message(field, _integer(1, zigzag(offset)) + _integer(2, length))


def _exemplar(exemplar: Exemplar) -> bytes:
    at = b"" if exemplar.at_ms is None else _message(3, _timestamp(exemplar.at_ms))
    return _labels(exemplar.labels) + _double(2, exemplar.value) + at


def _labels(labels: Labels) -> bytes:
    return b"".join(_message(1, _text(1, name) + _text(2, value)) for name, value in labels)


def _created(field: int, point: Point) -> bytes:
    return b"" if point.created_ms is None else _message(field, _timestamp(point.created_ms))


def _timestamp(at_ms: int) -> bytes:
    """`google.protobuf.Timestamp`."""
    return _integer(1, at_ms // 1000) + _integer(2, at_ms % 1000 * 1_000_000)


def zigzag(value: int) -> int:
    """A signed number as an unsigned one that is small if it is near zero."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def varint(value: int) -> bytes:
    """A number from 0 to 2**64 - 1, seven bits a byte, lowest first."""
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(field: int, value: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(value)


def _double(field: int, value: float) -> bytes:
    return varint(field << 3 | _FIXED64) + _DOUBLE.pack(value)


def _message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | _BYTES) + varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode("utf-8", "replace"))

"""What is exported, read by the parsers of prometheus_client and protobuf."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from obsagent.export import protobuf, text
from obsagent.export.buckets import EXPONENTS, ZERO_THRESHOLD, cumulative, exponents_of, native
from obsagent.export.exporter import encoded
from obsagent.export.family import ClassicBuckets, Exemplar, Family, Point
from obsagent.export.protobuf import varint, zigzag
from obsagent.samples import Kind
from obsagent.sketches import LogHist
from unit.metrics_proto import native_buckets, parse_delimited

ODD = 'a"b\\c\nd{}=,ü€'
VALUES = st.floats(allow_nan=False, allow_infinity=False)


def histogram(values: list[float], scale: int = 6) -> LogHist:
    hist = LogHist(scale)
    hist.add_many(values)
    return hist


def a_histogram(values: list[float], **more: object) -> Family:
    return Family("x_seconds", Kind.HISTOGRAM, "seconds", ODD, [Point((("a", ODD),), histogram(values), **more)])


def openmetrics(*families: Family) -> list:
    body = b"".join(map(text.openmetrics, families)) + text.END
    return list(parse_openmetrics(body.decode()))


def classic(*families: Family) -> list:
    return list(parse_classic(b"".join(map(text.classic, families)).decode()))


def one_message(family: Family) -> object:
    (message,) = parse_delimited(protobuf.delimited(family))
    return message


def samples(family: object) -> dict[tuple, float]:
    return {(each.name, each.labels.get("le")): each.value for each in family.samples}


def test_a_histogram_in_both_texts() -> None:
    family = a_histogram([0.001, 0.25, 0.3, 100.0, 0.0, -1.0], created_ms=1_700_000_000_250)
    (opened,), (plain,) = openmetrics(family), classic(family)
    for read in (opened, plain):
        assert (read.name, read.type, read.documentation) == ("x_seconds", "histogram", ODD)
        assert all(each.labels["a"] == ODD for each in read.samples)
        found = samples(read)
        assert found["x_seconds_bucket", "0.25"] == 4  # the bound is in it, and so is what is not above zero
        assert found["x_seconds_bucket", "0.5"] == 5
        assert found["x_seconds_bucket", "64.0"] == 5
        assert found["x_seconds_bucket", "+Inf"] == found["x_seconds_count", None] == 6
        assert found["x_seconds_sum", None] == pytest.approx(99.551)
    assert opened.unit == "seconds"
    assert samples(opened)["x_seconds_created", None] == 1_700_000_000.25
    assert ("x_seconds_created", None) not in samples(plain)


CLASSIC = ClassicBuckets((0.1, 2.5, math.inf), (1, 3, 4), 9.25)


def a_classic(value: ClassicBuckets) -> Family:
    return Family("x_seconds", Kind.HISTOGRAM, "seconds", ODD, [Point((("a", ODD),), value, 1_700_000_000_250)])


def test_a_classic_histogram_keeps_its_bounds_in_all_formats() -> None:
    (opened,), (plain,) = openmetrics(a_classic(CLASSIC)), classic(a_classic(CLASSIC))
    for read in (opened, plain):
        assert read.type == "histogram"
        found = samples(read)
        bounds = {edge: count for (name, edge), count in found.items() if name == "x_seconds_bucket"}
        assert bounds == {"0.1": 1, "2.5": 3, "+Inf": 4}
        assert (found["x_seconds_count", None], found["x_seconds_sum", None]) == (4, 9.25)
    assert samples(opened)["x_seconds_created", None] == 1_700_000_000.25
    message = one_message(a_classic(CLASSIC))
    read = message.metric[0].histogram
    assert message.type == 4
    assert [(each.upper_bound, each.cumulative_count) for each in read.bucket] == [(0.1, 1), (2.5, 3), (math.inf, 4)]
    assert (read.sample_count, read.sample_sum, read.created_timestamp.seconds) == (4, 9.25, 1_700_000_000)
    assert not read.HasField("schema")  # else Prometheus takes it for a native one, without a bucket
    assert not read.HasField("zero_threshold")


def test_a_classic_histogram_without_a_sum() -> None:
    family = a_classic(CLASSIC._replace(sum=None))
    (opened,), (plain,) = openmetrics(family), classic(family)
    assert samples(plain)["x_seconds_count", None] == 4
    assert {name for name, _ in samples(opened)} == {"x_seconds_bucket", "x_seconds_created"}  # no count without a sum
    assert not one_message(family).metric[0].histogram.HasField("sample_sum")


def test_a_counter_and_a_gauge_in_both_texts() -> None:
    families = [
        Family("hits", Kind.COUNTER, "", "Hits", [Point((), 12.0, 1_000), Point((("a", "b"),), 0.5)]),
        Family("depth", Kind.GAUGE, "", "Depth", [Point((), math.inf), Point((("a", "b"),), math.nan)]),
    ]
    for parsed in (openmetrics(*families), classic(*families)):
        hits, depth = parsed
        assert (hits.name, hits.type) == ("hits", "counter")
        assert [each.value for each in hits.samples if each.name == "hits_total"] == [12.0, 0.5]
        assert depth.type == "gauge"
        assert depth.samples[0].value == math.inf
        assert math.isnan(depth.samples[1].value)


def test_exemplars_lie_in_the_bucket_of_their_value() -> None:
    exemplars = (
        Exemplar((("trace_id", "t1"),), 0.2, 1_700_000_000_000),
        Exemplar((("trace_id", "t2"), ("request_id", "r")), 0.24),
        Exemplar((("trace_id", "t3"),), 70.0),
        Exemplar((("trace_id", "x" * 200),), 0.01),
    )
    family = a_histogram([0.2, 0.24, 70.0, 0.01], exemplars=exemplars)
    (read,) = openmetrics(family)
    found = {each.labels["le"]: each.exemplar for each in read.samples if each.exemplar}
    assert {bound: each.labels["trace_id"] for bound, each in found.items()} == {"0.25": "t2", "+Inf": "t3"}
    buckets = one_message(family).metric[0].histogram.bucket
    marked = {each.upper_bound: each.exemplar for each in buckets if each.HasField("exemplar")}
    assert marked[0.25].value == 0.24
    assert {pair.name: pair.value for pair in marked[0.25].label} == {"trace_id": "t2", "request_id": "r"}
    assert len(one_message(family).metric[0].histogram.exemplars) == 4


def test_a_histogram_in_protobuf() -> None:
    family = a_histogram([0.001, 0.25, 0.3, 100.0, 0.0, -1.0], created_ms=1_700_000_000_250)
    message = one_message(family)
    assert (message.name, message.help, message.type, message.unit) == ("x_seconds", ODD, 4, "seconds")
    (metric,) = message.metric
    assert [(pair.name, pair.value) for pair in metric.label] == [("a", ODD)]
    read = metric.histogram
    assert (read.sample_count, read.zero_count, read.schema, read.zero_threshold) == (6, 1, 6, ZERO_THRESHOLD)
    assert (read.created_timestamp.seconds, read.created_timestamp.nanos) == (1_700_000_000, 250_000_000)
    positive = native_buckets(read.positive_span, read.positive_delta)
    assert sum(positive.values()) == 4
    assert positive[-2 * 64] == 1  # 0.25 is the upper bound of its bucket, which Prometheus counts by that
    assert native_buckets(read.negative_span, read.negative_delta) == {0: 1}
    assert [each.cumulative_count for each in read.bucket if each.upper_bound in (0.25, math.inf)] == [4, 6]


def test_a_counter_and_a_gauge_in_protobuf() -> None:
    hits = Family("hits", Kind.COUNTER, "", "", [Point((), 0.0, 1_000), Point((("a", "b"),), 0.5)])
    read = one_message(hits)
    assert (read.name, read.type) == ("hits_total", 0)
    assert [metric.counter.value for metric in read.metric] == [0.0, 0.5]
    assert all(metric.HasField("counter") for metric in read.metric)
    assert [metric.counter.HasField("created_timestamp") for metric in read.metric] == [True, False]
    depth = one_message(Family("depth", Kind.GAUGE, "", "", [Point((), -1.5)]))
    assert (depth.type, depth.metric[0].gauge.value) == (1, -1.5)


@given(st.lists(VALUES, max_size=60), st.integers(0, 8))
def test_native_buckets_are_those_of_the_loghist(values: list[float], scale: int) -> None:
    hist = histogram(values, scale)
    family = Family("x", Kind.HISTOGRAM, "", "", [Point((), hist)])
    read = one_message(family).metric[0].histogram
    for sign, spans, deltas in (
        (False, read.positive_span, read.positive_delta),
        (True, read.negative_span, read.negative_delta),
    ):
        indices, counts = hist.buckets(negative=sign)
        assert native_buckets(spans, deltas) == {i + 1: count for i, count in zip(indices, counts, strict=True)}
    assert read.sample_count == hist.count
    assert len(read.positive_span) == 0 or read.positive_span[0].length > 0


@given(st.lists(VALUES, max_size=60), st.integers(0, 8), st.integers(1, 12))
def test_too_many_buckets_are_merged_and_no_sample_is_lost(values: list[float], scale: int, most: int) -> None:
    hist = histogram(values, scale)
    found = native(hist, most)
    occupied = found.positive.occupied + found.negative.occupied
    assert occupied <= most or found.schema == 0
    assert hist.scale == scale  # the original is untouched
    coarser = hist.copy()
    coarser.downscale(found.schema)
    assert occupied == len(coarser.buckets()[0]) + len(coarser.buckets(negative=True)[0])


@given(st.lists(VALUES, max_size=60), st.integers(0, 8), st.sampled_from(["", *EXPONENTS]))
def test_classic_counts_are_exact_at_their_bounds(values: list[float], scale: int, unit: str) -> None:
    exponents = exponents_of(unit)
    hist = histogram([*values, *(2.0**exponent for exponent in exponents)], scale)
    every = [*values, *(2.0**exponent for exponent in exponents)]
    assert cumulative(hist, exponents) == [sum(value <= 2.0**exponent for value in every) for exponent in exponents]


@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_written_as_protobuf_reads_them(unsigned: int, signed: int) -> None:
    encoder = pytest.importorskip("google.protobuf.internal.encoder")
    wire_format = pytest.importorskip("google.protobuf.internal.wire_format")
    assert varint(unsigned) == encoder._VarintBytes(unsigned)
    assert zigzag(signed) == wire_format.ZigZagEncode(signed)


def test_what_is_too_much_is_left_out_and_said() -> None:
    families = [Family(name, Kind.GAUGE, "", "", [Point((), 1.0)]) for name in ("a", "b", "long" * 100, "c")]
    body, left_out = encoded(families, text.classic, bytes_max=200)
    assert [family.name for family in parse_classic(body.decode())] == ["a", "b", "c"]
    (said,) = left_out
    assert said.startswith("longlong")
    assert encoded(families, text.classic)[1] == []

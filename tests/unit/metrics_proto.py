"""`io.prometheus.client.MetricFamily` for Google's parser, as prometheus/client_model describes it."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

PACKAGE = "io.prometheus.client"
FIELD = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "string": FIELD.TYPE_STRING,
    "double": FIELD.TYPE_DOUBLE,
    "uint64": FIELD.TYPE_UINT64,
    "uint32": FIELD.TYPE_UINT32,
    "sint32": FIELD.TYPE_SINT32,
    "sint64": FIELD.TYPE_SINT64,
}
TIMESTAMP = ".google.protobuf.Timestamp"
ENUM = {"MetricType": ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"]}

# field: number, type ("[]" is repeated; a capital names a message)
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    "Gauge": {"value": (1, "double")},
    "Counter": {"value": (1, "double"), "exemplar": (2, "Exemplar"), "created_timestamp": (3, TIMESTAMP)},
    "Exemplar": {"label": (1, "[]LabelPair"), "value": (2, "double"), "timestamp": (3, TIMESTAMP)},
    "BucketSpan": {"offset": (1, "sint32"), "length": (2, "uint32")},
    "Bucket": {"cumulative_count": (1, "uint64"), "upper_bound": (2, "double"), "exemplar": (3, "Exemplar")},
    "Histogram": {
        "sample_count": (1, "uint64"),
        "sample_sum": (2, "double"),
        "bucket": (3, "[]Bucket"),
        "schema": (5, "sint32"),
        "zero_threshold": (6, "double"),
        "zero_count": (7, "uint64"),
        "negative_span": (9, "[]BucketSpan"),
        "negative_delta": (10, "[]sint64"),
        "positive_span": (12, "[]BucketSpan"),
        "positive_delta": (13, "[]sint64"),
        "created_timestamp": (15, TIMESTAMP),
        "exemplars": (16, "[]Exemplar"),
    },
    "Metric": {
        "label": (1, "[]LabelPair"),
        "gauge": (2, "Gauge"),
        "counter": (3, "Counter"),
        "histogram": (7, "Histogram"),
    },
    "MetricFamily": {
        "name": (1, "string"),
        "help": (2, "string"),
        "type": (3, "MetricType"),
        "metric": (4, "[]Metric"),
        "unit": (5, "string"),
    },
}


def _family_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=PACKAGE, syntax="proto2")
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    for name, values in ENUM.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = FIELD.LABEL_REPEATED if kind.startswith("[]") else FIELD.LABEL_OPTIONAL
            kind = kind.removeprefix("[]")
            added = message.field.add(name=field, number=number, label=label)
            if kind in TYPES:
                added.type = TYPES[kind]
            else:
                added.type = FIELD.TYPE_ENUM if kind in ENUM else FIELD.TYPE_MESSAGE
                added.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.MetricFamily"))


MetricFamily = _family_class()


def parse_delimited(data: bytes) -> list[Any]:
    """The families of an exposition; fails on a byte that is no part of the schema."""
    families = []
    at = 0
    while at < len(data):
        size, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        family = MetricFamily.FromString(data[at : at + size])
        known = MetricFamily.FromString(data[at : at + size])
        known.DiscardUnknownFields()
        assert known.SerializeToString() == family.SerializeToString()
        families.append(family)
        at += size
    assert at == len(data)
    return families


def native_buckets(spans: Any, deltas: Any) -> dict[int, int]:
    """Index → count, as Prometheus reads spans and deltas."""
    found: dict[int, int] = {}
    remaining = iter(deltas)
    index = count = 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += next(remaining)
            found[index] = count
            index += 1
    assert next(remaining, None) is None
    return found

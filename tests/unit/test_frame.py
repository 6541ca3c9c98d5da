"""Headers: what is written is read back, and what is hostile is refused with its reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import obsagent.wire
from obsagent.errors import CorruptData, ProtocolError
from obsagent.limits import (
    BODY_BYTES_MAX,
    CLIENT_SERIES,
    CLIENT_SERIES_PER_METRIC,
    COUNT_MAX,
    DEFINE_BYTES_MAX,
    EVENT_BYTES_MAX,
    EVENT_NAME_BYTES_MAX,
    EVENTS_PER_MESSAGE,
    HEADER_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    REFUSED_LABEL_EXAMPLE_BYTES_MAX,
    REFUSED_LABEL_EXAMPLES,
    REFUSED_LABELS_PER_MESSAGE,
)
from obsagent.record.refusals import LENGTH, NEAR_UNIQUE, PER_METRIC, TOTAL
from obsagent.samples import Event, Kind
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, RefusedLabel, SeriesDefinition, SessionCounts
from obsagent.wire.records import read_records

SESSION = bytes(range(16))
FORMAT = Path(obsagent.wire.__file__).with_name("FORMAT.md").read_text()
COUNTS = SessionCounts(10, 1, 2, 3, 4)


def samples_fields(**changes: object) -> dict[str, object]:
    fields = {"s": SESSION, "q": 1, "f": 1, "a": 1000, "b": 2000, "n": 5, **frame.counts_fields(COUNTS)}
    return {**fields, **changes}


def test_format_lists_every_kind_with_its_number_and_state() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (?:client|agent|reader|control) \| (.+?) \|$", FORMAT, re.MULTILINE)
    assert {(int(number), word) for number, word, _ in rows} == {
        (kind.value, kind.name.lower()) for kind in MessageKind
    }
    refused = {MessageKind[word.upper()] for _, word, state in rows if state == "reserved, refused"}
    assert refused == frame.NOT_BUILT


def test_format_says_what_an_event_may_be() -> None:
    assert f"list of 1 … {EVENTS_PER_MESSAGE} `[name, time, labels]`" in FORMAT
    assert f"1 … {EVENT_NAME_BYTES_MAX} bytes, an event at most {EVENT_BYTES_MAX:,} bytes" in FORMAT


def test_format_says_how_a_refused_label_is_told() -> None:
    assert f"a list of 1 … {REFUSED_LABELS_PER_MESSAGE} `[{', '.join(RefusedLabel._fields)}]`" in FORMAT
    assert f"at most {REFUSED_LABEL_EXAMPLES} of them as examples, shortened to at most" in FORMAT
    assert f"at most {REFUSED_LABEL_EXAMPLE_BYTES_MAX} bytes each" in FORMAT
    assert f"at most {CLIENT_SERIES_PER_METRIC:,} series of a metric and {CLIENT_SERIES:,} in all" in FORMAT
    assert f"a value of more than {LABEL_VALUE_BYTES_MAX:,} bytes" in FORMAT
    for reason in (NEAR_UNIQUE, LENGTH, PER_METRIC, TOTAL):
        assert f"`{reason}`" in FORMAT


REFUSED = RefusedLabel("hits", "user", "near-unique", 7, ["u1", "u2"])


def test_refused_labels_round_trip_and_are_optional() -> None:
    packed = frame.pack(MessageKind.HEARTBEAT, s=SESSION, **frame.refused_labels_fields([REFUSED]))
    assert frame.read_refused_labels(frame.unpack(packed)[1]) == [REFUSED]
    assert frame.refused_labels_fields([]) == {}
    assert frame.read_refused_labels({}) == []
    assert frame.read_refused_labels({"l": [[*REFUSED, "of a later version"]]}) == [REFUSED]


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": ""},
        {"metric": 5},
        {"label": ""},
        {"label": "x" * (LABEL_NAME_BYTES_MAX + 1)},
        {"reason": None},
        {"refused": 0},
        {"refused": 1.5},
        {"refused": frame.COUNT_MAX + 1},
        {"examples": "abc"},
        {"examples": ["u"] * (REFUSED_LABEL_EXAMPLES + 1)},
        {"examples": [7]},
        {"examples": ["x" * (REFUSED_LABEL_EXAMPLE_BYTES_MAX + 1)]},
    ],
)
def test_a_refused_label_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptData):
        frame.read_refused_labels({"l": [list(REFUSED._replace(**changes))]})


@pytest.mark.parametrize("rows", ["abc", {}, [7], [["hits", "user"]], [list(REFUSED)] * 33])
def test_refused_labels_that_are_no_list_of_rows_are_refused(rows: object) -> None:
    with pytest.raises(CorruptData):
        frame.read_refused_labels({"l": rows})


def test_as_many_refused_labels_as_a_message_may_hold_fit_its_header() -> None:
    example = "x" * REFUSED_LABEL_EXAMPLE_BYTES_MAX
    row = RefusedLabel("m" * 256, "l" * 128, "near-unique", frame.COUNT_MAX, [example] * REFUSED_LABEL_EXAMPLES)
    fields = {**frame.counts_fields(COUNTS), **frame.refused_labels_fields([row] * REFUSED_LABELS_PER_MESSAGE)}
    assert len(frame.read_refused_labels(frame.unpack(frame.pack(MessageKind.HEARTBEAT, s=SESSION, **fields))[1])) == 32


def test_events_round_trip() -> None:
    events = [Event("deploy", 5, {"version": "4"}), Event("reload", 6, {})]
    rows = [frame.event_row(event) for event in events]
    _, fields = frame.unpack(frame.pack(MessageKind.EVENTS, s=SESSION, q=3, f=2, events=rows))
    header = frame.read_events(fields)
    assert header == (SESSION, 3, 2, events)
    assert header.last_sequence == 4


@pytest.mark.parametrize("changes", [{"q": 0}, {"f": 0}, {"f": 4}, {"q": COUNT_MAX}, {"s": b""}, {"events": None}])
def test_an_events_header_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CorruptData):
        frame.read_events({"s": SESSION, "q": 3, "f": 2, "events": [["deploy", 5, {}]], **changes})


def test_as_many_events_of_any_size_as_a_message_may_hold_fit_its_header() -> None:
    label = "x" * (EVENT_BYTES_MAX - 100)
    rows = [frame.event_row(Event("deploy", 5, {"a": label[:1024], "b": label[1024:2048], "c": label[2048:3072]}))]
    kind, _ = frame.unpack(frame.pack(MessageKind.EVENTS, s=SESSION, q=1, f=1, events=rows * EVENTS_PER_MESSAGE))
    assert kind is MessageKind.EVENTS


def test_format_names_the_protocols_version() -> None:
    assert f"# The wire format, protocol {frame.MAJOR}.{frame.MINOR}\n" in FORMAT
    assert f"`v` (protocol major, {frame.MAJOR}), `m` (protocol minor, {frame.MINOR})" in FORMAT


def test_pack_and_unpack_agree() -> None:
    kind, fields = frame.unpack(frame.pack(MessageKind.ACK, s=SESSION, q=7, clock=1))
    assert kind is MessageKind.ACK
    assert (fields["q"], frame.session_of(fields)) == (7, SESSION)


def test_samples_header_round_trip() -> None:
    _, fields = frame.unpack(frame.pack(MessageKind.SAMPLES, **samples_fields()))
    header = frame.read_samples(fields, 100)
    assert header == (SESSION, 1, 1, 1000, 2000, 5, COUNTS, 0)


DEFINITION = SeriesDefinition(
    3, "latency", Kind.HISTOGRAM, {"endpoint": "/score"}, "seconds", "help", 6, "sum", "tdigest"
)


def test_definitions_round_trip() -> None:
    packed = frame.pack(MessageKind.DEFINE, s=SESSION, series=[frame.definition_row(DEFINITION)])
    assert frame.read_definitions(frame.unpack(packed)[1]) == [DEFINITION]


def test_definitions_of_another_minor_are_understood() -> None:
    """One that names no sketch keeps a loghist alone; what a later one adds is passed over."""
    before = frame.definition_row(DEFINITION)[: frame.DEFINITION_FIELDS_MIN]
    assert frame.read_definitions({"series": [before]}) == [DEFINITION._replace(sketch="loghist")]
    after = [*frame.definition_row(DEFINITION), "more"]
    assert frame.read_definitions({"series": [after]}) == [DEFINITION]


@pytest.mark.parametrize(
    "changes",
    [
        {"q": 0},
        {"q": -1},
        {"q": True},
        {"q": 1.0},
        {"q": 1 << 63},
        {"a": 3000},
        {"d": [1, 2]},
        {"d": [1, 2, -3]},
        {"d": [1, 2, "3"]},
        {"o": None},
        {"s": b"short"},
        {"s": "0123456789abcdef"},
    ],
)
def test_hostile_samples_headers_are_corrupt(changes: dict[str, object]) -> None:
    with pytest.raises(CorruptData):
        frame.read_samples(samples_fields(**changes), 100)


def test_a_body_beyond_its_limit_is_corrupt() -> None:
    with pytest.raises(CorruptData, match="at most"):
        frame.read_samples(samples_fields(), 1 << 40)


@pytest.mark.parametrize(
    "row",
    [
        [0, "m", 9, {}, "", "", 6, "sum"],
        [0, "m", True, {}, "", "", 6, "sum"],
        [0, "", 1, {}, "", "", 6, "sum"],
        [-1, "m", 1, {}, "", "", 6, "sum"],
        [1 << 31, "m", 1, {}, "", "", 6, "sum"],
        [0, "m", 1, {"": "x"}, "", "", 6, "sum"],
        [0, "m", 1, {"a": 1}, "", "", 6, "sum"],
        [0, "m", 1, {"a": "x" * 2000}, "", "", 6, "sum"],
        [0, "m", 1, {str(i): "x" for i in range(100)}, "", "", 6, "sum"],
        [0, "m", 1, {}, "", "", 9, "sum"],
        [0, "m", 1, {}, "", "", 6, "product"],
        [0, "m", 1, {}, "", "", 6, "sum", "hdr"],
        [0, "m", 1, {}, "", "", 6, "sum", None],
        [0, "m", 1, {}, "", "", 6, "sum", []],
        [0, "m", 2, {}, "", "", 6, "sum", "tdigest"],
        [0, "m", 1, {}, "", ""],
        "row",
    ],
)
def test_hostile_definitions_are_corrupt(row: object) -> None:
    with pytest.raises(CorruptData):
        frame.read_definitions({"series": [row]})


def test_another_major_version_is_refused_and_named() -> None:
    header = msgpack.packb({"v": 2, "m": 0, "k": 1})
    with pytest.raises(ProtocolError, match=rf"2\.0.*1\.{frame.MINOR}"):
        frame.unpack(header)


def test_one_minor_apart_is_understood_two_are_not() -> None:
    assert frame.unpack(msgpack.packb({"v": 1, "m": frame.MINOR + 1, "k": 1}))[0] is MessageKind.HELLO
    with pytest.raises(ProtocolError):
        frame.unpack(msgpack.packb({"v": 1, "m": frame.MINOR + 2, "k": 1}))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="99"):
        frame.unpack(msgpack.packb({"v": 1, "m": frame.MINOR, "k": 99}))


def test_only_a_define_message_may_have_a_large_header() -> None:
    large = {"v": 1, "m": frame.MINOR, "pad": b"x" * HEADER_BYTES_MAX}
    assert frame.unpack(msgpack.packb({**large, "k": int(MessageKind.DEFINE)}))[0] is MessageKind.DEFINE
    with pytest.raises(CorruptData):
        frame.unpack(msgpack.packb({**large, "k": int(MessageKind.HELLO)}))
    with pytest.raises(CorruptData):
        frame.unpack(bytes(DEFINE_BYTES_MAX + 1))


@given(st.binary(max_size=200))
def test_foreign_bytes_never_escape_as_another_error(data: bytes) -> None:
    try:
        frame.unpack(data)
    except (CorruptData, ProtocolError):
        pass


def test_deeply_nested_bytes_are_corrupt() -> None:
    with pytest.raises(CorruptData):
        frame.unpack(b"\x81\xa1v" + b"\x91" * 5000)


@pytest.mark.parametrize("field", ["service", "host", "version", "pid", "started", "clock"])
def test_a_hello_needs_every_field(field: str) -> None:
    whole = {"s": SESSION, "service": "a", "host": "b", "pid": 1, "started": 2, "clock": 3, "version": ""}
    assert frame.read_hello(whole).service == "a"
    del whole[field]
    with pytest.raises(CorruptData, match=field):
        frame.read_hello(whole)


@pytest.mark.parametrize(
    "changes", [{"q": 0}, {"f": 0}, {"f": 4}, {"q": COUNT_MAX}, {"s": b""}, {"n": 0}, {"n": 1 << 17}]
)
def test_a_header_of_records_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    fields = {"s": SESSION, "q": 3, "f": 2, "n": 5}
    assert read_records(fields, 10).last_sequence == 7
    with pytest.raises(CorruptData):
        read_records({**fields, **changes}, 10)
    with pytest.raises(CorruptData, match="body"):
        read_records(fields, BODY_BYTES_MAX + 1)


@pytest.mark.parametrize("told", [None, 7, [1, 2], [1, 2, 3, 4, -1], [1, 2, 3, 4, "5"]])
def test_what_became_of_truths_is_five_counts(told: object) -> None:
    assert frame.read_ack({"clock": 1, "q": 2, "r": 9, "t": [1, 2, 3, 4, 5, 6]})[4:] == (9, (1, 2, 3, 4, 5))
    assert frame.read_welcome({"clock": 1, "applied": 0})[5:] == (None, (0, 0, 0, 0, 0))
    with pytest.raises(CorruptData):
        frame.read_ack({"clock": 1, "q": 2, "t": told})

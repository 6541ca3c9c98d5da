"""Messages that are wrong in one thing each: headers, what a reader's socket hears, configurations, identities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgpack

from fuzz.seeds_messages import DEFINITIONS, SESSION, hello, packed, samples, welcome
from fuzz.wire_check import NOW_MS
from obsagent._native.codec import crc32c
from obsagent.limits import EVENTS_PER_MESSAGE
from obsagent.wire import frame, zmtp
from obsagent.wire.frame import MessageKind

Cases = Iterator[tuple[str, bytes]]

START = b"\x84\xa1v\x01\xa1m\x01\xa1k\x01\xa1x"
"""A map of four: version, minor, the kind hello, and a field x, whose value is to follow."""


def define(**changes: Any) -> bytes:
    """One definition with other fields."""
    names = ("number", "metric", "kind", "labels", "unit", "help", "scale", "across", "sketch")
    row = dict(zip(names, frame.definition_row(DEFINITIONS[0]), strict=True))
    return packed(MessageKind.DEFINE, series=[[*{**row, **changes}.values()]])


def event(*row: Any, **changes: Any) -> bytes:
    """An events message of one event."""
    return packed(MessageKind.EVENTS, **{"q": 3, "f": 1, "events": [list(row)], **changes})


def headers() -> Cases:
    """Bytes that are no header, or the header of no message."""
    yield "empty", b""
    yield "truncated", hello()[:-3]
    yield "followed_by_a_byte", hello() + b"\0"
    yield "array_instead_of_map", msgpack.packb([1, 1, 1])
    yield "without_version", msgpack.packb({"m": 1, "k": 1})
    yield "without_kind", msgpack.packb({"v": 1, "m": 1})
    yield "version_is_text", msgpack.packb({"v": "1", "m": 1, "k": 1})
    yield "version_is_true", msgpack.packb({"v": True, "m": 1, "k": 1})
    yield "version_from_the_future", msgpack.packb({"v": 2, "m": 0, "k": 1})
    yield "minor_two_ahead", msgpack.packb({"v": 1, "m": frame.MINOR + 2, "k": 1})
    yield "kind_unknown", msgpack.packb({"v": 1, "m": frame.MINOR, "k": 99})
    yield "map_of_four_billion_entries", b"\xdf" + b"\xff" * 4
    yield "array_of_four_billion_entries", START + b"\xdd" + b"\xff" * 4
    yield "text_beyond_the_end", START + b"\xdb\x7f\xff\xff\xff"
    yield "bytes_beyond_the_end", START + b"\xc6\x7f\xff\xff\xff"
    yield "text_not_utf8", START + b"\xa1\xff"
    yield "extension_type", START + b"\xd4\x01\x00"
    yield "byte_that_msgpack_never_uses", START + b"\xc1"
    yield "key_is_a_number", b"\x84\xa1v\x01\xa1m\x01\xa1k\x01\x07\x01"
    yield "nested_arrays_5_000", START + b"\x91" * 5_000 + b"\x90"


def hellos() -> Cases:
    """Hellos that are none."""
    yield "hello_session_of_15_bytes", hello(s=bytes(15))
    yield "hello_session_is_text", hello(s="0123456789abcdef")
    yield "hello_service_missing", hello(service=None)
    yield "hello_service_empty", hello(service="")
    yield "hello_service_too_long", hello(service="x" * 1_025)
    yield "hello_pid_negative", hello(pid=-1)
    yield "hello_clock_is_a_fraction", hello(clock=1.5)
    yield "hello_clock_beyond_63_bits", hello(clock=2**63)
    yield "welcome_clock_nan", welcome(clock=float("nan"))
    yield "welcome_clock_of_the_year_300_000", welcome(clock=10**16)
    yield "welcome_scale_9", welcome(scales={"latency": 9})
    yield "welcome_scales_a_list", welcome(scales=[6])
    yield "ack_sequence_is_text", packed(MessageKind.ACK, q="3", clock=NOW_MS)


def batches() -> Cases:
    """Headers of samples that cannot be."""
    for name, changes in {
        "sequence_0": {"q": 0},
        "ends_before_it_starts": {"a": NOW_MS + 1},
        "count_is_true": {"n": True},
        "count_beyond_63_bits": {"o": 2**63},
        "count_negative": {"r": -1},
        "dropped_of_two": {"d": [0, 0]},
        "dropped_is_nan": {"d": [0, float("nan"), 0]},
        "dropped_is_text": {"d": "abc"},
    }.items():
        yield f"samples_{name}", samples(1, **changes)[0]
    yield "heartbeat_without_counts", packed(MessageKind.HEARTBEAT, f=1)


def definitions() -> Cases:
    """Definitions that are none."""
    deep = b"\x91" * 1_000 + b"\x90"  # msgpack reads that, and `repr` gives up
    row = b"\x99\x00\xa1m%s\x80\xa0\xa0\x06\xa3sum\xa7loghist"
    yield "define_series_a_map", packed(MessageKind.DEFINE, series={})
    yield "define_row_of_seven", packed(MessageKind.DEFINE, series=[[0, "m", 1, {}, "", "", 6]])
    yield "define_row_is_nil", packed(MessageKind.DEFINE, series=[None])
    yield "define_number_beyond_31_bits", define(number=2**31)
    yield "define_metric_empty", define(metric="")
    yield "define_metric_too_long", define(metric="x" * 257)
    yield "define_kind_5", define(kind=5)
    yield "define_kind_nested_1_000_arrays", packed(MessageKind.DEFINE, series=[None])[:-1] + row % deep
    yield "define_scale_9", define(scale=9)
    yield "define_across_unknown", define(across="median")
    yield "define_across_a_long_text", define(across="x" * 5_000)
    yield "define_digest_of_a_counter", define(kind=2)
    yield "define_33_labels", define(labels={f"l{number}": "" for number in range(33)})
    yield "define_label_without_name", define(labels={"": "a"})
    yield "define_label_is_a_number", define(labels={"a": 1})
    yield "define_label_too_long", define(labels={"a": "x" * 1_025})
    yield "define_labels_a_list", define(labels=["a"])


def events() -> Cases:
    """Events that are none."""
    yield "events_none", packed(MessageKind.EVENTS, q=1, f=1, events=[])
    rows = [["deploy", NOW_MS, {}]] * (EVENTS_PER_MESSAGE + 1)
    yield "events_too_many", packed(MessageKind.EVENTS, q=1, f=1, events=rows)
    yield "events_first_kept_above_the_first", event("deploy", NOW_MS, {}, f=4)
    yield "events_sequence_that_overflows", event("deploy", NOW_MS, {}, q=2**63 - 1)
    yield "event_of_two_fields", event("deploy", NOW_MS)
    yield "event_name_empty", event("", NOW_MS, {})
    yield "event_time_negative", event("deploy", -1, {})
    yield "event_too_large", event("deploy", NOW_MS, {f"l{number}": "x" * 1_000 for number in range(5)})


def header() -> Cases:
    """All of them."""
    for each in (headers, hellos, batches, definitions, events):
        yield from each()


def zmtp_cases() -> Cases:
    """What no ROUTER of ZMTP 3 says to a reader."""
    ready = zmtp.GREETING + zmtp.encode_command(b"READY", Socket_Type=b"ROUTER")
    curve = zmtp.SIGNATURE + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
    yield "nothing", b""
    yield "greeting_truncated", zmtp.GREETING[:40]
    yield "greeting_of_http", b"HTTP/1.1 400 Bad Request\r\n".ljust(64, b" ")
    yield "greeting_of_version_2", zmtp.SIGNATURE + b"\x02" + zmtp.GREETING[11:]
    yield "mechanism_curve", curve
    yield "message_before_ready", zmtp.GREETING + zmtp.encode_frame(0, b"hello")
    yield "error_instead_of_ready", zmtp.GREETING + zmtp.encode_command(b"ERROR") + b""
    yield "flags_reserved", ready + b"\x80\x00"
    yield "command_with_more", ready + b"\x05\x00"
    yield "frame_beyond_the_limit", ready + b"\x02" + (2**62).to_bytes(8, "big")
    yield "command_beyond_the_limit", ready + b"\x06" + (5_000).to_bytes(8, "big")
    yield "five_parts", ready + zmtp.encode_frame(zmtp.MORE, b"") * 5
    yield "leaves_in_a_frame", ready + zmtp.encode_frame(0, bytes(100))[:50]
    yield "answer_not_msgpack", ready + zmtp.encode_frame(0, b"\xc1")
    yield "answer_of_another_version", ready + zmtp.encode_frame(0, msgpack.packb({"v": 9, "m": 0, "k": 16}))


def config() -> Cases:
    """Configurations that say nothing, or too much."""
    yield "not_toml", b"data = \n"
    yield "not_utf8", b'data = "\xff"\n'
    yield "zero_byte", b"\0"
    yield "nested_too_deep", b"data = " + b"[" * 3_000 + b"]" * 3_000
    yield "number_of_5_000_digits", b"series_total = " + b"9" * 5_000
    yield "key_twice", b'data = "a"\ndata = "b"\n'
    yield "key_misspelt", b'lisen = "ipc:///a"\n'
    yield "key_that_moves_the_cursor", b'"\\u001b[31m" = 1\n'
    yield "key_of_400_characters", b"x" * 400 + b" = 1\n"
    yield "data_empty", b'data = ""\n'
    yield "data_with_a_zero_byte", b'data = "a\\u0000b"\n'
    yield "data_a_list", b"data = [" + b"1, " * 200 + b"]\n"
    yield "count_zero", b"series_total = 0\n"
    yield "count_true", b"series_total = true\n"
    yield "count_nan", b"series_per_metric = nan\n"
    yield "count_beyond_32_bits", b"series_per_metric = 4_294_967_295\n"
    yield "size_infinite", b'head_budget = "' + b"9" * 400 + b'TB"\n'
    yield "size_zero", b'head_budget = "0.5 B"\n'
    yield "size_of_unknown_unit", b'head_budget = "1 furlong"\n'
    yield "metrics_not_a_table", b"metrics = 1\n"
    yield "metric_not_a_table", b"metrics.latency = 6\n"
    yield "metric_key_unknown", b"[metrics.latency]\nscle = 6\n"
    yield "metric_scale_9", b"[metrics.latency]\nscale = 9\n"


def identity() -> Cases:
    """A store's identity that is damaged, or from the future."""
    store_id = "00010203-0405-0607-0809-0a0b0c0d0e0f"
    crc = crc32c(SESSION, crc32c(b"2"))
    yield "empty", b""
    yield "not_json", b"{"
    yield "nested_too_deep", b"[" * 5_000
    yield "format_infinite", json.dumps({"format": float("inf"), "store_id": store_id, "crc": 0}).encode()
    yield "id_not_a_uuid", json.dumps({"format": 1, "store_id": "a", "crc": 0}).encode()
    yield "id_missing", json.dumps({"format": 1, "crc": 0}).encode()
    yield "crc_wrong", json.dumps({"format": 1, "store_id": store_id, "crc": 0}).encode()
    yield "version_from_the_future", json.dumps({"format": 2, "store_id": store_id, "crc": crc}).encode()

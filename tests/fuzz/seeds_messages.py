"""Seeds of what comes over sockets: headers, a peer's messages, an agent's answers, ZMTP."""

from __future__ import annotations

import json
from typing import Any

from fuzz.seeds_native import Seeds
from fuzz.wire_check import NOW_MS, join_messages
from obsagent._native.codec import BodyWriter
from obsagent.by_id.codec import encode
from obsagent.samples import Event, Kind
from obsagent.wire import frame, zmtp
from obsagent.wire.frame import Header, MessageKind, SeriesDefinition, SessionCounts
from obsagent.wire.rules import ColumnRule, Rules, rules_body
from unit.by_id_lab import golden_batches

SESSION = bytes(range(16))
COUNTS = frame.counts_fields(SessionCounts(6, 1, 0, 0, 2))
LABELS = {"endpoint": "/score", "country": "DE"}
DEFINITIONS = [
    SeriesDefinition(0, "latency", Kind.HISTOGRAM, LABELS, "seconds", "Time per request", 6, "sum", "tdigest"),
    SeriesDefinition(1, "requests", Kind.COUNTER, LABELS, "requests", "", 6, "sum"),
    SeriesDefinition(2, "depth", Kind.GAUGE, {}, "", "", 6, "mean"),
]


EXEMPLARS = [[0, 0.5, NOW_MS - 20, b"4bf92f3577b34da6a3ce929d0e0e4736", b"r-1"]]


def packed(kind: MessageKind, **fields: Any) -> bytes:
    """A header of the session."""
    return frame.pack(kind, **{"s": SESSION, **fields})


def hello(**changes: Any) -> bytes:
    """A hello."""
    fields = {"service": "fraud", "host": "a", "pid": 7, "started": NOW_MS - 9, "clock": NOW_MS, "version": "4"}
    return packed(MessageKind.HELLO, **{**fields, **changes})


def define(field_count: int = 9) -> bytes:
    """The definitions of three series."""
    rows = [frame.definition_row(each)[:field_count] for each in DEFINITIONS]
    return packed(MessageKind.DEFINE, series=rows)


def body() -> bytes:
    """Five samples of the three series."""
    writer = BodyWriter()
    writer.put_run(0, [0.25, 0.5])
    writer.put_counter(1, 2, 2.0)
    writer.put_gauge(2, 4.0)
    return writer.take()


def samples(sequence: int = 1, **changes: Any) -> tuple[bytes, bytes]:
    """A batch whose counts go on from those of the ones before."""
    counts = frame.counts_fields(SessionCounts(8 * sequence, sequence, 0, 0, 2 * sequence))
    fields: Header = {"q": sequence, "f": 1, "a": NOW_MS - 50, "b": NOW_MS, "n": 5, **counts}
    return packed(MessageKind.SAMPLES, **{**fields, **changes}), body()


def events(sequence: int = 1) -> bytes:
    """Two events."""
    rows = [frame.event_row(Event("deploy", NOW_MS, {"version": "4"})), frame.event_row(Event("reload", NOW_MS))]
    return packed(MessageKind.EVENTS, q=sequence, f=1, events=rows)


def heartbeat() -> bytes:
    """A heartbeat."""
    return packed(MessageKind.HEARTBEAT, f=1, **COUNTS)


def goodbye(sequence: int) -> bytes:
    """A goodbye behind so many batches."""
    counts = frame.counts_fields(SessionCounts(8 * sequence, sequence, 0, 0, 2 * sequence))
    return packed(MessageKind.GOODBYE, f=1, **counts)


def welcome(**changes: Any) -> bytes:
    """The answer to a hello."""
    fields = {"clock": NOW_MS, "applied": 3, "events": 0, "worker": 1, "scales": {"latency": 7}}
    return packed(MessageKind.WELCOME, **{**fields, **changes})


def header_seeds() -> Seeds:
    yield "hello", hello()
    yield "define", define()
    yield "define_without_sketches", define(8)
    yield "model", packed(MessageKind.MODEL, model="fraud", version="4")
    yield "samples", samples()[0]
    yield "samples_with_exemplars", samples(x=EXEMPLARS)[0]
    yield "events", events()
    yield "heartbeat", heartbeat()
    yield "goodbye", goodbye(2)
    yield "welcome", welcome()
    yield "ack", packed(MessageKind.ACK, q=3, e=1, clock=NOW_MS, goodbye=False)
    yield "query", frame.pack(MessageKind.QUERY, text="p99 latency", zone="Europe/Berlin", explain=True)
    yield "reserved", packed(MessageKind.SPANS)


def conversation_seeds() -> Seeds:
    begun = [(hello(),), (define(),)]
    yield "whole", join_messages([*begun, samples(1), samples(2), (events(),), (heartbeat(),), (goodbye(2),)])
    yield "exemplars", join_messages([*begun, samples(1, x=EXEMPLARS), samples(2, x=[*EXEMPLARS, [], None])])
    yield "before_hello", join_messages([samples(1), (heartbeat(),), *begun])
    yield "given_up", join_messages([*begun, samples(1), samples(4, f=4), samples(4, f=4)])
    yield "out_of_time", join_messages([*begun, samples(1, b=NOW_MS + 3_600_000), samples(2, a=0)])
    yield "bad_body", join_messages([*begun, (samples(1)[0], b"\x01\x00\x09"), samples(2), (hello(),)])
    yield "two_sessions", join_messages([*begun, (hello(s=bytes(16)),), samples(1), samples(1, s=bytes(16))])


def answer_seeds() -> Seeds:
    yield "welcome", welcome()
    yield "welcome_without_events", packed(MessageKind.WELCOME, clock=NOW_MS, applied=0, scales={})
    yield "ack", packed(MessageKind.ACK, q=3, e=1, clock=NOW_MS, goodbye=True)
    yield "error_again", frame.pack(MessageKind.ERROR, code="again", message="full")
    yield "error", frame.pack(MessageKind.ERROR, code="frame", message="bad", exit_code=2)
    yield "answer", frame.pack(MessageKind.ANSWER, body=json.dumps({"rows": [1, 2.5, None, {"a": "b"}]}).encode())


def rules_seeds() -> Seeds:
    columns = {"amount": ColumnRule("number", (0.0, 1.5, 9.0)), "land": ColumnRule("category", (), ("DE", "FR"))}
    dropped, hashed = frozenset({"email"}), frozenset({"card"})
    yield "none", rules_body(Rules())
    yield "whole", rules_body(Rules("0123456789abcdef", columns, {}, dropped, hashed, bytes(32), "errors"))
    yield "outputs", rules_body(Rules("ab", {}, {"prediction.score": columns["amount"]}, keep_rows=0.25))


def records_seeds() -> Seeds:
    yield from ((name, encode(batch)) for name, batch in golden_batches().items())


def zmtp_seeds() -> Seeds:
    ready = zmtp.GREETING + zmtp.encode_command(b"READY", Socket_Type=b"ROUTER")
    answer = frame.pack(MessageKind.ANSWER)
    yield "greeting", zmtp.GREETING
    yield "answer", ready + zmtp.encode_frame(zmtp.MORE, answer) + zmtp.encode_frame(0, b'{"a":1}')
    yield "long_frame", ready + zmtp.encode_frame(zmtp.MORE, answer) + zmtp.encode_frame(0, b" " * 300)
    yield "command_between", ready + zmtp.encode_command(b"PING") + zmtp.encode_frame(0, answer)
    yield "error", zmtp.GREETING + zmtp.encode_command(b"ERROR") + b"\x04\x03abc"
    yield "many_parts", ready + zmtp.encode_frame(zmtp.MORE, b"") * 9
    yield "endless_frame", ready + bytes((zmtp.LONG,)) + b"\xff" * 8

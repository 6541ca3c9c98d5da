"""What must hold for any bytes that arrive as a message: at the agent, at a client, at a reader.

`check_header` takes one header, `check_conversation` the messages of a peer of the agent, one after the other
(`join_messages` makes such bytes), `check_answer` what an agent says to a client or a reader, `check_zmtp` what a
reader's Unix socket hears.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import msgpack

from obsagent import ask
from obsagent.endpoints import default_serve
from obsagent.errors import CorruptData, ObsagentError, ProtocolError
from obsagent.limits import DEFINE_BYTES_MAX, HEADER_BYTES_MAX, MESSAGE_BYTES_MAX
from obsagent.receive.ingest import Ingest
from obsagent.record.agent_clock import AgentClock
from obsagent.record.conversation import Conversation
from obsagent.record.events import EventQueue
from obsagent.record.outbox import Outbox
from obsagent.record.records import RecordQueue
from obsagent.record.refusals import Refusals
from obsagent.store_sink import StoreSink
from obsagent.testing.agent import MemoryStore
from obsagent.wire import frame, zmtp
from obsagent.wire.frame import Header, MessageKind
from obsagent.wire.rules import read_rules, rules_body

NOW_MS = 1_800_000_000_000
PEER = b"peer"
COMPLAINT_CHARACTERS_MAX = 600
"""A complaint goes back over the wire and into a log: it may name what was wrong, and not repeat it."""


def check_complaint(error: Exception) -> None:
    """Short, whatever was sent."""
    assert len(str(error)) <= COMPLAINT_CHARACTERS_MAX, len(str(error))


def check_header(data: bytes) -> None:
    """Fields or one of two errors; what is read of the fields says the same when it is written and read again."""
    try:
        kind, fields = frame.unpack(data)
    except (CorruptData, ProtocolError) as error:
        check_complaint(error)
        return
    assert len(data) <= (DEFINE_BYTES_MAX if kind is MessageKind.DEFINE else HEADER_BYTES_MAX)
    packed = msgpack.packb(fields)  # not fields themselves: NaN is not equal to NaN
    assert len(packed) > DEFINE_BYTES_MAX or msgpack.packb(msgpack.unpackb(packed)) == packed
    for reader, writer in READERS.values():
        try:
            found = reader(fields)
        except CorruptData as error:
            check_complaint(error)
            continue
        _, again = frame.unpack(frame.pack(kind, **writer(found)))
        assert reader(again) == found


def _samples_fields(found: frame.SamplesHeader) -> Header:
    names = dict(zip("sqfabn", found[:6], strict=True))
    return {**names, **frame.counts_fields(found.counts)}


READERS: dict[str, Any] = {
    "hello": (
        frame.read_hello,
        lambda found: {
            "s": found.session,
            "service": found.service,
            "host": found.host,
            "pid": found.pid,
            "started": found.started_ms,
            "clock": found.clock_ms,
            "version": found.version,
        },
    ),
    "definitions": (
        frame.read_definitions,
        lambda found: {"series": [frame.definition_row(each) for each in found]},
    ),
    "samples": (lambda fields: frame.read_samples(fields, 0), _samples_fields),
    "events": (
        frame.read_events,
        lambda found: {
            "s": found.session,
            "q": found.sequence,
            "f": found.first_kept,
            "events": [frame.event_row(each) for each in found.events],
        },
    ),
    "counts": (frame.read_counts, frame.counts_fields),
    "welcome": (frame.read_welcome, lambda found: found._asdict()),
    "ack": (
        frame.read_ack,
        lambda found: {"clock": found.clock, "q": found.sequence, "e": found.event, "goodbye": found.goodbye},
    ),
}


def join_messages(messages: Iterable[tuple[bytes, ...]]) -> bytes:
    """Messages of several parts as the bytes that `check_conversation` takes apart again."""
    out = bytearray()
    for parts in messages:
        out.append(len(parts))
        for part in parts:
            out += len(part).to_bytes(2, "little") + part
    return bytes(out)


def split_messages(data: bytes) -> Iterator[list[bytes | memoryview]]:
    """The opposite of `join_messages`, of any bytes; bodies are views, as those that a socket gives."""
    at = 0
    while at < len(data):
        parts: list[bytes | memoryview] = []
        count, at = data[at] % 5, at + 1
        for number in range(count):
            size = int.from_bytes(data[at : at + 2], "little")
            part = data[at + 2 : at + 2 + size]
            parts.append(memoryview(part) if number else part)
            at += 2 + size
        yield parts


class Desk:
    """An agent's receiver with a store in memory and a clock that stands."""

    def __init__(self) -> None:
        self.clock: Any = SimpleNamespace(wall_ms=lambda: NOW_MS, monotonic_ms=lambda: 0)
        self.store = MemoryStore(self.clock)
        self.replies: list[tuple[MessageKind, Header]] = []
        self.ingest = Ingest(StoreSink(self.store), self.clock, self._reply, {"latency": 7})

    def _reply(self, identity: bytes, header: bytes) -> None:
        assert identity == PEER
        self.replies.append(frame.unpack(header))

    def hear(self, parts: list[bytes | memoryview]) -> None:
        """One message, which is answered at once, later or not at all, and never twice."""
        before = len(self.replies)
        self.ingest.handle(PEER, parts)
        assert len(self.replies) - before <= 1
        self.check_accounts()

    def check_accounts(self) -> None:
        """Nothing is observed that is not stored, dropped or rejected."""
        for service, account in self.store._state.totals.items():
            assert account.pending == 0, (service, account)
            assert min(account.to_row()) >= 0, (service, account)


def check_conversation(data: bytes) -> None:
    """An agent takes any messages in any order: it stores what is sound, answers the rest, and its accounts balance."""
    desk = Desk()
    for parts in split_messages(data):
        desk.hear(parts)
    desk.ingest.acknowledge(desk.store.position())
    assert desk.ingest.malformed + desk.ingest.unsupported <= desk.ingest.messages


class Listener:
    """A socket that has one thing to say, and a speaker that has nothing."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data
        self.outbox, self.events, self.clock = Outbox(), EventQueue(), AgentClock(0.0)
        self.records = RecordQueue()
        self.definitions: list[Any] = []
        self.refusals: list[str] = []
        self.scales: dict[str, int] = {}
        self.refused_labels = Refusals()
        self.models = None
        self.disconnected = self.poll = lambda *_: False
        self.close = self.clock_changed = lambda: None
        self.send = lambda *_: True

    def receive(self) -> tuple[MessageKind, Header] | None:
        data, self._data = self._data, None
        return None if data is None else frame.unpack(data)

    def hello_fields(self) -> Header:
        return {}

    def counts(self) -> frame.SessionCounts:
        return frame.SessionCounts(0, 0, 0, 0, 0)

    def welcomed(self, scales: dict[str, int], caps: tuple[int, int]) -> None:
        self.scales = scales

    def refused(self, message: str) -> None:
        self.refusals.append(message)


def check_rules(data: bytes) -> None:
    """Whatever the body of rules holds, they are refused as corrupt, or are rules that are written and read alike."""
    named = {"model": "fraud", "version": ""}
    try:
        _, _, rules = read_rules(named, data)
    except CorruptData as error:
        check_complaint(error)
        return
    assert read_rules(named, rules_body(rules))[2] == rules


def check_answer(data: bytes) -> None:
    """Whatever an agent says, a client's thread goes on, and a reader gets an answer or one of the errors."""
    listener: Any = Listener(data)
    conversation = Conversation("ipc:///nowhere", bytes(16), listener, lambda _endpoint: listener)
    conversation.step()
    conversation.step()
    for message in listener.refusals:
        assert len(message) <= COMPLAINT_CHARACTERS_MAX
    assert all(type(scale) is int and 0 <= scale <= 8 for scale in listener.scales.values())
    reader = ask.AgentClient(default_serve())
    reader._requests = Teller(data)  # type: ignore[assignment]
    try:
        assert isinstance(reader.status(), dict)
    except ObsagentError as error:
        str(error)


class Teller:
    """A reader's conversation in which the agent answers with these bytes as its header."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def request(self, _kind: MessageKind, _timeout_s: float, **_fields: Any) -> tuple[MessageKind, Header]:
        kind, header = frame.unpack(self._data)
        return kind, header

    def close(self) -> None:
        """Nothing is open."""


class PeerSocket:
    """A Unix socket whose peer has said these bytes, in pieces of every size, and has left then."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.most_asked = 0

    def recv(self, size: int) -> bytes:
        self.most_asked = max(self.most_asked, size)
        size = min(size, 1 + self._at % 97)
        chunk = self._data[self._at : self._at + size]
        self._at += len(chunk)
        return chunk

    def sendall(self, _data: bytes) -> None:
        """Nobody reads it."""

    def settimeout(self, _timeout_s: float) -> None:
        """It never waits."""

    def connect(self, _path: str) -> None:
        """It is connected."""

    def close(self) -> None:
        """It is gone already."""


def check_zmtp(data: bytes) -> None:
    """A reader gets an answer or one of the documented errors, and takes no more memory than has arrived."""
    peer = PeerSocket(data)
    made, zmtp.socket.socket = zmtp.socket.socket, lambda *_: peer  # type: ignore[assignment,misc]
    try:
        dealer = zmtp.UnixDealer("nowhere", 60.0)
        kind, header = dealer.request(MessageKind.STATUS, 60.0)
    except (ProtocolError, CorruptData, ConnectionError) as error:
        str(error)
    else:
        assert isinstance(kind, MessageKind)
        assert len(header.get("body") or b"") <= MESSAGE_BYTES_MAX
        assert len(dealer._received) <= len(data)
    finally:
        zmtp.socket.socket = made  # type: ignore[misc]
    assert peer.most_asked <= zmtp.RECEIVE_BYTES

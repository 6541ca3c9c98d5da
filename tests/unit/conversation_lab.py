"""A conversation on a stage: a scripted agent, a client that remembers, and a clock that the test turns."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from obsagent.record import conversation as module
from obsagent.record.agent_clock import AgentClock
from obsagent.record.conversation import Conversation
from obsagent.record.events import EventQueue, QueuedEvent
from obsagent.record.outbox import Outbox
from obsagent.record.records import RecordQueue
from obsagent.record.refusals import Refusals
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts
from obsagent.wire.rules import Rules

SESSION = bytes(16)
COUNTS = SessionCounts(5, 1, 0, 0, 2)


class FakeSocket:
    """Remembers what was sent; plays what the test put into `incoming`."""

    def __init__(self, _endpoint: str) -> None:
        self.sent: list[tuple[MessageKind, dict[str, Any], bytes | None]] = []
        self.incoming: deque[Any] = deque()
        self.is_gone = self.is_closed = False
        self.room = 1000

    def send(self, header: bytes, body: bytes | None = None) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.sent.append((*frame.unpack(header), body))
        return True

    def receive(self) -> Any:
        if not self.incoming:
            return None
        message = self.incoming.popleft()
        if isinstance(message, Exception):
            raise message
        return message

    def poll(self, _timeout_ms: int) -> bool:
        return bool(self.incoming)

    def disconnected(self) -> bool:
        return self.is_gone

    def close(self) -> None:
        self.is_closed = True

    def kinds(self) -> list[MessageKind]:
        return [kind for kind, _, _ in self.sent]


class FakeSpeaker:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.models: Any = None
        self.events = EventQueue()
        self.records = RecordQueue()
        self.definitions: list[SeriesDefinition] = []
        self.clock = AgentClock(0.0)
        self.clock_changes = 0
        self.refusals: list[str] = []
        self.refused_labels = Refusals()
        self.grown: SessionCounts | None = None
        self.scales: dict[str, int] = {}

    def hello_fields(self) -> dict[str, Any]:
        return {"service": "fraud", "host": "h", "pid": 1, "started": 2, "version": ""}

    def counts(self) -> SessionCounts:
        return COUNTS

    def batch_counts(self, batch: Any) -> SessionCounts:
        return batch.counts or COUNTS

    def clock_changed(self) -> None:
        self.clock_changes += 1

    def welcomed(self, scales: dict[str, int], caps: tuple[int, int]) -> None:
        self.scales, self.caps = scales, caps

    def refused(self, message: str) -> None:
        self.refusals.append(message)

    def happen(self, count: int = 1) -> None:
        for number in range(count):
            self.events.put(QueuedEvent("deploy", 100.0 + number, {"version": "4"}))

    def queue(self, count: int = 1) -> None:
        for _ in range(count):
            batch: Any = SimpleNamespace(samples=2, body=b"body", start_ns=4_000_000, end_ns=9_000_000)
            batch.counts = self.grown
            self.outbox.put(batch, 0)


class FakeModels:
    def __init__(self) -> None:
        self.names = [("fraud", "4")]
        self.rules: list[tuple[str, str, Rules]] = []

    def take_rules(self, model: str, version: str, rules: Rules) -> None:
        self.rules.append((model, version, rules))


class Stage:
    """A conversation, its speaker, its clock and the sockets that it has opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000
        self.sockets: list[FakeSocket] = []
        monkeypatch.setattr(module, "monotonic_ms", lambda: self.now)
        monkeypatch.setattr("obsagent.wire.socket.ClientSocket", self._open)
        self.speaker = FakeSpeaker()
        self.conversation = Conversation("ipc:///x", SESSION, self.speaker)

    def _open(self, endpoint: str) -> FakeSocket:
        self.sockets.append(FakeSocket(endpoint))
        return self.sockets[-1]

    @property
    def socket(self) -> FakeSocket:
        return self.sockets[-1]

    def step(self, after_ms: int = 0) -> None:
        self.now += after_ms
        self.conversation.step()

    def say(self, kind: MessageKind, **fields: Any) -> None:
        self.socket.incoming.append((kind, fields))
        self.conversation.step()

    def welcome(self, applied: int = 0, clock: int | None = None, **more: Any) -> None:
        self.conversation.step()
        now = self.now if clock is None else clock
        self.say(MessageKind.WELCOME, clock=now, applied=applied, scales={"latency": 7}, **more)

    @property
    def event_sequences(self) -> list[list[int]]:
        """Per message on the present socket, the sequences of its events."""
        headers = [frame.read_events(fields) for kind, fields, _ in self.socket.sent if kind is MessageKind.EVENTS]
        return [list(range(each.sequence, each.last_sequence + 1)) for each in headers]

"""The client's half of the conversation, against a scripted agent and a clock that the test turns."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from obsagent.errors import AccessDenied, ProtocolError
from obsagent.limits import EVENTS_PER_MESSAGE, HEARTBEAT_INTERVAL_MS
from obsagent.record import conversation as module
from obsagent.record.agent_clock import AgentClock
from obsagent.record.conversation import SILENCE_LIMIT_MS, WELCOME_LIMIT_MS, Conversation
from obsagent.record.events import EventQueue, QueuedEvent
from obsagent.record.exemplars import ExemplarSlots
from obsagent.record.outbox import Outbox
from obsagent.record.refusals import NEAR_UNIQUE, Refusal, Refusals
from obsagent.samples import Kind
from obsagent.wire import frame
from obsagent.wire.exemplars import read_exemplars
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts
from obsagent.wire.rules import Rules, rules_body

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
            batch.body_without_columns = lambda: (b"plain", 1)
            self.outbox.put(batch, 0)


class FakeModels:
    def __init__(self) -> None:
        self.names = [("fraud", "4")]
        self.heard: list[bool] = []
        self.rules: list[tuple[str, str, Rules]] = []

    def welcomed(self, *, takes_columns: bool) -> None:
        self.heard.append(takes_columns)

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

    def welcome(self, applied: int = 0, clock: int | None = None, minor: int = frame.MINOR, **more: Any) -> None:
        self.conversation.step()
        now = self.now if clock is None else clock
        self.say(MessageKind.WELCOME, m=minor, clock=now, applied=applied, scales={"latency": 7}, **more)

    @property
    def event_sequences(self) -> list[list[int]]:
        """Per message on the present socket, the sequences of its events."""
        headers = [frame.read_events(fields) for kind, fields, _ in self.socket.sent if kind is MessageKind.EVENTS]
        return [list(range(each.sequence, each.last_sequence + 1)) for each in headers]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_nothing_is_said_before_the_welcome_but_hello(stage: Stage) -> None:
    stage.speaker.queue(2)
    stage.step()
    stage.step()
    assert stage.socket.kinds() == [MessageKind.HELLO]
    assert not stage.conversation.welcomed


def test_definitions_come_before_the_batches(stage: Stage) -> None:
    stage.speaker.queue(1)
    stage.speaker.definitions += [SeriesDefinition(n, "m", Kind.COUNTER, {}, "", "", 6, "sum") for n in range(300)]
    stage.welcome()
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.DEFINE, MessageKind.DEFINE, MessageKind.SAMPLES]
    _, header, body = stage.socket.sent[-1]
    assert frame.read_samples(header, 4) == (SESSION, 1, 1, 4, 9, 2, COUNTS)
    assert body == b"body"
    assert stage.speaker.scales == {"latency": 7}
    stage.speaker.queue(1)
    stage.step()
    assert stage.socket.kinds()[-2:] == [MessageKind.SAMPLES] * 2


def test_exemplars_go_with_their_batch_in_its_time(stage: Stage) -> None:
    slots = ExemplarSlots()
    stage.speaker.outbox = Outbox(exemplars=slots)
    for stage.now, series in ((3, 7), (6, 8), (9, 9), (10, 10)):  # the batches are of 4 to 9 ms
        slots.offer(series, 0.5, stage.now / 1e3, None, f"r-{series}")
    stage.speaker.queue(2)
    stage.welcome(clock=stage.now + 1_000)
    sent = [header for kind, header, _ in stage.socket.sent if kind is MessageKind.SAMPLES]
    assert [(header["a"], header["b"]) for header in sent] == [(1_004, 1_009)] * 2
    found, refused = read_exemplars(sent[0], 1_004, 1_009)
    assert not refused
    assert {each.number: each.time_ms for each in found} == {7: 1_004, 8: 1_006, 9: 1_009}
    assert all((each.value, each.request_id) == (0.5, f"r-{each.number}") for each in found)
    assert "x" not in sent[1]
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(clock=stage.now + 5_000)  # sent again, they are stamped anew with their batch
    again = next(header for kind, header, _ in stage.socket.sent if kind is MessageKind.SAMPLES)
    found, refused = read_exemplars(again, again["a"], again["b"])
    assert (len(found), again["a"]) == (3, 5_004)
    assert not refused


def test_an_agent_that_knows_no_columns_is_told_of_none(stage: Stage) -> None:
    """What it cannot take is given up once, whoever takes the batch in the end."""
    stage.speaker.queue(1)
    stage.speaker.definitions += [
        SeriesDefinition(0, "m", Kind.HISTOGRAM, {}, "", "", 6, "sum", "tdigest"),
        SeriesDefinition(1, "feature", Kind.COLUMN, {}, "", "", 6, "sum"),
    ]
    stage.speaker.models = models = FakeModels()
    stage.welcome(minor=1)
    (_, define, _), (_, samples, body) = stage.socket.sent[-2:]
    assert define["series"] == [[0, "m", 1, {}, "", "", 6, "sum", "tdigest"]]
    assert (samples["n"], body) == (1, b"plain")
    assert stage.speaker.outbox.dropped_budget == 1
    assert not stage.conversation.awaits_rules
    stage.socket.is_gone = True  # and is replaced by one that does
    stage.welcome()
    (_, asked, _), (_, define, _), (_, samples, body) = stage.socket.sent[-3:]
    assert (asked["model"], asked["version"]) == ("fraud", "4")
    assert [row[1] for row in define["series"]] == ["m", "feature"]
    assert (samples["n"], body) == (1, b"plain")
    assert stage.speaker.outbox.dropped_budget == 1
    assert models.heard == [False, True]
    stage.say(MessageKind.ACK, q=1, clock=stage.now)
    assert stage.speaker.outbox.acknowledged_samples == 1


def test_rules_are_asked_for_in_every_conversation_and_taken_whenever_they_come(stage: Stage) -> None:
    stage.speaker.models = models = FakeModels()
    stage.welcome()
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.MODEL]
    assert stage.conversation.awaits_rules
    rules = Rules(reference="abc", drop=frozenset({"email"}))
    stage.say(MessageKind.RULES, model="fraud", version="4", body=rules_body(rules))
    assert not stage.conversation.awaits_rules
    models.names.append(("other", ""))
    stage.step()
    assert stage.socket.sent[-1][1]["model"] == "other"
    stage.say(MessageKind.RULES, model="fraud", version="4", body=rules_body(Rules()))
    assert models.rules == [("fraud", "4", rules), ("fraud", "4", Rules())]
    stage.socket.is_gone = True
    stage.welcome()
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.MODEL, MessageKind.MODEL]


def test_batches_are_stamped_in_the_agents_time(stage: Stage) -> None:
    stage.speaker.queue(1)
    stage.welcome(clock=stage.now + 50_000)
    assert stage.socket.sent[-1][1]["a"] == 50_004
    stage.say(MessageKind.ACK, q=1, clock=stage.now + 50_020)
    assert (stage.speaker.clock.offset_ms, stage.speaker.clock_changes) == (50_000, 1)


def test_what_the_agent_has_applied_is_not_sent_again(stage: Stage) -> None:
    stage.speaker.queue(3)
    stage.welcome(applied=2)
    assert [fields["q"] for _, fields, _ in stage.socket.sent if "q" in fields] == [3]
    assert stage.speaker.outbox.acknowledged_samples == 4


def test_a_full_socket_waits_in_the_outbox(stage: Stage) -> None:
    stage.speaker.queue(3)
    stage.step()
    stage.socket.room = 2
    stage.welcome()
    assert [fields["q"] for _, fields, _ in stage.socket.sent if "q" in fields] == [1, 2]
    stage.socket.room = 10
    stage.step()
    assert [fields["q"] for _, fields, _ in stage.socket.sent if "q" in fields] == [1, 2, 3]


def test_a_disconnect_begins_again_with_hello_and_sends_what_is_unacknowledged(stage: Stage) -> None:
    stage.speaker.queue(2)
    stage.welcome()
    stage.say(MessageKind.ACK, q=1, clock=stage.now)
    stage.socket.is_gone = True
    old = stage.socket
    stage.step()
    assert old.is_closed
    assert stage.socket.kinds() == [MessageKind.HELLO]
    stage.welcome(applied=1)
    assert [fields["q"] for _, fields, _ in stage.socket.sent if "q" in fields] == [2]


@pytest.mark.parametrize("code", ["session", "again"])
def test_an_agent_that_asks_to_begin_again_gets_a_pause_and_a_hello(stage: Stage, code: str) -> None:
    stage.speaker.queue(1)
    stage.welcome()
    stage.say(MessageKind.ERROR, code=code, message="not now")
    stage.step()
    assert len(stage.sockets) == 1
    stage.step(module.BEGIN_AGAIN_PAUSE_MS)
    stage.welcome()
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.SAMPLES]
    assert stage.speaker.refusals == []


@pytest.mark.parametrize("error", [ProtocolError("another version"), AccessDenied("an unknown key")])
def test_a_refusal_is_reported_and_tried_again_later(stage: Stage, error: Exception) -> None:
    stage.step()
    stage.socket.incoming.append(error)
    stage.step()
    stage.step()
    assert stage.speaker.refusals == [str(error)]
    assert len(stage.sockets) == 1
    stage.step(module.REFUSED_PAUSE_MS)
    assert len(stage.sockets) == 2


def test_heartbeats_only_while_there_is_nothing_else(stage: Stage) -> None:
    stage.welcome()
    stage.step(HEARTBEAT_INTERVAL_MS - 1)
    assert stage.socket.kinds() == [MessageKind.HELLO]
    stage.step(1)
    kind, fields, _ = stage.socket.sent[-1]
    assert kind is MessageKind.HEARTBEAT
    assert frame.read_counts(fields) == COUNTS
    stage.speaker.queue(1)
    stage.step(HEARTBEAT_INTERVAL_MS)
    assert stage.socket.kinds()[-1] is MessageKind.SAMPLES


def told(stage: Stage) -> list[list[tuple[str, int]]]:
    """Per heartbeat on the present socket, the labels that it says were refused, and how often."""
    beats = [fields for kind, fields, _ in stage.socket.sent if kind is MessageKind.HEARTBEAT]
    return [[(row.label, row.refused) for row in frame.read_refused_labels(fields)] for fields in beats]


def refuse(stage: Stage, label: str = "user", count: int = 1) -> None:
    for number in range(count):
        stage.speaker.refused_labels.count("hits", Refusal(label, f"u{number}", NEAR_UNIQUE))


def test_refused_labels_are_told_soon_but_not_often_also_between_batches(stage: Stage) -> None:
    refuse(stage, count=2)
    stage.welcome()
    assert told(stage) == [[("user", 2)]]
    for _ in range(2 * module.REFUSALS_INTERVAL_MS // 100):
        refuse(stage)
        stage.speaker.queue(1)
        stage.step(100)
    assert told(stage) == [[("user", 2)], [("user", 12)], [("user", 22)]]
    stage.step(module.REFUSALS_INTERVAL_MS)
    assert len(told(stage)) == 3


def test_refused_labels_are_told_again_by_each_heartbeat_and_to_each_agent(stage: Stage) -> None:
    refuse(stage)
    stage.welcome()
    stage.step(HEARTBEAT_INTERVAL_MS)
    assert told(stage) == [[("user", 1)]] * 2
    stage.socket.is_gone = True
    stage.step(module.REFUSALS_INTERVAL_MS)
    stage.welcome()
    assert told(stage) == [[("user", 1)]]
    stage.conversation.say_goodbye()
    kind, fields, _ = stage.socket.sent[-1]
    assert kind is MessageKind.GOODBYE
    assert frame.read_refused_labels(fields) == [("hits", "user", "near-unique", 1, ["u0"])]


def test_refused_labels_that_the_socket_does_not_take_are_told_later(stage: Stage) -> None:
    stage.welcome()
    refuse(stage)
    stage.socket.room = 0
    stage.step(module.REFUSALS_INTERVAL_MS)
    stage.socket.room = 10
    stage.step(module.REFUSALS_INTERVAL_MS)
    assert told(stage) == [[("user", 1)]]


def test_a_silent_agent_is_left(stage: Stage) -> None:
    stage.step()
    stage.step(WELCOME_LIMIT_MS + 1)
    assert len(stage.sockets) == 2
    stage.welcome()
    stage.step(SILENCE_LIMIT_MS + 1)
    assert len(stage.sockets) == 3


def test_goodbye_is_said_once_welcomed(stage: Stage) -> None:
    stage.conversation.say_goodbye()
    assert stage.sockets == []
    stage.welcome()
    stage.conversation.say_goodbye()
    assert stage.socket.kinds()[-1] is MessageKind.GOODBYE
    stage.say(MessageKind.ACK, q=0, clock=stage.now, goodbye=True)
    assert stage.conversation.goodbye_answered


def test_events_go_first_in_the_agents_time_and_are_settled_by_its_acknowledgement(stage: Stage) -> None:
    stage.speaker.queue(1)
    stage.speaker.happen(EVENTS_PER_MESSAGE + 1)
    stage.welcome(clock=stage.now + 50_000, events=0)
    assert stage.socket.kinds()[1:] == [MessageKind.EVENTS] * 2 + [MessageKind.SAMPLES]
    assert stage.event_sequences == [list(range(1, 9)), [9]]
    assert stage.socket.sent[1][1]["events"][0] == ["deploy", 50_100, {"version": "4"}]
    stage.say(MessageKind.ACK, q=0, e=8, clock=stage.now + 50_000)
    assert (stage.speaker.events.first_kept, stage.speaker.events.pending, stage.speaker.events.waiting) == (9, 1, True)


def test_a_new_conversation_sends_the_events_that_the_agent_has_not_taken(stage: Stage) -> None:
    stage.speaker.happen(3)
    stage.welcome(events=0)
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(events=2)
    assert stage.event_sequences == [[3]]
    assert stage.socket.sent[-1][1]["f"] == 3


def test_events_wait_for_an_agent_that_takes_them(stage: Stage) -> None:
    stage.speaker.happen(1)
    stage.speaker.queue(1)
    stage.welcome()
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.SAMPLES]
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(applied=1, events=0)
    assert stage.socket.kinds() == [MessageKind.HELLO, MessageKind.EVENTS]


def test_a_full_socket_leaves_events_in_their_queue(stage: Stage) -> None:
    stage.speaker.happen(EVENTS_PER_MESSAGE + 1)
    stage.step()
    stage.socket.room = 1
    stage.welcome(events=0)
    stage.socket.room = 10
    stage.step()
    assert stage.event_sequences == [list(range(1, 9)), [9]]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (MessageKind.WELCOME, {}),
        (MessageKind.WELCOME, {"clock": "now", "applied": 0}),
        (MessageKind.WELCOME, {"clock": 10**18, "applied": 0}),
        (MessageKind.WELCOME, {"clock": 1, "applied": 0, "scales": {"latency": 99}}),
        (MessageKind.WELCOME, {"clock": 1, "applied": 0, "scales": ["latency"]}),
        (MessageKind.ACK, {"clock": 1}),
        (MessageKind.ACK, {"clock": 1, "q": None}),
        (MessageKind.RULES, {"model": "fraud", "version": ""}),
        (MessageKind.RULES, {"model": "fraud", "version": "", "body": b"no map"}),
    ],
)
def test_an_answer_that_is_none_ends_the_conversation_and_not_the_thread(
    stage: Stage, kind: MessageKind, fields: dict[str, Any]
) -> None:
    if kind is not MessageKind.WELCOME:
        stage.welcome()
    stage.step()
    stage.say(kind, m=frame.MINOR, **fields)
    assert "malformed" in stage.speaker.refusals[0]
    stage.step(module.REFUSED_PAUSE_MS)
    stage.welcome()
    assert stage.conversation.welcomed


def samples_sent(stage: Stage) -> list[tuple[bytes, int, int, SessionCounts]]:
    """Of each batch on the present socket: session, sequence, first kept sequence, counts."""
    headers = [frame.read_samples(fields, 4) for kind, fields, _ in stage.socket.sent if kind is MessageKind.SAMPLES]
    return [(each.session, each.sequence, each.first_kept, each.counts) for each in headers]


def test_an_agent_that_has_forgotten_gets_a_new_session_and_only_what_it_does_not_know(stage: Stage) -> None:
    """Its store was replaced, or it was gone for hours: what another one has taken is not lost."""
    speaker = stage.speaker
    for number in range(1, 4):
        speaker.grown = SessionCounts(10 * number, number, 0, 0, 0)
        speaker.queue(1)
    speaker.happen(3)
    stage.welcome(events=0)
    stage.say(MessageKind.ACK, q=2, e=1, clock=stage.now)
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(applied=0, events=0)
    assert stage.socket.is_closed
    stage.step()
    kind, hello, _ = stage.socket.sent[0]
    assert (kind, len(stage.sockets)) == (MessageKind.HELLO, 3)
    assert hello["s"] not in (SESSION, b"")
    stage.welcome(applied=0, events=0)
    assert samples_sent(stage) == [(hello["s"], 1, 1, SessionCounts(10, 1, 0, 0, 0))]
    assert stage.event_sequences == [[1, 2]]
    assert speaker.outbox.acknowledged_samples == 4
    speaker.grown = SessionCounts(55, 7, 1, 0, 0)
    speaker.queue(1)
    stage.step()
    assert samples_sent(stage)[-1] == (hello["s"], 2, 1, SessionCounts(35, 5, 1, 0, 0))
    stage.say(MessageKind.ACK, q=2, e=2, clock=stage.now)
    assert (speaker.outbox.acknowledged_samples, speaker.events.pending) == (8, 0)
    stage.socket.is_gone = True  # and this session it remembers
    stage.step()
    stage.welcome(applied=2, events=2)
    assert stage.socket.sent[0][1]["s"] == hello["s"]


def test_events_alone_are_reason_enough_for_a_new_session(stage: Stage) -> None:
    stage.speaker.happen(2)
    stage.welcome(events=0)
    stage.say(MessageKind.ACK, q=0, e=2, clock=stage.now)
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(events=1)
    stage.step()
    assert stage.socket.sent[0][1]["s"] != SESSION


def test_whoever_is_sent_back_again_and_again_comes_less_often(stage: Stage) -> None:
    stage.speaker.queue(2)
    pauses = []
    for _ in range(8):
        stage.welcome()
        stage.say(MessageKind.ERROR, code="again", message="the store is full")
        began = stage.now
        sockets = len(stage.sockets)
        while len(stage.sockets) == sockets:
            stage.step(100)
        pauses.append(stage.now - began)
    assert pauses[:4] == [100, 200, 400, 800]
    assert pauses[-1] == module.REFUSED_PAUSE_MS
    stage.welcome()
    stage.say(MessageKind.ACK, q=1, clock=stage.now)  # it works: the next time is a first time
    stage.say(MessageKind.ERROR, code="again", message="the store is full")
    sockets = len(stage.sockets)
    stage.step(100)
    assert len(stage.sockets) == sockets + 1

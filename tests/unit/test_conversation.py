"""The client's half of the conversation, against a scripted agent and a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest
from conversation_lab import COUNTS, SESSION, FakeModels, Stage

from obsagent.errors import AccessDenied, ProtocolError
from obsagent.limits import HEARTBEAT_INTERVAL_MS
from obsagent.record import conversation as module
from obsagent.record.conversation import SILENCE_LIMIT_MS, WELCOME_LIMIT_MS
from obsagent.record.exemplars import ExemplarSlots
from obsagent.record.outbox import Outbox
from obsagent.samples import Kind
from obsagent.wire import frame
from obsagent.wire.exemplars import read_exemplars
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts
from obsagent.wire.rules import Rules, rules_body


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
    assert frame.read_samples(header, 4) == (SESSION, 1, 1, 4, 9, 2, COUNTS, 0)
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

"""Events in the client's half of the conversation: told in order, once, and settled by the agent's word."""

from __future__ import annotations

import pytest
from conversation_lab import SESSION, Stage

from obsagent.limits import EVENTS_PER_MESSAGE
from obsagent.wire.frame import MessageKind


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


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


def test_events_alone_are_reason_enough_for_a_new_session(stage: Stage) -> None:
    stage.speaker.happen(2)
    stage.welcome(events=0)
    stage.say(MessageKind.ACK, q=0, e=2, clock=stage.now)
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(events=1)
    stage.step()
    assert stage.socket.sent[0][1]["s"] != SESSION

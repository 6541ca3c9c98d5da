"""Refused labels in the client's half of the conversation: told soon, not often, and to every agent."""

from __future__ import annotations

import pytest
from conversation_lab import Stage

from obsagent.limits import HEARTBEAT_INTERVAL_MS
from obsagent.record import conversation as module
from obsagent.record.refusals import NEAR_UNIQUE, Refusal
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


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

"""The client's queue of events, and what an event may say."""

from __future__ import annotations

import pytest

import obsagent
from obsagent.errors import EventError
from obsagent.limits import EVENT_BYTES_MAX, EVENT_NAME_BYTES_MAX, LABELS_MAX
from obsagent.record.events import EventQueue, QueuedEvent, checked_event
from obsagent.samples import Event


def queue_of(count: int, budget: int = 100) -> EventQueue:
    queue = EventQueue(budget)
    for number in range(1, count + 1):
        queue.put(QueuedEvent(f"e{number}", float(number), {}))
    return queue


def names(queue: EventQueue, count: int = 100) -> tuple[int, list[str]]:
    sequence, events = queue.unsent(count)
    return sequence, [event.name for event in events]


def test_events_go_out_in_order_once() -> None:
    queue = queue_of(3)
    assert names(queue, 2) == (1, ["e1", "e2"])
    assert not queue.waiting
    queue.mark_sent(2)
    assert names(queue, 2) == (3, ["e3"])
    queue.mark_sent(3)
    assert names(queue) == (4, [])
    assert queue.waiting


def test_an_acknowledgement_settles_everything_up_to_it() -> None:
    queue = queue_of(3)
    queue.mark_sent(3)
    queue.acknowledge(2)
    queue.acknowledge(1)
    assert (queue.first_kept, queue.last_sequence, queue.pending, queue.waiting) == (3, 3, 1, True)
    queue.acknowledge(99)
    assert (queue.first_kept, queue.last_sequence, queue.pending, queue.waiting) == (4, 3, 0, False)


def test_a_new_conversation_sends_again_what_is_not_acknowledged() -> None:
    queue = queue_of(3)
    queue.mark_sent(3)
    queue.rewind()
    queue.acknowledge(1)
    assert names(queue) == (2, ["e2", "e3"])


def test_the_oldest_go_first_when_there_are_too_many() -> None:
    queue = queue_of(3, budget=3)
    queue.mark_sent(1)
    queue.put(QueuedEvent("e4", 4.0, {}))
    queue.put(QueuedEvent("e5", 5.0, {}))
    assert (queue.dropped, queue.first_kept, queue.last_sequence, queue.waiting) == (2, 3, 5, False)
    assert names(queue) == (3, ["e3", "e4", "e5"])


def test_what_was_given_up_while_it_was_sent_is_not_counted_as_sent() -> None:
    queue = queue_of(3, budget=3)
    sequence, events = queue.unsent(2)
    queue.put(QueuedEvent("e4", 4.0, {}))
    queue.mark_sent(sequence + len(events) - 1)
    assert names(queue) == (3, ["e3", "e4"])


def test_what_was_never_sent_is_given_up_at_the_end() -> None:
    queue = queue_of(3)
    queue.mark_sent(1)
    queue.give_up_unsent()
    queue.refuse()
    assert (queue.pending, queue.dropped) == (1, 3)


def test_an_event_is_stamped_in_the_agents_time() -> None:
    event = checked_event("deploy", 1_000.7, {"version": 4, "canary": True})
    assert event.stamped(500.0) == Event("deploy", 1_500, {"version": "4", "canary": "True"})


def test_text_that_is_no_unicode_is_replaced() -> None:
    assert checked_event("deploy", 0.0, {"who": "J\udce9"}).labels == {"who": "J?"}


def test_a_disabled_client_keeps_no_event_and_refuses_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    client = obsagent.connect(service="off")
    client.event("deploy", version="4")
    assert client.flush() == (0, 0, 0, 0, 0, 0, 0, 0)
    with pytest.raises(EventError):
        client.event("deploy", service="x")


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("", {}, "is no name for an event"),
        (None, {}, "is no name for an event"),
        ("two\nlines", {}, "is no name for an event"),
        ("\udce9", {}, "is no name for an event"),
        ("é" * (EVENT_NAME_BYTES_MAX // 2 + 1), {}, "is no name for an event"),
        ("deploy", {"service": "x"}, "set by obsagent"),
        ("deploy", {"host": "x"}, "set by obsagent"),
        ("deploy", {"a b": "x"}, "is no name for a label"),
        ("deploy", {"a" * 129: "x"}, "is no name for a label"),
        ("deploy", {"log": "x" * 1025}, "longer than 1024 bytes"),
        ("deploy", {f"l{number}": "" for number in range(LABELS_MAX + 1)}, "33 labels; at most 32"),
        ("deploy", {f"l{number}": "x" * 1000 for number in range(5)}, f"at most {EVENT_BYTES_MAX} are allowed"),
    ],
)
def test_what_an_agent_would_not_take_is_refused_at_once(name: str, labels: dict[str, str], message: str) -> None:
    with pytest.raises(EventError, match=message):
        checked_event(name, 0.0, labels)

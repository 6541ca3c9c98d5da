"""Events arrive once and in order, whatever is lost between a client and its agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from obsagent.receive.events import take_events
from obsagent.record.events import EventQueue, QueuedEvent
from obsagent.samples import Event
from obsagent.wire.frame import EventsHeader

BUDGET = 5
PER_MESSAGE = 2


class Line:
    """A client's queue, an agent's session, and a connection that loses messages, acknowledgements and itself."""

    def __init__(self) -> None:
        self.queue = EventQueue(BUDGET)
        self.session: Any = SimpleNamespace(last_event=0, counts=(), labels=dict)
        self.happened = self.dropped = 0
        self.kept: list[int] = []

    def happen(self) -> None:
        self.happened += 1
        self.queue.put(QueuedEvent(str(self.happened), 0.0, {}))

    def send(self, *, arrives: bool, answered: bool) -> None:
        sequence, unsent = self.queue.unsent(PER_MESSAGE)
        if not unsent:
            return
        events = [event.stamped(0.0) for event in unsent]
        header = EventsHeader(b"", sequence, self.queue.first_kept, events)
        self.queue.mark_sent(header.last_sequence)
        if arrives:
            self.take(header)
        if arrives and answered:
            self.queue.acknowledge(self.session.last_event)
        if not arrives:
            self.reconnect()  # a connection that loses a message is gone

    def take(self, header: EventsHeader) -> None:
        taken = take_events(self.session, header, 0)
        if taken is not None:
            self.session.last_event = taken.sequence
            self.dropped += taken.dropped
            self.kept += [int(event.name) for event in taken.events]

    def reconnect(self) -> None:
        self.queue.rewind()
        self.queue.acknowledge(self.session.last_event)


STEPS = st.lists(st.sampled_from(["happen", "happen", "arrives", "unanswered", "lost", "reconnect"]), max_size=60)


@given(STEPS)
def test_every_event_is_kept_once_or_counted_as_given_up(steps: list[str]) -> None:
    line = Line()
    for step in steps:
        if step == "happen":
            line.happen()
        elif step == "reconnect":
            line.reconnect()
        else:
            line.send(arrives=step != "lost", answered=step == "arrives")
    line.reconnect()
    while line.queue.pending:
        line.send(arrives=True, answered=True)
    assert line.kept == sorted(set(line.kept))
    assert len(line.kept) + line.dropped == line.happened
    assert line.dropped <= line.queue.dropped
    assert line.queue.last_sequence == line.happened
    assert line.kept[-BUDGET:] == list(range(1, line.happened + 1))[-BUDGET:]


def test_a_message_that_overlaps_brings_only_what_is_new() -> None:
    line = Line()
    events = [Event(str(number), 0, {}) for number in (1, 2, 3)]
    line.take(EventsHeader(b"", 1, 1, events[:2]))
    line.take(EventsHeader(b"", 1, 1, events))
    line.take(EventsHeader(b"", 2, 1, events[1:]))
    assert line.kept == [1, 2, 3]

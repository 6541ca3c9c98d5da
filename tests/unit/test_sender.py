"""The sender's end: everything that was sealed before the stop is sent before the goodbye."""

from __future__ import annotations

from obsagent._native.ring import Recorder
from obsagent.record.events import EventQueue, checked_event
from obsagent.record.outbox import Outbox
from obsagent.record.records import RecordQueue
from obsagent.record.sender import Sender
from obsagent.samples import Kind


class Speaker:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.events = EventQueue()
        self.records = RecordQueue()
        self.models = None


class Conversation:
    """Notes what it says; the agent is there, or not, and never answers."""

    goodbye_answered = False

    def __init__(self, outbox: Outbox, *, welcomed: bool = True) -> None:
        self.outbox = outbox
        self.welcomed = welcomed
        self.said: list[int | str] = []

    def step(self) -> None:
        while self.welcomed and (entry := self.outbox.next_unsent()):
            self.said.append(entry.batch.samples)
            self.outbox.mark_sent()

    def poll(self, timeout_ms: int) -> None:
        self.welcomed = False

    def say_goodbye(self) -> None:
        self.said.append("goodbye")

    def close(self) -> None:
        self.said.append("closed")


def stopped_with_a_batch(*, welcomed: bool) -> tuple[Conversation, Outbox]:
    """A sender that is stopped while the recorder's last batch has not been taken yet."""
    recorder, speaker = Recorder(7), Speaker()
    conversation = Conversation(speaker.outbox, welcomed=welcomed)
    sender = Sender(recorder, speaker, conversation)
    recorder.start()
    recorder.histogram(recorder.define(Kind.HISTOGRAM)).observe_many([1.0] * 5)
    recorder.stop()
    sender._stopping = True
    sender.start()
    sender.stop(10)
    return conversation, speaker.outbox


def test_the_last_batch_is_sent_before_the_goodbye() -> None:
    conversation, outbox = stopped_with_a_batch(welcomed=True)
    assert conversation.said == [5, "goodbye", "closed"]
    assert outbox.dropped_expired == 0


def test_the_last_batch_is_given_up_and_counted_without_an_agent() -> None:
    conversation, outbox = stopped_with_a_batch(welcomed=False)
    assert conversation.said == ["goodbye", "closed"]
    assert (outbox.queued_samples, outbox.dropped_expired) == (5, 5)


def test_waiting_for_what_is_settled_includes_the_events() -> None:
    recorder, speaker = Recorder(5), Speaker()
    sender = Sender(recorder, speaker, Conversation(speaker.outbox))
    speaker.events.put(checked_event("deploy", 1.0, {}))
    assert sender.wait_settled(0, 0, 0, 0.0)
    assert not sender.wait_settled(0, 1, 0, 0.01)
    speaker.events.acknowledge(1)
    assert sender.wait_settled(0, 1, 0, 0.0)
    assert not sender.wait_settled(1, 1, 0, 0.01)


def test_an_event_that_was_never_sent_is_given_up_and_counted() -> None:
    recorder, speaker = Recorder(6), Speaker()
    sender = Sender(recorder, speaker, Conversation(speaker.outbox, welcomed=False))
    speaker.events.put(checked_event("deploy", 1.0, {}))
    sender._stopping = True
    sender.start()
    sender.stop(10)
    assert (speaker.events.pending, speaker.events.dropped) == (0, 1)

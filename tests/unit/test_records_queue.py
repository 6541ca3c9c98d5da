"""The client's queue of records: what it gives up and what it never does, gaps, and what the agent says of them."""

from __future__ import annotations

import warnings
from typing import Any

import by_id_lab as lab
import pytest
from conversation_lab import SESSION, Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.by_id import columns
from obsagent.by_id.codec import decode, texts_of
from obsagent.by_id.report import TruthReport
from obsagent.record.records import ENTRY_OVERHEAD_BYTES, RecordQueue
from obsagent.wire.frame import MessageKind

ROOM = 4 * (ENTRY_OVERHEAD_BYTES + 80)
"""For some four batches of one record."""


def queue_of(*kinds: str, **budgets: int) -> RecordQueue:
    queue = RecordQueue(**budgets)
    for number, kind in enumerate(kinds):
        if kind == "truth":
            assert queue.put_truths(lab.truths([f"id-{number}"]), is_stamped=True) is not None
        else:
            queue.put(lab.predictions([f"id-{number}"]), is_stamped=True)
    return queue


def sent(queue: RecordQueue) -> list[int]:
    """The sequences of what may be sent now."""
    sequences = []
    while entry := queue.next_unsent():
        queue.mark_sent(entry)
        sequences.append(entry.sequence)
    return sequences


def test_batches_are_sent_in_order_and_forgotten_when_acknowledged() -> None:
    queue = queue_of("prediction", "truth", "prediction")
    assert sent(queue) == [1, 2, 3]
    assert (queue.pending, queue.waiting, queue.first_kept, queue.last_sequence) == (3, True, 1, 3)
    queue.acknowledge(2, TruthReport(matched=1))
    assert (queue.pending, queue.first_kept, queue.report) == (1, 3, TruthReport(1))
    queue.rewind()
    assert sent(queue) == [3]
    queue.acknowledge(3, TruthReport())
    assert (queue.pending, queue.waiting, queue.first_kept) == (0, False, 4)


def test_the_oldest_predictions_are_given_up_and_no_truths() -> None:
    queue = queue_of("truth", *["prediction"] * 9, budget_bytes=ROOM)
    assert queue.dropped > 0
    assert queue.pending == 10 - queue.dropped
    assert queue.first_kept == 1
    assert sent(queue) == [1]  # a gap is behind it
    queue.acknowledge(1, TruthReport())
    assert sent(queue) == list(range(queue.dropped + 2, 11))


def test_truths_wait_for_room() -> None:
    queue = RecordQueue(truths_bytes=ROOM)
    while queue.put_truths(lab.truths(["a"]), is_stamped=True) is not None:
        assert queue.pending < 20
    assert not queue.has_room_for_truths
    assert queue.dropped == 0
    sent(queue)
    queue.acknowledge(queue.last_sequence, TruthReport())
    assert queue.has_room_for_truths


def test_what_is_given_up_on_its_way_may_have_arrived_all_the_same() -> None:
    queue = RecordQueue(budget_bytes=ROOM)
    for number in range(3):
        queue.put(lab.predictions([f"a{number}"]), is_stamped=True)
    sent(queue)
    for number in range(3):
        queue.put(lab.predictions([f"b{number}"]), is_stamped=True)
    dropped = queue.dropped
    assert dropped > 0
    queue.acknowledge(3, TruthReport())
    assert queue.dropped == 0
    assert sent(queue) == [4, 5, 6]


def test_a_new_conversation_leaves_what_was_given_up_so() -> None:
    queue = RecordQueue(budget_bytes=ROOM)
    for number in range(9):
        queue.put(lab.predictions([f"a{number}"]), is_stamped=True)
        sent(queue)
    dropped = queue.dropped
    queue.rewind()
    queue.acknowledge(9, TruthReport())
    assert queue.dropped == dropped > 0


def test_truths_that_nobody_waits_for_are_withdrawn_unless_they_were_sent() -> None:
    queue = queue_of("truth", "prediction", "truth", "prediction")
    entry = queue.next_unsent()
    assert entry is not None
    queue.mark_sent(entry)
    queue.withdraw_truths()
    assert queue.truths_waiting
    assert queue.pending == 3
    assert sent(queue) == [2]
    queue.acknowledge(2, TruthReport(unmatched=1))
    assert not queue.truths_waiting
    assert sent(queue) == [4]


def test_an_agent_that_takes_no_records_gets_none() -> None:
    queue = queue_of("prediction", "truth")
    queue.refuse()
    queue.put(lab.predictions(["a"]), is_stamped=True)
    assert (queue.pending, queue.dropped, queue.is_refused) == (0, 3, True)
    queue.accept()
    queue.put(lab.predictions(["b"]), is_stamped=True)
    assert sent(queue) == [4]


def test_times_that_are_monotonic_are_sent_in_the_agents_time() -> None:
    queue = RecordQueue()
    queue.put(lab.predictions(["a"], at_ms=1_000), is_stamped=False)
    queue.put(lab.predictions(["a"], at_ms=1_000), is_stamped=True)
    times = []
    while entry := queue.next_unsent():
        queue.mark_sent(entry)
        times.append(columns.unpack(columns.TIME, decode(entry.body(500.9)).at_ms)[0])  # type: ignore[union-attr]
    assert times == [1_500, 1_000]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["prediction", "truth", "send", "acknowledge", "rewind", "withdraw"]), max_size=40))
def test_an_agent_gets_every_truth_once_and_in_order(steps: list[str]) -> None:
    """Whatever happens in between; nothing behind a gap comes before all ahead of it is acknowledged."""
    queue, last, taken, given_ids = RecordQueue(budget_bytes=ROOM), 0, [], []
    in_flight: list[Any] = []
    for number, step in enumerate([*steps, "rewind", *["send", "acknowledge"] * 20]):
        if step == "prediction":
            queue.put(lab.predictions([f"p{number}"]), is_stamped=True)
        elif step == "truth":
            queue.put_truths(lab.truths([f"t{number}"]), is_stamped=True)
            given_ids.append(f"t{number}")
        elif step == "withdraw":
            unsent = [text for each in queue._truths if not each.was_sent for text in texts_of(each._batch.ids)]
            queue.withdraw_truths()
            given_ids = [text for text in given_ids if text not in unsent]
        elif step == "rewind":
            queue.rewind()
            in_flight.clear()
        elif step == "send" and (entry := queue.next_unsent()):
            queue.mark_sent(entry)
            in_flight.append((entry, queue.first_kept))
        elif step == "acknowledge":
            for entry, first_kept in in_flight:
                if entry.last_sequence > last and entry.sequence in (last + 1, first_kept):
                    taken += texts_of(entry._batch.ids)
                    last = entry.last_sequence
                else:
                    assert entry.last_sequence <= last
            in_flight.clear()
            queue.acknowledge(last, TruthReport())
    truths = [text for text in taken if text.startswith("t")]
    assert truths == given_ids
    assert len(taken) == len(set(taken))
    assert queue.pending == 0


# In a conversation


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def records_sent(stage: Stage) -> list[dict[str, Any]]:
    kinds = (MessageKind.PREDICTIONS, MessageKind.TRUTHS, MessageKind.FEATURES)
    return [fields for kind, fields, _ in stage.socket.sent if kind in kinds]


def test_records_are_sent_and_acknowledged_with_what_became_of_them(stage: Stage) -> None:
    stage.welcome(records=0, t=[0] * 5)
    queue = stage.speaker.records
    queue.put(lab.predictions(["a", "b"]), is_stamped=True)
    queue.put_truths(lab.truths(["a"]), is_stamped=True)
    stage.step()
    assert [(each["s"], each["q"], each["f"], each["n"]) for each in records_sent(stage)] == [
        (SESSION, 1, 1, 2),
        (SESSION, 3, 1, 1),
    ]
    stage.say(MessageKind.ACK, clock=stage.now, q=0, r=2, t=[0, 0, 0, 0, 0])
    stage.say(MessageKind.ACK, clock=stage.now, q=0, r=3, t=[1, 0, 0, 0, 0])
    assert (queue.pending, queue.report) == (0, TruthReport(matched=1))


def test_a_welcome_says_what_an_acknowledgement_on_its_way_would_have(stage: Stage) -> None:
    stage.welcome(records=0, t=[0] * 5)
    stage.speaker.records.put_truths(lab.truths(["a"]), is_stamped=True)
    stage.step()
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(records=1, t=[0, 1, 0, 0, 0])
    assert stage.speaker.records.report == TruthReport(unmatched=1)
    assert records_sent(stage) == []


def test_an_agent_that_has_forgotten_is_a_new_session(stage: Stage) -> None:
    stage.welcome(records=0, t=[0] * 5)
    queue = stage.speaker.records
    queue.put_truths(lab.truths(["a"]), is_stamped=True)
    stage.step()
    stage.say(MessageKind.ACK, clock=stage.now, q=0, r=1, t=[0, 1, 0, 0, 0])
    queue.put_truths(lab.truths(["b"]), is_stamped=True)
    stage.socket.is_gone = True
    stage.step()
    stage.welcome(records=0, t=[0] * 5)
    stage.welcome(records=0, t=[0] * 5)
    (fields,) = records_sent(stage)
    assert (fields["s"] != SESSION, fields["q"], fields["f"]) == (True, 1, 1)
    stage.say(MessageKind.ACK, clock=stage.now, q=0, r=1, t=[0, 1, 0, 0, 0])
    assert (queue.pending, queue.report) == (0, TruthReport(unmatched=2))


def test_an_agent_of_the_minor_before_gets_none_and_it_is_said_once(stage: Stage) -> None:
    stage.speaker.records.put(lab.predictions(["a"]), is_stamped=True)
    with pytest.warns(RuntimeWarning, match="older"):
        stage.welcome(events=0)
    stage.speaker.records.put(lab.predictions(["b"]), is_stamped=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage.step()
    assert records_sent(stage) == []
    assert stage.speaker.records.dropped == 2

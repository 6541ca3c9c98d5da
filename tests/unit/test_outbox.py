"""The client's queue of batches: order, budget, age, and what the agent is told of holes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from obsagent.record.outbox import ENTRY_OVERHEAD_BYTES, Outbox


def batch(samples: int = 10, body: bytes = b"x" * 100) -> Any:
    return SimpleNamespace(samples=samples, body=body)


def sequences_to_send(outbox: Outbox) -> list[int]:
    sent = []
    while entry := outbox.next_unsent():
        sent.append(entry.sequence)
        outbox.mark_sent()
    return sent


def test_batches_go_out_in_order_once() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.put(batch(), 0)
    assert sequences_to_send(outbox) == [1, 2, 3]
    assert outbox.next_unsent() is None
    assert outbox.waiting


def test_an_acknowledgement_settles_everything_up_to_it() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.put(batch(), 0)
    sequences_to_send(outbox)
    outbox.acknowledge(2)
    assert (outbox.acknowledged_samples, outbox.first_kept, outbox.waiting) == (20, 3, True)
    outbox.acknowledge(2)
    outbox.acknowledge(3)
    assert (outbox.settled_samples, outbox.waiting) == (30, False)
    assert outbox.first_kept == 4


def test_a_new_conversation_sends_again_what_is_not_acknowledged() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.put(batch(), 0)
    sequences_to_send(outbox)
    outbox.rewind()
    outbox.acknowledge(1)
    assert sequences_to_send(outbox) == [2, 3]


def test_the_oldest_go_first_when_the_budget_is_exceeded() -> None:
    outbox = Outbox(budget_bytes=3 * (100 + ENTRY_OVERHEAD_BYTES))
    for _ in range(3):
        outbox.put(batch(), 0)
    sequences_to_send(outbox)
    for _ in range(2):
        outbox.put(batch(), 0)
    assert (outbox.dropped_budget, outbox.first_kept) == (20, 3)
    assert sequences_to_send(outbox) == [4, 5]


def full_outbox_with_three_sent() -> Outbox:
    outbox = Outbox(budget_bytes=3 * (100 + ENTRY_OVERHEAD_BYTES))
    for _ in range(3):
        outbox.put(batch(), 0)
    sequences_to_send(outbox)
    for _ in range(2):
        outbox.put(batch(), 0)
    return outbox


def test_what_was_given_up_on_its_way_counts_as_acknowledged_if_it_is() -> None:
    outbox = full_outbox_with_three_sent()
    outbox.acknowledge(1)
    assert (outbox.dropped_budget, outbox.acknowledged_samples, outbox.settled_samples) == (10, 10, 20)
    outbox.acknowledge(3)
    assert (outbox.dropped_budget, outbox.acknowledged_samples) == (0, 30)


def test_what_was_never_sent_stays_given_up_whatever_is_acknowledged() -> None:
    outbox = Outbox(budget_bytes=2 * (100 + ENTRY_OVERHEAD_BYTES))
    for _ in range(3):
        outbox.put(batch(), 0)
    sequences_to_send(outbox)
    outbox.acknowledge(3)
    assert (outbox.dropped_budget, outbox.acknowledged_samples) == (10, 20)


def test_of_what_was_given_up_nothing_is_known_after_the_conversation() -> None:
    outbox = full_outbox_with_three_sent()
    outbox.rewind()
    outbox.acknowledge(5)
    assert (outbox.dropped_budget, outbox.acknowledged_samples) == (20, 30)


def test_a_single_batch_beyond_the_budget_is_kept() -> None:
    outbox = Outbox(budget_bytes=10)
    outbox.put(batch(), 0)
    assert (outbox.dropped_budget, sequences_to_send(outbox)) == (0, [1])


def test_the_old_expire() -> None:
    outbox = Outbox(age_limit_ms=1000)
    outbox.put(batch(), 0)
    outbox.put(batch(), 500)
    outbox.expire(1200)
    assert (outbox.dropped_expired, outbox.first_kept) == (10, 2)


def test_what_was_never_sent_is_given_up_at_the_end() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.put(batch(), 0)
    outbox.next_unsent()
    outbox.mark_sent()
    outbox.give_up_unsent()
    assert (outbox.dropped_expired, outbox.first_kept, outbox.waiting) == (20, 1, True)

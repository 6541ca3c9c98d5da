"""An acknowledgement leaves when the journal is durable up to its position, and not before."""

from __future__ import annotations

from obsagent.limits import PENDING_ACKS_PER_SESSION
from obsagent.receive.acks import Ack, PendingAcks


def test_nothing_is_acknowledged_before_it_is_synced() -> None:
    acks = PendingAcks()
    acks.add(Ack(b"i", b"s", 1, 100))
    assert acks.due(99) == []
    assert acks.due(100) == [Ack(b"i", b"s", 1, 100)]
    assert acks.due(100) == []


def test_one_acknowledgement_covers_those_before_it() -> None:
    acks = PendingAcks()
    for sequence, position in [(1, 100), (2, 200), (3, 300)]:
        acks.add(Ack(b"i", b"s", sequence, position))
        acks.add(Ack(b"j", b"t", sequence, position))
    assert [(ack.session, ack.sequence) for ack in acks.due(250)] == [(b"s", 2), (b"t", 2)]
    assert len(acks) == 2


def test_a_goodbye_is_answered_beside_the_batches_before_it() -> None:
    acks = PendingAcks()
    acks.add(Ack(b"i", b"s", 4, 100))
    acks.add(Ack(b"i", b"s", 4, 120, goodbye=True))
    assert [ack.goodbye for ack in acks.due(120)] == [False, True]


def test_what_waits_is_bounded_however_long_nothing_is_synced() -> None:
    """Heartbeats and batches that are sent again ask for an acknowledgement too, and add nothing to the journal."""
    acks = PendingAcks()
    for number in range(100_000):
        acks.add(Ack(b"i", bytes([number % 3]), number, 50))
    assert len(acks) == 3
    for number in range(100_000):
        acks.add(Ack(b"i", bytes([number % 3]), number, 100 + number))
    assert len(acks) == 3 * PENDING_ACKS_PER_SESSION
    assert max(ack.sequence for ack in acks.due(200_000)) == 99_999
    assert len(acks) == 0


def test_a_session_that_never_pauses_is_acknowledged_with_every_sync() -> None:
    acks = PendingAcks()
    told = 0
    for position in range(1, 10_000):
        acks.add(Ack(b"i", b"s", position, position))
        if position % 100 == 0:  # of what came, a part was captured by the sync
            due = acks.due(position - 50)
            assert len(due) == 1
            assert due[0].sequence > told
            told = due[0].sequence


def test_what_is_on_disk_already_is_due_at_once() -> None:
    acks = PendingAcks()
    assert acks.due(100) == []
    acks.add(Ack(b"i", b"s", 1, 100))
    assert [ack.sequence for ack in acks.due(100)] == [1]
    assert acks.due(100) == []

"""An acknowledgement leaves when the journal is durable up to its position, and not before."""

from __future__ import annotations

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

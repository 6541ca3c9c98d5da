"""One bad frame costs one frame: between sound messages stand malformed ones of every kind; the sound ones are kept.

The malformations are the golden ones. What a bad message costs is counted: a message that is none as malformed or
unsupported, a batch whose body is none as rejected{frame}.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_lab import TurnedClock

from fuzz.seeds_messages import DEFINITIONS, body, hello, packed
from obsagent._native.codec import Groups
from obsagent.head.store import Store
from obsagent.receive.ingest import Ingest
from obsagent.samples import Kind
from obsagent.store_sink import StoreSink
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, SessionCounts

MALFORMED = Path(__file__).parents[1] / "golden" / "malformed"
SAMPLES = 5
PEER = b"peer"


def malformed(kind: str) -> list[Path]:
    return sorted(path for path in (MALFORMED / kind).iterdir() if path.suffix != ".error")


class Desk:
    """A real store behind the receiver, and one peer that says all this."""

    def __init__(self, directory: Path) -> None:
        self.clock = TurnedClock()
        self.store = Store.open(directory, clock=self.clock)
        self.replies: list[tuple[MessageKind, dict[str, Any]]] = []
        reply = lambda _identity, header: self.replies.append(frame.unpack(header))  # noqa: E731
        self.ingest = Ingest(StoreSink(self.store), self.clock, reply, {})
        self.sequence = self.stored = self.rejected = 0
        self.hear(hello(started=1, clock=self.clock.now_ms))
        self.hear(packed(MessageKind.DEFINE, series=[frame.definition_row(each) for each in DEFINITIONS]))

    def hear(self, *parts: bytes) -> None:
        self.ingest.handle(PEER, list(parts))

    def batch(self, body: bytes, samples: int = SAMPLES, **changes: Any) -> None:
        """The session's next batch."""
        now, observed = self.clock.now_ms, self.stored + self.rejected + samples
        counts = frame.counts_fields(SessionCounts(observed, 0, 0, 0, 0))
        fields = {"q": self.sequence + 1, "f": 1, "a": now, "b": now, "n": samples, **counts, **changes}
        self.hear(packed(MessageKind.SAMPLES, **fields), body)

    def good(self) -> None:
        """A sound batch is stored and acknowledged, whatever was said before it."""
        self.batch(body())
        self.sequence += 1
        self.stored += SAMPLES
        self.store.sync()
        self.ingest.acknowledge(self.store.position())
        kind, ack = self.replies[-1]
        assert (kind, ack["q"]) == (MessageKind.ACK, self.sequence)

    def refused(self) -> int:
        return self.ingest.malformed + self.ingest.unsupported

    def check(self) -> None:
        account = self.store.status()["accounts"]["services"]["fraud"]
        assert account["observed"] == self.stored + self.rejected
        assert account["stored"] == self.stored
        assert account["rejected"] == {"value": 0, "frame": self.rejected, "time": 0}
        assert account["pending"] == account["dropped"]["budget"] == 0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    logging.disable()
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()
    logging.disable(logging.NOTSET)


def test_headers_that_are_none_cost_nothing_else(desk: Desk) -> None:
    paths = malformed("header")
    for number, path in enumerate(paths):
        desk.good()
        desk.hear(path.read_bytes(), body())
        assert desk.refused() == number + 1, path.name
        assert desk.replies[-1][0] is MessageKind.ERROR, path.name
        assert desk.replies[-1][1]["code"] in ("frame", "kind"), path.name
    desk.good()
    desk.check()
    assert len(paths) > 60


def test_bodies_that_are_none_cost_their_samples(desk: Desk) -> None:
    paths = malformed("body")
    for number, path in enumerate(paths):
        desk.good()
        desk.batch(path.read_bytes(), 3)
        desk.sequence += 1
        desk.rejected += 3
        assert desk.ingest.malformed == number + 1, path.name
        desk.check()
    desk.good()
    desk.check()
    assert len(paths) > 25


def test_batches_that_contradict_cost_nothing_else(desk: Desk) -> None:
    lies: list[dict[str, Any]] = [
        {"o": 0},
        {"n": 2**40},
        {"d": [2**62, 0, 0]},
        {"r": 2**63 - 1},
        {"s": bytes(16)},
        {"q": 2**63 - 1},
        {"q": 2**63 - 1, "f": 7},
    ]
    for changes in lies:
        desk.good()
        desk.batch(body(), **changes)
        assert desk.replies[-1][0] is MessageKind.ERROR, changes
    desk.good()
    desk.check()


def test_a_batch_that_counts_wrong_is_rejected_whole(desk: Desk) -> None:
    desk.good()
    desk.batch(body(), SAMPLES + 1)
    desk.sequence += 1
    desk.rejected += SAMPLES + 1
    desk.good()
    desk.check()


def test_parts_too_many_or_too_few_and_kinds_of_others(desk: Desk) -> None:
    for number, parts in enumerate([(), (b"",), *([packed(kind)] for kind in MessageKind if kind not in TAKEN)]):
        desk.good()
        desk.hear(*parts)
        assert desk.refused() == number + 1
    desk.good()
    desk.hear(packed(MessageKind.HEARTBEAT, f=1, **frame.counts_fields(SessionCounts(0, 0, 0, 0, 0))), b"x", b"y", b"z")
    desk.good()
    desk.check()


TAKEN = (
    *(MessageKind.HELLO, MessageKind.DEFINE, MessageKind.SAMPLES),
    *(MessageKind.EVENTS, MessageKind.HEARTBEAT, MessageKind.GOODBYE),
)


def test_what_was_kept_is_on_the_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for path in (*malformed("header")[::7], *malformed("body")[::5]):
        desk.good()
        desk.hear(path.read_bytes())
        desk.batch(path.read_bytes(), 1)
        desk.sequence += 1
        desk.rejected += 1
    desk.good()
    desk.store.close()
    view = Store.open_read_only(tmp_path).view()
    groups = Groups({series.id: int(series.kind) - 1 for series in view.series()}, len(Kind))
    view.collect(0, 1 << 60, groups)
    assert sum(groups.samples(kind) for kind in range(len(Kind))) == desk.stored


def test_liars_do_not_keep_the_store_from_storing(desk: Desk) -> None:
    """Counts are 63 bits wide each; those of many liars together must still fit into the tables of a checkpoint."""
    now = desk.clock.now_ms
    for number in range(5):
        session = bytes((number,)) * 16
        desk.hear(hello(s=session, clock=now))
        counts = frame.counts_fields(SessionCounts(2**63 - 1, 0, 0, 0, 0))
        desk.hear(packed(MessageKind.SAMPLES, s=session, q=1, f=1, a=now, b=now, n=0, **counts), b"\x01")
        desk.hear(packed(MessageKind.EVENTS, s=session, q=2**62, f=2**62, events=[["deploy", now, {}]]))
        assert desk.replies[-1][0] is MessageKind.WELCOME
    assert desk.store.checkpoint()
    desk.clock.now_ms += 60_000
    desk.good()
    assert desk.store.checkpoint()


def test_a_session_that_says_it_began_in_the_future_is_forgotten_like_others(desk: Desk) -> None:
    desk.hear(hello(s=bytes(16), started=2**63 - 1, clock=0))
    session = desk.store.sessions.get(bytes(16))
    assert session is not None
    assert session.started_ms <= desk.clock.now_ms
    assert session.last_ms <= desk.clock.now_ms


def test_a_batch_that_began_long_ago_is_out_of_time_although_it_ends_now(desk: Desk) -> None:
    desk.batch(body(), a=0)
    status = desk.store.status()["accounts"]["services"]["fraud"]
    assert (status["stored"], status["rejected"]["time"]) == (0, SAMPLES)

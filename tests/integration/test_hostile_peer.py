"""A peer that sends malformed messages to a real agent costs itself those messages, and nobody else anything."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq

import obsagent
from fuzz.seeds_messages import DEFINITIONS, body
from integration.agents import RunningAgent
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, SessionCounts

MALFORMED = Path(__file__).parents[1] / "golden" / "malformed"
SAMPLES = 5
ANSWER_LIMIT_MS = 20_000


def malformed(kind: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((MALFORMED / kind).iterdir()) if path.suffix != ".error"]


class Peer:
    """A DEALER that says what a client would say, and other things."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)
        self._session = os.urandom(16)
        self.sequence = self.observed = 0

    def say(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def hear(self, *kinds: MessageKind) -> dict[str, Any]:
        """The next message of one of these kinds."""
        while True:
            assert self._socket.poll(ANSWER_LIMIT_MS), f"no {kinds} came"
            kind, fields = frame.unpack(self._socket.recv_multipart()[0])
            if kind in kinds:
                return fields

    def begin(self) -> None:
        now = time.time_ns() // 1_000_000
        who = {"service": "hostile", "host": "h", "pid": 1, "started": now, "clock": now, "version": ""}
        self.say(frame.pack(MessageKind.HELLO, s=self._session, **who))
        self.hear(MessageKind.WELCOME)
        rows = [frame.definition_row(each) for each in DEFINITIONS]
        self.say(frame.pack(MessageKind.DEFINE, s=self._session, series=rows))

    def batch(self, body: bytes, samples: int) -> None:
        """The next batch, and that it is acknowledged."""
        now = time.time_ns() // 1_000_000
        self.sequence += 1
        self.observed += samples
        counts = frame.counts_fields(SessionCounts(self.observed, 0, 0, 0, 0))
        fields = {"q": self.sequence, "f": 1, "a": now, "b": now, "n": samples, **counts}
        self.say(frame.pack(MessageKind.SAMPLES, s=self._session, **fields), body)
        while self.hear(MessageKind.ACK)["q"] < self.sequence:
            pass

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


def test_one_bad_frame_costs_one_frame(agent: RunningAgent) -> None:
    bystander = obsagent.connect(service="bystander")
    counter = bystander.counter("hits")
    peer = Peer(agent.listen)
    peer.begin()
    headers, bodies = malformed("header"), malformed("body")
    for number, bad in enumerate(headers):
        peer.say(bad, body())
        assert peer.hear(MessageKind.ERROR)["code"] in ("frame", "kind", "session")
        if number % 10 == 0:
            peer.batch(body(), SAMPLES)
            counter.inc()
    sound = peer.sequence
    for bad in bodies:
        peer.batch(bad, 2)
    for parts in ([b""] * 50, [b"x" * 300_000] * 6, [msgpack.packb({})], [b"", b""]):
        peer.say(*parts)
        assert peer.hear(MessageKind.ERROR)["code"] == "frame"
    peer.batch(body(), SAMPLES)
    bystander.flush(20).raise_if_pending()
    status = agent.status()
    account = status["accounts"]["services"]["hostile"]
    assert account["observed"] == peer.observed
    assert account["stored"] == (sound + 1) * SAMPLES
    assert account["rejected"]["frame"] == 2 * len(bodies)
    assert status["accounts"]["services"]["bystander"]["stored"] == (len(headers) + 9) // 10
    assert agent.query("sum hits since 10m")["series"][0]["values"]["sum"] == (len(headers) + 9) // 10
    peer.close()
    bystander.close()
    assert agent.stop() == 0

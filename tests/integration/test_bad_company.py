"""Clients that do not read, that flood, that define without end: memory is bounded, and others are served."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
import zmq

import obsagent
from balance import answers_balance, balances, metrics_balance
from integration.agents import RunningAgent
from integration.threaded_agent import until
from obsagent._native.codec import BodyWriter
from obsagent.limits import SERIES_PER_METRIC, SERIES_TOTAL
from obsagent.samples import Kind
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts, counts_fields, definition_row, pack

MB = 1 << 20
RATTLES = 15_000
PATIENCE_S = 60.0

pytestmark = pytest.mark.timeout(400)


def total(agent: RunningAgent, words: str) -> float:
    """What one of the agent's own counters has come to."""
    return sum(row["values"]["sum"] for row in agent.ask(f"sum {words} since 1h")["series"])


class RawClient:
    """Says what it likes, and reads only if it is asked to."""

    def __init__(self, endpoint: str, service: str) -> None:
        self.session = os.urandom(16)
        self.service = service
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 1)
        self._socket.setsockopt(zmq.SNDTIMEO, int(PATIENCE_S * 1_000))
        self._socket.connect(endpoint)
        now = time.time_ns() // 1_000_000
        self.say(MessageKind.HELLO, service=service, host="h", pid=1, started=now, clock=now, version="")
        row = SeriesDefinition(0, "step", Kind.HISTOGRAM, {}, "", "", 6, "sum")
        self.say(MessageKind.DEFINE, series=[definition_row(row)])

    def say(self, kind: MessageKind, body: bytes | None = None, **fields: Any) -> None:
        """Waits for as long as the agent does not read; raises `zmq.Again` after a while."""
        header = pack(kind, s=self.session, **fields)
        self._socket.send_multipart([header] if body is None else [header, body])

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@contextmanager
def memory_of(agent: RunningAgent, at_most: int) -> Iterator[None]:
    """Fails if the agent's memory grows by more than so many bytes meanwhile, at any time."""
    assert agent.process is not None
    process = psutil.Process(agent.process.pid)
    before, grown, stop = process.memory_info().rss, [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            grown[0] = max(grown[0], process.memory_info().rss - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert grown[0] <= at_most, f"{grown[0] / MB:.1f} MB"


class Neighbour:
    """A client that does what clients do, and notes how long it waits for it to be on disk."""

    def __init__(self) -> None:
        self.client = obsagent.connect(service="neighbour")
        self.slowest_s = 0.0

    def records(self) -> None:
        began = time.monotonic()
        self.client.histogram("step").observe(1.0)
        assert self.client.flush(PATIENCE_S).pending == 0
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Records without pause while the work is done in another thread."""
        failed: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            self.records()
        thread.join()
        if failed:
            raise failed[0]

    @property
    def observed(self) -> int:
        return self.client.counts().observed


@pytest.fixture
def neighbour(agent: RunningAgent) -> Iterator[Neighbour]:
    neighbour = Neighbour()
    neighbour.records()
    yield neighbour
    neighbour.client.close()


def test_a_client_that_reads_no_answer(agent: RunningAgent, neighbour: Neighbour) -> None:
    """Each of its messages is worth an answer; what the agent keeps of these is bounded, the rest is counted."""
    deaf = RawClient(agent.listen, "deaf")

    def rattle() -> None:
        for _ in range(RATTLES):
            deaf.say(MessageKind.SPANS, filler=b"x" * 100)  # of a kind that is refused at once

    with memory_of(agent, 20 * MB):
        neighbour.meanwhile(rattle)
    status = agent.status()
    assert status["agent"]["unread_replies"] > 0
    until(lambda: agent.status()["agent"]["refused"]["kind"] == RATTLES)
    until(lambda: total(agent, "obsagent_unread_replies") > 0)
    until(lambda: total(agent, "obsagent_refused code=kind") == RATTLES)
    assert agent.log.read_text().count("a message was refused") < 100
    assert "dropped, because the clients do not read" in agent.command("status", "--agent", agent.serve).stdout
    balances(agent.status(), {"neighbour": neighbour.observed}, pending=None)
    deaf.close()
    assert status["agent"]["health"] == "ok"


def test_a_client_that_floods(agent: RunningAgent, neighbour: Neighbour) -> None:
    """It is slowed down to what the disk takes, in a bounded part of the agent's memory; others have their turn."""
    values, batches = 30_000, 300
    body = BodyWriter()
    body.put_run(0, [0.5 + number for number in range(values)])
    frame = body.take()
    assert len(frame) * batches > 60 * MB
    flooder = RawClient(agent.listen, "flooder")

    def flood() -> None:
        now = time.time_ns() // 1_000_000
        for sequence in range(1, batches + 1):
            counts = counts_fields(SessionCounts(sequence * values, 0, 0, 0, 0))
            flooder.say(MessageKind.SAMPLES, frame, q=sequence, f=1, a=now, b=now, n=values, **counts)

    with memory_of(agent, 120 * MB):
        neighbour.meanwhile(flood)
        until(lambda: agent.status()["accounts"]["services"]["flooder"]["stored"] == batches * values)
    assert neighbour.slowest_s < PATIENCE_S / 2
    balances(agent.status(), {"neighbour": neighbour.observed, "flooder": batches * values})
    time.sleep(1.5)
    metrics_balance(agent.status(), agent.ask)
    answers_balance(agent.status(), agent.ask, {"neighbour": "step", "flooder": "step"})
    flooder.close()


def test_twenty_thousand_new_series_at_once(agent: RunningAgent, neighbour: Neighbour) -> None:
    """Beyond the budgets they go to overflow series; all samples are kept, and the agent's own metrics have room."""
    many = obsagent.connect(service="many")
    metrics = SERIES_TOTAL // SERIES_PER_METRIC
    counters = [many.counter(f"m{number}", labels=["n"]) for number in range(metrics)]

    def define() -> None:
        for number in range(SERIES_PER_METRIC):
            for counter in counters:
                counter.labels(n=str(number)).inc()
        assert many.flush(60).pending == 0

    with memory_of(agent, 150 * MB):
        neighbour.meanwhile(define)
    assert neighbour.slowest_s < PATIENCE_S / 2
    status = agent.status()
    assert many.counts().observed == SERIES_TOTAL
    balances(status, {"neighbour": neighbour.observed, "many": SERIES_TOTAL})
    assert status["accounts"]["services"]["many"]["stored"] == SERIES_TOTAL
    beyond = sum(status["series"]["refused"].values())
    assert 0 < beyond < 200  # the agent's own series, and the neighbour's, were there before
    assert "over budget: " in agent.command("status", "--agent", agent.serve).stdout
    assert status["series"]["culprits"][0]["label"] == "n"
    time.sleep(1.5)
    metrics_balance(agent.status(), agent.ask)
    answers_balance(agent.status(), agent.ask, {"neighbour": "step", "many": "m0"})
    answer = agent.ask(f"sum {','.join(f'm{number}' for number in range(metrics))} since 1h")
    assert sum(row["values"]["sum"] for row in answer["series"]) == SERIES_TOTAL
    many.close()


def test_sessions_without_end(agent: RunningAgent, neighbour: Neighbour) -> None:
    """A session too many is refused and told why; those that there are go on."""
    crowd = RawClient(agent.listen, "crowd")

    def arrive() -> None:
        now = time.time_ns() // 1_000_000
        for _ in range(5_000):
            crowd.session = os.urandom(16)
            crowd.say(MessageKind.HELLO, service="crowd", host="h", pid=1, started=now, clock=now, version="")

    with memory_of(agent, 40 * MB):
        neighbour.meanwhile(arrive)
    neighbour.records()
    until(lambda: agent.status()["agent"]["refused"].get("sessions", 0) > 500)
    status = agent.status()
    assert agent.log.read_text().count("session ") < 200
    balances(status, {"neighbour": neighbour.observed}, pending=None)
    crowd.close()

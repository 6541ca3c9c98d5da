"""Twenty SIGKILLs of the agent under three producers, with a ledger outside of it.

Each producer observes a known row of values in order, so what is stored of it must at any time be exactly the
first N values: acknowledged <= N <= sent, no bucket different, nothing twice; and everything once the last
flush reports nothing pending.
"""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path

import numpy as np
import pytest

import obsagent
from integration.agents import RunningAgent
from integration.stored import stored_histogram
from obsagent.sketches import LogHist

PRODUCERS = 3
KILLS = 20
PIECE = 500
PAUSE_S = 0.002
VALUE_COUNT_MAX = 8_000_000
LEDGER = struct.Struct("<QQQ")  # acknowledged, sent, finished


def row_of_values(producer: int) -> np.ndarray:
    return np.random.default_rng(producer).lognormal(-4, 1, VALUE_COUNT_MAX)


class Ledger:
    """A small file that a producer rewrites in place: what it sent and what was acknowledged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(LEDGER.pack(0, 0, 0))

    def write(self, descriptor: int, acknowledged: int, sent: int, finished: int) -> None:
        os.pwrite(descriptor, LEDGER.pack(acknowledged, sent, finished), 0)

    def read(self) -> tuple[int, int, int]:
        return LEDGER.unpack(self.path.read_bytes())


def produce(producer: int, ledger: Ledger, stop_file: Path) -> None:
    """In a child: observes its row until `stop_file` exists, then waits until everything is acknowledged."""
    values = row_of_values(producer)
    client = obsagent.connect(service=f"producer-{producer}")
    histogram = client.histogram("row")
    descriptor = os.open(ledger.path, os.O_WRONLY)
    sent = 0
    while not stop_file.exists() and sent < VALUE_COUNT_MAX:
        piece = values[sent : sent + PIECE]
        sent += len(piece)
        ledger.write(descriptor, client.flush(0).acknowledged, sent, 0)
        if sent % (2 * PIECE):
            histogram.observe_many(piece)
        else:
            for value in piece.tolist():
                histogram.observe(value)
        time.sleep(PAUSE_S)
    result = client.flush(30)
    assert result.dropped == 0
    ledger.write(descriptor, result.acknowledged, sent, 1 if result.pending == 0 else 2)


def check(data: Path, ledgers: list[Ledger], before: list[tuple[int, int, int]]) -> None:
    """What is stored of each row is its first N values, with N between the ledger's two counts."""
    for producer, (ledger, (acknowledged, _, _)) in enumerate(zip(ledgers, before, strict=True)):
        stored = stored_histogram(data, "row", service=f"producer-{producer}")
        _, sent, _ = ledger.read()
        assert acknowledged <= stored.count <= sent
        expected = LogHist()
        expected.add_many(row_of_values(producer)[: stored.count])
        assert stored.buckets() == expected.buckets()


@pytest.mark.timeout(300)
def test_twenty_kills_lose_and_double_nothing(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    agent = stopped_agent.start()
    dice = random.Random(11)
    ledgers = [Ledger(tmp_path / f"ledger-{producer}") for producer in range(PRODUCERS)]
    stop_file = tmp_path / "stop"
    children = [fork_producer(producer, ledger, stop_file) for producer, ledger in enumerate(ledgers)]
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.05, 0.6))
        before = [ledger.read() for ledger in ledgers]
        agent.kill()
        check(agent.data, ledgers, before)
        agent.start()
    stop_file.touch()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * PRODUCERS
    for producer, ledger in enumerate(ledgers):
        acknowledged, sent, finished = ledger.read()
        assert (acknowledged, finished) == (sent, 1)
        stored = stored_histogram(agent.data, "row", service=f"producer-{producer}")
        assert stored.count == sent
    check(agent.data, ledgers, [ledger.read() for ledger in ledgers])
    for service in agent.status()["accounts"]["services"].values():
        lost = sum(service["dropped"].values()) + sum(service["rejected"].values())
        assert service["observed"] == service["stored"] + service["pending"] + lost


def fork_producer(producer: int, ledger: Ledger, stop_file: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        produce(producer, ledger, stop_file)
        status = 0
    finally:
        os._exit(status)

"""T-digests from a client's drain to a store: the agent killed in between, all samples in the digests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import obsagent
from integration.agents import RunningAgent
from integration.programs import run_program
from integration.stored import FOREVER_MS
from obsagent._native.codec import Groups
from obsagent._native.ring import Histogram
from obsagent.head.store import Store
from obsagent.record.client import Client
from obsagent.sketches import LogHist, TDigest

VALUE_COUNT = 60_000
QUANTILES = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)


def stored_sketches(data: Path, metric: str) -> tuple[LogHist, TDigest | None]:
    view = Store.open_read_only(data).view()
    groups = Groups({one.id: 0 for one in view.series() if one.metric == metric}, 1, digests=True)
    view.collect(0, FOREVER_MS, groups)
    hist, digest = groups.histogram(0), groups.tdigest(0)
    assert hist is not None
    return LogHist._from_compact(hist), None if digest is None else TDigest._from_compact(digest)


def check(data: Path, values: np.ndarray) -> None:
    hist, digest = stored_sketches(data, "score_duration")
    assert digest is not None
    assert (digest.count, digest.min, digest.max) == (hist.count, hist.min, hist.max)
    assert digest.count == len(values)
    in_order = np.sort(values)
    for q in QUANTILES:
        answer = digest.quantile(q)
        rank = math.ceil(q * len(values))
        off = abs(int(np.searchsorted(in_order, answer, side="right")) - rank) / len(values)
        assert off <= digest.rank_error(q)
        assert off <= hist.rank_error(q, answer)


def record(histogram: Histogram, values: np.ndarray, single: int) -> None:
    """Some one by one, the others in pieces small and large, with pauses in which batches are sealed."""
    for value in values[:single].tolist():
        histogram.observe(value)
    for number, piece in enumerate(np.array_split(values[single:], 40)):
        histogram.observe_many(piece if number % 3 else piece[:20])
        if number % 3 == 0:
            for rest in np.array_split(piece[20:], 7):
                histogram.observe_many(rest)
        time.sleep(0.01)


@pytest.fixture
def client(agent: RunningAgent) -> Iterator[Client]:
    """Of this process, so that a test may kill the agent in between; closed, or it would keep a slot in later forks."""
    found = obsagent.connect(service="digest", endpoint=agent.listen)
    yield found
    found.close(1)


def test_every_sample_is_in_a_digest_whatever_happens_to_the_agent(agent: RunningAgent, client: Client) -> None:
    values = np.random.default_rng(3).lognormal(-4, 1, VALUE_COUNT)
    score = client.histogram("score_duration", unit="seconds", sketch="tdigest")
    plain = client.histogram("plain", unit="seconds")
    plain.observe_many(values)
    first, second = np.array_split(values, 2)
    record(score, first, 5_000)
    assert client.flush(30).pending == 0
    check(agent.data, first)
    record(score, second[:20_000], 15)
    agent.kill()
    record(score, second[20_000:], 0)
    agent.start()
    assert client.flush(30).pending == 0
    check(agent.data, values)
    assert stored_sketches(agent.data, "plain")[1] is None
    agent.kill()
    check(agent.data, values)
    agent.start()
    assert agent.stop() == 0
    check(agent.data, values)


PROGRAM = """
import sys, obsagent
client = obsagent.connect(service="digest")
client.histogram("score_duration", unit="seconds", sketch=sys.argv[1]).observe_many([0.01] * 5_000)
assert client.flush(30).pending == 0
"""


def test_a_programs_series_may_begin_to_keep_a_digest(agent: RunningAgent) -> None:
    """A new release of the program asks for one; its series are the old ones, and say so after a crash too."""
    for sketch in ("loghist", "tdigest"):
        run_program(PROGRAM, sketch)
        assert sketches_of(agent.data, "score_duration") == [sketch]
    agent.kill()
    assert sketches_of(agent.data, "score_duration") == ["tdigest"]
    agent.start()
    assert agent.stop() == 0
    assert sketches_of(agent.data, "score_duration") == ["tdigest"]


def sketches_of(data: Path, metric: str) -> list[str]:
    return [one.sketch for one in Store.open_read_only(data).view().series() if one.metric == metric]

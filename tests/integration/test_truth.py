"""A million known values through forked producers: counts exact, quantiles within the bound, always."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import obsagent
from integration.agents import RunningAgent
from integration.stored import stored_histogram
from obsagent.sketches import LogHist

VALUE_COUNT = 1_000_000
PRODUCERS = 4
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def known_values() -> np.ndarray:
    generator = np.random.default_rng(7)
    values = generator.lognormal(-4, 1.2, VALUE_COUNT)
    values[::1000] = 0.0
    values[1::1000] *= -1
    return values


def record(values: np.ndarray, sizes: list[int]) -> None:
    """In a child: records the values in pieces of changing size, single ones by `observe`."""
    client = obsagent.connect(service="truth")
    histogram = client.histogram("step_duration", unit="seconds")
    position = turn = 0
    while position < len(values):
        size = sizes[turn % len(sizes)]
        piece = values[position : position + size]
        if size <= 10:
            for value in piece.tolist():
                histogram.observe(value)
        else:
            histogram.observe_many(piece)
        position += size
        turn += 1
    result = client.flush(30)
    assert (result.pending, result.dropped, result.rejected) == (0, 0, 0), result
    assert result.acknowledged == len(values)


def in_forked_children(
    parts: list[tuple[np.ndarray, list[int]]], work: Callable[[np.ndarray, list[int]], None]
) -> None:
    children = []
    for part in parts:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(*part)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * len(children)


def check_answers(agent: RunningAgent, truth: np.ndarray, *, alone: bool = False) -> None:
    answer = agent.query("p50,p90,p99,p99.9,count step_duration since 1h", alone=alone)
    (series,) = answer["series"]
    assert series["count"] == VALUE_COUNT
    assert series["values"]["count"] == VALUE_COUNT
    for stat, q in QUANTILES.items():
        exact = truth[math.ceil(q * VALUE_COUNT) - 1]
        bound = series["error_bound"][stat]["relative"]
        assert bound <= 0.0055
        assert abs(series["values"][stat] - exact) <= bound * abs(exact) * (1 + 1e-12), stat
    assert answer["losses"]["dropped"] == {"ring": 0, "budget": 0, "expired": 0}


def check_buckets(data: Path, values: np.ndarray) -> None:
    """Whatever the partition into processes and batches: the same buckets as one histogram of everything."""
    expected = LogHist()
    expected.add_many(values)
    stored = stored_histogram(data, "step_duration")
    assert stored.buckets() == expected.buckets()
    assert stored.buckets(negative=True) == expected.buckets(negative=True)
    assert (stored.zero_count, stored.min, stored.max) == (expected.zero_count, expected.min, expected.max)
    assert stored.sum == pytest.approx(expected.sum, rel=1e-9)


def test_a_million_values_live_restarted_killed_and_alone(agent: RunningAgent) -> None:
    values = known_values()
    truth = np.sort(values)
    pieces = [[1], [1000], [1, 7, 100, 5000], [200_000]]
    in_forked_children(list(zip(np.array_split(values, PRODUCERS), pieces, strict=True)), record)
    check_answers(agent, truth)
    check_answers(agent, truth, alone=True)
    agent.kill()
    check_answers(agent, truth, alone=True)
    check_buckets(agent.data, values)
    agent.start()
    check_answers(agent, truth)
    assert agent.stop() == 0
    check_answers(agent, truth, alone=True)
    check_buckets(agent.data, values)
    agent.start()
    check_answers(agent, truth)
    accounts = agent.status()["accounts"]["services"]["truth"]
    assert (accounts["observed"], accounts["stored"], accounts["pending"]) == (VALUE_COUNT, VALUE_COUNT, 0)

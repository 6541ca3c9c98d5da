"""How fast does a process deliver samples that an agent has acknowledged, on disk?"""

from __future__ import annotations

import operator
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import obsagent
from benchmarks import clients, loads
from benchmarks.agents import running_agent, scratch
from benchmarks.measure import Effort, Timing, no_collection, pinned
from benchmarks.report import Row, Table, at_least, at_most, comparison, duration

SERIES = 16
BATCH = 1_024
FLUSH_LIMIT_S = 20.0
LONG_ROUNDS = 9
NULL = "the same loop, client disabled"

Sinks = Sequence[Callable[[Any], object]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds a sample, and how many samples were never acknowledged."""

    recorded: Timing
    acknowledged: Timing
    others: list[Timing]
    lost: int


def run(effort: Effort) -> list[Table]:
    """Two tables: arrays, and a loop of single values."""
    effort = replace(effort, rounds=min(effort.rounds, LONG_ROUNDS))
    with scratch() as directory, running_agent(directory) as agent:
        client = obsagent.connect(service="producer", endpoint=agent.listen)
        try:
            return [_arrays(client, effort), _singles(client, effort)]
        finally:
            client.close()


def _arrays(client: Any, effort: Effort) -> Table:
    batches = [array("d", loads.lognormal(BATCH, seed).tolist()) for seed in range(SERIES)]
    passes = effort.size(100_000_000, 400_000) // (BATCH * SERIES)
    into = [memoryview(bytearray(8 * BATCH)).cast("d") for _ in batches]
    others: dict[str, Sinks] = {
        "the same bytes copied": [partial(operator.setitem, target, slice(None)) for target in into],
        NULL: _sinks(clients.disabled(), "observe_many"),
    }
    ours = _sinks(client, "observe_many")
    measured = _measure(client, ours, others, lambda sinks: _hand_over(sinks, batches, passes), effort)
    copied, null = measured.others
    rate = 1e-6 / measured.acknowledged.median
    goals = (at_least(rate, 20, "M/s"), at_least(rate, 100, "M/s later"))
    rows = [
        Row(copied.name, None, _rate(copied)),
        Row(null.name, null.over(copied), _rate(null)),
        Row(measured.recorded.name, measured.recorded.over(copied), _rate(measured.recorded)),
        Row(measured.acknowledged.name, measured.acknowledged.over(copied), _rate(measured.acknowledged), goals),
        _lost(measured),
    ]
    count = passes * BATCH * SERIES
    title = f"`observe_many` of {BATCH:,} values over {SERIES} series, {count:,} a round"
    return comparison(title, "copying", rows, _tail(measured, count))


def _singles(client: Any, effort: Effort) -> Table:
    batches = [loads.lognormal(BATCH, seed).tolist() for seed in range(SERIES)]
    passes = effort.size(8_000_000, 160_000) // (BATCH * SERIES)
    others: dict[str, Sinks] = {NULL: _sinks(clients.disabled(), "observe")}
    ours = _sinks(client, "observe")
    measured = _measure(client, ours, others, lambda sinks: _hand_over_singly(sinks, batches, passes), effort)
    (null,) = measured.others
    ratio = measured.recorded.over(null)
    rows = [
        Row(null.name, None, _rate(null)),
        Row(measured.recorded.name, ratio, _rate(measured.recorded), (at_most(ratio.median, 1.18, "× (85 %)"),)),
        Row(measured.acknowledged.name, measured.acknowledged.over(null), _rate(measured.acknowledged)),
        _lost(measured),
    ]
    count = passes * BATCH * SERIES
    title = f"`observe` in a Python loop over {SERIES} series, {count:,} a round"
    return comparison(title, "null sink", rows, _tail(measured, count))


def _hand_over(sinks: Sinks, batches: Sequence[Any], passes: int) -> int:
    """Every batch to its sink, so many times; the number of samples."""
    pairs = list(zip(sinks, batches, strict=True))
    for _ in range(passes):
        for record, batch in pairs:
            record(batch)
    return passes * BATCH * SERIES


def _hand_over_singly(sinks: Sinks, batches: Sequence[list[float]], passes: int) -> int:
    pairs = list(zip(sinks, batches, strict=True))
    for _ in range(passes):
        for record, batch in pairs:
            for value in batch:
                record(value)
    return passes * BATCH * SERIES


def _measure(
    client: Any, ours: Sinks, others: dict[str, Sinks], produce: Callable[[Sinks], int], effort: Effort
) -> Measured:
    """By turns; ours are acknowledged before the next turn begins."""
    recorded, acknowledged, sent = [], [], 0
    elsewhere: dict[str, list[float]] = {name: [] for name in others}
    before = client.flush(FLUSH_LIMIT_S)
    with pinned(), no_collection():
        for _ in range(effort.rounds):
            for name, sinks in others.items():
                began = time.perf_counter()
                count = produce(sinks)
                elsewhere[name].append((time.perf_counter() - began) / count)
            began = time.perf_counter()
            count = produce(ours)
            recorded.append((time.perf_counter() - began) / count)
            after = client.flush(FLUSH_LIMIT_S)
            acknowledged.append((time.perf_counter() - began) / count)
            sent += count
    return Measured(
        Timing("recorded, the agent running", tuple(recorded)),
        Timing("recorded and acknowledged, on disk", tuple(acknowledged)),
        [Timing(name, tuple(seconds)) for name, seconds in elsewhere.items()],
        sent - (after.acknowledged - before.acknowledged),
    )


def _sinks(client: Any, method: str) -> Sinks:
    family = client.histogram("value", labels=["series"])
    return [getattr(family.labels(series=str(number)), method) for number in range(SERIES)]


def _lost(measured: Measured) -> Row:
    return Row("samples not acknowledged in the end", None, f"{measured.lost:,}", (at_most(measured.lost, 0, "lost"),))


def _rate(timing: Timing) -> str:
    return f"{1e-6 / timing.median:,.1f} M/s"


def _tail(measured: Measured, count: int) -> str:
    tail = (measured.acknowledged.median - measured.recorded.median) * count
    return f"Producer and agent on a processor each. From the last value to its acknowledgement: {duration(tail)}."

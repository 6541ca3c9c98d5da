"""What does it cost a language model's server to time its tokens?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks import clients, floor
from benchmarks.measure import Arm, Effort, Timing, calls, interleave
from benchmarks.report import Goal, Row, Table, at_most, comparison, nanoseconds

VALUE = 0.0123
OBSERVE = "`observe(float)`"
BY_HAND = "`observe(now - last)`, by hand"
TOKEN = "`generation.token()`"


def run(effort: Effort) -> list[Table]:
    """One table for a token, one for a whole generation."""
    empty = floor.load().Empty()
    with clients.unheard() as client:
        generation = client.generation("llama-3", endpoint="/chat").start()
        arms = [calls("empty Cython method", "observe(value)", observe=empty.observe, value=VALUE)]
        reference, *timings = interleave([*arms, *_tokens(client, generation)], effort)
        tables = [_table(reference, timings, clients.ring_note(client))]
        generation.end()
        reference, *timings = interleave(_generations(client), effort)
        rows = [Row(reference.name, None, nanoseconds(reference))]
        rows += [Row(each.name, each.over(reference), nanoseconds(each)) for each in timings]
        tables.append(comparison("A generation", "request", rows, clients.ring_note(client)))
    return tables


def _tokens(client: Any, generation: Any) -> list[Arm]:
    histogram = client.histogram("value")
    clock = time.perf_counter
    last = clock()

    def by_hand() -> None:
        nonlocal last
        now = clock()
        histogram.observe(now - last)
        last = now

    return [
        calls(OBSERVE, "observe(value)", observe=histogram.observe, value=VALUE),
        calls("`time.perf_counter()`", "clock()", clock=clock),
        calls(BY_HAND, "token()", token=by_hand),
        calls(TOKEN, "token()", token=generation.token),
        calls("`generation.token(3)`", "token(3)", token=generation.token),
        calls("an item of a generator", "next(items)", items=_endless()),
        calls("an item of `generation.wrap(generator)`", "next(items)", items=generation.wrap(_endless())),
    ]


def _endless() -> Iterator[str]:
    while True:
        yield "token"


def _generations(client: Any) -> list[Arm]:
    generation, request = client.generation, client.request
    return [
        calls("`with request(endpoint)`", "with request('/chat'): pass", request=request),
        calls(
            "`with generation(model)`, one token",
            "with generation('llama-3', endpoint='/chat') as each: each.token()",
            generation=generation,
        ),
    ]


def _table(reference: Timing, timings: list[Timing], note: str) -> Table:
    by_name = {timing.name: timing for timing in timings}
    rows = [Row(reference.name, None, nanoseconds(reference))]
    rows += [Row(each.name, each.over(reference), nanoseconds(each)) for each in timings]
    over = by_name[TOKEN].over(by_name[OBSERVE]).median
    goals: tuple[Goal, ...] = (at_most(over, 1.0, "×"),)
    rows.append(Row("a token over an `observe`", None, f"{over:.2f} ×", goals))
    over = by_name[TOKEN].over(by_name[BY_HAND]).median
    rows.append(Row("a token over one by hand", None, f"{over:.2f} ×", (at_most(over, 1.0, "×"),)))
    return comparison("A token", "empty method", rows, note)

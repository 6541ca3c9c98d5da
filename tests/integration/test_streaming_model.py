"""A model that streams tokens, in a process of its own, an agent, and questions; a loop that is blocked."""

from __future__ import annotations

import time

import pytest

from integration.agents import RunningAgent
from integration.programs import run_program

STREAMING = """
import asyncio, time
import obsagent

obs = obsagent.connect(service="chat", version="server-1")

async def stream(first_s, pause_s, count):
    await asyncio.sleep(first_s)
    yield "token"
    for _ in range(count - 1):
        await asyncio.sleep(pause_s)
        yield "token"

async def generate(model, first_s, pause_s, count):
    arrivals = []
    async with obs.generation(model=model, endpoint="/chat", operation="chat", queued_at=time.time() - 1) as generation:
        began = time.perf_counter()
        async for _ in generation.wrap(stream(first_s, pause_s, count)):
            arrivals.append(time.perf_counter() - began)
        generation.tokens(input=100)
        generation.finish_reason = "stop"
    return arrivals

async def left(model):
    async for _ in obs.generation(model=model, endpoint="/chat").wrap(stream(0, 0, 9)):
        break

async def main():
    small = await asyncio.gather(*(generate("small", 0.05, 0.005, 11) for _ in range(40)))
    large = await asyncio.gather(*(generate("large", 0.3, 0.02, 6) for _ in range(20)))
    await left("large")
    for name, runs in (("small", small), ("large", large)):
        firsts = sorted(arrivals[0] for arrivals in runs)
        per_token = sum((arrivals[-1] - arrivals[0]) / (len(arrivals) - 1) for arrivals in runs) / len(runs)
        print(name, firsts[-1], per_token)

asyncio.run(main())
obs.flush(30).raise_if_pending()
"""

BLOCKED = """
import asyncio, gc, time
import obsagent

obs = obsagent.connect(service="blocked", runtime_metrics=True)

async def main():
    obs.watch_loop()
    await asyncio.sleep(0.5)
    time.sleep(1.5)
    await asyncio.sleep(0.5)

asyncio.run(main())
gc.collect()
time.sleep(1.5)  # gauges are sampled once a second
obs.flush(30).raise_if_pending()
"""


def by_model(agent: RunningAgent, question: str, stat: str) -> dict[str, float]:
    return {row["labels"]["model"]: row["values"][stat] for row in agent.query(question)["series"]}


def test_a_streaming_model_is_measured_as_it_streams(agent: RunningAgent) -> None:
    lines = [line.split() for line in run_program(STREAMING, agent.listen).splitlines()]
    measured = {name: (float(first), float(each)) for name, first, each in lines}
    slowest = by_model(agent, "p100 time_to_first_token by model", "p100")
    p99 = by_model(agent, "p99 time_to_first_token by model", "p99")
    each = by_model(agent, "mean time_per_output_token by model", "mean")
    for name, (first, per_token) in measured.items():
        assert slowest[name] == pytest.approx(first, rel=0.02, abs=0.02)
        assert p99[name] == pytest.approx(slowest[name], rel=0.02)  # of so few the same
        assert each[name] == pytest.approx(per_token, rel=0.05, abs=0.002)
    assert p99["small"] >= 0.05
    assert p99["large"] >= 0.3
    assert by_model(agent, "sum tokens_out by model", "sum") == {"small": 440, "large": 121}
    assert by_model(agent, "sum tokens_in by model", "sum") == {"small": 4000, "large": 2000}
    assert by_model(agent, "count inter_token_latency by model", "count") == {"small": 400, "large": 100}
    assert all(1 <= delay < 60 for delay in by_model(agent, "p50 generation_queue_delay by model", "p50").values())
    ends = agent.query("sum generations by model,status,finish_reason")["series"]
    assert sorted((*row["labels"].values(), row["values"]["sum"]) for row in ends) == [
        ("large", "cancelled", "cancelled", 1),
        ("large", "ok", "stop", 20),
        ("small", "ok", "stop", 40),
    ]


def test_a_blocked_loop_shows_how_long(agent: RunningAgent) -> None:
    run_program(BLOCKED, agent.listen)
    (row,) = agent.query("max,count event_loop_lag service=blocked")["series"]
    assert row["values"]["max"] >= 1.4
    assert row["values"]["count"] >= 3
    (row,) = agent.query("count python_gc_pause service=blocked generation=2")["series"]
    assert row["values"]["count"] >= 1
    deadline = time.monotonic() + 30
    while not (rows := agent.query("max python_threads service=blocked")["series"]):
        assert time.monotonic() < deadline
    assert rows[0]["values"]["max"] >= 2

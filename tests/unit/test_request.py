"""`request` feeds latency, queue delay, requests, errors and how many are in flight."""

from __future__ import annotations

import asyncio
import time

import pytest

import obsagent
from obsagent.record.client import Client
from obsagent.testing import Memory


@pytest.fixture
def obs(obsagent_memory: Memory) -> Client:
    return obsagent.connect(service="shop")


def test_a_request_is_counted_with_its_status_and_measured(obs: Client, obsagent_memory: Memory) -> None:
    for status, seconds in [(200, 0.25), (404, 0.5), (503, 1.0)]:
        with obs.request("/score") as request:
            obsagent_memory.clock.advance(seconds)
            assert obsagent_memory.last("in_flight", endpoint="/score") == 1
            request.status = status
    assert [obsagent_memory.count("requests", status=status) for status in (200, 404, 503)] == [1, 1, 1]
    assert obsagent_memory.sum("latency", endpoint="/score") == 1.75
    assert obsagent_memory.quantile("latency", 1.0) == 1.0
    assert obsagent_memory.count("errors") == 1
    assert obsagent_memory.last("in_flight") == 0


def test_an_exception_is_an_error_and_passes(obs: Client, obsagent_memory: Memory) -> None:
    def serve(status: int) -> None:
        with obs.request("/score") as request:
            request.status = status
            raise ValueError("broken")

    for status in (200, 503):
        with pytest.raises(ValueError, match="broken"):
            serve(status)
    assert [obsagent_memory.count("requests", status=status) for status in (500, 503)] == [1, 1]
    assert obsagent_memory.count("errors", endpoint="/score") == 2
    assert obsagent_memory.last("in_flight") == 0


def test_requests_of_coroutines_overlap(obs: Client, obsagent_memory: Memory) -> None:
    async def serve() -> None:
        async with obs.request("/score"):
            await asyncio.sleep(0)

    async def main() -> None:
        tasks = [asyncio.create_task(serve()) for _ in range(3)]
        await asyncio.sleep(0)
        assert obsagent_memory.last("in_flight") == 3
        obsagent_memory.clock.advance(2)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert obsagent_memory.count("latency") == 3
    assert obsagent_memory.quantile("latency", 0.0) == 2.0


def test_a_wait_in_the_queue_is_measured_and_never_negative(obs: Client, obsagent_memory: Memory) -> None:
    arrived = time.time()
    obsagent_memory.clock.advance(5)
    with obs.request("/score", queued_at=arrived):
        pass
    with obs.request("/other", queued_at=arrived + 3600):
        pass
    assert obsagent_memory.quantile("queue_delay", 0.5, endpoint="/score") == pytest.approx(5.0, rel=0.05)
    assert obsagent_memory.sum("queue_delay", endpoint="/other") == 0.0


def test_a_request_keeps_its_id_and_its_endpoint_is_a_label(obs: Client, obsagent_memory: Memory) -> None:
    with obs.request("/a", id="7") as request:
        assert request.id == "7"
    with obs.request("/b"):
        pass
    assert [obsagent_memory.count("latency", endpoint=each) for each in ("/a", "/b")] == [1, 1]

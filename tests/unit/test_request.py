"""`request` feeds latency, queue delay, requests, errors and how many are in flight."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterator

import pytest

import obsagent
from obsagent.errors import InstrumentError
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


def test_the_current_request_is_the_innermost(obs: Client, obsagent_memory: Memory) -> None:
    assert obsagent.current_request() is None
    with obs.request("/outer") as outer:
        with obs.request("/inner") as inner:
            assert obsagent.current_request() is inner
            inner.batch(8)
        assert obsagent.current_request() is outer
        outer.batch(2)
        outer.batch("many")  # type: ignore[arg-type]
    assert obsagent.current_request() is None
    assert [obsagent_memory.sum("batch_size", endpoint=each) for each in ("/outer", "/inner")] == [2, 8]


def test_each_coroutine_has_a_current_request_of_its_own(obs: Client) -> None:
    async def serve(number: int) -> None:
        async with obs.request(f"/{number}", id=str(number)):
            await asyncio.sleep(0)
            request = obsagent.current_request()
            assert request is not None
            assert request.id == str(number)

    async def main() -> None:
        await asyncio.gather(*(serve(number) for number in range(3)))
        assert obsagent.current_request() is None

    asyncio.run(main())


def test_a_generator_that_ends_elsewhere_leaves_its_request_behind(obs: Client, obsagent_memory: Memory) -> None:
    def serve() -> Iterator[None]:
        with obs.request("/stream"):
            yield

    parts = serve()
    contextvars.copy_context().run(next, parts)
    parts.close()
    assert obsagent.current_request() is None
    assert obsagent_memory.count("latency") == 1


def test_what_middlewares_feed_cannot_be_defined(obs: Client) -> None:
    with pytest.raises(InstrumentError, match="batch_size is built in"):
        obs.histogram("batch_size")


def test_a_request_keeps_its_id_and_its_endpoint_is_a_label(obs: Client, obsagent_memory: Memory) -> None:
    with obs.request("/a", id="7") as request:
        assert request.id == "7"
    with obs.request("/b"):
        pass
    assert [obsagent_memory.count("latency", endpoint=each) for each in ("/a", "/b")] == [1, 1]

"""`timed` measures functions, coroutines, generators and async generators, and changes none of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import obsagent
from obsagent.testing import Memory


@pytest.fixture
def timed(obsagent_memory: Memory) -> Callable[[Any], Any]:
    return obsagent.connect(service="shop").timed("work_duration")


def durations(memory: Memory) -> tuple[float, float]:
    """How many there were, and their sum."""
    return memory.count("work_duration"), memory.sum("work_duration")


def test_a_function_keeps_its_name_result_and_errors(timed: Callable[[Any], Any], obsagent_memory: Memory) -> None:
    @timed
    def divide(a: float, *, b: float) -> float:
        """Divides."""
        obsagent_memory.clock.advance(2)
        return a / b

    assert divide(6, b=3) == 2
    with pytest.raises(ZeroDivisionError):
        divide(1, b=0)
    assert (divide.__name__, divide.__doc__) == ("divide", "Divides.")
    assert durations(obsagent_memory) == (2, 4.0)


def test_a_coroutine_is_timed_from_its_first_step_to_its_end(
    timed: Callable[[Any], Any], obsagent_memory: Memory
) -> None:
    @timed
    async def work() -> str:
        obsagent_memory.clock.advance(1)
        await asyncio.sleep(0)
        assert obsagent_memory.count("work_duration") == 0
        obsagent_memory.clock.advance(2)
        return "done"

    async def begin_later() -> str:
        coroutine = work()
        obsagent_memory.clock.advance(100)
        return await coroutine

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(begin_later()) == "done"
    assert durations(obsagent_memory) == (1, 3.0)


def test_a_generator_is_timed_until_it_is_used_up(timed: Callable[[Any], Any], obsagent_memory: Memory) -> None:
    @timed
    def count() -> Iterator[int]:
        received = yield 1
        yield received

    generator = count()
    obsagent_memory.clock.advance(100)
    assert next(generator) == 1
    obsagent_memory.clock.advance(3)
    assert generator.send(5) == 5
    assert durations(obsagent_memory) == (0, 0.0)
    assert list(generator) == []
    assert durations(obsagent_memory) == (1, 3.0)


def test_an_async_generator_left_early_is_closed_and_timed(
    timed: Callable[[Any], Any], obsagent_memory: Memory
) -> None:
    closed = []

    @timed
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def take_one() -> None:
        generator = count()
        async for item in generator:
            assert item == 1
            obsagent_memory.clock.advance(4)
            break
        await generator.aclose()

    asyncio.run(take_one())
    assert closed == [True]
    assert durations(obsagent_memory) == (1, 4.0)

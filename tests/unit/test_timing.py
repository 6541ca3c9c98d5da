"""`timed` measures functions, coroutines, generators and async generators, and changes none of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any

import pytest

from obsagent.record.timing import timed


class FakeHistogram:
    """Counts how many timers ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def time(self) -> FakeHistogram:
        return self

    def __enter__(self) -> FakeHistogram:
        self.begun += 1
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended += 1


@pytest.fixture
def histogram() -> Any:
    return FakeHistogram()


def test_a_function_keeps_its_name_result_and_errors(histogram: Any) -> None:
    def divide(a: float, *, b: float) -> float:
        """Divides."""
        return a / b

    wrapped = timed(histogram, divide)
    assert wrapped(6, b=3) == 2
    with pytest.raises(ZeroDivisionError):
        wrapped(1, b=0)
    assert (wrapped.__name__, wrapped.__doc__, histogram.ended) == ("divide", "Divides.", 2)


def test_a_coroutine_is_timed_until_it_ends(histogram: Any) -> None:
    async def work() -> str:
        assert (histogram.begun, histogram.ended) == (1, 0)
        await asyncio.sleep(0)
        return "done"

    wrapped = timed(histogram, work)
    assert inspect.iscoroutinefunction(wrapped)
    assert asyncio.run(wrapped()) == "done"
    assert histogram.ended == 1


def test_a_generator_is_timed_until_it_is_used_up(histogram: Any) -> None:
    def count() -> Iterator[int]:
        received = yield 1
        yield received

    wrapped = timed(histogram, count)
    generator = wrapped()
    assert histogram.begun == 0
    assert next(generator) == 1
    assert generator.send(5) == 5
    assert histogram.ended == 0
    assert list(generator) == []
    assert histogram.ended == 1


def test_an_async_generator_left_early_is_closed_and_timed(histogram: Any) -> None:
    closed = []

    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def take_one() -> None:
        generator = timed(histogram, count)()
        async for item in generator:
            assert item == 1
            break
        await generator.aclose()

    asyncio.run(take_one())
    assert closed == [True]
    assert (histogram.begun, histogram.ended) == (1, 1)

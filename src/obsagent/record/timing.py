"""`timed`: how long a function, coroutine, generator or async generator takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Timing(Protocol):
    """What takes durations: a histogram of the compiled core, or one that goes by another clock."""

    def time(self) -> AbstractContextManager[Any]:
        """A context manager that observes how long it was open."""
        ...


def timed(histogram: Timing, function: FunctionT) -> FunctionT:
    """Wraps `function` so that every call's duration in seconds is observed, exceptions included.

    A coroutine is timed from its first step to its end; a generator from its first item asked to its end,
    the time between items included.
    """
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def timed_async_generator(*args: Any, **kwargs: Any) -> Any:
            with histogram.time():
                inner = function(*args, **kwargs)
                try:
                    async for item in inner:
                        yield item
                finally:
                    await inner.aclose()

        return cast(FunctionT, timed_async_generator)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def timed_coroutine(*args: Any, **kwargs: Any) -> Any:
            with histogram.time():
                return await function(*args, **kwargs)

        return cast(FunctionT, timed_coroutine)
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def timed_generator(*args: Any, **kwargs: Any) -> Any:
            with histogram.time():
                return (yield from function(*args, **kwargs))

        return cast(FunctionT, timed_generator)

    @functools.wraps(function)
    def timed_function(*args: Any, **kwargs: Any) -> Any:
        with histogram.time():
            return function(*args, **kwargs)

    return cast(FunctionT, timed_function)

"""One generation of a language model: its tokens, when they come, how long all of it takes, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from obsagent._native.ring import TokenTimer

if TYPE_CHECKING:
    from types import TracebackType

    from obsagent.record.generation_instruments import GenerationSeries

ItemT = TypeVar("ItemT")
Times = tuple[float, float]

OK, ERROR, CANCELLED = "ok", "error", "cancelled"
"""How generations end, the label `status`. Cancelled are those whose reader, task or program went away."""
UNKNOWN_REASON = "unknown"
ABANDONED = "abandoned"


class Generation(TokenTimer):
    """`with client.generation(model="llama-3") as generation:`, also `async with`.

        for token in model.stream(prompt):
            generation.token()
        generation.tokens(input=prompt_tokens)
        generation.finish_reason = "stop"

    Without `with`: `start()`, and at the end `end()`, `fail(error)` or `cancel()`. Tokens that come before `start`
    begin it, with the time from when the object was made. One that is let go of without an end is counted cancelled,
    with the finish reason `abandoned`. An exception makes it an error; one that is none of `Exception`, such as a
    cancelled task or a generator that is closed early, cancels it.
    """

    __slots__ = ("__weakref__", "_input", "_left", "_output", "_queued_at", "_series", "finish_reason", "id")

    def __init__(self, series: GenerationSeries, generation_id: str | None, queued_at: float | None) -> None:
        """`queued_at`: seconds since the epoch at which the generation began to wait."""
        super().__init__(series.time_to_first_token, series.inter_token_latency, series.duration_s)
        self._series = series
        self._left = series.left
        self._queued_at = queued_at
        self._input: float | None = None
        self._output: float | None = None
        self.finish_reason: str | None = None
        self.id = generation_id

    def opened(self) -> None:
        """Counts it as in flight; not to be called."""
        if self._queued_at is not None:
            self._series.queue_delay.observe(max(self._series.arrival_s() - self._queued_at, 0.0))
        self._series.in_flight.inc()

    def start(self) -> Generation:
        """Begins now, unless it has begun."""
        self.begin()
        return self

    def tokens(self, *, input: object = None, output: object = None) -> None:
        """How many tokens the prompt has, and how many were generated, in place of those counted; the last call holds.

        What is no number from 0 upwards is counted rejected; None says nothing.
        """
        if input is not None:
            self._input = self._series.checked_tokens(input, self._input)
        if output is not None:
            self._output = self._series.checked_tokens(output, self._output)

    def end(self, finish_reason: str | None = None) -> None:
        """It has ended well; the finish reason is the model server's: `stop`, `length`, `tool_calls`, …"""
        self._end(OK, finish_reason or self.finish_reason or UNKNOWN_REASON)

    def fail(self, error: BaseException | str | None = None) -> None:
        """It has ended with an error: an exception, or the name of a kind of errors, for the label `error`."""
        kind = type(error).__name__ if isinstance(error, BaseException) else error
        self._end(ERROR, self.finish_reason or ERROR, kind or ERROR)

    def cancel(self, finish_reason: str = CANCELLED) -> None:
        """Nobody wants the rest."""
        self._end(CANCELLED, self.finish_reason or finish_reason)

    def _end(self, status: str, finish_reason: str, error: str = "") -> None:
        times = self.finish()
        if times is not None:
            self._record(times, status, finish_reason, error)

    def _leave(self, finish_reason: str) -> None:
        """Ends it where the garbage collector may be at work, maybe below a lock: it is recorded at the next sampling.

        What a child forgets of its parent's, by then, is in a place that nobody looks at any more.
        """
        times = self.finish()
        if times is not None:
            self._left.append((self, times, self.finish_reason or finish_reason))

    def record_left(self, times: Times, finish_reason: str) -> None:
        """Records one that was left; not to be called."""
        self._record(times, CANCELLED, finish_reason, "")

    def _record(self, times: Times, status: str, finish_reason: str, error: str) -> None:
        series, (seconds, seconds_since_first) = self._series, times
        series.in_flight.dec()
        series.duration.observe(seconds)
        series.outcome(status, finish_reason, error).inc()
        output = self.counted if self._output is None else self._output
        series.count_tokens(self._input, output if output or self._output is not None or status == OK else None)
        if status != OK:
            return
        if output and seconds:
            series.tokens_per_second.observe(output / seconds)
        if output > 1 and (self.arrivals > 1 or (self.arrivals and self._output is not None)):
            series.time_per_output_token.observe(seconds_since_first / (output - 1))

    def __enter__(self) -> Generation:
        return self.start()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.end()
        elif error_type is GeneratorExit:
            self._leave(CANCELLED)
        elif issubclass(error_type, Exception):
            self.fail(error or error_type.__name__)
        else:
            self.cancel()

    async def __aenter__(self) -> Generation:
        return self.start()

    async def __aexit__(self, *exception: Any) -> None:
        self.__exit__(*exception)

    def __del__(self) -> None:
        if self.is_under_way:
            self._leave(ABANDONED)

    @overload
    def wrap(
        self, stream: AsyncIterable[ItemT], count: Callable[[ItemT], object] | None = None
    ) -> AsyncIterator[ItemT]: ...
    @overload
    def wrap(self, stream: Iterable[ItemT], count: Callable[[ItemT], object] | None = None) -> Iterator[ItemT]: ...
    def wrap(self, stream: Any, count: Callable[[Any], object] | None = None) -> Any:
        """The same items, each counted as a token as it comes, or as the `count(item)` tokens that it holds.

        A generation that has not begun begins now, and ends with the stream: without `with`, this is all there is to
        do. One that has begun goes on after the stream. What `count` raises is the stream's error. Raises `TypeError`
        for what is neither an iterable nor an async iterable.
        """
        is_async = isinstance(stream, AsyncIterable)
        if not is_async and not isinstance(stream, Iterable):
            raise TypeError(f"wrap() takes an iterable or an async iterable of tokens, not {type(stream).__name__}")
        ends_with_stream = not self.is_begun
        self.begin()
        counted = _Counted(self, count, ends_with_stream)
        return counted.async_items(stream) if is_async else counted.items(stream)


class _Counted:
    """Passes a stream's items on and counts them."""

    def __init__(self, generation: Generation, count: Callable[[Any], object] | None, ends: bool) -> None:
        self._generation = generation
        self._count = count
        self._ends = ends

    def items(self, stream: Iterable[Any]) -> Iterator[Any]:
        token, count = self._generation.token, self._count
        try:
            for item in stream:
                token() if count is None else token(count(item))  # type: ignore[arg-type]
                yield item
        except BaseException as error:
            self._end(error)
            if isinstance(stream, Generator):
                stream.close()
            raise
        self._end(None)

    async def async_items(self, stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
        token, count = self._generation.token, self._count
        try:
            async for item in stream:
                token() if count is None else token(count(item))  # type: ignore[arg-type]
                yield item
        except BaseException as error:
            self._end(error)
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
            raise
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self._ends:
            self._generation.__exit__(None if error is None else type(error), error, None)

"""`generation`: when tokens come, how many there are, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import obsagent
from obsagent.errors import InstrumentError
from obsagent.record.client import Client
from obsagent.record.generation import Generation
from obsagent.testing import Memory


@pytest.fixture
def obs(obsagent_memory: Memory) -> Client:
    return obsagent.connect(service="chat")


def stream(memory: Memory, *pauses_s: float) -> Iterator[str]:
    """A token after each pause."""
    for pause in pauses_s:
        memory.clock.advance(pause)
        yield "token"


async def async_stream(memory: Memory, *pauses_s: float) -> AsyncIterator[str]:
    for pause in pauses_s:
        memory.clock.advance(pause)
        await asyncio.sleep(0)
        yield "token"


def outcomes(memory: Memory) -> list[tuple[str, str, str, float]]:
    rows = memory.query("sum generations by status,finish_reason,error")
    return sorted((*(row.labels[each] for each in ("status", "finish_reason", "error")), row["sum"]) for row in rows)


def test_tokens_are_timed_and_counted(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation(model="llama-3", endpoint="/chat", operation="chat") as generation:
        assert obsagent_memory.last("generations_in_flight", model="llama-3") == 1
        for _ in stream(obsagent_memory, 0.5, 0.25, 0.25, 1.0):
            generation.token()
        generation.tokens(input=128)
        generation.finish_reason = "stop"
    assert obsagent_memory.sum("time_to_first_token", endpoint="/chat") == 0.5
    assert (obsagent_memory.count("inter_token_latency"), obsagent_memory.sum("inter_token_latency")) == (3, 1.5)
    assert obsagent_memory.sum("time_per_output_token") == 0.5
    assert obsagent_memory.sum("generation_duration", operation="chat") == 2.0
    assert obsagent_memory.sum("tokens_per_second") == 2.0
    assert (obsagent_memory.sum("tokens_in"), obsagent_memory.sum("tokens_out")) == (128, 4)
    assert obsagent_memory.quantile("tokens_out_per_generation", 1.0) == 4
    assert obsagent_memory.last("generations_in_flight") == 0
    assert outcomes(obsagent_memory) == [("ok", "stop", "", 1)]


def test_time_after_the_last_token_is_part_of_the_duration(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        for _ in stream(obsagent_memory, 1.0, 1.0, 1.0):
            generation.token()
        obsagent_memory.clock.advance(1.0)
    assert obsagent_memory.sum("time_per_output_token") == 1.5
    assert obsagent_memory.sum("generation_duration") == 4.0


def test_one_token_has_no_time_per_token_and_none_has_no_first(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("one") as generation:
        obsagent_memory.clock.advance(1)
        generation.token()
    with obs.generation("none"):
        obsagent_memory.clock.advance(1)
    assert obsagent_memory.count("time_to_first_token") == 1
    assert obsagent_memory.count("time_per_output_token") == 0
    assert obsagent_memory.count("inter_token_latency") == 0
    assert obsagent_memory.count("tokens_per_second") == 1
    assert obsagent_memory.sum("tokens_out") == 1
    assert obsagent_memory.count("tokens_out_per_generation") == 2
    assert obsagent_memory.sum("generations", status="ok") == 2


def test_chunks_count_as_many_tokens_as_they_hold(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        for count in (0, 3, 2, 0):
            obsagent_memory.clock.advance(1)
            generation.token(count)
    assert obsagent_memory.sum("time_to_first_token") == 2.0
    assert (obsagent_memory.count("inter_token_latency"), obsagent_memory.sum("inter_token_latency")) == (1, 1.0)
    assert obsagent_memory.sum("tokens_out") == 5
    assert obsagent_memory.sum("time_per_output_token") == pytest.approx(2 / 4)


def test_a_single_chunk_says_nothing_of_the_time_between_its_tokens(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        obsagent_memory.clock.advance(1)
        generation.token(count=50)
    assert obsagent_memory.count("time_per_output_token") == 0


def test_an_engine_reports_its_tokens(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        obsagent_memory.clock.advance(1)
        generation.first_token()
        generation.first_token()
        obsagent_memory.clock.advance(9)
        generation.tokens(input=7, output=3)
        generation.tokens(output=10)
    assert obsagent_memory.sum("time_to_first_token") == 1.0
    assert obsagent_memory.sum("time_per_output_token") == 1.0
    assert (obsagent_memory.sum("tokens_in"), obsagent_memory.sum("tokens_out")) == (7, 10)
    assert obsagent_memory.sum("tokens_per_second") == 1.0


def test_what_is_no_count_is_rejected_and_never_raises(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        for nonsense in ("three", -1, float("nan"), None, float("inf")):
            generation.token(nonsense)  # type: ignore[arg-type]
        generation.tokens(input="many", output=-3)
        generation.token()
    generation.token()
    assert obs.flush().rejected == 8
    assert obsagent_memory.sum("tokens_out") == 1
    assert obsagent_memory.count("tokens_in_per_generation") == 0


def test_an_exception_is_an_error_and_passes(obs: Client, obsagent_memory: Memory) -> None:
    def generate() -> None:
        with obs.generation("llama-3") as generation:
            for _ in stream(obsagent_memory, 1.0, 1.0):
                generation.token()
            raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        generate()
    assert outcomes(obsagent_memory) == [("error", "error", "TimeoutError", 1)]
    assert obsagent_memory.count("time_per_output_token") == obsagent_memory.count("tokens_per_second") == 0
    assert obsagent_memory.count("time_to_first_token") == 1
    assert obsagent_memory.sum("tokens_out") == 2
    assert obsagent_memory.last("generations_in_flight") == 0


def test_a_generation_by_its_methods(obs: Client, obsagent_memory: Memory) -> None:
    good = obs.generation("llama-3")
    obsagent_memory.clock.advance(5)
    assert good.start() is good.start() is good
    obsagent_memory.clock.advance(1)
    good.token()
    good.end("length")
    good.end("stop")
    good.fail(ValueError())
    bad = obs.generation("llama-3").start()
    bad.fail("out_of_memory")
    obs.generation("llama-3").start().cancel()
    obs.generation("llama-3").end()  # never begun: none
    assert outcomes(obsagent_memory) == [
        ("cancelled", "cancelled", "", 1),
        ("error", "error", "out_of_memory", 1),
        ("ok", "length", "", 1),
    ]
    assert obsagent_memory.sum("time_to_first_token") == 1.0
    assert obsagent_memory.last("generations_in_flight") == 0


def test_a_token_begins_it_with_the_time_since_it_was_made(obs: Client, obsagent_memory: Memory) -> None:
    generation = obs.generation("llama-3")
    obsagent_memory.clock.advance(2)
    generation.token()
    assert obsagent_memory.last("generations_in_flight") == 1
    generation.end("stop")
    assert obsagent_memory.sum("time_to_first_token") == obsagent_memory.sum("generation_duration") == 2.0


def test_one_that_is_let_go_of_is_counted_abandoned(obs: Client, obsagent_memory: Memory) -> None:
    obs.generation("llama-3").start().token()
    obs.generation("llama-3")
    gc.collect()
    assert outcomes(obsagent_memory) == [("cancelled", "abandoned", "", 1)]
    assert obsagent_memory.last("generations_in_flight") == 0


def test_a_wait_in_the_queue_is_measured_once_and_never_negative(obs: Client, obsagent_memory: Memory) -> None:
    queued = time.time()
    obsagent_memory.clock.advance(5)
    with obs.generation("llama-3", queued_at=queued) as generation:
        generation.start()
    with obs.generation("other", queued_at=queued + 3600):
        pass
    assert obsagent_memory.count("generation_queue_delay", model="llama-3") == 1
    assert obsagent_memory.sum("generation_queue_delay", model="llama-3") == pytest.approx(5.0, rel=0.05)
    assert obsagent_memory.sum("generation_queue_delay", model="other") == 0.0


def test_a_forked_child_forgets_the_generations_of_its_parent(obs: Client, obsagent_memory: Memory) -> None:
    generation = obs.generation("llama-3").start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests have left threads
        child = os.fork()
    if child == 0:
        del generation
        obs.generation("llama-3").start()
        gc.collect()
        os._exit(0 if obs.flush().pending == 0 and obsagent_memory.sum("generations") == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    generation.end("stop")
    assert outcomes(obsagent_memory) == [("ok", "stop", "", 1)]


def test_one_that_is_collected_below_the_lock_of_the_registry_waits_for_nothing(
    obs: Client, obsagent_memory: Memory
) -> None:
    first = obs.generation("llama-3").start()
    second = obs.generation("llama-3").wrap("abc")
    next(second)
    with obs._registry._lock:
        del first, second
        gc.collect()
    assert outcomes(obsagent_memory) == [("cancelled", "abandoned", "", 1), ("cancelled", "cancelled", "", 1)]


def test_the_slowest_one_is_kept_with_its_ids(obs: Client, obsagent_memory: Memory) -> None:
    for name, to_first_s, rest_s in [("quick", 0.5, 0.5), ("slow", 0.25, 2.0)]:
        with obs.generation("llama-3", id=name, trace_id=f"trace-{name}") as generation:
            obsagent_memory.clock.advance(to_first_s)
            generation.token()
            obsagent_memory.clock.advance(rest_s)
    (slowest,) = obsagent_memory.exemplars("generation_duration")
    assert (slowest.request_id, slowest.trace_id, slowest.value) == ("slow", "trace-slow", 2.25)
    (late,) = obsagent_memory.exemplars("time_to_first_token")
    assert (late.request_id, late.value) == ("quick", pytest.approx(0.5))


# ---- Streams


def test_a_wrapped_stream_is_the_same_stream_and_ends_the_generation(obs: Client, obsagent_memory: Memory) -> None:
    wrapped = obs.generation("llama-3").wrap(stream(obsagent_memory, 1.0, 0.5, 0.5))
    assert list(wrapped) == ["token"] * 3
    assert obsagent_memory.sum("time_to_first_token") == 1.0
    assert obsagent_memory.sum("time_per_output_token") == 0.5
    assert outcomes(obsagent_memory) == [("ok", "unknown", "", 1)]


def test_a_stream_wrapped_within_a_generation_does_not_end_it(obs: Client, obsagent_memory: Memory) -> None:
    with obs.generation("llama-3") as generation:
        for _ in generation.wrap(["a b", "c"], count=lambda chunk: len(chunk.split())):
            obsagent_memory.clock.advance(1)
        obsagent_memory.clock.advance(1)
        generation.finish_reason = "length"
    assert obsagent_memory.sum("generation_duration") == 3.0
    assert obsagent_memory.sum("tokens_out") == 3
    assert outcomes(obsagent_memory) == [("ok", "length", "", 1)]


def test_an_async_stream_is_wrapped_too(obs: Client, obsagent_memory: Memory) -> None:
    async def main() -> list[str]:
        return [each async for each in obs.generation("llama-3").wrap(async_stream(obsagent_memory, 1.0, 2.0))]

    assert asyncio.run(main()) == ["token", "token"]
    assert obsagent_memory.sum("time_per_output_token") == 2.0
    assert outcomes(obsagent_memory) == [("ok", "unknown", "", 1)]


def test_a_stream_that_fails_is_an_error(obs: Client, obsagent_memory: Memory) -> None:
    def broken() -> Iterator[str]:
        yield "token"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(obs.generation("llama-3").wrap(broken()))
    with pytest.raises(ZeroDivisionError):
        list(obs.generation("llama-3").wrap(["token"], count=lambda _: 1 // 0))
    assert outcomes(obsagent_memory) == [
        ("error", "error", "ConnectionResetError", 1),
        ("error", "error", "ZeroDivisionError", 1),
    ]


def test_a_stream_that_is_left_early_is_cancelled_and_closed(obs: Client, obsagent_memory: Memory) -> None:
    closed = []

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "token"
        finally:
            closed.append(True)

    inner = endless()
    for _ in obs.generation("llama-3").wrap(inner):
        break
    gc.collect()
    assert closed == [True]
    assert outcomes(obsagent_memory) == [("cancelled", "cancelled", "", 1)]
    obs.generation("llama-3").wrap(endless())  # never read from
    gc.collect()
    assert outcomes(obsagent_memory)[0] == ("cancelled", "abandoned", "", 1)
    assert obsagent_memory.last("generations_in_flight") == 0


def test_an_async_stream_that_is_left_early_is_cancelled_and_closed(obs: Client, obsagent_memory: Memory) -> None:
    closed = []

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "token"
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main() -> None:
        wrapped = obs.generation("llama-3").wrap(endless())
        async for _ in wrapped:
            break
        await wrapped.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert closed == [True]
    assert outcomes(obsagent_memory) == [("cancelled", "cancelled", "", 1)]


def test_a_cancelled_task_cancels_its_generation(obs: Client, obsagent_memory: Memory) -> None:
    async def generate(generation: Generation, reading: asyncio.Event) -> None:
        async with generation:
            generation.token()
            reading.set()
            await asyncio.sleep(3600)

    async def main() -> None:
        reading = asyncio.Event()
        task = asyncio.create_task(generate(obs.generation("llama-3"), reading))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcomes(obsagent_memory) == [("cancelled", "cancelled", "", 1)]
    assert obsagent_memory.last("generations_in_flight") == 0


def test_what_is_no_stream_is_refused(obs: Client, obsagent_memory: Memory) -> None:
    nothing: Any = 7
    with pytest.raises(TypeError, match="iterable of tokens, not int"):
        obs.generation("llama-3").wrap(nothing)


# ---- Labels


def test_labels_that_are_not_given_are_empty_and_a_version_is_the_models(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="chat", version="server-7")
    for version in ("", "2024-07"):
        with obs.generation("llama-3", version=version) as generation:
            generation.token()
    assert obsagent_memory.count("generation_duration", version="server-7") == 1
    assert obsagent_memory.count("generation_duration", version="2024-07") == 1
    (row,) = obsagent_memory.query("count generation_duration version=2024-07 by model,endpoint,service")
    assert row.labels == {"model": "llama-3", "endpoint": "", "service": "chat"}


def test_models_that_are_nearly_all_new_are_refused_as_others_are(
    obs: Client, obsagent_memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(500):
        with obs.generation(f"adapter-{number:016x}") as generation:
            generation.token()
        with obs.generation("llama-3") as generation:
            generation.token()
    assert obsagent_memory.count("time_to_first_token") == obsagent_memory.sum("generations") == 1_000
    assert obsagent_memory.count("time_to_first_token", model="llama-3") == 500
    assert obsagent_memory.count("time_to_first_token", overflow="true") > 250
    assert obsagent_memory.last("generations_in_flight") == 0
    assert len(caplog.records) == 1
    assert "generation_duration: nearly every value of the label model" in caplog.text


def test_built_in_names_are_refused_and_there_without_being_fed(obs: Client, obsagent_memory: Memory) -> None:
    with pytest.raises(InstrumentError, match=r"built in: it is fed by client.generation\(\)"):
        obs.histogram("time_to_first_token")
    obs.counter("served").inc()
    assert [each.metric for each in obs.definitions] == ["served"]


def test_a_disabled_client_takes_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from obsagent.record import clients

    monkeypatch.setattr(clients, "_clients", {})
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    with obsagent.connect(service="chat").generation("llama-3") as generation:
        assert list(generation.wrap("abc")) == ["a", "b", "c"]
    assert generation.counted == 3

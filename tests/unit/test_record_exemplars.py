"""The slowest request that has an id goes with the batch; one without costs and leaves nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import obsagent
from obsagent.errors import UsageError
from obsagent.limits import CLIENT_EXEMPLARS, EXEMPLAR_ID_BYTES_MAX, EXEMPLARS_PER_MESSAGE, WINDOW_MS
from obsagent.record.agent_clock import AgentClock
from obsagent.record.exemplars import TRACING, ExemplarSlots
from obsagent.record.outbox import ENTRY_OVERHEAD_BYTES, Outbox
from obsagent.testing.memory import Memory

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Slots(ExemplarSlots):
    """Slots whose time is set by hand."""

    now_ms = 5_000.0

    def end(self, series: int, value: float, trace_id: object, request_id: object) -> None:
        self.offer(series, value, self.now_ms / 1e3, trace_id, request_id)


@pytest.fixture
def slots() -> Slots:
    return Slots()


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory() as memory:
        yield memory


def ids(found: Any) -> list[str]:
    return [each.request_id for each in found]


def test_the_slowest_of_each_series_is_held(slots: Slots) -> None:
    for series, value, name in ((0, 1.0, "a"), (0, 3.0, "b"), (0, 2.0, "c"), (1, 0.5, "d"), (0, 3.0, "e")):
        slots.end(series, value, None, name)
    assert ids(slots.take(slots.now_ms)) == ["b", "d"]
    assert slots.take(slots.now_ms) == []


def test_windows_are_held_apart_and_wait_for_their_batch(slots: Slots) -> None:
    slots.now_ms = WINDOW_MS - 1.0
    slots.end(0, 1.0, None, "before")
    slots.now_ms = WINDOW_MS + 1.0
    slots.end(0, 9.0, None, "behind")
    assert ids(slots.take(WINDOW_MS)) == ["before"]
    assert ids(slots.take(WINDOW_MS + 100)) == ["behind"]


def test_one_batch_takes_so_many_and_the_client_holds_so_many(slots: Slots) -> None:
    for series in range(CLIENT_EXEMPLARS + 10):
        slots.end(series, float(series), None, str(series))
    taken = slots.take(slots.now_ms)
    assert ids(taken) == [str(CLIENT_EXEMPLARS - 1 - number) for number in range(EXEMPLARS_PER_MESSAGE)]
    assert slots.take(slots.now_ms) == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("x" * 200, "x" * EXEMPLAR_ID_BYTES_MAX),
        ("ä" * 100, "ä" * 64),
        ("a" + "ä" * 100, "a" + "ä" * 63),
        ("\ud800", "?"),
        (17, "17"),
    ],
)
def test_ids_are_made_such_as_the_agent_takes(slots: Slots, given: object, sent: str) -> None:
    slots.end(0, 1.0, None, given)
    assert ids(slots.take(slots.now_ms)) == [sent]


def test_nothing_is_held_without_an_id(slots: Slots) -> None:
    slots.end(0, 1.0, None, None)
    slots.end(0, 1.0, "", "")
    assert slots.take(slots.now_ms) == []


def test_threads_lose_no_slowest_request(slots: Slots) -> None:
    def work(first: int) -> None:
        for number in range(first, 20_000, 4):
            slots.end(0, float(number), None, str(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(slots.take(slots.now_ms)) == ["19999"]


def tracing(*, trace_id: int = int(TRACE, 16), valid: bool = True, sampled: bool = True) -> ModuleType:
    """A module that has an active span, as `opentelemetry.trace` would."""
    context = SimpleNamespace(trace_id=trace_id, is_valid=valid, trace_flags=SimpleNamespace(sampled=sampled))
    module = ModuleType(TRACING)
    span = SimpleNamespace(get_span_context=lambda: context)
    module.get_current_span = lambda: span  # type: ignore[attr-defined]
    return module


def test_an_active_trace_lends_its_id(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, TRACING, tracing())
    with obsagent.connect("fraud").request("/score"):
        memory.clock.advance(0.5)
    (found,) = memory.exemplars()
    assert (found.trace_id, found.request_id) == (TRACE, "")


@pytest.mark.parametrize("other", [tracing(valid=False), tracing(sampled=False), ModuleType(TRACING)])
def test_a_trace_that_is_not_kept_lends_none(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, other: ModuleType
) -> None:
    monkeypatch.setitem(sys.modules, TRACING, other)
    with obsagent.connect("fraud").request("/score"):
        memory.clock.advance(0.5)
    assert memory.exemplars() == []
    assert memory.count("latency") == 1


def test_opentelemetry_is_never_imported(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, TRACING, raising=False)  # some other test's framework may have wanted it
    with obsagent.connect("fraud").request("/score", id="r"):
        memory.clock.advance(0.5)
    assert memory.exemplars(endpoint="/score")
    assert TRACING not in sys.modules


def test_the_slowest_request_is_found_by_its_ids(memory: Memory) -> None:
    client = obsagent.connect("fraud")
    for number, seconds in enumerate((0.1, 0.4, 0.2)):
        with client.request("/score", id=f"r-{number}", trace_id=TRACE):
            memory.clock.advance(seconds)
    with client.request("/score"):  # slower, and has no id
        memory.clock.advance(2.0)
    with client.request("/fast") as request:
        request.id = "given later"
        memory.clock.advance(0.01)
    slow, fast = memory.exemplars()
    assert (slow.request_id, slow.trace_id, slow.value) == ("r-1", TRACE, pytest.approx(0.4))
    assert fast.request_id == "given later"
    assert memory.exemplars(endpoint="/fast") == [fast]
    assert memory.clock.wall_ms() - slow.time_ms == pytest.approx(2_210, abs=2)


def test_an_observation_brings_its_own_ids(memory: Memory) -> None:
    client = obsagent.connect("fraud")
    step = client.histogram("step", labels=["step"]).labels(step="build")
    for number, value in enumerate((0.1, 0.4, 0.2)):
        step.observe(value, exemplar={"request_id": f"r-{number}", "trace_id": TRACE})
    client.histogram("size").observe(3, {"request_id": 17})
    (found,) = memory.exemplars("step", step="build")
    assert (found.request_id, found.trace_id, found.value) == ("r-1", TRACE, 0.4)
    assert ids(memory.exemplars("size")) == ["17"]
    assert memory.count("step") == 3


@pytest.mark.parametrize("exemplar", ["r-1", 7, {"requestid": "r-1"}, {1: 2}])
def test_what_is_no_exemplar_costs_no_sample_and_is_said_once(
    memory: Memory, caplog: pytest.LogCaptureFixture, exemplar: Any
) -> None:
    step = obsagent.connect("fraud").histogram("step")
    for _ in range(3):
        step.observe(0.1, exemplar=exemplar)
    step.observe(float("nan"), exemplar={"request_id": "r"})
    step.observe("much", exemplar={"request_id": "r"})
    assert memory.exemplars("step") == []
    assert memory.count("step") == 4  # NaN is a number
    assert [record.message for record in caplog.records if "exemplar" in record.message] == [
        f'observe(…, exemplar={exemplar!r}) leads to nothing: expected {{"trace_id": …}}, {{"request_id": …}} or both'
    ]


def test_without_label_values_an_exemplar_is_rejected_with_its_value(memory: Memory) -> None:
    with pytest.warns(RuntimeWarning, match="without labels"):
        obsagent.connect("fraud").histogram("step", labels=["step"]).observe(0.1, exemplar={"request_id": "r"})


@pytest.mark.parametrize(("arguments", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"trace_id": "t"})])
def test_arguments_that_observe_does_not_take(memory: Memory, arguments: tuple, named: dict) -> None:
    with pytest.raises(TypeError, match="observe"):
        obsagent.connect("fraud").histogram("step").observe(*arguments, **named)


def test_questions_about_exemplars_that_make_no_sense(memory: Memory) -> None:
    with obsagent.connect("fraud").request("/score", id="r"):
        memory.clock.advance(0.1)
    with pytest.raises(UsageError, match=r"requests.*counter"):
        memory.exemplars("requests")
    with pytest.raises(UsageError, match="no metric"):
        memory.exemplars("latnecy")
    with pytest.raises(UsageError, match="no label"):
        memory.exemplars(endpiont="/score")


def test_a_disabled_client_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    client = obsagent.connect("disabled, with exemplars")
    with client.request("/score", id="r"):
        pass
    client.histogram("step").observe(1.0, exemplar={"request_id": "r"})
    assert client._exemplars.take(float("inf")) == []


def test_a_batch_weighs_its_exemplars_and_begins_a_session_without_any(slots: Slots) -> None:
    outbox = Outbox(exemplars=slots)
    slots.end(0, 1.0, TRACE, None)
    outbox.put(SimpleNamespace(end_ns=6_000 * 1_000_000, body=b"", samples=1), 0)  # type: ignore[arg-type]
    entry = outbox.next_unsent()
    assert entry is not None
    assert [each.trace_id for each in entry.exemplars] == [TRACE]
    assert entry.byte_size > ENTRY_OVERHEAD_BYTES
    slots.end(0, 1.0, TRACE, None)
    slots.begin_session(AgentClock(0.0), 0.0)
    assert slots.take(float("inf")) == []

"""`--exemplars`: which observations a row shows, in every form of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_view import FakeView
from test_serve import NOW_MS, error_of, serve

import obsagent
from obsagent.answer.instants import iso_utc
from obsagent.limits import EXEMPLARS_PER_ROW, TIER_WINDOWS_MS
from obsagent.results.result import Exemplar
from obsagent.testing.memory import Memory

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory() as memory:
        yield memory


def serve_requests(memory: Memory, endpoint: str, *seconds: float, every_s: float = 10.0) -> None:
    """Requests that take so long, each in a window of its own, with ids that say how long."""
    client = obsagent.connect("fraud")
    for took in seconds:
        with client.request(endpoint, id=f"{endpoint}-{took}", trace_id=TRACE):
            memory.clock.advance(took)
        memory.clock.advance(every_s - took)


def ids(found: Any) -> list[str]:
    return [each.request_id for each in found]


def test_a_row_shows_the_slowest_of_its_series(memory: Memory) -> None:
    serve_requests(memory, "/slow", 0.5, 0.9, 0.7)
    serve_requests(memory, "/fast", 0.01, 0.02)
    fast, slow = memory.query("p99 latency by endpoint since 5m", exemplars=True)
    assert ids(slow.exemplars) == ["/slow-0.9", "/slow-0.7", "/slow-0.5"]
    assert ids(fast.exemplars) == ["/fast-0.02", "/fast-0.01"]
    assert slow.exemplars[0].labels["endpoint"] == "/slow"
    (everything,) = memory.query("p99 latency since 5m", exemplars=True)
    assert ids(everything.exemplars) == [*ids(slow.exemplars), *ids(fast.exemplars)]
    assert len(everything.exemplars) <= EXEMPLARS_PER_ROW
    (filtered,) = memory.query("p99 latency endpoint=/fast since 5m", exemplars=True)
    assert ids(filtered.exemplars) == ids(fast.exemplars)
    assert memory.query("p99 latency endpoint=/slow since 15s", exemplars=True).rows == ()


def test_so_many_are_shown_and_no_more(memory: Memory) -> None:
    serve_requests(memory, "/slow", *(number / 10 for number in range(1, 12)))
    (row,) = memory.query("p99 latency since 5m", exemplars=True)
    assert ids(row.exemplars) == [f"/slow-{number / 10}" for number in range(11, 11 - EXEMPLARS_PER_ROW, -1)]


def test_steps_have_their_own(memory: Memory) -> None:
    memory.clock.advance(60 - memory.clock.now().second)
    serve_requests(memory, "/slow", *[0.3, 0.1, 0.2, 0.1, 0.1, 0.1] * 2)
    (row,) = memory.query("p99 latency since 5m step 30s", exemplars=True)
    assert [ids(point.exemplars)[0] for point in row.points] == ["/slow-0.3", "/slow-0.1"] * 2
    assert all(point.start <= each.time < point.end for point in row.points for each in point.exemplars)


def test_the_answer_says_value_time_and_ids(memory: Memory) -> None:
    with obsagent.connect("fraud").request("/score", id="r-1"):
        memory.clock.advance(0.25)
    at_ms = memory.clock.wall_ms()
    memory.clock.advance(10)
    result = memory.query("p99 latency", exemplars=True)
    ((given,),) = [row["exemplars"] for row in result.answer["series"]]
    labels = given.pop("labels")
    assert given == {"value": pytest.approx(0.25), "time": iso_utc(at_ms), "trace_id": None, "request_id": "r-1"}
    assert {"service", "endpoint", "worker", "host"} == set(labels)
    (exemplar,) = result[0].exemplars
    assert isinstance(exemplar, Exemplar)
    assert exemplar.time.timestamp() * 1000 == pytest.approx(at_ms)
    assert (exemplar.trace_id, exemplar.request_id) == (None, "r-1")


def test_not_asked_for_nothing_is_read_and_nothing_is_said(memory: Memory) -> None:
    serve_requests(memory, "/slow", 0.5)
    result = memory.query("p99 latency")
    assert "exemplars" not in result.answer["series"][0]
    assert result[0].exemplars == ()


def test_what_is_no_histogram_has_none(memory: Memory) -> None:
    serve_requests(memory, "/slow", 0.5)
    for text in ("requests", "error_rate", "sum errors / sum requests", "in_flight"):
        for row in memory.query(f"{text} since 5m", exemplars=True):
            assert row.exemplars == ()
    several = memory.query("p99 latency,queue_delay by endpoint since 5m", exemplars=True)
    assert [ids(row.exemplars) for row in several] == [["/slow-0.5"]]


def test_of_a_comparison_this_side_has_them(memory: Memory) -> None:
    serve_requests(memory, "/gone", 0.5)
    serve_requests(memory, "/both", 0.4)
    memory.clock.advance(3_600)
    serve_requests(memory, "/both", 0.3)
    result = memory.query("p99 latency by endpoint since 5m vs 1h ago", exemplars=True)
    assert {row.labels["endpoint"]: ids(row.exemplars) for row in result} == {"/both": ["/both-0.3"], "/gone": []}


def test_only_rows_that_are_left_are_looked_for(memory: Memory) -> None:
    serve_requests(memory, "/slow", 0.5)
    serve_requests(memory, "/fast", 0.01)
    (row,) = memory.query("p99 latency by endpoint where p99 above 100ms", exemplars=True)
    assert ids(row.exemplars) == ["/slow-0.5"]


def test_a_view_gives_each_window_once(memory: Memory) -> None:
    serve_requests(memory, "/slow", 0.5, 0.9)
    view = memory._agent.store.view()
    series = [each.id for each in view.series() if each.metric == "latency"]
    found = view.collect_exemplars(series, 0, 1 << 60)
    assert [each.window_ms % TIER_WINDOWS_MS[0] for each in found] == [0, 0]
    assert [each.value for each in found] == [pytest.approx(0.5), pytest.approx(0.9)]
    assert view.collect_exemplars([], 0, 1 << 60) == []
    (last,) = view.collect_exemplars(series, found[1].window_ms, found[1].window_ms + 1)
    assert last == found[1]


def test_the_query_server_takes_the_word_for_it() -> None:
    message = {"text": "p99 latency", "exemplars": "yes"}
    (reply,) = serve(FakeView(), (b"peer", "query", message))
    _, code, says = error_of(reply)
    assert (code, "`exemplars`" in says) == (1, True)
    assert NOW_MS

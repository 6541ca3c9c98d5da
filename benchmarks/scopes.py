"""What does it cost to time a block, a function, a request?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import clients, floor, peers
from benchmarks.measure import Arm, Effort, Timing, calls, interleave
from benchmarks.report import Goal, Row, Table, at_least, at_most, comparison, nanoseconds

TIMER = "`with histogram.time()`"
TIMED = "`@timed` on an empty function"
REQUEST = "`with request(endpoint)`"
SPAN = "OpenTelemetry span + `record`"


def run(effort: Effort) -> list[Table]:
    """One table: every scope over an empty one that reads the clock twice."""
    with clients.unheard() as client:
        arms = [calls("empty scope that reads the clock twice", "with time(): pass", time=floor.load().Empty().time)]
        arms += [*_ours(client), *_prometheus(), *_opentelemetry()]
        reference, *timings = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), _goals(timing, reference)))
    by_name = {timing.name: timing for timing in timings}
    if SPAN in by_name:
        cheaper = by_name[SPAN].over(by_name[REQUEST]).median
        rows.append(Row("OpenTelemetry over our request", None, f"{cheaper:.1f} ×", (at_least(cheaper, 20, "×"),)))
    return [comparison("Scopes", "empty scope", rows, note)]


def _goals(timing: Timing, reference: Timing) -> tuple[Goal, ...]:
    if timing.name in (TIMER, TIMED):
        return (at_most(timing.over(reference).median, 1.5, "×"),)
    return (at_most(timing.ns, 1000, "ns"),) if timing.name == REQUEST else ()


def _nothing() -> None:
    pass


def _ours(client: Any) -> list[Arm]:
    request = client.request
    return [
        calls(TIMER, "with time(): pass", time=client.histogram("block").time),
        calls(TIMED, "function()", function=client.timed("function")(_nothing)),
        calls("`@timed` written in Python, recording nothing", "function()", function=_python_timed(_nothing)),
        calls(REQUEST, "with request('/score'): pass", request=request),
        calls(
            "`with request(endpoint, queued_at=...)`",
            "with request('/score', queued_at=began): pass",
            request=request,
            began=time.time(),
        ),
    ]


def _python_timed(function: Callable[[], None]) -> Callable[[], None]:
    clock = time.perf_counter

    def timed() -> None:
        began = clock()
        try:
            function()
        finally:
            clock() - began

    return timed


def _prometheus() -> list[Arm]:
    prometheus = peers.load("prometheus_client")
    if prometheus is None:
        return []
    histogram = prometheus.Histogram("block", "Block", registry=prometheus.CollectorRegistry())
    return [
        calls("prometheus_client `with histogram.time()`", "with time(): pass", time=histogram.time),
        calls("prometheus_client `@histogram.time()`", "function()", function=histogram.time()(_nothing)),
    ]


def _opentelemetry() -> list[Arm]:
    """A span and a duration for each request, with nothing exported: the least that the SDK can do."""
    metrics, trace = peers.load("opentelemetry.sdk.metrics"), peers.load("opentelemetry.sdk.trace")
    export = peers.load("opentelemetry.sdk.metrics.export")
    if metrics is None or trace is None or export is None:
        return []
    meter = metrics.MeterProvider([export.InMemoryMetricReader()]).get_meter("benchmark")
    record = meter.create_histogram("latency").record
    start_span = trace.TracerProvider().get_tracer("benchmark").start_as_current_span
    attributes = {"endpoint": "/score"}
    clock = time.perf_counter

    def request() -> None:
        began = clock()
        with start_span("/score", attributes=attributes):
            pass
        record(clock() - began, attributes)

    return [calls(SPAN, "request()", request=request)]

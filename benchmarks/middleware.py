"""What does it cost to watch a request from outside of its app?"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import obsagent
from benchmarks import clients, peers
from benchmarks.measure import Arm, Effort, Timing, interleave
from benchmarks.report import Row, Table, comparison, duration

OURS = "**`obsagent.ASGIMiddleware`**"
WARM_UP_REQUESTS = 50
HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"wrk"),
    (b"accept", b"*/*"),
    (b"content-length", b"0"),
    (b"x-request-id", b"7f3c41d09b"),
]

App = Callable[[Any, Any, Any], Awaitable[None]]


def run(effort: Effort) -> list[Table]:
    """Two tables: the middlewares around FastAPI, and around an app that does nothing at all."""
    with clients.unheard() as client, asyncio.Runner() as runner:
        around_fastapi = [
            _arm(runner, "FastAPI, a route that does nothing", _fastapi()),
            _arm(runner, OURS, obsagent.ASGIMiddleware(_fastapi(), client)),
            *_instrumentator(runner),
            *_opentelemetry(runner, _fastapi),
        ]
        around_nothing = [
            _arm(runner, "an ASGI app that sends two messages", _nothing),
            _arm(runner, OURS, obsagent.ASGIMiddleware(_nothing, client, endpoint="/score")),
            *_opentelemetry(runner, lambda: _nothing),
        ]
        tables = [
            _measured("A request of FastAPI, without a server", around_fastapi, effort),
            _measured("A request of nothing, without a server", around_nothing, effort),
        ]
        note = f"{clients.ring_note(client)} Time of the processor. {peers.missing_note()}".strip()
    return [tables[0], replace(tables[1], note=note)]


def _measured(title: str, arms: list[Arm], effort: Effort) -> Table:
    for arm in arms:
        arm.run(WARM_UP_REQUESTS)  # the first builds an app
    reference, *timings = interleave(arms, effort, time.thread_time)
    rows = [Row(reference.name, None, duration(reference.median))]
    rows += [Row(timing.name, timing.over(reference), duration(timing.median)) for timing in timings]
    (_, ours), *others = [(timing.name, _added(timing, reference)) for timing in timings]
    rows.append(Row("added by ours", None, duration(max(ours, 0.0))))
    for name, added in others:
        times = f", {added / ours:.1f} × ours" if ours > 0 else ""
        rows.append(Row(f"added by {name}", None, f"{duration(max(added, 0.0))}{times}"))
    return comparison(title, "unwatched", rows)


def _added(timing: Timing, reference: Timing) -> float:
    """The median of the rounds' differences, in seconds."""
    return statistics.median(each - base for each, base in zip(timing.seconds, reference.seconds, strict=True))


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def _fastapi() -> Any:
    fastapi = peers.load("fastapi")
    assert fastapi is not None, "this question is about FastAPI: pip install --group bench"
    app = fastapi.FastAPI()
    response = fastapi.Response(b"ok")

    async def score(item: int) -> Any:
        return response

    app.get("/score/{item}")(score)
    return app


def _arm(runner: asyncio.Runner, name: str, app: App) -> Arm:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def serve(repeats: int) -> None:
        for _ in range(repeats):
            await app(_scope(), receive, send)

    return Arm(name, lambda repeats: runner.run(serve(repeats)))


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/score/7",
        "raw_path": b"/score/7",
        "root_path": "",
        "query_string": b"",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


def _instrumentator(runner: asyncio.Runner) -> list[Arm]:
    """With its default metrics, in a registry of its own."""
    instrumentator, prometheus = peers.load("prometheus_fastapi_instrumentator"), peers.load("prometheus_client")
    if instrumentator is None or prometheus is None:
        return []
    app = _fastapi()
    instrumentator.Instrumentator(registry=prometheus.CollectorRegistry()).instrument(app)
    return [_arm(runner, "prometheus-fastapi-instrumentator", app)]


def _opentelemetry(runner: asyncio.Runner, app_of: Callable[[], App]) -> list[Arm]:
    """Metrics alone, and metrics with a span for each request; nothing is exported."""
    asgi, api = peers.load("opentelemetry.instrumentation.asgi"), peers.load("opentelemetry.trace")
    metrics, trace = peers.load("opentelemetry.sdk.metrics"), peers.load("opentelemetry.sdk.trace")
    export = peers.load("opentelemetry.sdk.metrics.export")
    if asgi is None or api is None or metrics is None or trace is None or export is None:
        return []
    arms = []
    tracers = {"metrics": api.NoOpTracerProvider(), "metrics and spans": trace.TracerProvider()}
    for what, tracer_provider in tracers.items():
        meter_provider = metrics.MeterProvider([export.InMemoryMetricReader()])
        app = asgi.OpenTelemetryMiddleware(
            app_of(), meter_provider=meter_provider, tracer_provider=tracer_provider, exclude_spans=["receive", "send"]
        )
        arms.append(_arm(runner, f"OpenTelemetry ASGI, {what}", app))
    return arms

"""What does it cost to watch a request from outside of its app?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import obsagent
from benchmarks import clients, peers
from benchmarks.measure import Arm, Effort, Timing, interleave
from benchmarks.report import Row, Table, comparison, duration

UNWATCHED = "FastAPI, a route that does nothing"
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
    """One table: every middleware around the same app, over the app alone."""
    peers.load("fastapi")
    with clients.unheard() as client, asyncio.Runner() as runner:
        arms = [
            _arm(runner, UNWATCHED, _app()),
            _arm(runner, OURS, obsagent.ASGIMiddleware(_app(), client)),
            *_instrumentator(runner),
            *_opentelemetry(runner),
        ]
        for arm in arms:
            arm.run(WARM_UP_REQUESTS)  # the first builds an app
        reference, *timings = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    return [_table(reference, timings, note)]


def _table(reference: Timing, timings: list[Timing], note: str) -> Table:
    rows = [Row(reference.name, None, duration(reference.median))]
    rows += [Row(timing.name, timing.over(reference), duration(timing.median)) for timing in timings]
    ours, *others = [(timing.name, timing.median - reference.median) for timing in timings]
    rows.append(Row("added by ours", None, duration(max(ours[1], 1e-9))))
    for name, added in others:
        rows.append(Row(f"added by {name}, over ours", None, f"{added / max(ours[1], 1e-9):.1f} ×"))
    return comparison("A request without a server", "unwatched", rows, note)


def _app() -> Any:
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
    app = _app()
    instrumentator.Instrumentator(registry=prometheus.CollectorRegistry()).instrument(app)
    return [_arm(runner, "prometheus-fastapi-instrumentator", app)]


def _opentelemetry(runner: asyncio.Runner) -> list[Arm]:
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
            _app(), meter_provider=meter_provider, tracer_provider=tracer_provider, exclude_spans=["receive", "send"]
        )
        arms.append(_arm(runner, f"OpenTelemetry ASGI, {what}", app))
    return arms

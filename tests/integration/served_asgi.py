"""A model server in Starlette."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import obsagent
from integration import served_truths

obs = obsagent.connect(service="web")
workers = obs.gauge("workers", help="Workers that are alive", across="sum")


async def score(request: Request) -> PlainTextResponse:
    began = time.perf_counter()
    await asyncio.sleep(request.path_params["item"] % 7 / 1000)
    request.scope["inner_s"] = time.perf_counter() - began
    return PlainTextResponse(str(os.getpid()))


async def stream(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for _ in range(3000):
            yield "x" * 1000
            await asyncio.sleep(0.01)

    return StreamingResponse(parts())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    workers.set(1)
    yield


routes = [Route("/score/{item:int}", score), Route("/stream", stream)]
watched = obsagent.ASGIMiddleware(Starlette(routes=routes, lifespan=lifespan))


async def app(scope: Any, receive: Any, send: Any) -> None:
    began = time.perf_counter()
    await watched(scope, receive, send)
    if "inner_s" in scope:
        served_truths.note(scope["inner_s"], time.perf_counter() - began)

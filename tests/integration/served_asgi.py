"""A model server in Starlette, with a route in the event loop and one in a thread."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
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


def rank(request: Request) -> PlainTextResponse:
    began = time.perf_counter()
    current = obsagent.current_request()
    assert current is not None
    current.batch(3)
    request.scope["inner_s"] = time.perf_counter() - began
    return PlainTextResponse(str(os.getpid()))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    workers.set(1)
    yield


watched = obsagent.ASGIMiddleware(
    Starlette(routes=[Route("/score/{item:int}", score), Route("/rank/{item:int}", rank)], lifespan=lifespan)
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    began = time.perf_counter()
    await watched(scope, receive, send)
    if scope["type"] == "http":
        served_truths.note(scope["inner_s"], time.perf_counter() - began)

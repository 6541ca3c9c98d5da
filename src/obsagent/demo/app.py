"""The demo's model server, written as anyone would write it: Starlette, scikit-learn and obsagent.

Run it with `MODEL_FILE=model.pickle MODEL_VERSION=1 uvicorn obsagent.demo.app:app --workers 2`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import obsagent
from obsagent.demo.model import MODEL, THRESHOLD, DelayModel

obs = obsagent.connect(service="flights", version=os.environ["MODEL_VERSION"])
step_duration = obs.histogram("step_duration", help="Time per step of a request", unit="seconds", labels=["step"])
build, predict = step_duration.labels(step="features"), step_duration.labels(step="predict")
scored = obs.counter("flights_scored", help="Flights that got a score", unit="flights")
delays = obs.model(MODEL)

model = DelayModel.load(Path(os.environ["MODEL_FILE"]))


async def score(request: Request) -> JSONResponse:
    """POST one flight, get its score."""
    return await answer(
        request, lambda watched, flight: {"id": flight["id"], "score": late_scores(watched, [flight])[0]}
    )


async def score_batch(request: Request) -> JSONResponse:
    """POST a list of flights, get the list of their scores."""
    return await answer(request, lambda watched, flights: {"scores": late_scores(watched, flights)})


async def answer(request: Request, work: Any) -> JSONResponse:
    """One watched request: read, work, answer; 422 for a body that the model cannot read."""
    with obs.request(request.url.path) as watched:
        try:
            return JSONResponse(work(watched, json.loads(await request.body())))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            watched.status = 422
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=422)


def late_scores(watched: obsagent.Request, flights: Sequence[Mapping[str, Any]]) -> list[float]:
    """Probability that each flight will be late, with the time that the two steps take; the model is watched, too."""
    with build.time():
        features = model.features(flights)
    with predict.time():
        scores = model.scores(features)
    scored.inc(len(flights))
    days = [noon(flight["scheduled"][:10]) for flight in flights]
    ids = [flight["id"] for flight in flights]
    watched.features(model.columns(flights, features), model=delays, at=days)
    watched.predictions((scores > THRESHOLD).astype(int), scores, ids, model=delays, at=days)
    return [round(score, 6) for score in scores.tolist()]


@cache
def noon(day: str) -> float:
    """When the flights of a day are counted: the year is told apart by days."""
    return datetime.fromisoformat(f"{day}T12:00-05:00").timestamp()


async def health(request: Request) -> JSONResponse:
    """Which worker answers; not watched."""
    return JSONResponse({"pid": os.getpid()})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """uvicorn ends its workers by a signal, past `atexit`: what is still unsent is sent here."""
    yield
    obs.close()


app = Starlette(
    routes=[
        Route("/score", score, methods=["POST"]),
        Route("/score_batch", score_batch, methods=["POST"]),
        Route("/health", health),
    ],
    lifespan=lifespan,
)

"""A model server in Flask, as gunicorn starts it with `--preload`: it connects before the workers are forked."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import flask

import obsagent
from integration import served_truths

obs = obsagent.connect(service="web")
workers = obs.gauge("workers", help="Workers that are alive", across="sum")
app = flask.Flask("web")


@app.get("/score/<int:item>")
def score(item: int) -> str:
    began = time.perf_counter()
    time.sleep(item % 7 / 1000)
    flask.request.environ["inner_s"] = time.perf_counter() - began
    return str(os.getpid())


@app.get("/stream")
def stream() -> Iterator[str]:
    for _ in range(3000):
        yield "x" * 1000
        time.sleep(0.01)


watched = obsagent.WSGIMiddleware(app.wsgi_app)


def timed(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    began = time.perf_counter()
    body: Any = watched(environ, start_response)
    try:
        yield from body
    finally:
        body.close()
        if "inner_s" in environ:
            served_truths.note(environ["inner_s"], time.perf_counter() - began)

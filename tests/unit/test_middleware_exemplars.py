"""The slowest request that a middleware has served is shown with its id and its trace."""

from __future__ import annotations

from typing import Any

import obsagent
from obsagent.testing import Memory
from unit.asgi_lab import answers, get, wget

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def shown(memory: Memory) -> list[tuple[str | None, str | None, float]]:
    (row,) = memory.query("p99 latency since 1h", exemplars=True)
    return [(each.request_id, each.trace_id, each.value) for each in row.exemplars]


def test_over_asgi(obsagent_memory: Memory) -> None:
    obsagent.connect(service="shop")

    async def slow() -> None:
        obsagent_memory.clock.advance(2)

    given = [("x-request-id", "r-7"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")]
    get(obsagent.ASGIMiddleware(answers(b"x")), "/", headers=[("x-request-id", "r-6")])
    get(obsagent.ASGIMiddleware(answers(b"x", before=slow)), "/", headers=given)
    assert shown(obsagent_memory)[0] == ("r-7", TRACE, 2.0)


def test_over_wsgi(obsagent_memory: Memory) -> None:
    obsagent.connect(service="shop")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        obsagent_memory.clock.advance(2)
        start_response("200 OK", [])
        return [b"x"]

    wget(obsagent.WSGIMiddleware(app), "/", HTTP_X_REQUEST_ID="r-7")
    assert shown(obsagent_memory) == [("r-7", None, 2.0)]

"""obsagent watches machine-learning models in production.

    import obsagent
    obs = obsagent.connect(service="fraud")
    obs.histogram("step_duration", unit="seconds").observe(0.0123)

    obsagent.query("p99 step_duration since 1h")

Importing this package loads nothing else; `connect` loads the client, `query` what asks.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; to import typing would double the time that this package takes
if TYPE_CHECKING:
    from typing import Any

    from obsagent.queries import query, query_async, status
    from obsagent.record.client import Client, FlushResult
    from obsagent.record.clients import connect
    from obsagent.record.middleware.asgi import ASGIMiddleware
    from obsagent.record.middleware.wsgi import WSGIMiddleware
    from obsagent.record.request import Request, current_request
    from obsagent.results import Result, Row

__version__ = "0.1.0"
__all__ = [
    "ASGIMiddleware",
    "Client",
    "FlushResult",
    "Request",
    "Result",
    "Row",
    "WSGIMiddleware",
    "__version__",
    "connect",
    "current_request",
    "query",
    "query_async",
    "status",
]


def __getattr__(name: str) -> Any:
    if name == "connect":
        from obsagent.record.clients import connect

        return connect
    if name in {"Client", "FlushResult"}:
        from obsagent.record import client

        return getattr(client, name)
    if name in {"Request", "current_request"}:
        from obsagent.record import request

        return getattr(request, name)
    if name == "ASGIMiddleware":
        from obsagent.record.middleware.asgi import ASGIMiddleware

        return ASGIMiddleware
    if name == "WSGIMiddleware":
        from obsagent.record.middleware.wsgi import WSGIMiddleware

        return WSGIMiddleware
    if name in {"query", "query_async", "status"}:
        from obsagent import queries

        return getattr(queries, name)
    if name in {"Result", "Row"}:
        from obsagent import results

        return getattr(results, name)
    raise AttributeError(f"module 'obsagent' has no attribute {name!r}")

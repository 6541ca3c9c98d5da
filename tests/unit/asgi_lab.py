"""A server of one request at a time: calls ASGI and WSGI apps as real servers do."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Headers = Iterable[tuple[str, str]]


class Response:
    """What an app has sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 0
        self.body = b""

    async def send(self, message: dict[str, Any]) -> None:
        self.messages.append(dict(message))
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


def scope_of(path: str, method: str = "GET", headers: Headers = (), root_path: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "root_path": root_path,
        "query_string": b"",
        "headers": [(b"host", b"shop.test"), *((name.encode(), value.encode()) for name, value in headers)],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def serve(app: Any, scope: dict[str, Any], *incoming: dict[str, Any]) -> Response:
    """Runs the app; `incoming` is what it receives before it waits for ever, by default an empty body."""
    queue = list(incoming) or [{"type": "http.request", "body": b"", "more_body": False}]
    response = Response()

    async def receive() -> dict[str, Any]:
        return queue.pop(0) if queue else await asyncio.Event().wait() or {}

    await app(scope, receive, response.send)
    return response


def get(app: Any, path: str, **more: Any) -> Response:
    return asyncio.run(serve(app, scope_of(path, **more)))


def post(app: Any, path: str, *parts: bytes, headers: Headers = ()) -> Response:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    last = {"type": "http.request", "body": b"", "more_body": False}
    return asyncio.run(serve(app, scope_of(path, "POST", headers), *messages, last))


def environ_of(path: str, method: str = "GET", body: bytes = b"", **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "SERVER_NAME": "shop.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **more,
    }


class WSGIResponse:
    """What a WSGI app has answered; the server reads `parts` of the body, or all."""

    def __init__(self, app: Any, environ: dict[str, Any], parts: int | None = None) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        result = app(environ, self._start)
        try:
            for number, data in enumerate(result, 1):
                self.body += data
                if number == parts:
                    break
        finally:
            if hasattr(result, "close"):
                result.close()

    def _start(self, status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], None]:
        self.status, self.headers = status, headers
        return self._write

    def _write(self, data: bytes) -> None:
        self.body += data


def wget(app: Any, path: str, **more: Any) -> WSGIResponse:
    return WSGIResponse(app, environ_of(path, **more))


def answers(
    *parts: bytes, status: int = 200, before: Callable[[], Awaitable[None]] | None = None
) -> Callable[..., Awaitable[None]]:
    """A bare ASGI app that answers with these parts."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if before is not None:
            await before()
        await send({"type": "http.response.start", "status": status, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app

"""ASGI middleware: watches HTTP requests; websockets and the lifespan pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from obsagent.limits import EXIT_FLUSH_TIMEOUT_S
from obsagent.record.middleware.headers import body_bytes
from obsagent.record.middleware.served import ServedRequest
from obsagent.record.middleware.starlette import StarletteRoutes
from obsagent.record.middleware.telling import tell_requests
from obsagent.record.middleware.templates import template_of_scope
from obsagent.record.middleware.watching import WATCHED, EndpointOf, Watching

if TYPE_CHECKING:
    from obsagent.record.client import Client
    from obsagent.record.middleware.serving import Serving

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT_GONE = ("ClientDisconnect", "ClientDisconnected", "RequestAborted")
"""What Starlette, Litestar and Django raise where the client has gone."""


class ASGIMiddleware:
    """`app = obsagent.ASGIMiddleware(app)`, or `app.add_middleware(obsagent.ASGIMiddleware)`.

    Feeds `latency` (until the last byte of the response is handed to the server), `queue_delay` (from
    `X-Request-Start`), `requests`, `errors`, `in_flight`, `first_byte_duration`, `request_bytes` and `response_bytes`
    by route, and `batch_size` where a route calls `obsagent.current_request().batch(size)`. A request whose client has
    gone counts with status 499, which is no error. When the server shuts down, what was recorded is flushed.
    """

    def __init__(
        self,
        app: ASGIApp,
        client: Client | None = None,
        endpoint: str | EndpointOf | None = None,
        exclude: str | Iterable[str] = (),
    ) -> None:
        """`client` is by default the first that the program connects.

        `endpoint` names all requests, or is a function that finds a name in the scope of one that has been routed; it
        may return None to leave it to the route. `exclude` are paths or routes that are not watched, such as
        `["/health", "/static/*"]`. Raises `UsageError` for an `endpoint` or an `exclude` of another kind.
        """
        self.app = app
        self._routes = StarletteRoutes()
        self._watching = Watching(client, endpoint, exclude, self._template)
        tell_requests(app)

    def _template(self, request: ServedRequest) -> str | None:
        return template_of_scope(request, self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        request = self._exchange(scope, receive, send) if scope["type"] == "http" else None
        if request is None:
            await self._pass(scope, receive, send)
            return
        request._begin_scope()
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            request._end_scope()
            if not request.is_ended:
                request.returned()

    def _exchange(self, scope: Scope, receive: Receive, send: Send) -> Exchange | None:
        """The request, None if it is not to be watched."""
        serving = None if WATCHED in scope else self._watching.serving()
        root_path: str = scope.get("root_path") or ""
        path = _path_below(root_path, scope["path"])
        if serving is None or self._watching.excludes(path):
            return None
        return Exchange(self._watching, serving, scope, root_path, path, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan":
                self._watching.flush(EXIT_FLUSH_TIMEOUT_S)


def _path_below(root_path: str, path: str) -> str:
    """What is left of a path under the root path, which some servers put in front of it."""
    if not root_path:
        return path
    below = path.removeprefix(root_path)
    return below if below.startswith("/") else path


HEADERS: dict[bytes, Callable[[ServedRequest, str], None]] = {
    b"content-length": ServedRequest.declared,
    b"traceparent": ServedRequest.traced,
    b"x-request-id": ServedRequest.identified,
    b"x-request-start": ServedRequest.queued,
}


class Exchange(ServedRequest):
    """One request with the messages that go to and fro."""

    _awaits_trailers = False
    _client_is_gone = False
    _response_headers: Iterable[tuple[bytes, bytes]] = ()

    def __init__(
        self,
        watching: Watching,
        serving: Serving,
        scope: Scope,
        root_path: str,
        path: str,
        receive: Receive,
        send: Send,
    ) -> None:
        """Reads the headers; `receive` and `send` are those of the server."""
        ServedRequest.__init__(self, watching, serving, scope, root_path, path)
        self._receive = receive
        self._send = send
        for name, value in scope["headers"]:
            read = HEADERS.get(name)
            if read is not None:
                read(self, value.decode("latin-1"))
        scope[WATCHED] = True

    async def receive(self) -> Message:
        """The next message of the client."""
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            self.received_bytes += len(message.get("body", b""))
        elif kind == "http.disconnect":  # what is asked for after the end is told so too
            self._client_is_gone = not self.is_ended
        return message

    async def send(self, message: Message) -> None:
        """The next message of the app."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            self._response_headers = message.get("headers", ())
            if message.get("trailers"):
                self._awaits_trailers = True
        try:
            await self._send(message)
        except OSError:  # as the specification has it since its version 2.4
            self._client_is_gone = not self.is_ended
            raise
        if kind == "http.response.body":
            self._sent_body(message)
        elif kind != "http.response.start":
            self._sent_otherwise(kind, message)

    def _sent_body(self, message: Message) -> None:
        size = len(message.get("body", b""))
        if size and self.carrier["method"] != "HEAD":
            self.first_byte()
            self.sent_bytes += size
        if not message.get("more_body", False) and not self._awaits_trailers:
            self.end(self.status)

    def _sent_otherwise(self, kind: str, message: Message) -> None:
        """Extensions: trailers, and files that the server sends by itself."""
        if kind == "http.response.trailers":
            if not message.get("more_trailers", False):
                self.end(self.status)
        elif kind == "http.response.zerocopysend":
            self.first_byte()
            self.sent_bytes += message.get("count") or 0
            if not message.get("more_body", False):
                self.end(self.status)
        elif kind == "http.response.pathsend":
            self.first_byte()
            for name, value in self._response_headers:
                if name.lower() == b"content-length":
                    self.sent_bytes += body_bytes(value.decode("latin-1")) or 0
            self.end(self.status)

    def failed(self, error: BaseException) -> None:
        """The app has raised, or was cancelled, as some servers do when the client has gone."""
        name = type(error).__name__
        is_of_client = self._client_is_gone and (isinstance(error, OSError) or name in CLIENT_GONE)
        if is_of_client or name == "CancelledError":
            self.abandon()
        else:
            self.fail()

    def returned(self) -> None:
        """The app is done: a response that is not complete never will be."""
        if self._client_is_gone:
            self.abandon()
        else:
            self.fail()

"""WSGI middleware: watches requests until the server has taken the last byte of the response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from obsagent.record.middleware import headers
from obsagent.record.middleware.served import ServedRequest
from obsagent.record.middleware.telling import tell_requests
from obsagent.record.middleware.templates import template_of_environ
from obsagent.record.middleware.watching import WATCHED, EndpointOf, Watching

if TYPE_CHECKING:
    from obsagent.record.client import Client
    from obsagent.record.middleware.serving import Serving

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

WITHOUT_BODY = (204, 304)


class WSGIMiddleware:
    """`app.wsgi_app = obsagent.WSGIMiddleware(app.wsgi_app)` for Flask; for Django around `get_wsgi_application()`.

    Feeds the same instruments as `ASGIMiddleware`. A response that the server closes before its end counts with status
    499: its client has gone. A file that is handed to `wsgi.file_wrapper` ends when it is handed over, as the server
    sends it by itself.
    """

    def __init__(
        self,
        app: WSGIApp,
        client: Client | None = None,
        endpoint: str | EndpointOf | None = None,
        exclude: str | Iterable[str] = (),
    ) -> None:
        """As of `ASGIMiddleware`, with the WSGI environ in place of the scope."""
        self.app = app
        self._watching = Watching(client, endpoint, exclude, template_of_environ)
        tell_requests(app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serves one request."""
        serving = None if WATCHED in environ else self._watching.serving()
        if serving is None or self._watching.excludes(environ.get("PATH_INFO") or "/"):
            return self.app(environ, start_response)
        request = Exchange(self._watching, serving, environ, start_response)
        request._begin_scope()
        try:
            body = self.app(environ, request.start_response)
        except BaseException:
            request._end_scope()
            request.failed()
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            request.hand_over_file()
            return body
        return SizedBody(request, body) if hasattr(body, "__len__") else Body(request, body)


class Exchange(ServedRequest):
    """One request, with what the app says of its response."""

    _client_is_gone = False
    _content_bytes: int | None = None
    _write: Write | None = None

    def __init__(self, watching: Watching, serving: Serving, environ: Environ, start_response: StartResponse) -> None:
        """Reads the headers."""
        super().__init__(watching, serving, environ, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO") or "/")
        self._start_response = start_response
        for name, read in HEADERS:
            value = environ.get(name)
            if value:
                read(self, value)
        if self.declared_bytes is None and environ.get("HTTP_TRANSFER_ENCODING"):
            environ["wsgi.input"] = CountedInput(self, environ["wsgi.input"])
        environ[WATCHED] = True

    def start_response(self, status: str, response_headers: list[tuple[str, str]], *error: Any) -> Write:
        """Notes the status, and hands it on."""
        code = status[:3]
        self.status = int(code) if code.isdigit() else self.status
        self._content_bytes = None
        for name, value in response_headers:
            if name.lower() == "content-length":
                self._content_bytes = headers.body_bytes(value)
        self.route = self._watching.route(self)
        self._write = self._start_response(status, response_headers, *error)
        return self.write

    def write(self, data: bytes) -> object:
        """What apps from before iterables call."""
        assert self._write is not None
        try:
            written = self._write(data)
        except OSError:
            self._client_is_gone = True
            raise
        self.sent(data)
        return written

    def sent(self, data: bytes) -> None:
        """The server has, or is about to have, more of the body."""
        if data and self.carrier.get("REQUEST_METHOD") != "HEAD":
            self.first_byte()
            self.sent_bytes += len(data)

    def failed(self) -> None:
        """The app has raised before the end of its response."""
        if self._client_is_gone:
            self.abandon()
        else:
            self.fail()

    def hand_over_file(self) -> None:
        """The server sends the rest, a file."""
        self.first_byte()
        self.sent_bytes += self._content_bytes or 0
        self._end_scope()
        self.end(self.status)

    def close(self) -> None:
        """The server wants no more of the body."""
        has_body = self.carrier.get("REQUEST_METHOD") != "HEAD" and self.status not in WITHOUT_BODY
        if has_body and (self._content_bytes is None or self.sent_bytes < self._content_bytes):
            self.abandon()
        else:
            self.end(self.status)


class CountedInput:
    """A request's body whose length nobody has declared: counted as it is read."""

    def __init__(self, request: Exchange, stream: Any) -> None:
        """`stream` is the server's `wsgi.input`."""
        self._request = request
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        return map(self._counted, self._stream)

    def _counted(self, data: bytes) -> bytes:
        self._request.received_bytes += len(data)
        return data

    def read(self, *size: int) -> bytes:
        """As of the stream."""
        return self._counted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """As of the stream."""
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """As of the stream."""
        return [self._counted(line) for line in self._stream.readlines(*hint)]


class Body:
    """The body of a response, on its way to the server."""

    def __init__(self, request: Exchange, body: Iterable[bytes]) -> None:
        """`body` is what the app has returned."""
        self._request = request
        self._body = body
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request = self._request
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            data = next(self._parts)
        except StopIteration:
            request.end(request.status)
            request._end_scope()
            raise
        except BaseException:
            request.failed()
            raise
        request.sent(data)
        return data

    def close(self) -> None:
        """The server is done, be it before the end."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.close()
            self._request._end_scope()


class SizedBody(Body):
    """A body that says how many parts it has; of one part some servers take the length for that of the body."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


HEADERS: tuple[tuple[str, Callable[[ServedRequest, str], None]], ...] = (
    ("CONTENT_LENGTH", ServedRequest.declared),
    ("HTTP_TRACEPARENT", ServedRequest.traced),
    ("HTTP_X_REQUEST_ID", ServedRequest.identified),
    ("mod_wsgi.queue_start", ServedRequest.queued),
    ("HTTP_X_REQUEST_START", ServedRequest.queued),
)

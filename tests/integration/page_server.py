"""A server with a page of metrics, in threads of the test's process; what it answers can be anything."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "text/plain; version=0.0.4"


class PageServer:
    """`with PageServer(page) as server`: `server.url` answers with `page`, as text or as what a function writes."""

    def __init__(
        self, page: str | Callable[[BaseHTTPRequestHandler], None] = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.page = page
        self.content_type = TEXT
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, dict(self.headers.items())))
                if callable(server.page):
                    server.page(self)
                else:
                    answer(self, server.page.encode(), content_type=server.content_type)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, *_: Any) -> None:
                """Scrapers hang up in the middle of pages: that is tested."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}/metrics"

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the threads of its requests


def answer(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, content_type: str = TEXT, **headers: str
) -> None:
    """A whole answer; `Content_Encoding="gzip"` is a header."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)

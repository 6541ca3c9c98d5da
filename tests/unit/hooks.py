"""A server whose webhooks say what a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hooks:
    """A server that answers with the codes it is given, one after the other, the last one for ever."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.calls: list[tuple[dict[str, str], bytes]] = []
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.calls.append((dict(self.headers), body))
                code = hooks.codes[min(len(hooks.calls), len(hooks.codes)) - 1]
                if code == 0:
                    time.sleep(2.0)
                    return
                self.send_response(code)
                self.send_header("Location", "http://elsewhere.example/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/retrain"


@contextmanager
def serving(*codes: int) -> Iterator[Hooks]:
    hooks = Hooks(*codes)
    thread = threading.Thread(target=hooks.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hooks
    finally:
        hooks.server.shutdown()
        thread.join()
        hooks.server.server_close()

"""The threads of the HTTP port: uvicorn on a socket that listens already.

obsagent-http           the event loop: reads requests, sends answers
obsagent-http-scrape    makes what is scraped, one at a time
obsagent-http-ask       answers everything else, one at a time
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ssl import SSLContext
from typing import Any, TypeVar

import uvicorn

from obsagent.limits import HTTP_CONNECTIONS, HTTP_HEADER_BYTES_MAX, HTTP_IDLE_S
from obsagent.web.app import Agent, make_app
from obsagent.web.connection import Connection
from obsagent.web.guard import GetToken, Guard

T = TypeVar("T")
GRACE_S = 2
"""So long answers under way may take when the agent stops."""


class HttpServer:
    """Serves one socket in the thread that calls `run`."""

    def __init__(
        self,
        listener: socket.socket,
        agent: Agent,
        token: GetToken,
        local_host: str | None,
        tls: SSLContext | None = None,
    ) -> None:
        """`token` is asked for each request; `local_host` as `Guard`'s. With `tls` it speaks nothing else."""
        self._listener = listener
        self._workers = [
            ThreadPoolExecutor(1, thread_name_prefix="obsagent-http-scrape"),
            ThreadPoolExecutor(1, thread_name_prefix="obsagent-http-ask"),
        ]
        scrapes, others = (_run_in(workers) for workers in self._workers)
        config = uvicorn.Config(
            Guard(make_app(agent, scrapes, others), token, local_host),
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=HTTP_CONNECTIONS,
            h11_max_incomplete_event_size=HTTP_HEADER_BYTES_MAX,
            timeout_keep_alive=HTTP_IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        config.load()
        config.ssl = tls  # not by its files' names: these may be renewed
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answers until `stop`, and ends the threads that it has started."""
        try:
            self._server.run(sockets=[self._listener])
        finally:
            for workers in self._workers:
                workers.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Ends `run`: no more requests, those in hand are answered. Any thread may call it."""
        self._server.should_exit = True


def _run_in(workers: ThreadPoolExecutor) -> Any:
    def run(function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(workers, function, *arguments)

    return run

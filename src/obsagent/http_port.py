"""The HTTP port of an agent: a listener that is there before anything is served, and the server behind it.

Where nobody has asked for a port the default one is taken if it can be; else the agent goes on without, and says so.
What the server needs is loaded in its own thread, so that an agent starts no later for it.
"""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING

from obsagent.config import AgentConfig
from obsagent.errors import UsageError
from obsagent.http_address import DEFAULT_HTTP, HttpAddress, parse_http
from obsagent.web.listener import Token, listen
from obsagent.web.tls import Tls, tls_of

if TYPE_CHECKING:
    from obsagent.web.app import Agent
    from obsagent.web.server import HttpServer

logger = logging.getLogger(__name__)

NEEDS = "obsagent[agent]"


class HttpPort:
    """Opened with the agent's other doors; `start` serves, `stop` ends it."""

    def __init__(self, config: AgentConfig) -> None:
        """Listens where the configuration says.

        Raises `UsageError` where somebody asked for an address that is taken or wrong, `ConfigError` for one that
        other machines can reach without a token, and for a bad token, certificate or key.
        """
        self.trouble = ""
        self.address: HttpAddress | None = None
        self._listener: socket.socket | None = None
        self._token: Token | None = None
        self._tls: Tls | None = None
        self._server: HttpServer | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopping = False
        address = parse_http(DEFAULT_HTTP if config.http is None else config.http)
        if address is None:
            return
        self._tls = tls_of(config.http_certificate, config.http_key)
        try:
            self._listener, self._token = listen(address, config.http_token)
        except UsageError as error:
            if config.http is not None:
                raise
            self._give_up(str(error))
        else:
            self.address = HttpAddress(address.host, self._listener.getsockname()[1])

    def start(self, agent: Agent) -> None:
        """Serves the agent, in a thread of its own, if there is a port."""
        if self._listener is not None:
            self._thread = threading.Thread(target=self._serve, args=(agent, self._listener), name="obsagent-http")
            self._thread.start()

    def refresh(self) -> None:
        """Reads the token, the certificate and its key again; raises `ConfigError`, and then the old ones count."""
        if self._tls is not None:
            self._tls.refresh()
        if self._token is not None:
            self._token.refresh()

    def stop(self) -> None:
        """Answers what is in hand, and ends the threads."""
        with self._lock:
            self._stopping = True
            if self._server is not None:
                self._server.stop()
        if self._thread is not None:
            self._thread.join()
        if self._listener is not None:
            self._listener.close()

    def _serve(self, agent: Agent, listener: socket.socket) -> None:
        assert self.address is not None
        try:
            from obsagent.web.server import HttpServer

            local_host = self.address.host if self.address.is_loopback else None
            with self._lock:
                if self._stopping:
                    return
                tls = self._tls.context if self._tls else None
                self._server = HttpServer(listener, agent, self._current_token, local_host, tls)
            logger.info("metrics for Prometheus: %s://%s/metrics", "https" if tls else "http", self.address)
            self._server.run()
        except ImportError as error:
            self._give_up(f"{error}: pip install '{NEEDS}', or --http off")
        except Exception as error:  # whatever it is, the agent goes on
            logger.exception("the HTTP port has ended")
            self._give_up(f"the HTTP port has ended: {error!r}")

    def _current_token(self) -> bytes | None:
        return self._token.value if self._token is not None else None

    def _give_up(self, reason: str) -> None:
        self.trouble = reason
        logger.warning("nothing is exported to Prometheus: %s", reason)
        if self._listener is not None:
            self._listener.close()

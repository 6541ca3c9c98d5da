"""One request, one answer: the loop of the readers' and of the control endpoint. No request can end it.

a kind that is served here   ──►  answer, its body the JSON of what serves it
anything else, or a mistake  ──►  error {message, exit_code}
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from obsagent.errors import ObsagentError, ProtocolError
from obsagent.pulses import Pulse
from obsagent.wire.header import MessageKind, not_taken

POLL_INTERVAL_MS = 1_000

logger = logging.getLogger(__name__)

Serve = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The fields of a request to what goes into its answer; raises `ObsagentError` for what cannot be answered."""


class Socket(Protocol):
    """An endpoint, as `obsagent.wire.socket.ServeSocket` offers it."""

    def receive(self, timeout_ms: int) -> tuple[bytes, str, dict[str, Any]] | None:
        """The next request: who asks, the kind of message, its fields. Errors carry `.identity`."""
        ...

    def send(self, identity: bytes, kind: str, body: bytes | None = None, **fields: Any) -> bool:
        """Answers; False if nobody is there any more."""
        ...

    def wake(self) -> None:
        """Ends a `receive` from another thread."""
        ...


class RequestServer:
    """Serves requests on one socket, in the thread that calls `run`."""

    def __init__(self, socket: Socket, here: str, serves: Mapping[str, Serve]) -> None:
        """`serves` has a function for each kind of message, in lower case; `here` is what people call the endpoint."""
        self._socket = socket
        self._here = here
        self._serves = dict(serves)
        self._stopped = threading.Event()
        self.pulse = Pulse()

    def run(self) -> None:
        """Answers until `stop`."""
        while not self._stopped.is_set():
            self.pulse.beat()
            self.serve_one(POLL_INTERVAL_MS)

    def stop(self) -> None:
        """Ends `run` after the request in hand; may be called from any thread."""
        self._stopped.set()
        self._socket.wake()

    def serve_one(self, timeout_ms: int) -> bool:
        """Waits for one request and answers it; False if none came."""
        try:
            request = self._socket.receive(timeout_ms)
        except ObsagentError as error:
            identity = getattr(error, "identity", None)
            if identity is not None:
                self._refuse(identity, error)
            return identity is not None
        except Exception:  # whatever arrives, the next one is served
            logger.exception("a request could not be read")
            return False
        if request is None:
            return False
        identity, kind, fields = request
        with self.pulse.at(f"a {kind} request"):
            self._serve(identity, kind, fields)
        return True

    def _serve(self, identity: bytes, kind: str, fields: Mapping[str, Any]) -> None:
        try:
            body = json.dumps(self._answer(kind, fields), allow_nan=False, ensure_ascii=False).encode()
        except ObsagentError as error:
            self._refuse(identity, error)
        except Exception:  # whatever a request does to us, the next one is served
            logger.exception("a %s request failed", kind)
            self._refuse(identity, ObsagentError("the agent failed to answer this; its log has the traceback"))
        else:
            self._socket.send(identity, "answer", body)

    def _answer(self, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        serve = self._serves.get(kind)
        if serve is None:
            raise ProtocolError(not_taken(MessageKind[kind.upper()], self._here))
        return serve(fields)

    def _refuse(self, identity: bytes, error: ObsagentError) -> None:
        self._socket.send(identity, "error", message=str(error), exit_code=error.exit_code)

"""Answers readers: one request, one answer, and no request can end the server.

query  {text, …}     ──►  answer, its body the JSON of obsagent.answer.execute
catalogue {service}  ──►  answer, its body the JSON of obsagent.answer.catalogue
status               ──►  answer, its body the JSON of the agent's accounts and state
anything else        ──►  error {message, exit_code}
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Protocol

from obsagent.answer.catalogue import catalogue
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import LOGHIST, Options
from obsagent.answer.view import View
from obsagent.answer.zones import zone_of
from obsagent.errors import ObsagentError, ProtocolError

POLL_INTERVAL_MS = 1_000

logger = logging.getLogger(__name__)


class Socket(Protocol):
    """The readers' endpoint, as `obsagent.wire.socket.ServeSocket` offers it."""

    def receive(self, timeout_ms: int) -> tuple[bytes, str, dict[str, Any]] | None:
        """The next request: who asks, the kind of message, its fields. Errors carry `.identity`."""
        ...

    def send(self, identity: bytes, kind: str, body: bytes | None = None, **fields: Any) -> bool:
        """Answers; False if nobody is there any more."""
        ...

    def wake(self) -> None:
        """Ends a `receive` from another thread."""
        ...


class QueryServer:
    """Serves queries and the status on one socket, in the thread that calls `run`."""

    def __init__(
        self,
        socket: Socket,
        view: Callable[[], View],
        status: Callable[[], Mapping[str, Any]],
        now_ms: Callable[[], int],
    ) -> None:
        """`view` and `status` are called for each request; "since" counts back from `now_ms()`."""
        self._socket = socket
        self._view = view
        self._status = status
        self._now_ms = now_ms
        self._stopped = threading.Event()

    def run(self) -> None:
        """Answers until `stop`."""
        while not self._stopped.is_set():
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
        try:
            body = json.dumps(self._answer(kind, fields), allow_nan=False, ensure_ascii=False).encode()
        except ObsagentError as error:
            self._refuse(identity, error)
        except Exception:  # whatever a request does to us, the next one is served
            logger.exception("a %s request failed", kind)
            self._refuse(identity, ObsagentError("the agent failed to answer this; its log has the traceback"))
        else:
            self._socket.send(identity, "answer", body)
        return True

    def _answer(self, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "query":
            text = fields.get("text")
            if not isinstance(text, str):
                raise ProtocolError("a query message needs the field `text`")
            return answer(parse(text), self._view(), self._now_ms(), _options(fields))
        if kind == "status":
            return self._status()
        if kind == "catalogue":
            service = fields.get("service")
            return catalogue(self._view(), service if isinstance(service, str) else None)
        raise ProtocolError(f"a message of kind {kind!r} is not answered here")

    def _refuse(self, identity: bytes, error: ObsagentError) -> None:
        self._socket.send(identity, "error", message=str(error), exit_code=error.exit_code)


def _options(fields: Mapping[str, Any]) -> Options:
    """What a query message says beside the query; what it does not say has a default."""
    sketch, explains = fields.get("sketch", LOGHIST), fields.get("explain", False)
    names = [fields[name] for name in ("zone", "offset") if name in fields]
    if not isinstance(explains, bool) or not all(isinstance(text, str) for text in (sketch, *names)):
        raise ProtocolError(
            "the fields `sketch`, `zone` and `offset` of a query message are text, `explain` is true or false"
        )
    return Options(sketch, explains, _zone(names))


def _zone(names: Sequence[str]) -> tzinfo | None:
    """The first zone that is known here; without any, this machine's."""
    for name in names[:-1]:
        with suppress(ProtocolError):
            return zone_of(name)
    return zone_of(names[-1]) if names else None

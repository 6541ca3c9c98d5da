"""One connection: whoever says nothing, or does not read, is hung up on.

uvicorn waits for a first request for ever, and for a reader that never reads.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from obsagent.limits import HTTP_IDLE_S, HTTP_REQUEST_S


class Connection(H11Protocol):
    """HTTP/1.1 with two deadlines: for a request to come, whole, and for its answer to be taken."""

    idle_s: float = HTTP_IDLE_S
    request_s: float = HTTP_REQUEST_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for the first request."""
        super().connection_made(transport)
        self._expect(self.idle_s)

    def handle_events(self) -> None:
        """What has come; with the end of a request's head the other deadline begins."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._expect(self.request_s)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._expect(self.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._expect(None)
        super().connection_lost(exc)

    def _expect(self, within_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        transport: Any = self.transport
        self._deadline = None if within_s is None else self.loop.call_later(within_s, transport.abort)

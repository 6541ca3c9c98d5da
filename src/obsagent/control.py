"""What changes a running agent, at an endpoint of its own: neither writers nor readers can.

reload        reads the keys and the configuration file again; {"keys", "metrics", "applied", "restart_needed"}
checkpoint    moves everything from memory into a segment; {"written"}
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from obsagent.wire.requests import RequestServer, Socket

logger = logging.getLogger(__name__)

Change = Callable[[], Mapping[str, Any]]


class ControlServer(RequestServer):
    """Serves the control endpoint in the thread that calls `run`."""

    def __init__(self, socket: Socket, reload: Change, checkpoint: Change) -> None:
        """`reload` and `checkpoint` say what they did; what they raise is the answer to the request."""
        serves = {"reload": reload, "checkpoint": checkpoint}
        super().__init__(socket, "control", {kind: _logged(kind, change) for kind, change in serves.items()})


def _logged(kind: str, change: Change) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    def serve(_: Mapping[str, Any]) -> Mapping[str, Any]:
        done = change()
        logger.info("%s, as somebody asked for: %s", kind, done)
        return done

    return serve

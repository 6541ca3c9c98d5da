"""What changes a running agent, at an endpoint of its own: neither writers nor readers can.

reload        reads the keys and the configuration file again; {"keys", "metrics", "applied", "restart_needed"}
checkpoint    moves everything from memory into a segment; {"written"}
forget        {ids, model} removes what is known by these ids; {"predictions", "truths", "rows"}: how many there were
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from obsagent.by_id.batches import Forgotten
from obsagent.by_id.codec import ids_of
from obsagent.errors import UsageError
from obsagent.limits import FORGET_IDS_MAX, REQUEST_ID_BYTES_MAX
from obsagent.wire.requests import RequestServer, Serve, Socket

logger = logging.getLogger(__name__)

Change = Callable[[], Mapping[str, Any]]
Forget = Callable[[Forgotten], Mapping[str, Any]]


class ControlServer(RequestServer):
    """Serves the control endpoint in the thread that calls `run`."""

    def __init__(self, socket: Socket, reload: Change, checkpoint: Change, forget: Forget) -> None:
        """Each says what it did; what it raises is the answer to the request."""
        serves: dict[str, Serve] = {
            "reload": lambda _: reload(),
            "checkpoint": lambda _: checkpoint(),
            "forget": lambda fields: forget(forgotten(fields)),
        }
        super().__init__(socket, "control", {kind: _logged(kind, change) for kind, change in serves.items()})


def _logged(kind: str, change: Serve) -> Serve:
    def serve(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        done = change(fields)
        logger.info("%s, as somebody asked for: %s", kind, done)
        return done

    return serve


def forgotten(fields: Mapping[str, Any]) -> Forgotten:
    """What a forget message names; raises `UsageError` for ids that are none."""
    ids, model = fields.get("ids"), fields.get("model", "")
    if not isinstance(ids, list) or not 1 <= len(ids) <= FORGET_IDS_MAX or not isinstance(model, str):
        raise UsageError(f"expected 1 to {FORGET_IDS_MAX:,} ids, and the name of a model or none")
    for text in ids:
        if not isinstance(text, str) or not 1 <= len(text.encode("utf-8", "replace")) <= REQUEST_ID_BYTES_MAX:
            raise UsageError(f"an id has 1 to {REQUEST_ID_BYTES_MAX} bytes")
    return Forgotten(model, ids_of(ids))

"""One request that a middleware watches: from its start to the last byte of its response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsagent.record.middleware import headers
from obsagent.record.request import CLIENT_CLOSED, FIRST_ERROR_STATUS, Request, _current

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from obsagent.record.middleware.serving import Serving
    from obsagent.record.middleware.watching import Watching
    from obsagent.record.models.model import Model
    from obsagent.record.models.models import Models
    from obsagent.record.models.observed import Observed
    from obsagent.record.request import EndpointInstruments


class ServedRequest(Request):
    """A request whose endpoint is known once the app has routed it: everything is observed at its end.

    `carrier` is the ASGI scope or the WSGI environ.
    """

    declared_bytes: int | None = None
    received_bytes = 0
    sent_bytes = 0
    status = 200
    id: str | None = None
    trace_id: str | None = None
    route: str | None = None
    is_ended = False
    """True once the response is complete, or never will be."""
    model: Model | None = None
    _observed: Observed | None = None
    _outer: Request | None = None
    _bound: EndpointInstruments | None = None
    _first_byte_s: float | None = None
    _queue_delay_s: float | None = None
    _batches: tuple[float, ...] = ()

    def __init__(
        self, watching: Watching, serving: Serving, carrier: MutableMapping[str, Any], root_path: str, path: str
    ) -> None:
        """Begins now; `path` is without `root_path`, under which the server or another app has put this one.

        What most requests have alike is the class's, and costs them nothing.
        """
        self._watching = watching
        self._serving = serving
        self.carrier = carrier
        self.root_path = root_path
        self.path = path
        self._started = serving.duration_s()
        serving.live[self] = None

    def _begin_scope(self) -> None:
        outer = _current.get()
        _current.set(self)
        if outer is not None and not (isinstance(outer, ServedRequest) and outer.is_ended):
            self._outer = outer  # an ended one was left by a server that ends responses in another thread

    def _end_scope(self) -> None:
        if _current.get() is self:
            _current.set(self._outer)

    @property
    def _models(self) -> Models | None:
        return self._serving.models

    @property
    def _will_end(self) -> bool:
        return not self.is_ended

    def queued(self, text: str) -> None:
        """Takes `X-Request-Start`."""
        now_s = self._serving.arrival_s()
        at_s = headers.queued_at(text, now_s)
        if at_s is not None:
            self._queue_delay_s = max(now_s - at_s, 0.0)

    def declared(self, text: str) -> None:
        """Takes `Content-Length`."""
        self.declared_bytes = headers.body_bytes(text)

    def traced(self, text: str) -> None:
        """Takes `traceparent`."""
        self.trace_id = headers.trace_id(text)

    def identified(self, text: str) -> None:
        """Takes `X-Request-ID`."""
        self.id = headers.request_id(text)

    def endpoint(self) -> str | None:
        """By which name the request is counted, as far as it has been routed; None if it is not to be counted."""
        return self._watching.endpoint(self)

    def first_byte(self) -> None:
        """The response's body begins."""
        if self._first_byte_s is None:
            self._first_byte_s = self._serving.duration_s()

    def fail(self) -> None:
        """The app raised before its response was complete."""
        self.end(max(self.status, FIRST_ERROR_STATUS))

    def abandon(self) -> None:
        """The client has gone before its response was complete; a response that was to be an error is still one."""
        self.end(max(self.status, CLIENT_CLOSED))

    def end(self, status: int) -> None:
        """The response is complete, or never will be; only the first call counts."""
        self.is_ended = True
        if self._serving.live.pop(self, self) is self:
            return
        ended_s = self._serving.duration_s()
        self.status = status
        if self._observed is not None:
            self._observed.end(self.id, has_failed=status >= FIRST_ERROR_STATUS)
        endpoint = self.endpoint()
        if endpoint is not None:
            self._observe(self._serving.endpoint(endpoint), ended_s, status)

    def _observe(self, bound: EndpointInstruments, ended_s: float, status: int) -> None:
        served = bound.served
        if self._queue_delay_s is not None:
            bound.queue_delay.observe(self._queue_delay_s)
        if self._first_byte_s is not None:
            served.first_byte_duration.observe(self._first_byte_s - self._started)
        received = self.declared_bytes
        served.request_bytes.observe(self.received_bytes if received is None else received)
        served.response_bytes.observe(self.sent_bytes)
        self._finish(bound, ended_s, status)
        self._bound = bound
        for size in self._batches:
            bound.batch(size)

    def batch(self, size: float) -> None:
        """As `Request.batch`; within the request it is kept until its end."""
        if self._bound is None:
            self._batches += (size,)
        else:
            self._bound.batch(size)

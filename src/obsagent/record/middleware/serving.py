"""What the requests of one client share: the instruments of their endpoints, and how many are in flight.

A request's endpoint is known once its app has routed it, which no framework tells. So requests in flight are kept in a
dict, and counted by endpoint when gauges are sampled, once a second, by the sender's thread; a request that has not
been routed yet is among those of `(unmatched)`. What is counted is added to the gauge: `obs.request` may hold it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from obsagent.samples import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsagent._native.ring import Gauge, Histogram
    from obsagent.record.instruments import HistogramFamily
    from obsagent.record.middleware.served import ServedRequest
    from obsagent.record.models.models import Models
    from obsagent.record.request import EndpointInstruments, RequestInstruments


class Serving:
    """Thread-safe; `live` are the requests that have begun and not ended."""

    def __init__(self, requests: RequestInstruments, flush: Callable[[float], object]) -> None:
        """Defines what only middlewares feed; `flush` hands over what was recorded, within so many seconds."""
        self.flush = flush
        self._requests = requests
        self.duration_s = requests.duration_s
        self.arrival_s = requests.arrival_s
        self.live: dict[ServedRequest, None] = {}
        self._shown: dict[Gauge, int] = {}
        self.first_byte_duration = self._histogram(
            "first_byte_duration",
            "Time from the start of a request to the first byte of its response's body",
            "seconds",
        )
        self.request_bytes = self._histogram("request_bytes", "Size of the body of a request", "bytes")
        self.response_bytes = self._histogram("response_bytes", "Size of the body of a response", "bytes")

    def _histogram(self, name: str, help_text: str, unit: str) -> HistogramFamily[Histogram]:
        define = self._requests.define
        family: HistogramFamily[Histogram] = define(
            Kind.HISTOGRAM, name, help_text, unit, ("endpoint",), built_in=True, is_judged=False
        )
        return family

    @property
    def models(self) -> Models | None:
        """Those of the client."""
        return self._requests.models() if self._requests.models is not None else None

    def endpoint(self, name: str) -> EndpointInstruments:
        """The built-ins of an endpoint, whose `served` are the instruments of middlewares."""
        bound = self._requests.endpoint(name)
        if bound.served is None:
            bound.served = ServedInstruments(self, bound)
            self._shown.setdefault(bound.in_flight, 0)
        return bound

    def sample(self) -> None:
        """Brings the gauges of requests in flight up to date."""
        counts = dict.fromkeys(self._shown.copy(), 0)
        for request in self.live.copy():
            endpoint = request.endpoint()
            if endpoint is not None:
                gauge = self.endpoint(endpoint).in_flight
                counts[gauge] = counts.get(gauge, 0) + 1
        for gauge, count in counts.items():
            gauge.inc(count - self._shown.get(gauge, 0))  # by 0 too: a gauge is there once it was set
            self._shown[gauge] = count

    def after_fork(self) -> None:
        """In the child: the requests in flight are the parent's, and the gauges begin anew."""
        self.live.clear()
        self._shown = dict.fromkeys(self._shown, 0)


class ServedInstruments:
    """What middlewares feed of one endpoint, besides what `obs.request` does."""

    __slots__ = ("first_byte_duration", "request_bytes", "response_bytes")

    def __init__(self, serving: Serving, endpoint: EndpointInstruments) -> None:
        """Binds the series."""
        self.first_byte_duration = endpoint.series(serving.first_byte_duration)
        self.request_bytes = endpoint.series(serving.request_bytes)
        self.response_bytes = endpoint.series(serving.response_bytes)
